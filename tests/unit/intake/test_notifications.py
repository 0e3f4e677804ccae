"""Every shape a store is known to send, from the example files beside this test, and everything else."""

import json
from pathlib import Path
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.cloudevents import Undecodable
from services.intake.notifications import ObjectHint, parse

EXAMPLES = Path(__file__).parent / "notifications"
DECODED, ENCODED = "ocr/alice/a b+c.png", "ocr/alice/a+b%2Bc.png"
# What form-decoding makes of a key that was sent raw: a plus becomes a space, hence the second look.
RAW_READ_AS_FORM = "ocr/alice/a b c.png"


def hint(*keys: str, event_name: str = "ObjectCreated:Put") -> ObjectHint:
    return ObjectHint("uploads", keys, event_name)


EXPECTED = {
    "aws-direct": [hint(DECODED, ENCODED)],
    "aws-multipart": [hint("ocr/alice/scan.pdf", event_name="ObjectCreated:CompleteMultipartUpload")],
    "aws-without-etag": [hint("ocr/alice/copy.png", event_name="ObjectCreated:Copy")],
    "aws-deleted": [],
    "aws-many-records": [
        hint("ocr/alice/one.png"),
        hint("ocr/bob/two.png", event_name="s3:ObjectCreated:Post"),
        hint("ocr/alice/one.png"),
    ],
    "aws-test-event": [],
    "aws-no-records": [],
    "null-records": [],
    "sns-enveloped": [hint(DECODED, ENCODED)],
    "sns-test-event": [],
    "sns-subscription-confirmation": [],
    "eventbridge-created": [hint(RAW_READ_AS_FORM, DECODED, event_name="Object Created")],
    "eventbridge-deleted": [],
    "eventbridge-in-sns": [hint(RAW_READ_AS_FORM, DECODED, event_name="Object Created")],
    "minio-records": [hint(DECODED, "ocr%2Falice%2Fa+b%2Bc.png", event_name="s3:ObjectCreated:Put")],
    "minio-key-only": [hint(RAW_READ_AS_FORM, DECODED, event_name="s3:ObjectCreated:Put")],
    "minio-deleted": [],
    "ceph-rgw": [hint(RAW_READ_AS_FORM, DECODED)],
    "versitygw": [hint(RAW_READ_AS_FORM, DECODED, event_name="s3:ObjectCreated:Put")],
    "versitygw-test-event": [],
    "other-script": [
        hint("ocr/alice/請求書.png", "ocr/alice/%E8%AB%8B%E6%B1%82%E6%9B%B8.png"),
        hint("ocr/alice/Gebühr 100%.png"),
    ],
}


@pytest.mark.parametrize("name", EXPECTED)
def test_each_known_shape_is_read(name: str) -> None:
    assert parse((EXAMPLES / f"{name}.json").read_bytes()) == EXPECTED[name]


def test_every_example_file_has_an_expectation() -> None:
    assert {file.stem for file in EXAMPLES.glob("*.json")} == set(EXPECTED)


def test_raw_delivery_through_sns_reads_as_direct_delivery() -> None:
    enveloped = json.loads((EXAMPLES / "sns-enveloped.json").read_bytes())
    assert parse(enveloped["Message"].encode()) == EXPECTED["aws-direct"]


def test_percent_signs_that_are_no_utf8_are_taken_as_they_came() -> None:
    body = {"EventName": "s3:ObjectCreated:Put", "Key": "uploads/ocr/alice/%ff.png"}
    assert parse(json.dumps(body).encode()) == [hint("ocr/alice/%ff.png", event_name="s3:ObjectCreated:Put")]


def test_a_record_that_cannot_be_read_takes_the_others_not_along(caplog: pytest.LogCaptureFixture) -> None:
    good = json.loads((EXAMPLES / "aws-direct.json").read_bytes())["Records"][0]
    for bad in ({}, None, "ObjectCreated:Put", {"eventName": "ObjectCreated:Put"}, {**good, "s3": {"object": {}}}):
        assert parse(json.dumps({"Records": [bad, good, bad]}).encode()) == EXPECTED["aws-direct"]
        assert caplog.text.count("passed over") == 2
        caplog.clear()


UNDECODABLE = {
    "nothing": b"",
    "text": b"hello",
    "cut off": b'{"Records": [',
    "not UTF-8": b'{"Records": "\xff"}',
    "a list": b"[]",
    "a number": b"7",
    "null": b"null",
    "nested without end": b"[" * 100_000,
    "objects nested without end": b'{"Records":' * 10_000,
    "of no known shape": b'{"hello": "world"}',
    "empty": b"{}",
    "records that are no list": b'{"Records": {"eventName": "ObjectCreated:Put"}}',
    "a record that is no object": b'{"Records": ["ObjectCreated:Put"]}',
    "a record without event name": b'{"Records": [{"s3": {"bucket": {"name": "b"}, "object": {"key": "k"}}}]}',
    "a record without bucket": b'{"Records": [{"eventName": "ObjectCreated:Put", "s3": {"object": {"key": "k"}}}]}',
    "a record without key": b'{"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "b"}}}]}',
    "a key that is a number": b'{"EventName": "ObjectCreated:Put", "Key": 7}',
    "a key that names no bucket": b'{"EventName": "ObjectCreated:Put", "Key": "uploads"}',
    "an event without detail": b'{"detail-type": "Object Created"}',
    "an envelope without message": b'{"Type": "Notification", "TopicArn": "a"}',
    "an envelope around text": b'{"Type": "Notification", "TopicArn": "a", "Message": "hello"}',
}


@pytest.mark.parametrize("name", UNDECODABLE)
def test_what_is_no_notification_is_undecodable(name: str) -> None:
    with pytest.raises(Undecodable):
        parse(UNDECODABLE[name])


def test_envelopes_in_envelopes_end_somewhere() -> None:
    body = '{"Records": []}'
    for _ in range(8):
        body = json.dumps({"Type": "Notification", "TopicArn": "a", "Message": body})
    with pytest.raises(Undecodable):
        parse(body.encode())


def assert_hints_or_undecodable(body: bytes) -> None:
    try:
        hints = parse(body)
    except Undecodable:
        return
    assert all(isinstance(found, ObjectHint) and found.candidate_keys for found in hints)


@given(st.binary())
def test_any_bytes_give_hints_or_undecodable_and_nothing_else(body: bytes) -> None:
    assert_hints_or_undecodable(body)


_TEXTS = (
    st.sampled_from(["ObjectCreated:Put", "s3:ObjectCreated:", "Object Created", "b/ocr/u/a+%.png", "%ff", ""])
    | st.text()
)
_NAMES = st.sampled_from(
    "Records eventName s3 bucket name object key EventName Key detail-type detail Type TopicArn Message Event".split()
)
_SHAPED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=6),
)


@given(_SHAPED)
def test_any_json_of_their_vocabulary_gives_hints_or_undecodable_and_nothing_else(value: object) -> None:
    assert_hints_or_undecodable(json.dumps(value).encode())


_KEYS = st.sampled_from(["ocr/alice/a b+c.png", "ocr/a/%.png", "+ %2B.é"]) | st.text(
    st.characters(codec="utf-8"), min_size=1
)


@given(_KEYS, st.booleans())
def test_the_true_key_is_always_among_the_candidates(key: str, form_encoded: bool) -> None:
    sent = quote_plus(key, safe="/") if form_encoded else key
    record = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "b"}, "object": {"key": sent}}}
    (found,) = parse(json.dumps({"Records": [record]}).encode())
    assert key in found.candidate_keys
    assert len(set(found.candidate_keys)) == len(found.candidate_keys)
