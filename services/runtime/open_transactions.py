"""Partitions in which a transaction is open: whoever reads committed records alone waits at its first one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from services.runtime.kafka import create_admin
from services.runtime.settings import KafkaSettings

_TIMEOUT_SECONDS = 10.0

Place = tuple[str, int]
"""Topic and partition."""


@dataclass(frozen=True)
class OpenTransaction:
    """The oldest open transaction of a partition."""

    topic: str
    partition: int
    offset: int
    """Of its first record: the last stable offset of the partition."""


def offsets_at(
    admin: AdminClient,
    partitions: Iterable[TopicPartition],
    which: OffsetSpec,
    isolation: IsolationLevel,
    timeout_seconds: float,
) -> Mapping[Place, int]:
    """The offset of each partition that `which` names, as readers of this isolation level see it.

    Raises:
        KafkaException: the broker refused, or did not answer in time.
    """
    wanted = dict.fromkeys(partitions, which)
    if not wanted:
        return {}
    asked = admin.list_offsets(wanted, isolation_level=isolation, request_timeout=timeout_seconds)
    return {(each.topic, each.partition): int(found.result().offset) for each, found in asked.items()}


def find_open(
    admin: AdminClient, partitions: Iterable[TopicPartition], timeout_seconds: float
) -> list[OpenTransaction]:
    """The oldest open transaction of each partition that has one. Raises as `offsets_at`."""
    asked = list(partitions)
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    # The ends first: what a stable offset lies before then was open, and is not a record that came in between.
    ends = offsets_at(admin, asked, latest, IsolationLevel.READ_UNCOMMITTED, timeout_seconds)
    return open_between(offsets_at(admin, asked, latest, IsolationLevel.READ_COMMITTED, timeout_seconds), ends)


def find_open_in(settings: KafkaSettings, topics: Iterable[str]) -> list[OpenTransaction]:
    """The same for every partition of the topics of these names, as far as they are there."""
    admin = create_admin(settings)
    known = admin.list_topics(timeout=_TIMEOUT_SECONDS).topics
    partitions = [TopicPartition(name, number) for name in topics if name in known for number in known[name].partitions]
    return find_open(admin, partitions, _TIMEOUT_SECONDS)


def open_between(stable: Mapping[Place, int], ends: Mapping[Place, int]) -> list[OpenTransaction]:
    """What is open, from last stable offsets and the ends of the partitions; the ends were asked for first."""
    return [OpenTransaction(*place, offset) for place, offset in stable.items() if offset < ends[place]]


class Standing:
    """Remembers for how long each oldest open transaction has been seen."""

    def __init__(self) -> None:
        self._since: dict[Place, tuple[int, float]] = {}
        self._seen: set[Place] = set()

    def seconds(self, opened: Iterable[OpenTransaction], now: float) -> Mapping[Place, float]:
        """By place, for every partition where one was ever seen: 0 where there is none now."""
        since = {}
        for each in opened:
            place = (each.topic, each.partition)
            offset, first = self._since.get(place, (each.offset, now))
            since[place] = (each.offset, first if offset == each.offset else now)
        self._since = since
        self._seen |= since.keys()
        return {place: now - since[place][1] if place in since else 0.0 for place in self._seen}
