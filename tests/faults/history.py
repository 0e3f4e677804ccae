"""What clients did and were told. An operation is ok, failed, or unknown: it may have happened all the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """What the client knows of its operation."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Upload:
    """An object put into the bucket; the etag is known beforehand, since it is the content's MD5."""

    user_id: str
    key: str
    etag: str
    words: int
    readable: bool
    outcome: Outcome
    began_at: float = 0.0
    """On the monotonic clock."""


@dataclass(frozen=True)
class Post:
    """A POST and its answer; the status is None where there was none."""

    user_id: str
    key: str
    status: int | None
    body: dict[str, Any]
    outcome: Outcome


@dataclass(frozen=True)
class Grant:
    """Tokens given under an idempotency key."""

    user_id: str
    key: str
    amount: int
    outcome: Outcome


@dataclass
class History:
    """Operations in the order in which they ended; written by many threads."""

    uploads: list[Upload] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)
    grants: list[Grant] = field(default_factory=list)
