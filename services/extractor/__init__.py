"""Requests in, documents, results and usage out. See `worker.py` for the order of steps and what each guarantees."""
