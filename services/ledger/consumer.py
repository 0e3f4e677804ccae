"""`ocr.usage` from where SQL says that it is posted, whatever the group has committed."""

import logging
import time
from collections.abc import Callable, Collection

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, Message, TopicPartition

from services.ledger.offsets import Position
from services.ledger.progress import Progress
from services.runtime.errors import DatabaseUnavailable

_log = logging.getLogger(__name__)

Locate = Callable[[Collection[int]], dict[int, Position]]
"""Where partitions stand in SQL; those of which nothing was ever posted are missing."""


class UsageConsumer:
    """Owns partitions, and gathers their records in order. One thread, the callbacks included.

    A partition is `owned` from the moment its place in SQL is known. Until then (the database is away), and after
    the place turned out to be wrong, it is adrift: its records are thrown away, and read again once it is placed.
    """

    def __init__(self, consumer: Consumer, topic: str, locate: Locate) -> None:
        self._consumer = consumer
        self._topic = topic
        self._locate = locate
        self._adrift: set[int] = set()
        self._gathered: list[Message] = []
        self._held = False
        self.owned: dict[int, Progress] = {}
        self.assigned = False

    def start(self) -> None:
        """Joins the group."""
        self._consumer.subscribe(
            [self._topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke
        )

    def close(self) -> None:
        """Leaves the group."""
        self._consumer.close()

    def gather(self, records_max: int, wait_seconds: float) -> list[Message]:
        """What is there, in order, less what belongs to partitions lost on the way; waits for a first record."""
        self._gathered = []
        message = self._consumer.poll(wait_seconds)
        while message is not None:
            self._take(message)
            if len(self._gathered) >= records_max:
                break
            message = self._consumer.poll(0)
        gathered, self._gathered = self._gathered, []
        return gathered

    def hold(self, seconds: float) -> None:
        """Stays in the group for a while without reading on: what was gathered cannot be posted yet."""
        if not self._held:
            self._held = True
            self._consumer.pause(self._consumer.assignment())
        deadline = time.monotonic() + seconds
        while (remaining := deadline - time.monotonic()) > 0:
            message = self._consumer.poll(remaining)
            if message is not None and message.error() is None:
                self.set_adrift([int(message.partition() or 0)])

    def release(self) -> None:
        """Reads on."""
        if self._held:
            self._held = False
            self._consumer.resume(self._consumer.assignment())

    def set_adrift(self, partitions: Collection[int]) -> None:
        """Forgets what is known of these partitions; `settle` places them anew."""
        self._forget(partitions)
        self._adrift.update(partitions)

    def settle(self) -> None:
        """Places the partitions that are adrift.

        Raises:
            DatabaseUnavailable: they stay adrift.
        """
        if not self._adrift:
            return
        partitions = sorted(self._adrift)
        placed = self._place(partitions)
        self._consumer.incremental_unassign([TopicPartition(self._topic, number) for number in partitions])
        self._assign(placed)
        self._adrift.clear()

    def _on_assign(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        numbers = [partition.partition for partition in partitions]
        try:
            placed = self._place(numbers)
        except DatabaseUnavailable as error:
            _log.warning("partitions assigned while the database is away: %s", error, extra={"partitions": numbers})
            placed = [TopicPartition(self._topic, number, OFFSET_END) for number in numbers]
            self.set_adrift(numbers)
        self._assign(placed)
        self.assigned = True
        _log.info("assigned", extra={"partitions": numbers, "owned": sorted(self.owned)})

    def _on_revoke(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        numbers = {partition.partition for partition in partitions}
        self._forget(numbers)
        self._adrift -= numbers
        # Paused stays paused across an assignment: a partition that comes back after `release` would stand still.
        self._consumer.resume(partitions)
        self._consumer.incremental_unassign(partitions)
        _log.info("revoked", extra={"partitions": sorted(numbers), "owned": sorted(self.owned)})

    def _forget(self, partitions: Collection[int]) -> None:
        for number in partitions:
            self.owned.pop(number, None)
        self._gathered = [message for message in self._gathered if message.partition() not in partitions]

    def _place(self, partitions: Collection[int]) -> list[TopicPartition]:
        """Takes these partitions as owned, at the place that SQL gives each."""
        positions = self._locate(partitions)
        placed = []
        for number in partitions:
            position = positions.get(number)
            self.owned[number] = (
                Progress(position.next_offset, position.posted_until) if position else Progress(next_offset=None)
            )
            offset = position.next_offset if position else OFFSET_BEGINNING
            placed.append(TopicPartition(self._topic, number, offset))
        return placed

    def _assign(self, partitions: list[TopicPartition]) -> None:
        # A seek inside the callback fails: the fetchers do not run yet.
        self._consumer.incremental_assign(partitions)
        if self._held:
            self._consumer.pause(partitions)

    def _take(self, message: Message) -> None:
        number = int(message.partition() or 0)
        error = message.error()
        if error is not None:
            self._take_error(number, message, error)
            return
        progress = self.owned.get(number)
        offset = int(message.offset() or 0)
        if progress is None or (progress.next_offset is not None and offset < progress.next_offset):
            return
        progress.record_read()
        self._gathered.append(message)

    def _take_error(self, number: int, message: Message, error: KafkaError) -> None:
        if error.code() == KafkaError._PARTITION_EOF:
            if number in self.owned:
                self.owned[number].end_read(int(message.offset() or 0))
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:
            _log.error("the stored offset of partition %d is not in the topic: %s", number, error.str())
            self.set_adrift([number])
        elif error.fatal():
            raise KafkaException(error)
        else:
            _log.warning("reading usage: %s", error.str(), extra={"kafka_code": error.name()})
