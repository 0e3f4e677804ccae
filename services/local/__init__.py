"""The embedded stack of one machine, and the supervisor behind `ocr-services up`."""
