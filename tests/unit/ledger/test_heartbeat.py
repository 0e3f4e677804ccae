"""Admission trusts heartbeats: none comes before the balances it is about."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import cast

from schemas.events import LedgerHeartbeat
from services.ledger.ends import Ends
from services.ledger.heartbeat import Heartbeats
from services.ledger.progress import Progress
from services.runtime.errors import DatabaseUnavailable
from services.runtime.producing import EventProducer


class _Producer:
    def __init__(self) -> None:
        self.partitions: list[int] = []
        self.moments: list[datetime] = []

    def send(self, _topic: object, _key: str, beat: LedgerHeartbeat, *, subject: str) -> None:
        assert subject == f"heartbeat/{beat.partition}"
        self.partitions.append(beat.partition)
        self.moments.append(beat.posted_until)


class _Ends:
    def partition_count(self) -> int:
        return 2

    def highs(self, partitions: Collection[int]) -> dict[int, int]:
        return dict.fromkeys(partitions, 0)


def test_a_partition_that_may_not_beat_yet_beats_as_soon_as_it_may() -> None:
    producer, published = _Producer(), set[int]()
    heartbeats = Heartbeats(
        cast(EventProducer, producer),
        cast(Ends, _Ends()),
        interval_seconds=5,
        ask_the_broker=False,
        may_beat=lambda partition: partition != 0 or partition in published,
        clock=lambda: 100.0,
    )
    owned = {number: Progress(next_offset=0, end_seen=0) for number in range(2)}
    heartbeats.beat(owned)
    assert producer.partitions == [1]
    published.add(0)
    heartbeats.beat(owned)
    assert producer.partitions == [1, 0]


def test_no_heartbeat_overtakes_the_balances_of_what_it_says_is_posted() -> None:
    producer, waiting, clock = _Producer(), [(3, 4)], [100.0]
    heartbeats = Heartbeats(
        cast(EventProducer, producer),
        cast(Ends, _Ends()),
        interval_seconds=5,
        ask_the_broker=False,
        unpublished=lambda: waiting[0],
        now=lambda: datetime.fromtimestamp(clock[0], UTC),
        clock=lambda: clock[0],
    )
    owned = {0: Progress(next_offset=0, end_seen=0)}

    def beat_at(moment: float, rows: tuple[int, int]) -> list[datetime]:
        clock[0], waiting[0] = moment, rows
        heartbeats.beat(owned)
        return producer.moments

    assert beat_at(100, (3, 4)) == []
    assert beat_at(101, (4, 9)) == [], "one of the two is still to be published"
    told = beat_at(102, (5, 9))
    assert [each.timestamp() for each in told] == [100], "what came behind them is not waited for, nor spoken of"


def test_a_database_that_is_away_leaves_no_heartbeat_to_trust() -> None:
    producer, clock = _Producer(), [100.0]
    away = [True]

    def unpublished() -> None:
        if away[0]:
            raise DatabaseUnavailable("away")

    heartbeats = Heartbeats(
        cast(EventProducer, producer),
        cast(Ends, _Ends()),
        interval_seconds=5,
        ask_the_broker=False,
        unpublished=unpublished,
        clock=lambda: clock[0],
    )
    owned = {0: Progress(next_offset=0, end_seen=0)}
    heartbeats.beat(owned)
    assert producer.partitions == []
    away[0] = False
    clock[0] += 5
    heartbeats.beat(owned)
    assert producer.partitions == [0]
