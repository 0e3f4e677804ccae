"""Notifications from the Kafka topic, as a real gateway writes them and as they may go wrong."""

from __future__ import annotations

from collections.abc import Callable

from schemas.cloudevents import decode
from schemas.events import Origin
from schemas.identity import result_id
from schemas.topics import UPLOADS, upload_key
from services.runtime.object_store import ObjectStore, create_client
from tests.integration.intake.conftest import MakeStoreSettings, StartIntake, TopicReader, Uploads
from tests.support.parts import ObjectStorePart


def test_an_upload_to_a_notifying_store_is_requested(
    notifying_store: ObjectStorePart,
    make_store_settings: MakeStoreSettings,
    start_intake: StartIntake,
    read_topic: Callable[[str], TopicReader],
) -> None:
    settings = make_store_settings(notifying_store)
    running = start_intake(settings, kafka_enabled=True)
    store = ObjectStore(create_client(settings))
    etag = store.put(settings.uploads_bucket, "ocr/alice/invoice.png", b"pixels", "image/png")

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
    keys = ["ocr/alice/a+b.png", "ocr/alice/a b.png", "ocr/alice/Gebühr 100%.png", "ocr/alice/請求書.png"]
    for key in keys:
        store.put(settings.uploads_bucket, key, b"pixels", "image/png")

    # A raw `a+b` may mean `a b` as well: as both exist, both are requested; how often does not matter.
    assert set(uploads.keys(20, 8.0)) == set(keys)
