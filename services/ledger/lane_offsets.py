"""Which requests are done with: what the extractor's group has committed, and what the lanes still hold."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from services.runtime import groups
from services.runtime.errors import BrokerUnavailable
from services.runtime.kafka import consumer_config, create_consumer, error_code
from services.runtime.partition_ends import end_by_fetch
from services.runtime.settings import KafkaSettings

_TIMEOUT_SECONDS = 10.0
_NOT_THERE = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION}


@dataclass(frozen=True, order=True)
class Place:
    """A record's place on the broker."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True)
class LaneState:
    """One partition of a lane: the extractor's committed offset (None: none), and what the partition holds."""

    committed: int | None
    low: int
    high: int

    def is_done(self, offset: int) -> bool:
        """Whether the record that stood at `offset` will never be worked on any more.

        The group is past it; or it expired; or the topic ends before it, and so is not the one it stood in.
        """
        passed = self.committed is not None and self.committed > offset
        return passed or self.low > offset or self.high <= offset


class LaneOffsets:
    """Asks the broker, on behalf of the extractor's group, without joining it."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings

    def done(self, places: Collection[Place]) -> set[Place]:
        """Those of `places` whose record will never be worked on any more.

        Raises:
            BrokerUnavailable: the broker did not answer; nothing can be said.
        """
        if not places:
            return set()
        with self._consumer() as consumer:
            states = {
                partition: _state(consumer, *partition, by_fetch=self._settings.embedded)
                for partition in sorted({(place.topic, place.partition) for place in places})
            }
        return {place for place in places if _is_done(states[place.topic, place.partition], place.offset)}

    @contextmanager
    def _consumer(self) -> Iterator[Consumer]:
        config = consumer_config(self._settings, group=groups.EXTRACTOR, offset_reset="error")
        # What a transaction holds that is still open is there, too.
        consumer = create_consumer(config | {"isolation.level": "read_uncommitted", "enable.partition.eof": True})
        try:
            yield consumer
        except KafkaException as error:
            raise BrokerUnavailable(str(error)) from error
        finally:
            consumer.close()


def _is_done(state: LaneState | None, offset: int) -> bool:
    return state is None or state.is_done(offset)


def _state(consumer: Consumer, topic: str, partition: int, *, by_fetch: bool) -> LaneState | None:
    """None for a partition that does not exist: its records are gone with it."""
    where = TopicPartition(topic, partition)
    try:
        low, high = consumer.get_watermark_offsets(where, timeout=_TIMEOUT_SECONDS)
    except KafkaException as error:
        if error_code(error) in _NOT_THERE:
            return None
        raise
    if by_fetch:
        high = max(high, end_by_fetch(consumer, topic, partition, OFFSET_BEGINNING, _TIMEOUT_SECONDS))
    committed = consumer.committed([where], timeout=_TIMEOUT_SECONDS)[0].offset
    return LaneState(committed if committed >= 0 else None, low, high)
