"""The layout of a result in the formats that other programs read: JSON, hOCR, ALTO, plain text."""
