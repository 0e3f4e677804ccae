"""Training data: real receipts, and words and pages rendered and degraded as scanners and printers do."""
