"""Hashes that hold for ever: of what was posted, and of each entry with the one before it.

Both are SHA-256 in hexadecimal over canonical JSON: UTF-8, keys sorted, no spaces, fields without a value left
out (so that a field added by a later minor version does not change the hash of an older event).
"""

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from schemas.base import format_time
from schemas.events import EntryPosted, UsageRecorded

GENESIS = "0" * 64
"""The hash before an account's first entry."""

Line = tuple[str, int]
"""Account and amount in tokens."""


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def canonical_json(value: Any) -> str:
    """`value` as JSON in the one form that is hashed."""
    return _ENCODER.encode(value)


def text_hash(text: str) -> str:
    """SHA-256 of a text, in hexadecimal."""
    return sha256(text.encode()).hexdigest()


def usage_payload(usage: UsageRecorded) -> str:
    """A usage event in the form that is hashed and stored."""
    return canonical_json(usage.model_dump(mode="json", by_alias=True, exclude_none=True))


def grant_payload(user_id: str, amount: int, note: str | None) -> str:
    """A grant in the form that is hashed and stored."""
    fields = {"userId": user_id, "amount": amount} | ({"note": note} if note is not None else {})
    return canonical_json(fields)


def entry_hash(
    *,
    entry_id: str,
    kind: str,
    user_id: str,
    reference: str,
    result_id: str | None,
    lines: Sequence[Line],
    payload_hash: str,
    sequence: int,
    previous_hash: str,
    posted_at: str,
) -> str:
    """The hash of an entry over everything it says; lines in the order of their accounts, time as on the wire."""
    said = [entry_id, kind, user_id, reference, result_id, sorted(lines), payload_hash, sequence, previous_hash]
    return text_hash(canonical_json([*said, posted_at]))


def event_hash(entry: EntryPosted) -> str:
    """What `entry.entry_hash` has to be: so that a downstream consumer can verify the chain by itself."""
    return entry_hash(
        entry_id=entry.entry_id,
        kind=entry.kind,
        user_id=entry.user_id,
        reference=entry.reference,
        result_id=entry.result_id,
        lines=[(line.account, line.amount) for line in entry.lines],
        payload_hash=entry.payload_hash,
        sequence=entry.sequence,
        previous_hash=entry.previous_hash,
        posted_at=format_time(entry.posted_at),
    )
