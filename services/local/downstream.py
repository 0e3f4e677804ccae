"""A consumer of the kind that never talks to the API: it reads the topics of results, usage and the ledger."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from schemas.cloudevents import Decoded, decode
from schemas.topics import BALANCES, ENTRIES, RESULTS, USAGE, Topic
from services.runtime.kafka import common_config, topic_name
from services.runtime.settings import KafkaSettings

WATCHED: tuple[Topic, ...] = (RESULTS, USAGE, ENTRIES, BALANCES)

_POLL_SECONDS = 0.1
_METADATA_SECONDS_MAX = 10.0


@dataclass(frozen=True)
class Seen:
    """An event, where it stood, and when it was seen (by the monotonic clock, in seconds)."""

    topic: str
    partition: int
    offset: int
    event: Decoded
    at: float


class Downstream:
    """Reads every partition of the watched topics from the beginning, in a thread, and remembers what it saw."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._consumer = Consumer(
            common_config(settings)
            | {
                "group.id": f"{settings.topic_prefix}demo",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 10,
            }
        )
        self._names = {topic_name(settings, topic): topic.name for topic in WATCHED}
        self._seen: list[Seen] = []
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="downstream", daemon=True)

    def start(self) -> None:
        """Begins to read."""
        metadata = self._consumer.list_topics(timeout=_METADATA_SECONDS_MAX).topics
        self._consumer.assign(
            [
                TopicPartition(name, partition, OFFSET_BEGINNING)
                for name in self._names
                for partition in metadata[name].partitions
            ]
        )
        self._thread.start()

    def close(self) -> None:
        """Stops reading."""
        self._stopping.set()
        self._thread.join(5.0)
        self._consumer.close()

    def wait_for(self, wanted: Callable[[Seen], bool], seconds_max: float) -> Seen | None:
        """The first event seen so far, or within the time, that is wanted; None when the time runs out."""
        deadline = time.monotonic() + seconds_max
        with self._changed:
            while True:
                for seen in self._seen:
                    if wanted(seen):
                        return seen
                left_seconds = deadline - time.monotonic()
                if left_seconds <= 0:
                    return None
                self._changed.wait(left_seconds)

    def seen(self) -> list[Seen]:
        """What was seen so far, in that order."""
        with self._changed:
            return list(self._seen)

    def _run(self) -> None:
        while not self._stopping.is_set():
            message = self._consumer.poll(_POLL_SECONDS)
            if message is None or message.error() is not None:
                continue
            topic, partition, offset = message.topic(), message.partition(), message.offset()
            assert topic is not None
            assert partition is not None
            assert offset is not None
            event = decode(message.headers(), message.value())
            with self._changed:
                self._seen.append(Seen(self._names[topic], partition, offset, event, time.monotonic()))
                self._changed.notify_all()
