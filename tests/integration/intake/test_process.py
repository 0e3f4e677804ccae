"""Intake as a process of its own: ready, at rest, when the broker goes, and told to stop."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from schemas.events import OcrRequest
from schemas.topics import OBJECT_STORE_EVENTS, UPLOADS
from tests.integration.intake.conftest import notification
from tests.support.parts import KafkaPart, ObjectStorePart
from tests.support.stage import Stage, Topics, Worker, raise_stage, wait_for

_MEGABYTE = 1 << 20
EVERYTHING = {
    "OCR_INTAKE_KAFKA_ENABLED": "true",
    "OCR_INTAKE_HTTP_PORT": "0",
    "OCR_INTAKE_HTTP_TOKEN": "a-token",
    "OCR_INTAKE_SQS_WAIT_SECONDS": "1",
    "OCR_INTAKE_SQS_ACCESS_KEY": "test",
    "OCR_INTAKE_SQS_SECRET_KEY": "test",
    "OCR_INTAKE_SWEEP_INTERVAL_SECONDS": "1",
}


@pytest.fixture
def stage(
    kafka: KafkaPart, object_store: ObjectStorePart, topic_prefix: str, bucket_prefix: str, tmp_path: Path
) -> Iterator[Stage]:
    """Topics and buckets of this test's own."""
    raised = raise_stage(kafka, object_store, topic_prefix, bucket_prefix, tmp_path)
    yield raised
    raised.strike()


@pytest.fixture
def requests(stage: Stage) -> Iterator[Topics]:
    """What is requested."""
    topics = Topics(stage.kafka, (UPLOADS,))
    topics.start()
    yield topics
    topics.close()


def notify(stage: Stage, *keys: str) -> None:
    for key in keys:
        body = json.dumps(notification(stage.store.uploads_bucket, key)).encode()
        stage.produce_raw(OBJECT_STORE_EVENTS, key, body, [])


def requested(requests: Topics) -> set[str]:
    return {request.key for request in requests.events(OcrRequest)}


def test_with_every_source_on_it_is_small_at_rest_and_stops_when_told(stage: Stage, sqs_store: ObjectStorePart) -> None:
    url = sqs_store.sqs().create_queue(QueueName=f"{stage.store.uploads_bucket}-events")["QueueUrl"]
    queue = {"OCR_INTAKE_SQS_QUEUE_URL": url, "OCR_INTAKE_SQS_ENDPOINT_URL": sqs_store.endpoint_url}
    intake = stage.start_ready("services.intake", **EVERYTHING, **queue)

    assert psutil.Process(intake.process.pid).memory_info().rss < 120 * _MEGABYTE
    intake.signal(signal.SIGTERM)
    assert intake.wait(20.0) == 0, intake.output()[-2000:]
    assert "Traceback" not in intake.output()


def test_what_is_in_hand_at_sigterm_is_taken_in_by_this_process_or_the_next(stage: Stage, requests: Topics) -> None:
    keys = [f"ocr/alice/{number}.png" for number in range(300)]
    for key in keys:
        stage.upload(key, key.encode())
    first = kafka_intake(stage)
    notify(stage, *keys)
    first.signal(signal.SIGTERM)
    assert first.wait(30.0) == 0, first.output()[-2000:]

    kafka_intake(stage)
    wait_for(lambda: requested(requests) == set(keys), "every upload is requested", 30.0)


def test_a_broker_that_was_away_is_met_again(stage: Stage, requests: Topics, kafka: KafkaPart) -> None:
    if kafka.kind == "embedded":
        pytest.skip("the embedded broker forgets its topics when it stops")
    stage.upload("ocr/alice/before.png", b"pixels")
    stage.upload("ocr/alice/after.png", b"pixels")
    intake = kafka_intake(stage)
    notify(stage, "ocr/alice/before.png")
    wait_for(lambda: requested(requests) == {"ocr/alice/before.png"}, "the first upload is requested")

    kafka.kill()
    kafka.start()
    notify(stage, "ocr/alice/after.png")

    wait_for(lambda: "ocr/alice/after.png" in requested(requests), "the second upload is requested", 60.0)
    wait_for(intake.ready, "intake is ready again", 40.0)
    assert intake.exit_status is None


def kafka_intake(stage: Stage) -> Worker:
    return stage.start_ready("services.intake", OCR_INTAKE_KAFKA_ENABLED="true")
