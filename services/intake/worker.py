"""What intake does with a hint and with an object it found: plain functions, from message to messages."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from schemas.events import OcrRequest, Origin
from schemas.identity import InvalidKey, ObjectKey, parse_key, result_id
from services.intake.notifications import parse
from services.runtime.object_store import StoredObject


class Fate(StrEnum):
    """What becomes of a notification; a label of the metric."""

    TAKEN = "taken"
    NOT_OURS = "not_ours"
    """It tells of other buckets, or of keys that are no upload's."""
    NOTHING_CREATED = "nothing_created"
    """A deletion, a test event, no records."""
    UNDECODABLE = "undecodable"


@dataclass(frozen=True)
class Sorted:
    """The keys that a notification asks to look under, each once, in the order they came."""

    keys: dict[str, ObjectKey]
    fate: Fate


def sort_out(body: bytes, bucket: str) -> Sorted:
    """Reads one notification.

    Raises:
        Undecodable: as `parse`.
    """
    hints = parse(body)
    keys: dict[str, ObjectKey] = {}
    for hint in hints:
        if hint.bucket == bucket:
            for key in hint.candidate_keys:
                if (parsed := upload_of(key)) is not None:
                    keys[key] = parsed
    if keys:
        return Sorted(keys, Fate.TAKEN)
    return Sorted(keys, Fate.NOT_OURS if hints else Fate.NOTHING_CREATED)


def upload_of(key: str) -> ObjectKey | None:
    """The parts of an upload's key; None for a key that is no upload's."""
    try:
        return parse_key(key)
    except InvalidKey:
        return None


def request_for(found: StoredObject, key: ObjectKey, bucket: str, origin: Origin, now: datetime) -> OcrRequest:
    """The request to read what was found."""
    return OcrRequest(
        result_id=result_id(bucket, found.key, found.etag),
        user_id=key.user_id,
        bucket=bucket,
        key=found.key,
        etag=found.etag,
        size_bytes=found.size_bytes,
        origin=origin,
        requested_at=now,
    )
