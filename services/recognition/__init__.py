"""Images and PDFs to pages of words. Knows no broker, no object store and no database."""
