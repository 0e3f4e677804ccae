"""One user's sweep: what it requests, what it leaves alone, and how it waits."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from schemas.events import Origin
from schemas.identity import document_key, result_id
from services.intake.pace import CalledOff, Pace
from services.intake.recent import RecentRequests
from services.intake.sweep import Buckets, UserSweep
from services.runtime.admission import BalanceTable
from services.runtime.errors import BrokerUnavailable, StoreUnavailable
from services.runtime.object_store import StoredObject
from tests.unit.intake.fakes import FakeClock, FakeProducer, FakeStore, balance, table_of


@dataclass
class World:
    """Everything around a sweep."""

    clock: FakeClock = field(default_factory=FakeClock)
    table: BalanceTable = field(default_factory=lambda: table_of(alice=100))
    producer: FakeProducer = field(default_factory=FakeProducer)
    lag: Callable[[], int] = lambda: 0
    chunk_objects: int = 20_000
    requests_per_second_max: float = 1000.0

    def __post_init__(self) -> None:
        self.store = FakeStore(self.clock)
        self.recent = RecentRequests(900.0, 1000, self.clock)

    def put(self, key: str, body: bytes = b"pixels") -> StoredObject:
        return self.store.put("uploads", key, body)

    def document(self, stored: StoredObject, user_id: str = "alice") -> None:
        identity = result_id("uploads", stored.key, stored.etag)
        self.store.put("results", document_key(user_id, identity), b"{}")

    def sweep(self) -> UserSweep:
        pace = Pace(
            lambda: self.lag(),
            lag_max=10,
            requests_per_second_max=self.requests_per_second_max,
            clock=self.clock,
            sleep=self.clock.sleep,
        )
        return UserSweep(
            self.store,
            Buckets("uploads", "results"),
            self.table,
            self.recent,
            pace,
            self.producer.send_request,
            age_seconds_min=60.0,
            now=self.clock.now,
            chunk_objects=self.chunk_objects,
        )


@pytest.fixture
def world() -> World:
    return World()


def go_on() -> None:
    """Nobody calls anything off."""


def test_an_object_without_document_is_requested(world: World) -> None:
    stored = world.put("ocr/alice/lost.png")
    world.clock.sleep(61)

    tally = world.sweep()("alice", go_on)

    (request,) = world.producer.requests()
    assert request.result_id == result_id("uploads", "ocr/alice/lost.png", stored.etag)
    assert (request.user_id, request.etag, request.origin) == ("alice", stored.etag, Origin.RECONCILER)
    assert tally.fates == {"requested": 1}


def test_an_object_with_its_document_is_left_alone(world: World) -> None:
    world.document(world.put("ocr/alice/done.png"))
    world.clock.sleep(61)
    assert world.sweep()("alice", go_on).fates == {"has_document": 1}
    assert world.producer.sent == []


def test_a_document_of_the_content_before_does_not_count(world: World) -> None:
    world.document(world.put("ocr/alice/a.png", b"first"))
    world.put("ocr/alice/a.png", b"second")
    world.clock.sleep(61)
    assert world.sweep()("alice", go_on).fates == {"requested": 1}


def test_a_young_object_is_left_to_its_notification(world: World) -> None:
    world.put("ocr/alice/young.png")
    world.clock.sleep(59)
    assert world.sweep()("alice", go_on).fates == {"too_young": 1}
    world.clock.sleep(2)
    assert world.sweep()("alice", go_on).fates == {"requested": 1}


def test_what_is_no_upload_is_left_alone(world: World) -> None:
    for key in ("ocr/alice/", "ocr/alice/no extension", "ocr/alice/folder/a.png"):
        world.put(key)
    world.clock.sleep(61)
    assert world.sweep()("alice", go_on).fates == {"not_an_upload": 3}


@pytest.mark.parametrize("tokens", [0, -5, None])
def test_an_account_without_balance_is_passed_over(world: World, tokens: int | None) -> None:
    world.table = table_of() if tokens is None else table_of(alice=tokens)
    world.put("ocr/alice/a.png")
    world.clock.sleep(61)
    assert world.sweep()("alice", go_on).fates == {"no_balance": 1}
    assert world.producer.sent == []


def test_what_waits_in_the_lane_is_not_requested_again_until_a_while_is_over(world: World) -> None:
    world.put("ocr/alice/a.png")
    world.clock.sleep(61)
    world.sweep()("alice", go_on)
    assert world.sweep()("alice", go_on).fates == {"requested_before": 1}
    world.clock.sleep(901)
    assert world.sweep()("alice", go_on).fates == {"requested": 1}


def test_after_a_top_up_neither_age_nor_memory_counts(world: World) -> None:
    world.put("ocr/alice/a.png")
    world.clock.sleep(61)
    world.sweep()("alice", go_on)
    world.put("ocr/alice/b.png")
    tally = world.sweep()("alice", go_on, topped_up=True)
    assert tally.fates == {"requested": 2}


def test_many_objects_are_compared_in_chunks_with_nothing_left_out(world: World) -> None:
    world.chunk_objects = 3
    for number in range(10):
        stored = world.put(f"ocr/alice/{number}.png", str(number).encode())
        if number % 2:
            world.document(stored)
    world.clock.sleep(61)
    assert world.sweep()("alice", go_on).fates == {"requested": 5, "has_document": 5}
    assert world.producer.requested_keys() == [f"ocr/alice/{number}.png" for number in range(0, 10, 2)]


def test_the_documents_are_listed_anew_only_for_as_many_objects_without_one(world: World) -> None:
    world.chunk_objects = 10
    stored = [world.put(f"ocr/alice/{number:03}.png", str(number).encode()) for number in range(100)]
    for number, each in enumerate(stored):
        if number not in (5, 55, 95):
            world.document(each)
    world.clock.sleep(100)
    assert world.sweep()("alice", go_on).fates == {"has_document": 97, "requested": 3}
    assert world.producer.requested_keys() == [stored[number].key for number in (5, 55, 95)]
    listings = [bucket for bucket, _ in world.store.listed].count("results")
    assert listings == 2, "one for the first ten, one for the two that it did not show"


def test_it_waits_while_the_lane_is_long_and_lists_only_then(world: World) -> None:
    world.put("ocr/alice/a.png")
    world.clock.sleep(61)
    until = world.clock.seconds + 30
    world.lag = lambda: 11 if world.clock.seconds < until else 10
    waited = []

    def watch() -> None:
        if world.clock.seconds < until:
            waited.append(list(world.store.listed))

    world.sweep()("alice", watch)

    assert waited
    assert not any(waited)
    assert world.producer.requested_keys() == ["ocr/alice/a.png"]


def test_requests_keep_to_the_rate(world: World) -> None:
    world.requests_per_second_max = 2.0
    for number in range(21):
        world.put(f"ocr/alice/{number}.png")
    world.clock.sleep(61)
    began = world.clock.seconds
    world.sweep()("alice", go_on)
    assert world.clock.seconds - began == pytest.approx(10.0, abs=0.5)


def test_it_stops_at_once_when_another_replica_takes_over(world: World) -> None:
    for number in range(10):
        world.put(f"ocr/alice/{number}.png")
    world.clock.sleep(61)

    def lost_after_three() -> None:
        if len(world.producer.sent) == 3:
            raise CalledOff

    with pytest.raises(CalledOff):
        world.sweep()("alice", lost_after_three)
    assert len(world.producer.sent) == 3


def test_what_the_broker_did_not_acknowledge_is_requested_again(world: World) -> None:
    world.put("ocr/alice/a.png")
    world.clock.sleep(61)
    world.producer.failures = [BrokerUnavailable("away")]
    with pytest.raises(BrokerUnavailable):
        world.sweep()("alice", go_on)
    assert world.sweep()("alice", go_on).fates == {"requested": 1}


def test_a_failing_listing_is_told_and_nothing_guessed(world: World) -> None:
    world.put("ocr/alice/a.png")
    world.clock.sleep(61)
    world.store.away = {"ocr/alice/"}
    with pytest.raises(StoreUnavailable):
        world.sweep()("alice", go_on)
    assert world.producer.sent == []


def test_a_balance_that_ran_out_since_is_seen(world: World) -> None:
    world.put("ocr/alice/a.png")
    world.clock.sleep(61)
    world.table.apply(balance("alice", 0, version=2))
    assert world.sweep()("alice", go_on).fates == {"no_balance": 1}
