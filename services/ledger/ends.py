"""Where partitions begin and end, as the broker says now: one request for all of them."""

from collections.abc import Collection
from concurrent.futures import wait
from dataclasses import dataclass

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from services.runtime.errors import BrokerUnavailable

_EARLIEST: OffsetSpec = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
_LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Extent:
    """The offsets that a partition holds: from `low` up to, not including, `high`."""

    low: int
    high: int


class Ends:
    """Asks the broker for the ends of partitions of one topic."""

    def __init__(self, admin: AdminClient, topic: str, timeout_seconds: float = 5.0) -> None:
        self._admin = admin
        self._topic = topic
        self._timeout_seconds = timeout_seconds

    def highs(self, partitions: Collection[int]) -> dict[int, int]:
        """Where each partition ends, open transactions included; partitions without an answer are missing."""
        return self._ask(partitions, _LATEST)

    def extents(self, partitions: Collection[int]) -> dict[int, Extent]:
        """What each partition holds, open transactions included; partitions without an answer are missing."""
        lows = self._ask(partitions, _EARLIEST)
        highs = self._ask(partitions, _LATEST)
        return {number: Extent(low, highs[number]) for number, low in lows.items() if number in highs}

    def partition_count(self) -> int:
        """How many partitions the topic has.

        Raises:
            BrokerUnavailable: the broker did not say.
        """
        try:
            metadata = self._admin.list_topics(self._topic, timeout=self._timeout_seconds).topics[self._topic]
        except KafkaException as error:
            raise BrokerUnavailable(str(error)) from error
        if metadata.error is not None or not metadata.partitions:
            raise BrokerUnavailable(f"no partitions of {self._topic}: {metadata.error}")
        return len(metadata.partitions)

    def _ask(self, partitions: Collection[int], spec: OffsetSpec) -> dict[int, int]:
        if not partitions:
            return {}
        asked = {TopicPartition(self._topic, number): spec for number in partitions}
        futures = self._admin.list_offsets(
            asked, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=self._timeout_seconds
        )
        wait(futures.values(), self._timeout_seconds + 1)
        return {
            asked_for.partition: future.result().offset
            for asked_for, future in futures.items()
            if future.done() and future.exception() is None
        }
