"""What the API does when something around it goes away, comes back, or grows."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import httpx
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions

from schemas.cloudevents import encode
from schemas.events import ResultCompleted
from schemas.identity import document_key, result_id
from schemas.topics import RESULTS
from services.runtime.kafka import common_config, topic_name
from services.runtime.producing import attributes_for
from services.runtime.provisioning import ensure_bucket
from tests.integration.api.fake_extractor import completing
from tests.integration.api.stack import Replica, Stack, User
from tests.support.parts import DatabasePart, KafkaPart
from tests.support.stage import wait_for


def test_a_result_whose_event_was_lost_is_found_by_its_document(stack: Stack, api: Replica) -> None:
    user = stack.user()
    key = stack.upload(user, completing("no event"))
    stack.extractor.publishing.clear()
    try:
        answer = api.post(user, key, Prefer="wait=2")
    finally:
        stack.extractor.publishing.set()
    assert answer.json()["text"] == "no event", "the wait ran out, and looked once more"


@pytest.mark.needs_real("kafka")
def test_replies_are_heard_on_partitions_that_were_added_later(stack: Stack) -> None:
    api = stack.start_replica({"OCR_API_REPLY_INSPECTION_SECONDS": "0.2"})
    topic = topic_name(stack.kafka, RESULTS)
    admin = AdminClient(common_config(stack.kafka))
    new = len(admin.list_topics(topic, timeout=10).topics[topic].partitions)
    admin.create_partitions([NewPartitions(topic, new + 1)])[topic].result(10)
    wait_for(lambda: "new partitions" in api.process.log_path.read_text(), "the new partition is read")
    user = stack.user()
    key = stack.upload(user, completing("never", delay_seconds=30))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(api.post, user, key)
        api.wait_for_waiters(1)
        _publish(stack, user, key, new)
        started = time.monotonic()
        assert waiting.result(10).json()["text"] == "from the new partition"
        assert time.monotonic() - started < 5
    api.close()


def test_a_missing_bucket_is_the_services_trouble_and_not_the_files(stack: Stack) -> None:
    missing = f"{stack.object_store.uploads_bucket}-missing"
    api = stack.start_unready_replica({"OCR_S3_UPLOADS_BUCKET": missing})

    def told() -> str:
        try:
            return httpx.get(f"{api.url}/readyz").text
        except httpx.TransportError:
            return ""

    wait_for(lambda: missing in told(), "readiness says which bucket is missing")
    assert "ocr-services provision" in told()
    user = stack.user()
    answer = api.post(user, f"ocr/{user.id}/a.jpg")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert "bucket" in answer.json()["error"]
    assert missing not in answer.text
    ensure_bucket(stack.store, missing)
    api.wait_until_ready()
    answer = api.post(user, f"ocr/{user.id}/a.jpg")
    assert (answer.status_code, answer.json()["code"]) == (404, "file_not_found")
    api.close()


def test_a_broker_that_restarts_costs_no_answer(stack: Stack, kafka: KafkaPart) -> None:
    if kafka.kind == "embedded":
        return  # it forgets its topics
    replica = stack.start_replica({"OCR_API_PRODUCE_SECONDS_MAX": "2"})
    user = stack.user()
    keys = [stack.upload(user, completing(f"{n}")) for n in range(4)]
    assert replica.post(user, keys[0]).status_code == 200
    kafka.stop()
    try:
        down = replica.post(user, keys[1])
        assert (down.status_code, down.json()["code"]) == (503, "unavailable")
        assert int(down.headers["retry-after"]) > 0
        assert replica.post(user, keys[0]).status_code == 200, "what exists is answered without the broker"
    finally:
        kafka.start()
    deadline = time.monotonic() + 30
    while replica.post(user, keys[1], Prefer="wait=5").status_code != 200:
        assert time.monotonic() < deadline
    started = time.monotonic()
    assert [replica.post(user, key).json()["text"] for key in keys] == ["0", "1", "2", "3"]
    assert time.monotonic() - started < 10, "answers come by their events, not by waits that run out"
    replica.close()


def test_a_database_that_is_away_is_told_and_comes_back(stack: Stack, postgres: DatabasePart) -> None:
    replica = stack.start_replica({"OCR_API_KEY_CACHE_SECONDS": "0.1"})
    user = stack.user()
    key = stack.upload(user, completing("x"))
    postgres.stop()
    try:
        wait_for(lambda: replica.client.get("/readyz").status_code == 503, "it says that it is not ready")
        answer = replica.post(user, key)
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    finally:
        postgres.start()
    deadline = time.monotonic() + 20
    while replica.client.get("/readyz").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert replica.post(user, key).status_code == 200
    replica.close()


def test_sigterm_lets_waits_end_well_and_takes_no_more(stack: Stack) -> None:
    replica = stack.start_replica({"OCR_API_DRAIN_SECONDS": "6"})
    user = stack.user()
    soon = stack.upload(user, completing("soon", delay_seconds=2))
    never = stack.upload(user, completing("never", delay_seconds=60))
    with ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(replica.post, user, key) for key in (soon, never)]
        patient = pool.submit(replica.post, user, never, Prefer="wait=100")
        replica.wait_for_waiters(3)
        started = time.monotonic()
        assert replica.process.pid is not None
        os.kill(replica.process.pid, signal.SIGTERM)
        time.sleep(0.5)
        try:
            httpx.get(f"{replica.url}/healthz")
        except httpx.TransportError:
            pass
        else:
            raise AssertionError("it still takes connections")
        assert answers[0].result().json()["text"] == "soon"
        assert (answers[1].result().status_code, answers[1].result().json()["code"]) == (504, "timed_out")
        assert patient.result().status_code == 202
    while replica.process.is_running():
        assert time.monotonic() - started < 10
        time.sleep(0.05)
    assert replica.process.exit_status == 0


def test_one_post_too_many_is_turned_away_at_once(stack: Stack) -> None:
    replica = stack.start_replica({"OCR_API_WAITERS_MAX": "3", "OCR_API_WAITERS_PER_USER_MAX": "2"})
    first, second = stack.user(), stack.user()
    with ThreadPoolExecutor(3) as pool:
        slow = [
            pool.submit(replica.post, user, stack.upload(user, completing("slow", 3)))
            for user in (first, first, second)
        ]
        replica.wait_for_waiters(3)
        for user in (first, stack.user()):
            started = time.monotonic()
            answer = replica.post(user, stack.upload(user, completing("x")))
            assert time.monotonic() - started < 1
            assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
            assert int(answer.headers["retry-after"]) > 0
        assert [post.result().status_code for post in slow] == [200, 200, 200]
    assert replica.post(first, stack.upload(first, completing("x"))).status_code == 200
    replica.close()


def test_it_is_not_ready_before_the_ledger_was_heard_of(stack: Stack) -> None:
    replica = stack.start_unready_replica({"OCR_KAFKA_TOPIC_PREFIX": f"{stack.kafka.topic_prefix}nothing."})
    deadline = time.monotonic() + 20
    answer = None
    while answer is None:
        assert time.monotonic() < deadline
        try:
            answer = replica.client.get("/readyz")
        except httpx.TransportError:
            time.sleep(0.1)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert replica.client.get("/healthz").status_code == 200
    replica.close()


def _publish(stack: Stack, user: User, key: str, partition: int) -> None:
    stored = stack.store.head(stack.object_store.uploads_bucket, key)
    assert stored is not None
    identity = result_id(stack.object_store.uploads_bucket, key, stored.etag)
    event = ResultCompleted(
        result_id=identity,
        user_id=user.id,
        bucket=stack.object_store.uploads_bucket,
        key=key,
        etag=stored.etag,
        created_at=datetime.now(UTC),
        text="from the new partition",
        language="en",
        word_count=4,
        page_count=1,
        tokens_used=54,
        file_url="https://files.example.com/x",
        document_bucket=stack.object_store.results_bucket,
        document_key=document_key(user.id, identity),
    )
    headers, body = encode(event, attributes_for(event, source="/test", subject=key, now=datetime.now(UTC)))
    producer = Producer(common_config(stack.kafka))
    producer.produce(topic_name(stack.kafka, RESULTS), body, identity, partition, headers=headers)
    assert producer.flush(10) == 0
