"""Images and PDFs to pages of words. Knows no broker, no object store and no database."""

import os

# ONNX Runtime counts its users and sends that to its maker, unless it is told not to before its first import. What
# runs here reads other people's documents: it tells nobody.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
