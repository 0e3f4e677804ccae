"""When the reconciler sweeps whom: leadership, intervals, top-ups, trouble."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from services.intake.pace import Pace
from services.intake.recent import RecentRequests
from services.intake.reconciler import Reconciler
from services.intake.sweep import Buckets, UserSweep
from services.intake.top_ups import TopUps
from services.runtime.admission import BalanceTable
from services.runtime.errors import StoreUnavailable
from tests.unit.intake.fakes import FakeClock, FakeProducer, FakeStore, balance, table_of


class World:
    """A reconciler in a thread of its own, on a real clock, over a store of memory."""

    def __init__(self, table: BalanceTable, interval_seconds: float = 3600.0) -> None:
        self.store = FakeStore(FakeClock())
        self.producer = FakeProducer()
        self.table = table
        self.top_ups = TopUps(table, 0.0)
        self.leads = threading.Event()
        self.stop = threading.Event()
        recent = RecentRequests(900.0, 1000)
        pace = Pace(lambda: 0, lag_max=10, requests_per_second_max=1000.0)
        sweep = UserSweep(
            self.store,
            Buckets("uploads", "results"),
            table,
            recent,
            pace,
            self.producer.send_request,
            age_seconds_min=0.0,
        )
        producer: Any = self.producer
        self.reconciler = Reconciler(
            self.store,
            "uploads",
            sweep,
            table,
            self.top_ups,
            recent,
            producer,
            held=self.leads.is_set,
            interval_seconds=interval_seconds,
        )
        self.thread = threading.Thread(target=self.reconciler.run, args=(self.stop.is_set, lambda: None), daemon=True)
        self.thread.start()

    def top_up(self, user_id: str, tokens: int, version: int) -> None:
        event = balance(user_id, tokens, version)
        self.table.apply(event)
        self.top_ups.on_balance(event)

    def wait_for_reports(self, count: int) -> None:
        self.wait_for(lambda: len(self.producer.reports()) >= count)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10.0
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest.fixture
def worlds() -> Iterator[list[World]]:
    made: list[World] = []
    yield made
    for world in made:
        world.stop.set()
        world.thread.join(5.0)
        assert not world.thread.is_alive()


def make(worlds: list[World], table: BalanceTable, **settings: float) -> World:
    worlds.append(World(table, **settings))
    return worlds[-1]


def test_only_the_leader_sweeps(worlds: list[World]) -> None:
    world = make(worlds, table_of(alice=1))
    world.store.put("uploads", "ocr/alice/a.png")
    time.sleep(0.3)
    assert world.producer.sent == []
    world.leads.set()
    world.wait_for_reports(1)
    assert world.producer.requested_keys() == ["ocr/alice/a.png"]


def test_it_reports_what_it_saw(worlds: list[World]) -> None:
    world = make(worlds, table_of(alice=1, bob=0))
    for key in ("ocr/alice/a.png", "ocr/alice/b.png", "ocr/bob/a.png", "ocr/carol/a.png", "ocr/..x/a.png"):
        world.store.put("uploads", key)
    world.leads.set()
    world.wait_for_reports(1)
    (report,) = world.producer.reports()
    assert (report.users, report.objects, report.requested, report.passed_over) == (3, 4, 2, 2)
    assert report.started_at <= report.finished_at


def test_it_waits_until_the_balances_are_read_to_their_end(worlds: list[World]) -> None:
    table = table_of(alice=1)
    table.complete = False
    world = make(worlds, table)
    world.store.put("uploads", "ocr/alice/a.png")
    world.leads.set()
    time.sleep(0.3)
    assert world.producer.sent == []
    table.complete = True
    world.wait_for_reports(1)


def test_a_topped_up_user_is_swept_at_once(worlds: list[World]) -> None:
    world = make(worlds, table_of(alice=0))
    world.store.put("uploads", "ocr/alice/a.png")
    world.store.put("uploads", "ocr/bob/b.png")
    world.leads.set()
    world.wait_for_reports(1)
    assert world.producer.requested_keys() == []

    world.top_up("alice", 50, version=2)
    world.wait_for_reports(2)
    world.top_up("bob", 50, version=1)
    world.wait_for_reports(3)

    assert world.producer.requested_keys() == ["ocr/alice/a.png", "ocr/bob/b.png"]


def test_a_leader_that_lost_and_won_again_starts_over(worlds: list[World]) -> None:
    world = make(worlds, table_of(alice=1))
    world.store.put("uploads", "ocr/alice/a.png")
    world.leads.set()
    world.wait_for_reports(1)
    world.leads.clear()
    time.sleep(0.3)
    world.leads.set()
    world.wait_for_reports(2)
    assert world.producer.requested_keys() == ["ocr/alice/a.png"] * 2


def test_one_user_who_cannot_be_listed_does_not_keep_the_others_waiting(
    worlds: list[World], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.intake.reconciler._ATTEMPTS_MAX", 2)
    world = make(worlds, table_of(alice=1, bob=1))
    for user_id in ("alice", "bob"):
        world.store.put("uploads", f"ocr/{user_id}/a.png")
    world.store.away = {"ocr/alice/"}
    world.leads.set()
    world.wait_for_reports(1)
    assert world.producer.requested_keys() == ["ocr/bob/a.png"]


def test_one_topped_up_user_who_cannot_be_listed_does_not_keep_the_others_waiting(worlds: list[World]) -> None:
    world = make(worlds, table_of(alice=0, bob=0), interval_seconds=0.01)
    world.store.put("uploads", "ocr/bob/b.png")
    world.leads.set()
    world.wait_for_reports(1)
    world.store.away = {"ocr/alice/"}
    world.top_up("alice", 50, version=2)
    world.wait_for(lambda: world.store.listed.count(("uploads", "ocr/alice/")) >= 2)

    world.top_up("bob", 50, version=2)
    world.wait_for_reports(len(world.producer.reports()) + 3)
    assert world.producer.requested_keys() == ["ocr/bob/b.png"]
    assert world.reconciler.problem() is None

    world.store.put("uploads", "ocr/alice/a.png")
    world.store.away = set()
    world.wait_for(lambda: "ocr/alice/a.png" in world.producer.requested_keys())


def test_topped_up_users_who_cannot_be_listed_and_others_in_turn_are_no_trouble_of_the_store(
    worlds: list[World],
) -> None:
    users = ["alice", "bob", "carol", "dave", "erin", "frank", "grace"]
    world = make(worlds, table_of(**dict.fromkeys(users, 0)))
    world.store.away = {f"ocr/{user_id}/" for user_id in ("alice", "carol", "erin", "grace")}
    for user_id in users:
        world.store.put("uploads", f"ocr/{user_id}/a.png")
        world.top_up(user_id, 50, version=2)
    world.reconciler._serve_top_ups(lambda: None)
    assert world.producer.requested_keys() == [f"ocr/{user_id}/a.png" for user_id in ("bob", "dave", "frank")]


def test_several_topped_up_users_in_a_row_who_cannot_be_listed_are_the_stores_trouble(worlds: list[World]) -> None:
    users = ["alice", "bob", "carol", "dave"]
    world = make(worlds, table_of(**dict.fromkeys(users, 0)))
    world.store.away = {"*"}
    for user_id in users:
        world.top_up(user_id, 50, version=2)
    with pytest.raises(StoreUnavailable):
        world.reconciler._serve_top_ups(lambda: None)
    assert world.store.listed == [("uploads", f"ocr/{user_id}/") for user_id in users[:3]]


def test_while_the_store_is_away_it_says_so_and_goes_on_afterwards(worlds: list[World]) -> None:
    world = make(worlds, table_of(alice=1))
    world.store.put("uploads", "ocr/alice/a.png")
    world.store.away = {"*"}
    world.leads.set()
    deadline = time.monotonic() + 5.0
    while world.reconciler.problem() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    world.store.away = set()
    world.wait_for_reports(1)
    assert world.producer.requested_keys() == ["ocr/alice/a.png"]
    assert world.reconciler.problem() is None
