"""The wire: every message, topic, identity and document of OCR Services.

Depends on pydantic alone, so that a downstream consumer can take this package and nothing else.
"""
