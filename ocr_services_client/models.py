"""What the service answers, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

Status = Literal["pending", "completed", "failed", "refused", "deleted"]
LayoutFormat = Literal["json", "hocr", "alto", "text", "pdf"]

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Result:
    """The text of a file and what it cost, in tokens. Pages are joined by a form feed in `text`."""

    id: str
    text: str
    key: str
    file_url: str
    created_at: datetime
    word_count: int
    tokens_used: int
    language: str

    @classmethod
    def of(cls, body: Json) -> Result:
        """From the API's JSON."""
        return cls(
            id=body["id"],
            text=body["text"],
            key=body["key"],
            file_url=body["fileUrl"],
            created_at=moment(body["createdAt"]),
            word_count=body["wordCount"],
            tokens_used=body["tokensUsed"],
            language=body["language"],
        )


@dataclass(frozen=True)
class UnfinishedResult:
    """A result without text: not yet, not this time (`refused`), never (`failed`), or no longer (`deleted`)."""

    id: str
    status: Status
    key: str
    created_at: datetime
    code: str | None
    reason: str | None
    deleted_at: datetime | None = None

    @classmethod
    def of(cls, body: Json) -> UnfinishedResult:
        """From the API's JSON."""
        return cls(
            id=body["id"],
            status=body["status"],
            key=body["key"],
            created_at=moment(body["createdAt"]),
            code=body.get("code"),
            reason=body.get("reason"),
            deleted_at=_moment_or_none(body.get("deletedAt")),
        )


@dataclass(frozen=True)
class ResultItem:
    """A result as the list shows it: without its text."""

    id: str
    status: Status
    key: str
    requested_at: datetime
    created_at: datetime
    language: str | None
    word_count: int | None
    page_count: int | None
    tokens_used: int | None
    code: str | None
    reason: str | None
    deleted_at: datetime | None = None

    @classmethod
    def of(cls, body: Json) -> ResultItem:
        """From the API's JSON."""
        return cls(
            id=body["id"],
            status=body["status"],
            key=body["key"],
            requested_at=moment(body["requestedAt"]),
            created_at=moment(body["createdAt"]),
            language=body["language"],
            word_count=body["wordCount"],
            page_count=body["pageCount"],
            tokens_used=body["tokensUsed"],
            code=body["code"],
            reason=body["reason"],
            deleted_at=_moment_or_none(body.get("deletedAt")),
        )


@dataclass(frozen=True)
class Balance:
    """Tokens that are left; usage up to `as_of` is accounted for."""

    tokens: int
    as_of: datetime


@dataclass(frozen=True)
class Transaction:
    """What one entry of the ledger did to the balance: below zero what was spent, above it what was granted."""

    id: str
    kind: Literal["usage", "grant"]
    amount: int
    posted_at: datetime
    result_id: str | None
    key: str | None
    note: str | None

    @classmethod
    def of(cls, body: Json) -> Transaction:
        """From the API's JSON."""
        return cls(
            body["id"],
            body["kind"],
            body["amount"],
            moment(body["postedAt"]),
            body["resultId"],
            body["key"],
            body["note"],
        )


def moment(text: str) -> datetime:
    """An aware moment from ISO 8601."""
    return datetime.fromisoformat(text)


def _moment_or_none(text: str | None) -> datetime | None:
    return None if text is None else moment(text)
