"""The processes of OCR Services, one folder each, and the mechanics they stand on."""
