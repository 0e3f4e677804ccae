"""The command line: `ocr-services <command>`; a file a command, which imports its service only when called."""
