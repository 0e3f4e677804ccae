"""From keys to acknowledged requests: nothing is acknowledged too early, nothing waits for ever."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.trace import StatusCode

from schemas.events import Origin
from schemas.identity import ObjectKey
from services.intake.requesting import GaveUp, UploadRequester
from services.intake.worker import upload_of
from services.runtime.errors import BrokerUnavailable
from tests.support.spans import id_of, parent_of, spans_in_memory, trace_of
from tests.unit.intake.fakes import FakeClock, FakeProducer, FakeStore


class World:
    """A requester over a store and a broker of memory."""

    def __init__(self) -> None:
        self.store = FakeStore(FakeClock())
        self.producer = FakeProducer()
        producer: Any = self.producer
        self.requester = UploadRequester(
            self.store.head, producer, bucket="uploads", spread=4, heads_parallel=4, now=self.store.clock.now
        )

    def request(self, *keys: str) -> int:
        return self.requester.request(keys_of(*keys), Origin.NOTIFICATION, lambda: False)


def keys_of(*keys: str) -> dict[str, ObjectKey]:
    parsed = {key: upload_of(key) for key in keys}
    return {key: value for key, value in parsed.items() if value is not None}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    # The pauses between attempts, shortened.
    monkeypatch.setattr("services.intake.requesting.sleep_unless", lambda give_up, _seconds: not give_up())
    made = World()
    yield made
    made.requester.close()


def test_what_exists_is_requested_and_what_does_not_is_not(world: World) -> None:
    world.store.put("uploads", "ocr/alice/a.png")
    assert world.request("ocr/alice/a.png", "ocr/alice/gone.png") == 1
    assert world.producer.requested_keys() == ["ocr/alice/a.png"]


def test_a_store_that_comes_back_is_asked_again(world: World) -> None:
    world.store.put("uploads", "ocr/alice/a.png")
    world.store.away = {"*"}
    seen: list[str | None] = []

    def give_up() -> bool:
        seen.append(world.requester.problem())
        if len(seen) == 3:
            world.store.away = set()
        return False

    assert world.requester.request(keys_of("ocr/alice/a.png"), Origin.NOTIFICATION, give_up) == 1
    assert len(seen) == 3
    assert all(reason is not None and reason.startswith("head") for reason in seen)
    assert world.requester.problem() is None


def test_what_was_answered_is_not_looked_up_again(world: World) -> None:
    for name in "abc":
        world.store.put("uploads", f"ocr/alice/{name}.png")
    world.store.away = {"ocr/alice/b.png"}
    assert world.request(*(f"ocr/alice/{name}.png" for name in "abc")) == 2
    assert world.store.headed.count("ocr/alice/a.png") == 1


def test_a_key_that_keeps_failing_on_a_store_that_answers_is_left_out(world: World) -> None:
    world.store.put("uploads", "ocr/alice/a.png")
    world.store.away = {"ocr/alice/odd.png"}
    assert world.request("ocr/alice/odd.png", "ocr/alice/a.png") == 1
    assert world.store.headed.count("ocr/alice/odd.png") == 3


def test_many_such_keys_hold_the_others_up_no_longer_than_one(world: World) -> None:
    odd = [f"ocr/alice/odd{number}.png" for number in range(4)]
    for number in range(40):
        world.store.put("uploads", f"ocr/alice/{number}.png")
    world.store.away = set(odd)
    assert world.request(*odd, *(f"ocr/alice/{number}.png" for number in range(40))) == 40
    assert max(world.store.headed.count(key) for key in odd) == 3
    assert world.store.headed.count("ocr/") <= 5


def test_when_it_is_called_off_nothing_counts_as_requested(world: World) -> None:
    world.store.put("uploads", "ocr/alice/a.png")
    world.store.away = {"*"}
    with pytest.raises(GaveUp):
        world.requester.request(keys_of("ocr/alice/a.png"), Origin.NOTIFICATION, lambda: True)
    assert world.producer.sent == []


def test_what_the_broker_refused_is_produced_again(world: World) -> None:
    world.store.put("uploads", "ocr/alice/a.png")
    world.producer.failures = [BrokerUnavailable("away")]
    assert world.request("ocr/alice/a.png") == 1
    assert world.producer.requested_keys() == ["ocr/alice/a.png"] * 2


def test_it_does_not_return_before_the_broker_has_acknowledged(world: World) -> None:
    world.store.put("uploads", "ocr/alice/a.png")
    world.producer.silent = True
    done = threading.Event()

    def request() -> None:
        world.request("ocr/alice/a.png")
        done.set()

    thread = threading.Thread(target=request, daemon=True)
    thread.start()
    assert not done.wait(0.8)
    assert world.requester.problem() == "the broker has not acknowledged the requests yet"
    world.producer.acknowledge()
    assert done.wait(5.0)


def test_a_silent_broker_is_waited_for_only_so_long(world: World) -> None:
    world.store.put("uploads", "ocr/alice/a.png")
    world.producer.silent = True
    with pytest.raises(GaveUp, match="not acknowledged"):
        world.requester.request(keys_of("ocr/alice/a.png"), Origin.NOTIFICATION, lambda: True)


def test_each_upload_begins_a_trace_that_its_request_carries(world: World) -> None:
    for name in "ab":
        world.store.put("uploads", f"ocr/alice/{name}.png")
    world.producer.failures = [BrokerUnavailable("away")]
    with spans_in_memory() as memory:
        assert world.request("ocr/alice/a.png", "ocr/alice/b.png", "ocr/alice/gone.png") == 2
        found = memory.all("process notification")
        reconciled = world.requester.send(world.producer.requests()[0].model_copy(update={"origin": Origin.RECONCILER}))
        assert reconciled.done()
    # The broker was away at first: both were sent twice, each in the trace that it had.
    contexts = [f"00-{trace_of(each)}-{id_of(each)}-01" for each in found]
    assert len({trace_of(each) for each in found}) == 2
    assert sorted(map(str, world.producer.traceparents[:4])) == sorted(contexts * 2)
    assert {parent_of(each) for each in found} == {None}
    assert parent_of(memory["reconcile upload"]) is None


def test_what_is_called_off_ends_as_failed(world: World) -> None:
    world.store.put("uploads", "ocr/alice/a.png")
    world.producer.failures = [BrokerUnavailable("away")]
    keys = keys_of("ocr/alice/a.png")
    with spans_in_memory() as memory, pytest.raises(GaveUp):
        world.requester.request(keys, Origin.NOTIFICATION, lambda: True)
    assert memory["process notification"].status.status_code is StatusCode.ERROR
