"""What `ocr-services doctor` looks at: one check a function, each of which says what is and what to do."""
