"""What intake makes of one notification, and of one object."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import Origin
from schemas.identity import result_id
from services.intake.worker import Fate, request_for, sort_out, upload_of
from services.runtime.object_store import StoredObject

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def body(*keys: str, bucket: str = "uploads", event_name: str = "ObjectCreated:Put") -> bytes:
    records = [{"eventName": event_name, "s3": {"bucket": {"name": bucket}, "object": {"key": key}}} for key in keys]
    return json.dumps({"Records": records}).encode()


def test_both_readings_of_a_key_are_looked_under() -> None:
    found = sort_out(body("ocr/alice/a+b.png"), "uploads")
    assert list(found.keys) == ["ocr/alice/a b.png", "ocr/alice/a+b.png"]
    assert found.fate is Fate.TAKEN


def test_records_that_mean_the_same_object_are_one_key() -> None:
    assert list(sort_out(body(*["ocr/alice/a.png"] * 5), "uploads").keys) == ["ocr/alice/a.png"]


@pytest.mark.parametrize(
    "key",
    [
        "a.png",
        "ocr/a.png",
        "ocr/alice/",
        "ocr/alice/noextension",
        "ocr/alice/b/c.png",
        "ocr/../b.png",
        "ocr/alice/..png",
        "ocr/alice/%2e%2e%2fb.png",
        "ocr%2Falice%2F..%2Fb.png",
        "OCR/alice/a.png",
        "/ocr/alice/a.png",
        "ocr/alice/a%00.png",
        "ocr/alice/" + "x" * 2000 + ".png",
    ],
)
def test_keys_of_another_form_are_not_ours(key: str) -> None:
    found = sort_out(body(key), "uploads")
    assert (found.keys, found.fate) == ({}, Fate.NOT_OURS)


def test_other_buckets_are_not_ours() -> None:
    assert sort_out(body("ocr/alice/a.png", bucket="elsewhere"), "uploads").fate is Fate.NOT_OURS


def test_deletions_create_nothing() -> None:
    assert sort_out(body("ocr/alice/a.png", event_name="s3:ObjectRemoved:Delete"), "uploads").fate is (
        Fate.NOTHING_CREATED
    )


_NAMES = st.text(min_size=1, max_size=60).map(lambda text: f"{text}.png")


@given(_NAMES, st.sampled_from(["alice", "a.b-c_d", "A1"]))
def test_every_upload_makes_a_valid_request_with_its_own_id(name: str, user_id: str) -> None:
    key = upload_of(f"ocr/{user_id}/{name}")
    if key is None:
        return
    stored = StoredObject(str(key), "d41d8cd98f00b204e9800998ecf8427e-3", 7, NOW)
    request = request_for(stored, key, "uploads", Origin.NOTIFICATION, NOW)
    assert request.result_id == result_id("uploads", str(key), stored.etag)
    assert (request.user_id, request.key, request.size_bytes) == (user_id, str(key), 7)
