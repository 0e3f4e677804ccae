"""Admission trusts heartbeats: none comes before the balances it is about."""

from __future__ import annotations

from collections.abc import Collection
from typing import cast

from schemas.events import LedgerHeartbeat
from services.ledger.ends import Ends
from services.ledger.heartbeat import Heartbeats
from services.ledger.progress import Progress
from services.runtime.producing import EventProducer


class _Producer:
    def __init__(self) -> None:
        self.partitions: list[int] = []

    def send(self, _topic: object, _key: str, beat: LedgerHeartbeat, *, subject: str) -> None:
        assert subject == f"heartbeat/{beat.partition}"
        self.partitions.append(beat.partition)


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
