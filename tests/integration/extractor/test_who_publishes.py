"""Who publishes: each rule by the interleaving that would break it, on real Kafka and a real object store.

The rules that need no extractor have their tests elsewhere: a conditional create whose response is lost or that is
answered 409 in `tests/integration/runtime/test_object_store.py`; the takeover of an author that never returns in
`tests/integration/ledger/test_takeovers.py`; a database restored from a backup in
`tests/integration/ledger/test_faults.py`; a deleted result in `tests/integration/api/test_delete.py`.
"""

import json
import signal
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from schemas.events import Origin, ResultCompleted
from services.runtime.kafka import create_producer
from services.runtime.lane_offsets import skip_to_end
from tests.faults.proxy import OpenTarget, Proxies, Proxy, Stream, Treatment, until_either_ends
from tests.integration.extractor.asking import (
    EXTRACTOR,
    assert_published_once,
    author_of,
    await_results,
    committed,
    uploaded,
)
from tests.support.scripted_engine import SLOW, picture
from tests.support.stage import Stage, Worker, wait_for
from tests.unit.extractor.samples import draft

pytestmark = pytest.mark.needs_real("kafka")

_CHUNK_BYTES = 1 << 16


@pytest.fixture
def store_proxy(stage: Stage) -> Iterator[Proxy]:
    """What stands between the extractor and the object store."""
    proxies = Proxies()
    endpoint = stage.store.endpoint_url
    assert endpoint is not None
    yield proxies.to(int(endpoint.rsplit(":", 1)[1]))
    proxies.close()


def _once_the_document_is_written(bucket: str, act: Callable[[], object]) -> Treatment:
    """Passes on, until the store has answered the creation of a document: then `act`, and nobody hears the answer."""
    creation = f"PUT /{bucket}/ocr/".encode()

    async def treat(client: Stream, open_target: OpenTarget) -> None:
        target, sent = await open_target(), bytearray()

        async def there() -> None:
            while chunk := await client.reader.read(_CHUNK_BYTES):
                sent.extend(chunk)
                target.writer.write(chunk)
                await target.writer.drain()

        async def back() -> None:
            while answer := await target.reader.read(_CHUNK_BYTES):
                if creation in sent and answer.startswith(b"HTTP/1.1 200"):
                    act()
                    client.cut()
                    return
                client.writer.write(answer)
                await client.writer.drain()

        try:
            await until_either_ends(there(), back())
        finally:
            target.writer.close()

    return treat


def test_an_author_killed_between_document_and_transaction_publishes_once_on_redelivery(
    stage: Stage, store_proxy: Proxy
) -> None:
    request = uploaded(stage, "a.png", picture(words=4))
    author: list[Worker] = []
    store_proxy.treat(
        _once_the_document_is_written(stage.store.results_bucket, lambda: author[0].signal(signal.SIGKILL))
    )
    author.append(stage.start_ready(EXTRACTOR, OCR_S3_ENDPOINT_URL=f"http://127.0.0.1:{store_proxy.port}"))
    stage.ask(request)
    assert author[0].wait(60) == -signal.SIGKILL
    assert stage.document(request) is not None
    stage.start_ready(EXTRACTOR)
    wait_for(lambda: committed(stage) == 1, "its record is finished", 60)
    assert_published_once(stage, 1)


def test_a_create_whose_response_is_lost_finds_its_own_document_and_publishes_it_once(
    stage: Stage, store_proxy: Proxy
) -> None:
    request = uploaded(stage, "a.png", picture(words=4))
    lost: list[str] = []

    def lose() -> None:
        lost.append("response")
        store_proxy.heal()

    store_proxy.treat(_once_the_document_is_written(stage.store.results_bucket, lose))
    stage.start_ready(EXTRACTOR, OCR_S3_ENDPOINT_URL=f"http://127.0.0.1:{store_proxy.port}")
    stage.ask(request)
    wait_for(lambda: committed(stage) == 1, "its record is finished", 60)
    assert lost == ["response"]
    assert_published_once(stage, 1)


def test_a_redelivered_author_publishes_the_document_as_it_stands(stage: Stage) -> None:
    request = uploaded(stage, "a.png", picture(words=4))
    stage.ask(request)
    stage.documents.create(draft(request, by=author_of(stage, request), text="as it was read before"))
    stage.start_ready(EXTRACTOR)
    await_results(stage, 1)
    (result,) = stage.read.events(ResultCompleted)
    assert result.text == "as it was read before"
    assert_published_once(stage, 1)


def test_replicas_with_the_same_objects_over_both_lanes_publish_once(stage: Stage) -> None:
    for _ in range(2):
        stage.start_ready(EXTRACTOR)
    requests = [uploaded(stage, f"{n}.png", picture(words=n + 1, seed=n)) for n in range(10)]
    for request in requests:
        stage.ask(request)
        stage.ask(request.model_copy(update={"origin": Origin.NOTIFICATION}), upload=True)
        stage.ask(request)
    wait_for(lambda: committed(stage) == 30, "every request is finished", 60)
    assert_published_once(stage, 10)


def test_a_replica_that_slept_past_its_session_publishes_nothing_twice_and_rewinds_nothing(stage: Stage) -> None:
    sleeper = stage.start_ready(EXTRACTOR, OCR_KAFKA_MAX_POLL_INTERVAL_MS="6000")
    requests = [uploaded(stage, f"{n}.png", picture(script=SLOW, seed=n)) for n in range(12)]
    for request in requests:
        stage.ask(request)
    await_results(stage, 1)
    sleeper.signal(signal.SIGSTOP)
    stage.start_ready(EXTRACTOR)
    wait_for(lambda: committed(stage) == 12, "the other has finished what the sleeper had open", 60)
    sleeper.signal(signal.SIGCONT)
    wait_for(lambda: _lost_its_membership(sleeper), "the sleeper has heard that it lost its partitions", 60)
    wait_for(sleeper.ready, "the sleeper has rejoined", 60)
    for n in range(8):
        stage.ask(uploaded(stage, f"late{n}.png", picture(seed=100 + n)))
    wait_for(lambda: committed(stage) == 20, "nothing was rewound, and the rest is finished", 60)
    assert_published_once(stage, 20)


def _lost_its_membership(worker: Worker) -> bool:
    return any(event["message"] == "released" for event in _events(worker))


def test_a_producer_that_was_fenced_begins_a_new_membership_and_publishes_once(
    stage: Stage,
) -> None:
    worker = stage.start_ready(EXTRACTOR)
    (joining,) = [event for event in _events(worker) if event["message"] == "joining"]
    other = create_producer(stage.kafka, linger_ms=0, transactional_id=joining["transactional_id"])
    other.init_transactions(30)
    for n in range(4):
        stage.ask(uploaded(stage, f"{n}.png", picture(seed=n)))
    wait_for(lambda: committed(stage) == 4, "all are finished", 60)
    assert [event["message"] for event in _events(worker)].count("joining") == 2
    assert_published_once(stage, 4)
    assert _metric(worker, "ocr_extractor_child_starts_total") == 1, "a recogniser that is well outlives the membership"


def test_a_group_without_offsets_publishes_nothing_again(stage: Stage, topic_prefix: str) -> None:
    first = stage.start_ready(EXTRACTOR)
    for n in range(3):
        stage.ask(uploaded(stage, f"{n}.png", picture(seed=n)))
    wait_for(lambda: committed(stage) == 3, "all are finished", 60)
    first.signal(signal.SIGTERM)
    assert first.wait() == 0
    admin = AdminClient({"bootstrap.servers": stage.kafka.bootstrap_servers})
    for future in admin.delete_consumer_groups([f"{topic_prefix}ocr-extractor"]).values():
        future.result(30)
    halted = stage.start(EXTRACTOR)
    assert halted.wait(60) == 3
    assert skip_to_end(stage.kafka)
    stage.start_ready(EXTRACTOR)
    stage.ask(uploaded(stage, "new.png", picture(seed=9)))
    wait_for(lambda: committed(stage) == 4, "the new one is finished", 60)
    assert_published_once(stage, 4)


def test_what_stays_with_a_replica_is_not_abandoned_when_another_joins(stage: Stage) -> None:
    first = stage.start_ready(EXTRACTOR)
    requests = [uploaded(stage, f"{n}.tiff", picture(script=SLOW, pages=6, seed=n)) for n in range(16)]
    for request in requests:
        stage.ask(request)
    stage.start_ready(EXTRACTOR)
    wait_for(lambda: _released(first) != [], "the first gives partitions to the second", 60)
    wait_for(lambda: committed(stage) == 16, "all are finished", 120)
    assert len(_released(first)) < 2 * stage.kafka.partitions, "it kept the rest all along"
    assert_published_once(stage, 16)


def test_an_extractor_that_drains_hands_over_at_once(stage: Stage) -> None:
    """The other takes over long before the session of the first would end: it left the group properly."""
    long_session = {"OCR_KAFKA_SESSION_TIMEOUT_MS": "300000", "OCR_KAFKA_MAX_POLL_INTERVAL_MS": "300000"}
    first = stage.start_ready(EXTRACTOR, OCR_EXTRACTOR_DRAIN_SECONDS_MAX="1", **long_session)
    request = uploaded(stage, "long.tiff", picture(script=SLOW, pages=40))
    stage.ask(request, upload=True)
    wait_for(lambda: _metric(first, "ocr_extractor_pages_total") > 0, "it is being read", 60)
    first.signal(signal.SIGTERM)
    assert first.wait(60) == 0
    assert committed(stage) == 0, "it was abandoned"
    stage.start_ready(EXTRACTOR, **long_session)
    wait_for(lambda: committed(stage) == 1, "the other has read it", 90)
    assert_published_once(stage, 1)


def _released(worker: Worker) -> list[list[object]]:
    return [place for event in _events(worker) if event["message"] == "released" for place in event["partitions"]]


def _events(worker: Worker) -> list[dict[str, Any]]:
    return [json.loads(line) for line in worker.output().splitlines() if line.startswith("{") and line.endswith("}")]


def _metric(worker: Worker, name: str) -> float:
    """The sum of a metric over its labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{worker.port}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))
