"""The reconciler on real Kafka and S3: lost notifications, balances, the lane's lag, leadership."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.cloudevents import decode_as
from schemas.events import OcrRequest, Origin, SweepReported
from schemas.identity import document_key, result_id
from schemas.topics import SWEEPS, UPLOADS
from services.runtime import groups
from services.runtime.kafka import consumer_config, create_consumer, group_name, topic_name
from services.runtime.object_store import ObjectStore
from services.runtime.producing import EventProducer
from services.runtime.settings import KafkaSettings, ObjectStoreSettings
from tests.integration.intake.conftest import Running, StartIntake, TopicReader, Uploads, wait_for

PNG = "image/png"
SetBalance = Callable[[str, int, int], None]
Sweeping = Callable[..., Running]


@pytest.fixture
def sweeping(start_intake: StartIntake, store_settings: ObjectStoreSettings) -> Sweeping:
    """Starts intake that only reconciles, in seconds where production has minutes."""

    def start(**settings: object) -> Running:
        quick = {
            "reconciler_enabled": True,
            "sweep_interval_seconds": 0.5,
            "sweep_age_seconds_min": 0.5,
            "sweep_top_up_delay_seconds": 0.1,
        }
        return start_intake(store_settings, **(quick | settings))

    return start


@pytest.fixture
def sweeps(read_topic: Callable[[str], TopicReader]) -> Callable[[], SweepReported]:
    """Reads the next report."""
    reader = read_topic(SWEEPS.name)

    def following() -> SweepReported:
        (message,) = reader.read(1)
        return decode_as(SweepReported, message.headers(), message.value())

    return following


@pytest.fixture
def extractors(kafka_settings: KafkaSettings) -> Iterator[Consumer]:
    """The extractors' group, without members, to commit in its name."""
    consumer = create_consumer(consumer_config(kafka_settings, group=groups.EXTRACTOR, offset_reset="error"))
    yield consumer
    consumer.close()


def test_an_object_whose_notification_was_lost_is_found(
    store: ObjectStore,
    store_settings: ObjectStoreSettings,
    set_balance: SetBalance,
    sweeping: Sweeping,
    uploads: Uploads,
    sweeps: Callable[[], SweepReported],
) -> None:
    bucket = store_settings.uploads_bucket
    set_balance("alice", 100, 1)
    lost = ["ocr/alice/a b+c.png", "ocr/alice/Gebühr 100%.png", "ocr/alice/請求書.png"]
    etags = {key: store.put(bucket, key, b"pixels", PNG) for key in lost}
    read = store.put(bucket, "ocr/alice/read.png", b"pixels", PNG)
    document = document_key("alice", result_id(bucket, "ocr/alice/read.png", read))
    store.put(store_settings.results_bucket, document, b"{}", "application/json")

    sweeping()

    found = uploads.next(3)
    assert {request.key: request.etag for request in found} == etags
    assert {request.origin for request in found} == {Origin.RECONCILER}
    assert {request.result_id for request in found} == {result_id(bucket, key, etags[key]) for key in lost}
    # Sweep follows sweep, but what waits in the lane is not requested again.
    assert uploads.silence()
    report = sweeps()
    while report.requested == 0:
        report = sweeps()
    assert (report.users, report.objects, report.requested, report.passed_over) == (1, 4, 3, 0)


def test_a_multipart_upload_has_one_id_in_listing_and_notification(
    store: ObjectStore,
    store_settings: ObjectStoreSettings,
    set_balance: SetBalance,
    sweeping: Sweeping,
    uploads: Uploads,
) -> None:
    bucket, key = store_settings.uploads_bucket, "ocr/alice/long.pdf"
    upload = store.client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    parts = []
    for number, body in enumerate((b"x" * 5 * 1024 * 1024, b"the rest"), start=1):
        etag = store.client.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=body)["ETag"]
        parts.append({"PartNumber": number, "ETag": etag})
    store.client.complete_multipart_upload(
        Bucket=bucket,
        Key=key,
        UploadId=upload,
        MultipartUpload={"Parts": parts},  # type: ignore[typeddict-item]
    )
    set_balance("alice", 100, 1)
    sweeping()

    (request,) = uploads.next(1)
    headed = store.head(bucket, key)
    assert headed is not None
    assert headed.etag.endswith("-2")
    assert request.result_id == result_id(bucket, key, headed.etag)
    assert request.size_bytes == 5 * 1024 * 1024 + 8


def test_accounts_without_balance_wait_for_their_top_up(
    store: ObjectStore,
    store_settings: ObjectStoreSettings,
    set_balance: SetBalance,
    sweeping: Sweeping,
    uploads: Uploads,
    sweeps: Callable[[], SweepReported],
) -> None:
    bucket = store_settings.uploads_bucket
    for key in ("ocr/alice/a.png", "ocr/bob/b.png", "ocr/carol/c.png"):
        store.put(bucket, key, b"pixels", PNG)
    set_balance("alice", 0, 1)
    set_balance("bob", -7, 1)

    sweeping(sweep_interval_seconds=3600)
    assert sweeps().passed_over == 3
    assert uploads.silence(1.0)

    set_balance("alice", 50, 2)
    assert uploads.keys(1, 10.0) == ["ocr/alice/a.png"]
    set_balance("carol", 50, 1)
    assert uploads.keys(1, 10.0) == ["ocr/carol/c.png"]
    set_balance("bob", 0, 2)
    assert uploads.silence()


def test_it_waits_while_the_upload_lane_is_long(
    kafka_settings: KafkaSettings,
    store: ObjectStore,
    store_settings: ObjectStoreSettings,
    set_balance: SetBalance,
    producer: EventProducer,
    extractors: Consumer,
    sweeping: Sweeping,
    uploads: Uploads,
) -> None:
    bucket, topic = store_settings.uploads_bucket, topic_name(kafka_settings, UPLOADS)
    etag = store.put(bucket, "ocr/alice/a.png", b"pixels", PNG)
    set_balance("alice", 100, 1)
    waiting = OcrRequest.model_validate(
        {
            "result_id": "waiting",
            "user_id": "bob",
            "bucket": bucket,
            "key": "ocr/bob/b.png",
            "etag": etag,
            "origin": Origin.NOTIFICATION,
            "requested_at": "2026-11-23T06:00:00Z",
        }
    )
    sent = [producer.send(UPLOADS, "bob/0", waiting, subject="waiting").result(10) for _ in range(6)]
    assert uploads.keys(6) == ["ocr/bob/b.png"] * 6

    sweeping(sweep_lag_max=5)
    assert uploads.silence(4.0)

    # One of the six is finished: five may wait.
    place = TopicPartition(topic, int(sent[0].partition() or 0), int(sent[0].offset() or 0) + 1)
    extractors.commit(offsets=[place], asynchronous=False)
    assert uploads.keys(1, 15.0) == ["ocr/alice/a.png"]


def test_one_replica_reconciles_and_another_takes_over(
    kafka_settings: KafkaSettings,
    store: ObjectStore,
    store_settings: ObjectStoreSettings,
    set_balance: SetBalance,
    sweeping: Sweeping,
    uploads: Uploads,
) -> None:
    bucket = store_settings.uploads_bucket
    set_balance("alice", 100, 1)
    store.put(bucket, "ocr/alice/a.png", b"pixels", PNG)
    first = sweeping()
    assert uploads.keys(1) == ["ocr/alice/a.png"]
    second = sweeping()
    wait_for(lambda: member_count(kafka_settings) == 2, 15.0)
    wait_for(lambda: [first.intake.leads(), second.intake.leads()].count(True) == 1, 15.0)

    # A second leader would request it again: it remembers nothing.
    store.put(bucket, "ocr/alice/b.png", b"pixels", PNG)
    assert uploads.keys(1) == ["ocr/alice/b.png"]
    assert uploads.silence()

    leader, other = (first, second) if first.intake.leads() else (second, first)
    leader.end()
    wait_for(other.intake.leads, 15.0)
    store.put(bucket, "ocr/alice/c.png", b"pixels", PNG)
    assert "ocr/alice/c.png" in uploads.keys(3, 15.0)


def member_count(settings: KafkaSettings) -> int:
    """Members of the reconcilers' group."""
    admin = AdminClient({"bootstrap.servers": settings.bootstrap_servers})
    group = group_name(settings, groups.RECONCILER)
    return len(admin.describe_consumer_groups([group])[group].result(10).members)
