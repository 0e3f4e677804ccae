"""What a document can do wrong. Each error carries the stable code that clients branch on."""

from __future__ import annotations

from typing import ClassVar


class RecognitionError(Exception):
    """A document that cannot be read, whoever tries and however often.

    `code` is stable and meant for programs; `reason` is a sentence a person can act on.
    """

    code: ClassVar[str] = "recognition_failed"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnsupportedMediaType(RecognitionError):
    """The content is neither an image of a supported format nor a PDF."""

    code = "unsupported_media_type"


class UnreadableDocument(RecognitionError):
    """The format is supported, the content is truncated, corrupt or encrypted."""

    code = "unreadable_document"


class FileTooLarge(RecognitionError):
    """Bytes, pixels or pages are over their limit; `reason` says which."""

    code = "file_too_large"


class EngineNotInstalled(RuntimeError):
    """The engine asked for needs packages that are not there; the message says which command installs them."""


class WeightsNotFound(RuntimeError):
    """No weights of the engine lie where the settings point."""
