"""What is fuzzed: each decoder, and what it may do with any bytes at all.

A decoder returns something, or raises the one exception that sends its record to the dead letters. Whatever else it
raises is a crash: a consumer would halt, or go round for ever, on one record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from confluent_kafka import Message
from pydantic import ValidationError

from schemas.cloudevents import Headers, Undecodable, decode, encode
from schemas.document import Document
from schemas.identity import InvalidKey, parse_key
from services.extractor.jobs import decode_request
from services.extractor.starts import parse_metadata
from services.intake.notifications import ObjectHint, parse
from services.ledger.decoding import decode_usage

_BUCKET = "ocr-uploads"
_HEADER_END, _NAME_END, _BODY_BEGIN = b"\x1e", b"=", b"\x1d"


def pack(headers: Mapping[str, str], body: bytes) -> bytes:
    """Headers and body of a record as the bytes that are mutated."""
    packed = b"".join(name.encode() + _NAME_END + value.encode() + _HEADER_END for name, value in headers.items())
    return packed + _BODY_BEGIN + body


def unpack(data: bytes) -> tuple[Headers, bytes | None]:
    """The record of any bytes whatsoever; without a body where its mark is gone."""
    head, mark, body = data.partition(_BODY_BEGIN)
    headers: Headers = []
    for line in head.split(_HEADER_END):
        if line:
            name, has_value, value = line.partition(_NAME_END)
            headers.append((name.decode("utf-8", "replace"), value if has_value else None))
    return headers, body if mark else None


@dataclass(frozen=True)
class _Record:
    """A record as the consumers hand it over."""

    data: bytes

    def headers(self) -> Headers:
        return unpack(self.data)[0]

    def value(self) -> bytes | None:
        return unpack(self.data)[1]

    def topic(self) -> str:
        return "ocr.requests"

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return 7


def _event(data: bytes) -> None:
    """Every event; however often it travels on, it stays what it is on the wire (times have milliseconds there)."""
    found = decode(*unpack(data))
    sent = encode(found.data, found.attributes)
    again = decode(*sent)
    assert encode(again.data, again.attributes) == sent, "an event that was decoded and encoded is another"


def _request(data: bytes) -> None:
    decode_request(cast(Message, _Record(data)), _BUCKET)


def _usage(data: bytes) -> None:
    posting = decode_usage(cast(Message, _Record(data)))
    assert sum(amount for _, amount in posting.lines) == 0, "lines that do not sum to zero"


def _document(data: bytes) -> None:
    written = Document.model_validate_json(data).to_json()
    assert Document.model_validate_json(written).to_json() == written, "a document that was read and written is another"


def _notification(data: bytes) -> None:
    assert all(isinstance(hint, ObjectHint) and hint.candidate_keys for hint in parse(data)), "a hint without a key"


def _key(data: bytes) -> None:
    key = parse_key(data.decode("utf-8", "surrogateescape"))
    assert "/" not in key.user_id + key.filename, "a key that leaves its folder"
    assert key.filename not in {".", ".."}, "a key that leaves its folder"


def _starts(data: bytes) -> None:
    counts = parse_metadata(3, data.decode("utf-8", "replace"))
    assert counts.begun >= 0, "a negative count"
    assert counts.alone >= 0, "a negative count"


@dataclass(frozen=True)
class Target:
    """A decoder, what it refuses bytes with, and which corpus its inputs grow from."""

    decode: Callable[[bytes], None]
    refusal: type[Exception] | None
    corpus: str


TARGETS: dict[str, Target] = {
    "events": Target(_event, Undecodable, "events"),
    "requests": Target(_request, Undecodable, "events"),
    "usage": Target(_usage, Undecodable, "events"),
    "documents": Target(_document, ValidationError, "documents"),
    "notifications": Target(_notification, Undecodable, "notifications"),
    "keys": Target(_key, InvalidKey, "keys"),
    "starts": Target(_starts, None, "starts"),
}
"""By name."""


class Crash(AssertionError):
    """A decoder did with some bytes what it may not do with any."""


def feed(target: Target, data: bytes) -> bool:
    """Gives bytes to a decoder; True if it took them, False if it refused them.

    Raises:
        Crash: anything else.
    """
    try:
        target.decode(data)
    except Exception as error:
        if target.refusal is not None and isinstance(error, target.refusal):
            return False
        raise Crash(f"{type(error).__name__}: {error}"[:300]) from error
    return True
