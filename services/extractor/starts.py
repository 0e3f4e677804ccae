"""Documents that take the whole parent along: their starts are counted in the committed offset's metadata.

The record that was open when a parent died is the first of its partition after the next assignment. Its second
start makes it a suspect that runs alone; only starts while alone count against it, and a revocation, which is
nobody's death, takes the count back. The embedded broker returns no metadata: there nothing is counted.
"""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaException, TopicPartition

from services.extractor.jobs import Partition

_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class Starts:
    """How often the record at `offset` was begun, and how often of these alone."""

    offset: int
    begun: int = 0
    alone: int = 0

    @property
    def suspect(self) -> bool:
        """Whether it was begun before and never finished."""
        return self.begun > 0

    def to_metadata(self) -> str:
        """As it stands in the committed offset's metadata."""
        return json.dumps({"begun": self.begun, "alone": self.alone}, separators=(",", ":"))


def parse_metadata(offset: int, metadata: str | None) -> Starts:
    """The counts for the record at `offset`; none where the metadata is empty or somebody else's."""
    try:
        counts = json.loads(metadata or "{}")
        return Starts(offset, max(0, int(counts.get("begun", 0))), max(0, int(counts.get("alone", 0))))
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return Starts(offset)


class StartCounter:
    """Counts the starts of first records. Each call that raises `KafkaException` may be repeated."""

    def __init__(self, consumer: Callable[[], Consumer]) -> None:
        self._consumer = consumer
        self._fresh: set[Partition] = set()
        self._before: dict[Partition, Starts] = {}

    def assigned(self, partition: Partition) -> None:
        """The next record of this partition is its first after an assignment."""
        self._fresh.add(partition)
        self._before.pop(partition, None)

    def begin(self, partition: Partition, offset: int) -> Starts:
        """Counts the start of a record, if it is the first, and returns the counts from before."""
        if partition not in self._fresh:
            return Starts(offset)
        asked = [TopicPartition(partition[0], partition[1])]
        committed = self._consumer().committed(asked, timeout=_TIMEOUT_SECONDS)[0]
        before = parse_metadata(offset, committed.metadata if committed.offset == offset else None)
        self._commit({partition: Starts(offset, before.begun + 1, before.alone)})
        self._fresh.discard(partition)
        self._before[partition] = before
        return before

    def alone(self, partition: Partition) -> int:
        """Counts that a suspect now runs alone, before it does; returns how often it did before."""
        before = self._before[partition]
        self._commit({partition: Starts(before.offset, before.begun + 1, before.alone + 1)})
        return before.alone

    def finished(self, partition: Partition) -> None:
        """The record's offset is committed, or may be: its counts are history."""
        self._before.pop(partition, None)

    def take_back(self, partitions: Collection[Partition]) -> None:
        """The partitions are revoked: starts of first records that are open do not count."""
        before = {each: self._before.pop(each) for each in partitions if each in self._before}
        if before:
            self._commit(before)

    def _commit(self, starts: Mapping[Partition, Starts]) -> None:
        # In one request: while the broker is away each one waits for as long as a session lasts.
        positions = [TopicPartition(*at, each.offset, each.to_metadata()) for at, each in starts.items()]
        for committed in self._consumer().commit(offsets=positions, asynchronous=False) or ():
            if committed.error is not None:
                raise KafkaException(committed.error)
