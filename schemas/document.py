"""The document: what the results bucket keeps of a terminal result, at `ocr/<user_id>/<result_id>.json`."""

from datetime import datetime
from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, model_validator

from schemas.base import BucketName, Count, Etag, KeyText, Ordinal, ResultId, Timestamp, UserId, WireModel
from schemas.events import TEXT_BYTES_MAX, Author, Failure, ResultCompleted, ResultFailed, UsageRecorded

Box = tuple[float, float, float, float]
"""Left, top, right, bottom as fractions (0 to 1) of the page as shown."""


class WordLayout(WireModel):
    """One word: its text, how sure the recogniser is (0 to 1), and where it stands."""

    text: str
    confidence: float
    box: Box


class LineLayout(WireModel):
    """Words that stand on one line, in reading order."""

    box: Box
    words: tuple[WordLayout, ...]


class BlockLayout(WireModel):
    """Lines that belong together, such as a column or a paragraph."""

    box: Box
    lines: tuple[LineLayout, ...]


class PageLayout(WireModel):
    """One page as shown: after EXIF rotation, before the straightening that recognition does."""

    number: Ordinal
    width: Ordinal = Field(description="Pixels.")
    height: Ordinal = Field(description="Pixels.")
    orientation: Literal[0, 90, 180, 270] = Field(description="Degrees its content is turned clockwise.")
    skew_degrees: float
    page_units: Ordinal
    blocks: tuple[BlockLayout, ...]


class DocumentStatus(StrEnum):
    """What a document holds; a tombstone keeps author and usage so that nothing comes back."""

    COMPLETED = "completed"
    FAILED = "failed"
    DELETED = "deleted"


class Document(WireModel):
    """A terminal result as stored, complete enough to publish its events again as they were."""

    schema_version: Literal[1] = 1
    result_id: ResultId
    user_id: UserId
    bucket: BucketName
    key: KeyText
    etag: Etag
    status: DocumentStatus
    author: Author
    created_at: Timestamp
    usage: UsageRecorded
    file_url: str
    text: str | None = None
    language: str | None = None
    word_count: Count | None = None
    pages: tuple[PageLayout, ...] = ()
    error: Failure | None = None
    media_type: str | None = None
    engine: str | None = None
    model_version: str | None = None
    deleted_at: Timestamp | None = None

    @model_validator(mode="after")
    def _holds_what_its_status_says(self) -> Self:
        if self.status is DocumentStatus.COMPLETED and (
            self.text is None or self.language is None or self.word_count is None
        ):
            raise ValueError("a completed document has text, language and wordCount")
        if self.status is DocumentStatus.FAILED and self.error is None:
            raise ValueError("a failed document has an error")
        return self

    def tombstone(self, deleted_at: datetime) -> "Document":
        """What replaces this document when it is deleted: who made it and what it cost, and nothing of what was read.

        Author and usage stay, so that nobody reads the object again and a charge that is still to come is made.
        """
        kept = {"result_id", "user_id", "bucket", "key", "etag", "author", "created_at", "usage", "file_url"}
        values = {name: getattr(self, name) for name in kept}
        return Document(status=DocumentStatus.DELETED, deleted_at=deleted_at, **values)

    def to_event(self, document_bucket: str, document_key: str) -> ResultCompleted | ResultFailed | None:
        """The result event of this document; None for a tombstone, which publishes nothing any more."""
        common = {
            "result_id": self.result_id,
            "user_id": self.user_id,
            "bucket": self.bucket,
            "key": self.key,
            "etag": self.etag,
            "created_at": self.created_at,
            "document_bucket": document_bucket,
            "document_key": document_key,
        }
        if self.status is DocumentStatus.FAILED:
            return ResultFailed.model_validate(common | {"error": self.error})
        if self.status is DocumentStatus.DELETED or self.text is None:
            return None
        travels = len(self.text.encode()) <= TEXT_BYTES_MAX
        return ResultCompleted.model_validate(
            common
            | {
                "text": self.text if travels else None,
                "language": self.language,
                "word_count": self.word_count,
                "page_count": len(self.pages),
                "tokens_used": self.usage.tokens,
                "file_url": self.file_url,
            }
        )
