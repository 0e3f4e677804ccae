"""Notifications from the Kafka topic, as a real gateway writes them and as they may go wrong."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from schemas.cloudevents import decode
from schemas.events import Origin
from schemas.identity import result_id
from schemas.topics import OBJECT_STORE_EVENTS, UPLOADS, upload_key
from services.runtime import groups
from services.runtime.errors import Halt
from services.runtime.object_store import ObjectStore, create_client
from services.runtime.settings import KafkaSettings, ObjectStoreSettings
from tests.integration.intake.conftest import (
    MakeStoreSettings,
    ProduceRaw,
    StartIntake,
    TopicReader,
    Uploads,
    header_bytes,
    notification,
    wait_for,
)
from tests.support.parts import ObjectStorePart
from tests.support.unread import unread_records

PNG = "image/png"


def put(store: ObjectStore, settings: ObjectStoreSettings, *keys: str) -> None:
    for key in keys:
        store.put(settings.uploads_bucket, key, b"pixels of " + key.encode(), PNG)


def body(settings: ObjectStoreSettings, *keys: str, event_name: str = "ObjectCreated:Put") -> bytes:
    return json.dumps(notification(settings.uploads_bucket, *keys, event_name=event_name)).encode()


def test_an_upload_to_a_notifying_store_is_requested(
    notifying_store: ObjectStorePart,
    make_store_settings: MakeStoreSettings,
    start_intake: StartIntake,
    read_topic: Callable[[str], TopicReader],
) -> None:
    settings = make_store_settings(notifying_store)
    running = start_intake(settings, kafka_enabled=True)
    store = ObjectStore(create_client(settings))
    etag = store.put(settings.uploads_bucket, "ocr/alice/invoice.png", b"pixels", PNG)

    (message,) = read_topic(UPLOADS.name).read(1)

    decoded = decode(message.headers(), message.value())
    identity = result_id(settings.uploads_bucket, "ocr/alice/invoice.png", etag)
    assert message.key() == upload_key("alice", "ocr/alice/invoice.png").encode()
    assert decoded.attributes.type == "ocr.request.v1"
    assert decoded.attributes.correlation_id == identity
    assert decoded.data.model_dump(exclude={"requested_at"}) == {
        "result_id": identity,
        "user_id": "alice",
        "bucket": settings.uploads_bucket,
        "key": "ocr/alice/invoice.png",
        "etag": etag,
        "size_bytes": 6,
        "origin": Origin.NOTIFICATION,
        "takeover_of": None,
    }
    running.wait_until_ready()


def test_keys_with_plus_spaces_and_other_scripts_arrive_as_they_are(
    notifying_store: ObjectStorePart,
    make_store_settings: MakeStoreSettings,
    start_intake: StartIntake,
    uploads: Uploads,
) -> None:
    settings = make_store_settings(notifying_store)
    start_intake(settings, kafka_enabled=True)
    store = ObjectStore(create_client(settings))
    keys = ["ocr/alice/a+b.png", "ocr/alice/Gebühr 100%.png", "ocr/alice/請求書.png", "ocr/alice/(1) ~!*'.png"]
    put(store, settings, *keys)

    assert uploads.keys(len(keys)) == sorted(keys)
    assert uploads.silence()


def test_where_raw_and_decoded_key_both_exist_both_are_requested(
    store_settings: ObjectStoreSettings,
    store: ObjectStore,
    start_intake: StartIntake,
    produce_raw: ProduceRaw,
    uploads: Uploads,
) -> None:
    put(store, store_settings, "ocr/alice/a+b.png", "ocr/alice/a b.png")
    start_intake(store_settings, kafka_enabled=True)

    produce_raw(OBJECT_STORE_EVENTS, body(store_settings, "ocr/alice/a+b.png"))

    assert uploads.keys(2) == ["ocr/alice/a b.png", "ocr/alice/a+b.png"]
    assert uploads.silence()


def test_an_overwritten_object_is_requested_as_it_is_now(
    store_settings: ObjectStoreSettings,
    store: ObjectStore,
    start_intake: StartIntake,
    produce_raw: ProduceRaw,
    uploads: Uploads,
) -> None:
    store.put(store_settings.uploads_bucket, "ocr/alice/a.png", b"first", PNG)
    etag = store.put(store_settings.uploads_bucket, "ocr/alice/a.png", b"second", PNG)
    start_intake(store_settings, kafka_enabled=True)

    # Two notifications for two contents, the older one late: both times what lies there is asked for.
    produce_raw(OBJECT_STORE_EVENTS, body(store_settings, "ocr/alice/a.png"))
    assert [request.etag for request in uploads.next(1)] == [etag]
    produce_raw(OBJECT_STORE_EVENTS, body(store_settings, "ocr/alice/a.png"))
    assert [request.etag for request in uploads.next(1)] == [etag]


def test_what_asks_for_nothing_is_passed_over_and_the_next_is_taken(
    store_settings: ObjectStoreSettings,
    store: ObjectStore,
    start_intake: StartIntake,
    produce_raw: ProduceRaw,
    uploads: Uploads,
    read_topic: Callable[[str], TopicReader],
) -> None:
    put(store, store_settings, "ocr/alice/a.png", "elsewhere/a.png", "ocr/alice/folder/a.png")
    start_intake(store_settings, kafka_enabled=True)

    produce_raw(
        OBJECT_STORE_EVENTS,
        json.dumps({"Service": "S3", "Event": "s3:TestEvent", "Time": "now", "Bucket": "Test-Bucket"}).encode(),
        b'{"Records": []}',
        body(store_settings, "ocr/alice/gone.png"),
        body(store_settings, "elsewhere/a.png", "ocr/alice/folder/a.png", "ocr/alice/../bob/a.png", "ocr/%2e%2e/a.png"),
        body(store_settings, "ocr/alice/" + "x" * 2000 + ".png"),
        json.dumps(notification("another-bucket", "ocr/alice/a.png")).encode(),
        body(store_settings, "ocr/alice/a.png", event_name="ObjectRemoved:Delete"),
        body(store_settings, *["ocr/alice/a.png"] * 50),
    )

    assert uploads.keys(1) == ["ocr/alice/a.png"]
    assert uploads.silence()
    assert read_topic(OBJECT_STORE_EVENTS.dead_letters).read(1, 0.5) == []


def test_a_name_the_store_cannot_even_look_up_holds_nobody_up(
    store_settings: ObjectStoreSettings,
    store: ObjectStore,
    start_intake: StartIntake,
    produce_raw: ProduceRaw,
    uploads: Uploads,
) -> None:
    put(store, store_settings, "ocr/alice/a.png")
    running = start_intake(store_settings, kafka_enabled=True)

    # A file name of more than 255 bytes: a store on a file system answers 400.
    produce_raw(OBJECT_STORE_EVENTS, body(store_settings, f"ocr/alice/{'x' * 300}.png", "ocr/alice/a.png"))

    assert uploads.keys(1) == ["ocr/alice/a.png"]
    running.wait_until_ready()


def test_undecodable_records_are_dead_letters_and_the_next_is_taken(
    store_settings: ObjectStoreSettings,
    store: ObjectStore,
    start_intake: StartIntake,
    produce_raw: ProduceRaw,
    uploads: Uploads,
    kafka_settings: KafkaSettings,
    read_topic: Callable[[str], TopicReader],
) -> None:
    put(store, store_settings, "ocr/alice/a.png")
    running = start_intake(store_settings, kafka_enabled=True)

    produce_raw(OBJECT_STORE_EVENTS, b"hello", None, b'{"a": 1}', body(store_settings, "ocr/alice/a.png"))

    assert uploads.keys(1) == ["ocr/alice/a.png"]
    letters = read_topic(OBJECT_STORE_EVENTS.dead_letters).read(3)
    assert sorted(letter.value() or b"null" for letter in letters) == [b"hello", b"null", b'{"a": 1}']
    for letter in letters:
        headers = header_bytes(letter)
        assert headers["dlq-topic"] == f"{kafka_settings.topic_prefix}object-store.events".encode()
        assert headers["dlq-reason"]
        assert headers["original-origin"] == b"the test"
        assert headers["ce_id"] == b"/".join(headers[f"dlq-{part}"] for part in ("topic", "partition", "offset"))
    running.wait_until_ready()


def test_a_run_of_undecodable_records_halts_intake(
    store_settings: ObjectStoreSettings, start_intake: StartIntake, produce_raw: ProduceRaw
) -> None:
    running = start_intake(store_settings, kafka_enabled=True)
    produce_raw(OBJECT_STORE_EVENTS, *[b"hello"] * 600)

    wait_for(running.stop.is_set, 30.0)
    with pytest.raises(Halt, match="100 undecodable records in a row"):
        running.intake.join()


def test_while_the_store_is_away_nothing_is_committed_and_nothing_is_lost(
    notifying_store: ObjectStorePart,
    make_store_settings: MakeStoreSettings,
    start_intake: StartIntake,
    produce_raw: ProduceRaw,
    uploads: Uploads,
) -> None:
    settings = make_store_settings(notifying_store)
    store = ObjectStore(create_client(settings))
    keys = [f"ocr/alice/{number}.png" for number in range(20)]
    notifying_store.stop()
    first = start_intake(settings, kafka_enabled=True)
    for key in keys:
        produce_raw(OBJECT_STORE_EVENTS, body(settings, key))

    wait_for(lambda: "head" in (first.intake.ready() or ""), 20.0, lambda: str(first.intake.ready()))
    first.end()
    second = start_intake(settings, kafka_enabled=True)
    wait_for(lambda: "head" in (second.intake.ready() or ""), 30.0, lambda: str(second.intake.ready()))
    notifying_store.start()
    put(store, settings, *keys)

    assert uploads.distinct_keys(len(keys)) == set(keys)
    second.wait_until_ready()


def test_a_rebalance_while_the_store_is_away_loses_nothing(
    notifying_store: ObjectStorePart,
    make_store_settings: MakeStoreSettings,
    kafka_settings: KafkaSettings,
    start_intake: StartIntake,
    produce_raw: ProduceRaw,
    uploads: Uploads,
) -> None:
    settings = make_store_settings(notifying_store)
    store = ObjectStore(create_client(settings))
    keys = [f"ocr/alice/{number}.png" for number in range(30)]
    put(store, settings, *keys)
    notifying_store.stop()

    first = start_intake(settings, kafka_enabled=True)
    wait_for(lambda: "head" in (first.intake.ready() or ""), 30.0, lambda: str(first.intake.ready()))
    second = start_intake(settings, kafka_enabled=True)
    for key in keys:
        produce_raw(OBJECT_STORE_EVENTS, body(settings, key))
    wait_for(lambda: "head" in (second.intake.ready() or ""), 30.0, lambda: str(second.intake.ready()))
    notifying_store.start()

    assert uploads.distinct_keys(len(keys)) == set(keys)
    # What was taken in is committed, by whichever of the two owns its partition by now.
    wait_for(lambda: unread_records(kafka_settings, groups.INTAKE_EVENTS, [OBJECT_STORE_EVENTS]) == 0, 60.0)
    first.end()
    second.end()
