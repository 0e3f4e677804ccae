"""CloudEvents 1.0 in Kafka's binary mode: attributes are headers, the body is the data alone.

Source: CloudEvents 1.0.2, Kafka protocol binding.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from pydantic import ValidationError

from schemas.base import format_time
from schemas.events import EVENTS, Event

SPEC_VERSION = "1.0"
CONTENT_TYPE = "application/json"
ATTRIBUTE_LENGTH_MAX = 2048
"""Characters; an object key is the longest thing that travels as an attribute."""

Headers = list[tuple[str, str | bytes | None]]
"""As confluent-kafka takes and gives them."""
RawHeaders = Mapping[str, str | bytes | None] | Iterable[tuple[str, str | bytes | None]] | None
E = TypeVar("E", bound=Event)

_TYPES: Mapping[str, type[Event]] = {event.TYPE: event for event in EVENTS}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_VERSIONED = re.compile(r"(?P<name>.+)\.v(?P<version>[0-9]{1,4})")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class Undecodable(ValueError):
    """A record that no retry will ever make readable: it goes to the dead letters with this reason."""


@dataclass(frozen=True)
class Attributes:
    """The context of an event: everything but its data."""

    id: str
    type: str
    source: str
    subject: str
    time: datetime
    correlation_id: str | None = None
    traceparent: str | None = None
    """The span that sent it, by W3C Trace Context."""


@dataclass(frozen=True)
class Decoded:
    """An event and its context."""

    attributes: Attributes
    data: Event
    headers: Mapping[str, str] = field(default_factory=dict)


def event_type(event: type[Event]) -> str:
    """The CloudEvents type with its major version: `ocr.request.v1`."""
    return f"{event.TYPE}.v{event.VERSION}"


def encode(event: Event, attributes: Attributes) -> tuple[Headers, bytes]:
    """Headers and body of one record; `attributes.id` is fresh for every record produced."""
    return encode_attributes(attributes), event.to_json()


def encode_attributes(attributes: Attributes) -> Headers:
    """The headers of one record, whose body is encoded already."""
    headers = {
        "ce_specversion": SPEC_VERSION,
        "ce_id": attributes.id,
        "ce_type": attributes.type,
        "ce_source": attributes.source,
        "ce_subject": attributes.subject,
        "ce_time": format_time(attributes.time),
        "content-type": CONTENT_TYPE,
    }
    if attributes.correlation_id:
        headers["correlation-id"] = attributes.correlation_id
    if attributes.traceparent:
        headers["traceparent"] = attributes.traceparent
    return [(name, value.encode()) for name, value in headers.items()]


def decode(headers: RawHeaders, body: bytes | None) -> Decoded:
    """The event of one record.

    Raises:
        Undecodable: a header is missing or malformed, the type or its major version is unknown, the body is
            null, not JSON, or not of the type's schema.
    """
    texts = _header_texts(headers)
    attributes = _attributes(texts)
    model = _model(attributes.type)
    if body is None:
        raise Undecodable(f"a {attributes.type} with a null value")
    try:
        # Strict, as the JSON Schemas are: "12" is no number.
        return Decoded(attributes, model.model_validate_json(body, strict=True), texts)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        raise Undecodable(f"{attributes.type}: {where}: {first['msg']}") from error


def decode_as(model: type[E], headers: RawHeaders, body: bytes | None) -> E:
    """The data of one record that has to be of one type.

    Raises:
        Undecodable: as `decode`, and for an event of another type.
    """
    decoded = decode(headers, body)
    if not isinstance(decoded.data, model):
        raise Undecodable(f"expected {event_type(model)}, not {decoded.attributes.type}")
    return decoded.data


def _header_texts(headers: RawHeaders) -> dict[str, str]:
    pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
    try:
        return {
            name: value.decode() if isinstance(value, bytes) else value for name, value in pairs if value is not None
        }
    except UnicodeDecodeError as error:
        raise Undecodable("a header that is not UTF-8") from error


def _attributes(texts: Mapping[str, str]) -> Attributes:
    required = ("ce_id", "ce_type", "ce_source", "ce_subject", "ce_time", "ce_specversion")
    missing = [name for name in required if not texts.get(name)]
    if missing:
        raise Undecodable(f"missing header {', '.join(missing)}")
    if texts["ce_specversion"] != SPEC_VERSION:
        raise Undecodable(f"CloudEvents {texts['ce_specversion'][:16]}, not {SPEC_VERSION}")
    _refuse_unprintable(texts, required)
    try:
        time = datetime.fromisoformat(texts["ce_time"])
        time = time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise Undecodable("ce_time is no ISO 8601 time") from error
    return Attributes(
        id=texts["ce_id"],
        type=texts["ce_type"],
        source=texts["ce_source"],
        subject=texts["ce_subject"],
        time=time,
        correlation_id=texts.get("correlation-id"),
        traceparent=_traceparent(texts),
    )


def _traceparent(texts: Mapping[str, str]) -> str | None:
    """W3C's trace context; what is none is left out, for no event is lost over its trace."""
    sent = texts.get("traceparent", "")
    return sent if _TRACEPARENT.fullmatch(sent) else None


def _refuse_unprintable(texts: Mapping[str, str], names: Iterable[str]) -> None:
    """Attributes become log lines, ids of rows and headers again: CloudEvents allows no control characters."""
    for name in names:
        if len(texts[name]) > ATTRIBUTE_LENGTH_MAX or _CONTROL.search(texts[name]):
            raise Undecodable(f"{name} is too long or holds control characters")


def _model(type_name: str) -> type[Event]:
    match = _VERSIONED.fullmatch(type_name)
    model = _TYPES.get(match["name"]) if match else None
    if match is None or model is None:
        raise Undecodable(f"unknown event type {type_name[:80]!r}")
    if int(match["version"]) != model.VERSION:
        raise Undecodable(f"unknown major version of {model.TYPE}: {match['version']}")
    return model
