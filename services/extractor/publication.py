"""Finished records, published in batches: results, usage and offsets of all of them in one transaction."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from confluent_kafka import TopicPartition

from services.extractor.jobs import Job, Partition
from services.runtime.transactions import Record, TransactionAborted, TransactionalPublisher

_ABORTED_PAUSE_SECONDS = 0.2
_GATHER_SECONDS_EACH = 0.002
_GATHER_SECONDS_MAX = 0.025
"""A transaction costs the broker about as much for ten records as for one: others that are open may join it. The more
are open, the more are worth waiting for; a record that is open alone waits for nobody."""


@dataclass(frozen=True)
class Finished:
    """A record whose offset may be committed, with what is published along; no job if it was undecodable."""

    offset: int
    records: list[Record]
    job: Job | None


class Publication:
    """What waits for the next transaction, one record a partition."""

    def __init__(self, publisher: TransactionalPublisher, clock: Callable[[], float] = time.monotonic) -> None:
        self._publisher = publisher
        self._clock = clock
        self._waiting: dict[Partition, Finished] = {}
        self._not_before = 0.0
        self._waiting_since = 0.0
        self.problem: str | None = None
        """Why the last transaction was aborted; None after one that was not."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting

    @property
    def partitions(self) -> list[Partition]:
        """Those with a record that waits, or whose transaction's fate is unknown."""
        return list(self._waiting)

    def add(self, partition: Partition, finished: Finished) -> None:
        """The record of this partition is finished."""
        if not self._waiting:
            self._waiting_since = self._clock()
        self._waiting[partition] = finished

    def drop(self, partition: Partition) -> None:
        """The partition is no longer ours: whoever owns it now finishes its record."""
        self._waiting.pop(partition, None)

    def publish(self, group_metadata: Any | None, open_records: int) -> dict[Partition, Finished]:
        """Publishes what waits and returns it; without a membership, or after an abort, nothing for now.

        While more than what waits is open it waits a little, so that they share a transaction.

        Raises:
            ProducerLost: the transaction's fate is unknown.
        """
        now = self._clock()
        if not self._waiting or group_metadata is None or now < self._not_before:
            return {}
        gather_seconds = min(_GATHER_SECONDS_EACH * open_records, _GATHER_SECONDS_MAX)
        if open_records > len(self._waiting) and now < self._waiting_since + gather_seconds:
            return {}
        batch = dict(self._waiting)
        records = [record for finished in batch.values() for record in finished.records]
        offsets = [TopicPartition(*partition, finished.offset + 1) for partition, finished in batch.items()]
        try:
            self._publisher.publish(records, offsets, group_metadata)
        except TransactionAborted as error:
            # What is still held after the next poll is published again, under the generation of that time.
            self.problem = str(error)
            self._not_before = self._clock() + _ABORTED_PAUSE_SECONDS
            return {}
        self.problem = None
        self._waiting.clear()
        return batch
