"""What is no event is undecodable, with a reason that says what is wrong; nothing else is ever raised."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.cloudevents import (
    ATTRIBUTE_LENGTH_MAX,
    Attributes,
    Headers,
    Undecodable,
    decode,
    decode_as,
    encode,
    event_type,
)
from schemas.events import EVENTS, BalanceChanged, OcrRequest, Origin
from schemas.identity import result_id

Body = dict[str, Any]

MOMENT = datetime(2026, 11, 20, 10, 30, 0, 123000, UTC)
REQUEST = OcrRequest(
    result_id=result_id("uploads", "ocr/u1/a b+ü.png", "e1"),
    user_id="u1",
    bucket="uploads",
    key="ocr/u1/a b+ü.png",
    etag="e1",
    origin=Origin.API,
    requested_at=MOMENT,
)
ATTRIBUTES = Attributes(
    id="event-1",
    type="ocr.request.v1",
    source="/ocr-services/api",
    subject=REQUEST.key,
    time=MOMENT,
    correlation_id=REQUEST.result_id,
    traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
)
HEADERS, BODY = encode(REQUEST, ATTRIBUTES)


def _headers(**changed: str | bytes | None) -> Headers:
    """The headers of REQUEST, some changed; `...=None` gives a null value."""
    return list((dict(HEADERS) | changed).items())


def _body(change: Callable[[Body], object]) -> bytes:
    body = json.loads(BODY)
    change(body)
    return json.dumps(body).encode()


def test_what_was_encoded_is_decoded() -> None:
    decoded = decode(HEADERS, BODY)
    assert decoded.data == REQUEST
    assert decoded.attributes == ATTRIBUTES
    assert decoded.headers["content-type"] == "application/json"


def test_headers_may_come_as_pairs_or_as_a_mapping_and_as_bytes_or_text() -> None:
    texts = {name: value.decode() if isinstance(value, bytes) else value for name, value in HEADERS}
    assert decode(dict(HEADERS), BODY) == decode(HEADERS, BODY) == decode(texts, BODY)


def test_ids_that_are_not_known_are_no_headers() -> None:
    headers, _ = encode(REQUEST, Attributes("1", "ocr.request.v1", "/s", "s", MOMENT))
    assert {"correlation-id", "traceparent"}.isdisjoint(name for name, _value in headers)


def test_time_travels_in_utc_with_milliseconds() -> None:
    assert dict(HEADERS)["ce_time"] == b"2026-11-20T10:30:00.123Z"
    assert json.loads(BODY)["requestedAt"] == "2026-11-20T10:30:00.123Z"


def test_a_time_without_a_zone_in_a_header_is_utc() -> None:
    assert decode(_headers(ce_time="2026-11-20T10:30:00.123"), BODY).attributes.time == MOMENT


@pytest.mark.parametrize("name", ["ce_id", "ce_type", "ce_source", "ce_subject", "ce_time", "ce_specversion"])
@pytest.mark.parametrize("how", ["absent", "empty", "null"])
def test_a_missing_header_is_named(name: str, how: str) -> None:
    headers = [pair for pair in HEADERS if pair[0] != name]
    if how != "absent":
        headers.append((name, b"" if how == "empty" else None))
    with pytest.raises(Undecodable, match=f"missing header {name}$"):
        decode(headers, BODY)


@pytest.mark.parametrize("headers", [None, [], {}])
def test_no_headers_at_all(headers: Headers | None) -> None:
    with pytest.raises(Undecodable, match="missing header ce_id, ce_type"):
        decode(headers, BODY)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("ce_specversion", "0.3", "CloudEvents 0.3, not 1.0"),
        ("ce_time", "yesterday", "ce_time is no ISO 8601 time"),
        ("ce_time", "2026-13-40T00:00:00Z", "ce_time is no ISO 8601 time"),
        ("ce_time", "0001-01-01T00:00:00+23:00", "ce_time is no ISO 8601 time"),
        ("ce_id", b"\xff\xfe", "not UTF-8"),
        ("ce_id", "a\nb", "ce_id is too long or holds control characters"),
        ("ce_subject", "a\x00", "ce_subject is too long or holds control characters"),
        ("ce_source", "s" * (ATTRIBUTE_LENGTH_MAX + 1), "ce_source is too long or holds control characters"),
        ("ce_type", "ocr.request", "unknown event type 'ocr.request'"),
        ("ce_type", "ocr.nothing.v1", "unknown event type"),
        ("ce_type", ".v1", "unknown event type"),
        ("ce_type", "ocr.request.v", "unknown event type"),
        ("ce_type", "ocr.request.v1 ", "unknown event type"),
        ("ce_type", "ocr.request.v99999999999", "unknown event type"),
        ("ce_type", "ocr.request.v2", "unknown major version of ocr.request: 2"),
        ("ce_type", "ocr.request.v0", "unknown major version of ocr.request: 0"),
    ],
)
def test_a_header_that_is_wrong(name: str, value: str | bytes, reason: str) -> None:
    with pytest.raises(Undecodable, match=reason):
        decode(_headers(**{name: value}), BODY)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (None, "ocr.request.v1 with a null value"),
        (b"", "the body: Invalid JSON"),
        (b"\x00\x01\x02", "the body: Invalid JSON"),
        (b"\xff\xfe", "the body: Invalid JSON"),
        (b"{", "the body: Invalid JSON"),
        (b"[" * 100_000, "the body: Invalid JSON"),
        (b"null", "the body: "),
        (b"[]", "the body: "),
        (b"12", "the body: "),
        (b'"text"', "the body: "),
        (b"{}", "resultId: Field required"),
        (b'{"resultId": "\\ud800"}', "the body: Invalid JSON"),
    ],
)
def test_a_body_that_is_no_event(body: bytes | None, reason: str) -> None:
    with pytest.raises(Undecodable, match=reason):
        decode(HEADERS, body)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("resultId", None),
        ("resultId", 7),
        ("resultId", "../../etc/passwd"),
        ("userId", ""),
        ("userId", "../u2"),
        ("userId", "u" * 65),
        ("userId", "u\u0000"),
        ("bucket", ""),
        ("bucket", "a/b"),
        ("key", ["ocr/u1/a.png"]),
        ("key", "ocr/u2/a.png"),
        ("key", "ocr/u1/../u2/a.png"),
        ("key", "ocr/u1/a\u0000.png"),
        ("key", "ocr/u1/" + "a" * 2048 + ".png"),
        ("etag", ""),
        ("etag", 'a"b'),
        ("etag", "a\r\nHost: other"),
        ("sizeBytes", "12"),
        ("sizeBytes", -1),
        ("sizeBytes", 1.5),
        ("sizeBytes", 10**30),
        ("sizeBytes", True),
        ("origin", "somewhere"),
        ("requestedAt", "soon"),
        ("requestedAt", 1_700_000_000),
        ("requestedAt", "12"),
        ("requestedAt", "2026-11-20"),
        ("requestedAt", "2026-11-20T10:30:00"),
        ("requestedAt", "0001-01-01T00:00:00+23:00"),
        ("takeoverOf", {"eventId": "e"}),
    ],
)
def test_a_field_that_is_wrong_is_named(field: str, value: object) -> None:
    reason = field if field != "key" or value != "ocr/u2/a.png" else "not under the user's folder"
    with pytest.raises(Undecodable, match=reason):
        decode(HEADERS, _body(lambda body: body.update({field: value})))


def test_a_reason_does_not_repeat_what_the_message_held() -> None:
    with pytest.raises(Undecodable) as caught:
        decode(HEADERS, _body(lambda body: body.update(etag="secret secret")))
    assert "secret" not in str(caught.value)


def test_unknown_fields_are_ignored() -> None:
    assert decode(HEADERS, _body(lambda body: body.update(added="later"))).data == REQUEST


def test_an_event_of_another_type_than_expected() -> None:
    assert decode_as(OcrRequest, HEADERS, BODY) == REQUEST
    with pytest.raises(Undecodable, match=r"expected ledger\.balance\.changed\.v1, not ocr\.request\.v1"):
        decode_as(BalanceChanged, HEADERS, BODY)


def test_types_are_told_apart_by_name() -> None:
    assert len({event_type(event) for event in EVENTS}) == len(EVENTS)


_TEXT = st.text(max_size=40)
_VALUES = st.one_of(st.none(), _TEXT, st.binary(max_size=40), st.sampled_from([event_type(event) for event in EVENTS]))
_NAMES = st.one_of(st.sampled_from([name for name, _value in HEADERS]), _TEXT)


@given(st.lists(st.tuples(_NAMES, _VALUES), max_size=12), st.one_of(st.none(), st.binary(max_size=200)))
def test_no_record_raises_anything_else(headers: Headers, body: bytes | None) -> None:
    for candidate in (headers, HEADERS + headers):
        try:
            decode(candidate, body)
        except Undecodable as error:
            assert str(error)  # noqa: PT017 - most records are undecodable, some may be events


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(EVENTS), st.sampled_from(list(json.loads(BODY))), _JSON)
def test_no_json_raises_anything_else(event: type, field: str, value: object) -> None:
    headers = _headers(ce_type=f"{event.TYPE}.v1")  # type: ignore[attr-defined]
    try:
        decode(headers, _body(lambda body: body.update({field: value})))
    except Undecodable as error:
        assert len(str(error)) < 1000  # noqa: PT017 - some of them are events


@pytest.mark.parametrize(
    "sent", ["", "nonsense", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\n", "é" * 55]
)
def test_a_trace_context_that_is_none_is_left_out_and_loses_no_event(sent: str) -> None:
    assert decode(_headers(traceparent=sent.encode()), BODY).attributes.traceparent is None
