"""The two lanes as one consumer: which partitions are held, how far they are read ahead, and fenced how."""

import logging
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.topics import REQUESTS, UPLOADS
from services.extractor.jobs import Partition
from services.extractor.lanes import Lane
from services.extractor.read_ahead import ReadAhead
from services.extractor.starts import StartCounter
from services.runtime import groups
from services.runtime.errors import Halt, TransientError
from services.runtime.kafka import Fetching, consumer_config, create_consumer, topic_name
from services.runtime.settings import KafkaSettings

_log = logging.getLogger(__name__)

_AHEAD_RECORDS_MAX = 16
"""Of a partition. A few hundred bytes each, so that what is fetched again after a pause is little beside it."""
_READ_AT_ONCE_MAX = 64
"""Then what was read is looked at first."""


def metadata_without_membership(settings: KafkaSettings) -> Any:
    """The group as one names it who is no member: for offsets of a transaction that will be aborted."""
    consumer = create_consumer(consumer_config(settings, group=groups.EXTRACTOR, offset_reset="error"))
    try:
        return consumer.consumer_group_metadata()
    finally:
        consumer.close()


class LaneConsumer:
    """At most one record of a partition is out at a time. Callbacks only drop and resume."""

    def __init__(self, settings: KafkaSettings, on_drop: Callable[[Partition], None]) -> None:
        self._lanes = {topic_name(settings, REQUESTS): Lane.WAITING, topic_name(settings, UPLOADS): Lane.UPLOAD}
        config = consumer_config(settings, group=groups.EXTRACTOR, offset_reset="error", fetching=Fetching.AHEAD)
        self._consumer: Consumer = create_consumer(config)
        self._on_drop = on_drop
        self._held: set[Partition] = set()
        self._accepting = True
        self._ahead: ReadAhead[Message] = ReadAhead(_AHEAD_RECORDS_MAX)
        self.starts = StartCounter(lambda: self._consumer)
        self.group_metadata: Any | None = None
        """Taken anew in each assignment callback and nowhere else; None: publish nothing."""

    def subscribe(self) -> None:
        """Joins the group."""
        self._consumer.subscribe(
            list(self._lanes), on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost
        )

    @property
    def joined(self) -> bool:
        """Whether it is a member of the group, with or without partitions."""
        return self.group_metadata is not None

    def lane(self, topic: str) -> Lane:
        """The lane of a topic's name on the broker."""
        return self._lanes[topic]

    def receive(self, timeout_seconds: float) -> list[Message]:
        """The next record of each partition that has none out; out until `finished` or `rewind`. Serves the callbacks.

        Waits up to `timeout_seconds` if there is none to begin with.

        Raises:
            Halt: the group has no offset where it should have one.
            TransientError: the broker is away, or the topics are not there yet.
        """
        # Read first, take afterwards: what a callback revokes in between is not among what is taken.
        self._read(0.0 if self._ahead.is_ready else timeout_seconds)
        return self._ahead.take() if self._accepting else []

    def finished(self, partition: Partition) -> None:
        """The partition's record is finished: the next may come."""
        if self._ahead.finished(partition):
            self._resume(partition)

    def rewind(self, partition: Partition, offset: int) -> None:
        """Gives a record back unfinished, to be delivered again."""
        self._ahead.drop(partition)
        if partition in self._held:
            self._consumer.seek(TopicPartition(*partition, offset))
            self._resume(partition)

    def stop_accepting(self) -> None:
        """Takes no further records while those out are finished."""
        self._accepting = False
        self._ahead.drop_waiting()
        self._consumer.pause([TopicPartition(*partition) for partition in self._held])

    def close(self) -> None:
        """Leaves the group; what is out is dropped."""
        self.group_metadata = None
        self._consumer.close()

    def _read(self, timeout_seconds: float) -> None:
        for _ in range(_READ_AT_ONCE_MAX):
            message = self._consumer.poll(timeout_seconds)
            if message is None:
                return
            error = message.error()
            if error is not None:
                self._raise(error)
            partition = (str(message.topic()), int(message.partition() or 0))
            if self._ahead.add(partition, message):
                self._consumer.pause([TopicPartition(*partition)])
            timeout_seconds = 0.0

    def _resume(self, partition: Partition) -> None:
        if partition in self._held and self._accepting:
            self._consumer.resume([TopicPartition(*partition)])

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        consumer.incremental_assign(partitions)
        for partition in _names(partitions):
            self._held.add(partition)
            self.starts.assigned(partition)
        if not self._accepting and partitions:
            consumer.pause(partitions)
        # Without a member id the generation is -1, which the broker does not fence.
        self.group_metadata = consumer.consumer_group_metadata() if consumer.memberid() else None
        _log.info("assigned", extra={"partitions": _names(partitions), "held": len(self._held)})

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        for partition in _names(partitions):
            self._on_drop(partition)
        try:
            self.starts.take_back(_names(partitions))
        except KafkaException as error:
            _log.warning("starts could not be taken back", extra={"reason": str(error)})
        self._release(consumer, partitions)

    def _lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.group_metadata = None
        for partition in _names(partitions):
            self._on_drop(partition)
        self._release(consumer, partitions)

    def _release(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        for partition in _names(partitions):
            self._ahead.drop(partition)
        # Paused stays paused across an assignment: a partition that comes back would stand still.
        consumer.resume(partitions)
        consumer.incremental_unassign(partitions)
        self._held.difference_update(_names(partitions))
        _log.info("released", extra={"partitions": _names(partitions), "held": len(self._held)})

    def _raise(self, error: KafkaError) -> None:
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise Halt(
                f"the group has no valid offset on one of its partitions ({error.str()}), as after a week of "
                "standstill; `ocr-services skip-to-end` begins at the end, and the sweeps find what was skipped"
            )
        if error.fatal():
            raise KafkaException(error)
        raise TransientError(error.str())


def _names(partitions: list[TopicPartition]) -> list[Partition]:
    return [(partition.topic, partition.partition) for partition in partitions]
