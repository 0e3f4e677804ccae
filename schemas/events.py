"""The data of every event. CloudEvents attributes travel in headers: see `schemas.cloudevents`."""

from enum import StrEnum
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from schemas.base import (
    BucketName,
    Count,
    Etag,
    KeyText,
    Ordinal,
    ResultId,
    Timestamp,
    Tokens,
    UserId,
    WireModel,
)

TEXT_BYTES_MAX = 256 * 1024
"""Text up to this many UTF-8 bytes travels in the result event; a longer one is in the document alone."""


class ErrorCode(StrEnum):
    """Stable codes that clients and consumers branch on; `docs/errors.md` says what to do about each."""

    FILE_NOT_FOUND = "file_not_found"
    OBJECT_CHANGED = "object_changed"
    INSUFFICIENT_TOKENS = "insufficient_tokens"
    FILE_TOO_LARGE = "file_too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    UNREADABLE_DOCUMENT = "unreadable_document"
    UNAVAILABLE = "unavailable"


class Event(WireModel):
    """An event's data. `TYPE` is its CloudEvents type without the version."""

    TYPE: ClassVar[str]
    VERSION: ClassVar[int] = 1


class Author(WireModel):
    """The record that made a document: only its own redelivery may publish that document."""

    event_id: str
    topic: str
    partition: Count
    offset: Count


class Origin(StrEnum):
    """Why a request was made."""

    API = "api"
    NOTIFICATION = "notification"
    RECONCILER = "reconciler"
    TAKEOVER = "takeover"
    PASSED_ON = "passed_on"


class OcrRequest(Event):
    """Read this content of this object. On `ocr.requests` somebody waits, on `ocr.uploads` nobody does."""

    TYPE: ClassVar[str] = "ocr.request"

    result_id: ResultId
    user_id: UserId
    bucket: BucketName
    key: KeyText
    etag: Etag
    size_bytes: Count | None = None
    origin: Origin
    requested_at: Timestamp
    takeover_of: Author | None = Field(
        default=None,
        description="The author whose document this record is to take over; only the ledger sets it.",
    )

    @model_validator(mode="after")
    def _is_of_its_user(self) -> Self:
        if not self.key.startswith(f"ocr/{self.user_id}/"):
            raise ValueError("the key is not under the user's folder")
        return self


class Failure(WireModel):
    """Why there is no text."""

    code: ErrorCode
    reason: str = Field(description="A sentence a person can act on.")


class Price(WireModel):
    """What a token buys; written into every usage event so that a charge can be checked years later."""

    version: str
    tokens_per_page_unit: Count
    tokens_per_word: Count


class UsageRecorded(Event):
    """What one terminal result costs its user. `usage_id` is unique in the ledger for ever."""

    TYPE: ClassVar[str] = "ocr.usage.recorded"

    usage_id: str = Field(description="The result id of a completed result; a failure's is its author's event id.")
    result_id: ResultId
    user_id: UserId
    key: KeyText
    outcome: Literal["completed", "failed"]
    page_units: Count
    words: Count
    tokens: Count
    price: Price
    occurred_at: Timestamp


class ResultCompleted(Event):
    """A document was read. One such event a result id."""

    TYPE: ClassVar[str] = "ocr.result.completed"

    result_id: ResultId
    user_id: UserId
    bucket: BucketName
    key: KeyText
    etag: Etag
    created_at: Timestamp
    text: str | None = Field(description="None when longer than 256 KiB: then it is in the document alone.")
    language: str
    word_count: Count
    page_count: Ordinal
    tokens_used: Count
    file_url: str
    document_bucket: BucketName
    document_key: str


class ResultFailed(Event):
    """The input cannot be read, for certain: asking again gives the same answer. Charged nothing."""

    TYPE: ClassVar[str] = "ocr.result.failed"

    result_id: ResultId
    user_id: UserId
    bucket: BucketName
    key: KeyText
    etag: Etag
    created_at: Timestamp
    error: Failure
    document_bucket: BucketName
    document_key: str


class ResultRefused(Event):
    """Not read this time, charged nothing, has no document, may come more than once; may be asked for again."""

    TYPE: ClassVar[str] = "ocr.result.refused"

    result_id: ResultId
    user_id: UserId
    bucket: BucketName
    key: KeyText
    etag: Etag
    refused_at: Timestamp
    requested_at: Timestamp | None = Field(
        default=None,
        description="When the request that is refused was made: tells it from a later one for the same object.",
    )
    error: Failure


class EntryLine(WireModel):
    """One side of a posting; the lines of an entry sum to zero."""

    account: str
    amount: Tokens


class EntryPosted(Event):
    """An entry of the ledger, as it stands there; never changed afterwards."""

    TYPE: ClassVar[str] = "ledger.entry.posted"

    entry_id: str
    kind: Literal["usage", "grant"]
    user_id: UserId
    reference: str = Field(description="The usage id, or the grant's idempotency key.")
    result_id: ResultId | None = None
    lines: tuple[EntryLine, ...]
    payload_hash: str
    sequence: Ordinal = Field(description="Counts the entries of the user's account.")
    previous_hash: str
    entry_hash: str
    posted_at: Timestamp
    usage: UsageRecorded | None = None
    note: str | None = None


class BalanceChanged(Event):
    """An account's balance. Readers drop a version that is not above the one they know."""

    TYPE: ClassVar[str] = "ledger.balance.changed"

    user_id: UserId
    balance: Tokens
    version: Ordinal
    as_of: Timestamp


class LedgerHeartbeat(Event):
    """Up to which moment one partition of `ocr.usage` is posted. Every 5 s, keyed by the partition."""

    TYPE: ClassVar[str] = "ledger.heartbeat"

    partition: Count
    partition_count: Ordinal
    posted_until: Timestamp


class SweepReported(Event):
    """What one pass of the reconciler saw and did."""

    TYPE: ClassVar[str] = "ocr.sweep.reported"

    sweep_id: str
    started_at: Timestamp
    finished_at: Timestamp
    users: Count
    objects: Count
    requested: Count
    passed_over: Count = Field(description="Objects of accounts without balance.")


EVENTS: tuple[type[Event], ...] = (
    OcrRequest,
    UsageRecorded,
    ResultCompleted,
    ResultFailed,
    ResultRefused,
    EntryPosted,
    BalanceChanged,
    LedgerHeartbeat,
    SweepReported,
)
