"""Notifications from a queue: sent by a store, and as SNS and EventBridge put them there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from schemas.topics import OBJECT_STORE_EVENTS
from services.intake.queue_setup import NOTIFICATION_ID, ensure_queue_notifications
from services.runtime.object_store import ObjectStore, create_client
from services.runtime.settings import ObjectStoreSettings
from tests.integration.intake.conftest import (
    MakeStoreSettings,
    Running,
    StartIntake,
    TopicReader,
    Uploads,
    header_bytes,
    notification,
    wait_for,
)
from tests.support.parts import ObjectStorePart

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

PNG = "image/png"


Listen = Callable[..., Running]


@dataclass
class Queue:
    """A queue that a bucket notifies."""

    part: ObjectStorePart
    sqs: SQSClient
    url: str
    store: ObjectStore
    settings: ObjectStoreSettings
    name: str

    def send(self, body: str) -> None:
        """Puts a message there by hand."""
        self.sqs.send_message(QueueUrl=self.url, MessageBody=body)

    def left(self) -> int:
        """Messages still in the queue, hidden ones included."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]  # type: ignore[arg-type]
        return sum(int(count) for count in attributes.values())

    def put(self, *keys: str) -> None:
        """Uploads an object under each key."""
        for key in keys:
            self.store.put(self.settings.uploads_bucket, key, b"pixels of " + key.encode(), PNG)


@pytest.fixture
def queue(sqs_store: ObjectStorePart, make_store_settings: MakeStoreSettings, bucket_prefix: str) -> Queue:
    """A queue of this test's own."""
    settings = make_store_settings(sqs_store)
    sqs, name = sqs_store.sqs(), f"{bucket_prefix}events"
    url = ensure_queue_notifications(sqs_store.s3(), sqs, settings.uploads_bucket, name)
    return Queue(sqs_store, sqs, url, ObjectStore(create_client(settings)), settings, name)


@pytest.fixture
def quiet_queue(queue: Queue, bucket_prefix: str) -> Queue:
    """A queue that only the test itself sends to."""
    name = f"{bucket_prefix}quiet"
    return replace(queue, url=queue.sqs.create_queue(QueueName=name)["QueueUrl"], name=name)


@pytest.fixture
def listen(start_intake: StartIntake) -> Listen:
    """Starts intake on a queue."""

    def start(queue: Queue, store_settings: ObjectStoreSettings | None = None) -> Running:
        return start_intake(
            store_settings or queue.settings,
            sqs_queue_url=queue.url,
            sqs_endpoint_url=queue.part.endpoint_url,
            sqs_access_key=queue.part.access_key,
            sqs_secret_key=queue.part.secret_key,
            sqs_wait_seconds=1,
            sqs_visibility_seconds=5,
        )

    return start


def test_an_upload_is_requested_and_its_message_deleted(queue: Queue, listen: Listen, uploads: Uploads) -> None:
    running = listen(queue)
    keys = ["ocr/alice/a b+c.png", "ocr/alice/Gebühr 100%.png", "ocr/alice/請求書.png", "ocr/bob/scan.pdf"]
    queue.put(*keys, "elsewhere/a.png")

    assert uploads.keys(len(keys)) == sorted(keys)
    wait_for(lambda: queue.left() == 0, 10.0)
    assert uploads.silence()
    running.wait_until_ready()


def test_envelopes_of_sns_and_event_bridge_are_opened(quiet_queue: Queue, listen: Listen, uploads: Uploads) -> None:
    queue, bucket = quiet_queue, quiet_queue.settings.uploads_bucket
    queue.put("ocr/alice/sns.png", "ocr/alice/raw.png", "ocr/alice/event bridge+.png")
    direct = json.dumps(notification(bucket, "ocr/alice/sns.png"))
    queue.send(json.dumps({"Type": "Notification", "TopicArn": "arn:aws:sns:eu-central-1:1:t", "Message": direct}))
    queue.send(json.dumps(notification(bucket, "ocr/alice/raw.png")))
    detail = {"bucket": {"name": bucket}, "object": {"key": "ocr/alice/event bridge+.png", "size": 1}}
    queue.send(json.dumps({"detail-type": "Object Created", "source": "aws.s3", "detail": detail}))

    listen(queue)

    assert uploads.keys(3) == ["ocr/alice/event bridge+.png", "ocr/alice/raw.png", "ocr/alice/sns.png"]
    wait_for(lambda: queue.left() == 0, 10.0)


def test_undecodable_messages_are_dead_letters_and_deleted(
    queue: Queue, listen: Listen, uploads: Uploads, read_topic: Callable[[str], TopicReader]
) -> None:
    queue.send("hello")
    queue.put("ocr/alice/a.png")
    listen(queue)

    assert uploads.keys(1) == ["ocr/alice/a.png"]
    (letter,) = read_topic(OBJECT_STORE_EVENTS.dead_letters).read(1)
    headers = header_bytes(letter)
    assert letter.value() == b"hello"
    assert headers["ce_id"].startswith(b"sqs/")
    assert headers["dlq-reason"].startswith(b"not JSON")
    wait_for(lambda: queue.left() == 0, 10.0)


def test_a_queue_that_is_not_there_yet_is_waited_for(queue: Queue, listen: Listen, uploads: Uploads) -> None:
    queue.sqs.delete_queue(QueueUrl=queue.url)
    running = listen(queue)
    wait_for(lambda: "queue" in (running.intake.ready() or ""), 10.0)
    time.sleep(1.0)

    url = ensure_queue_notifications(queue.part.s3(), queue.sqs, queue.settings.uploads_bucket, queue.name)
    queue.put("ocr/alice/a.png")

    assert url == queue.url
    assert uploads.keys(1) == ["ocr/alice/a.png"]
    running.wait_until_ready()


def test_what_could_not_be_taken_in_is_seen_again(quiet_queue: Queue, listen: Listen, uploads: Uploads) -> None:
    queue = quiet_queue
    queue.put("ocr/alice/a.png")
    queue.send(json.dumps(notification(queue.settings.uploads_bucket, "ocr/alice/a.png")))
    lost = listen(queue, queue.settings.model_copy(update={"endpoint_url": "http://127.0.0.1:9"}))
    wait_for(lambda: "head" in (lost.intake.ready() or ""), 10.0)
    lost.end()
    assert queue.left() == 1

    listen(queue)

    assert uploads.keys(1) == ["ocr/alice/a.png"]
    wait_for(lambda: queue.left() == 0, 10.0)


def test_the_messages_of_a_batch_that_mean_the_same_object_are_one_request(
    quiet_queue: Queue, listen: Listen, uploads: Uploads
) -> None:
    queue = quiet_queue
    queue.put("ocr/alice/a.png")
    record = json.dumps(notification(queue.settings.uploads_bucket, "ocr/alice/a.png", "ocr/alice/a.png"))
    entries = [{"Id": str(number), "MessageBody": record} for number in range(10)]
    queue.sqs.send_message_batch(QueueUrl=queue.url, Entries=entries)  # type: ignore[arg-type]

    listen(queue)
    wait_for(lambda: queue.left() == 0, 15.0)

    # A store of several servers may hand the ten out in several batches: one request each at most.
    assert 1 <= len(uploads.keys(10, 3.0)) < 10


def test_a_queue_is_provisioned_by_command(sqs_store: ObjectStorePart, make_store_settings: MakeStoreSettings) -> None:
    settings = make_store_settings(sqs_store)
    name = f"{settings.uploads_bucket}-by-command"
    keys = {"ACCESS_KEY": sqs_store.access_key, "SECRET_KEY": sqs_store.secret_key}
    environment = os.environ | {
        "OCR_S3_ENDPOINT_URL": sqs_store.endpoint_url,
        "OCR_S3_UPLOADS_BUCKET": settings.uploads_bucket,
        "OCR_INTAKE_SQS_ENDPOINT_URL": sqs_store.endpoint_url,
        **{f"OCR_S3_{key}": value for key, value in keys.items()},
        **{f"OCR_INTAKE_SQS_{key}": value for key, value in keys.items()},
    }
    command = [sys.executable, "-m", "services.cli", "provision", "--no-topics", "--no-buckets", "--queue", name]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)

    url = sqs_store.sqs().get_queue_url(QueueName=name)["QueueUrl"]
    assert f"queue {url}" in done.stdout
    found = sqs_store.s3().get_bucket_notification_configuration(Bucket=settings.uploads_bucket)
    assert [configuration["Id"] for configuration in found["QueueConfigurations"]] == [NOTIFICATION_ID]


def test_the_wiring_is_idempotent_and_keeps_what_others_set_up(queue: Queue) -> None:
    s3, bucket = queue.part.s3(), queue.settings.uploads_bucket
    other = queue.sqs.create_queue(QueueName=f"{queue.name}-other")["QueueUrl"]
    arn = queue.sqs.get_queue_attributes(QueueUrl=other, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    ours = s3.get_bucket_notification_configuration(Bucket=bucket)["QueueConfigurations"]
    theirs = {"Id": "theirs", "QueueArn": arn, "Events": ["s3:ObjectRemoved:*"]}
    s3.put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={"QueueConfigurations": [theirs]},  # type: ignore[list-item]
    )

    for _ in range(2):
        assert ensure_queue_notifications(s3, queue.sqs, bucket, queue.name) == queue.url

    found = s3.get_bucket_notification_configuration(Bucket=bucket)["QueueConfigurations"]
    assert sorted(configuration["Id"] for configuration in found) == sorted([NOTIFICATION_ID, "theirs"])
    assert [configuration for configuration in found if configuration["Id"] == NOTIFICATION_ID] == ours
