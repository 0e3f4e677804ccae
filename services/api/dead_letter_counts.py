"""How many dead letters there are: counted, since offsets count the ends of transactions as well."""

import time
from collections.abc import Iterator, Mapping

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from schemas.topics import TOPICS
from services.runtime.kafka import consumer_config, create_consumer, dead_letters_name
from services.runtime.open_transactions import Place
from services.runtime.settings import KafkaSettings

_POLL_SECONDS = 0.5


class DeadLetterCounts:
    """Remembers where it saw a dead letter, so that only new ones are read. Blocking, one thread at a time."""

    def __init__(self, settings: KafkaSettings, seconds_max: float) -> None:
        """seconds_max: for reading what is new; what is left then is read the next time."""
        self._settings = settings
        self._seconds_max = seconds_max
        self._read_to: dict[Place, int] = {}
        self._seen: dict[Place, list[int]] = {}

    def count(self, begins: Mapping[Place, int], ends: Mapping[Place, int]) -> Mapping[str, int]:
        """Records by the topic they come from, of every topic that has any.

        begins, ends: first and next committed offset of every partition, of these topics and of others.

        Raises:
            KafkaException: the broker refused.
        """
        topics = {dead_letters_name(self._settings, topic): topic.name for topic in TOPICS}
        places = [place for place in ends if place[0] in topics]
        self._read({place: ends[place] for place in places if self._read_to.get(place, begins[place]) < ends[place]})
        counts: dict[str, int] = {}
        for place in places:
            # Old ones are deleted by the broker.
            kept = [offset for offset in self._seen.get(place, ()) if offset >= begins[place]]
            self._seen[place] = kept
            if kept:
                counts[topics[place[0]]] = counts.get(topics[place[0]], 0) + len(kept)
        return counts

    def _read(self, ends: Mapping[Place, int]) -> None:
        if not ends:
            return
        config = consumer_config(self._settings, group="ocr-dead-letters", offset_reset="earliest")
        consumer = create_consumer(config | {"enable.partition.eof": True})
        try:
            consumer.assign([TopicPartition(*place, self._read_to.get(place, 0)) for place in ends])
            unfinished, deadline = set(ends), time.monotonic() + self._seconds_max
            while unfinished and (left := deadline - time.monotonic()) > 0:
                message = consumer.poll(min(left, _POLL_SECONDS))
                if message is not None:
                    unfinished -= set(self._noted(message, ends))
        finally:
            consumer.close()

    def _noted(self, message: Message, ends: Mapping[Place, int]) -> Iterator[Place]:
        """Notes one record; yields its partition where that is read to its end."""
        place = str(message.topic()), int(message.partition() or 0)
        error = message.error()
        if error is None:
            offset = int(message.offset() or 0)
            self._seen.setdefault(place, []).append(offset)
            self._read_to[place] = offset + 1
        elif error.code() == KafkaError._PARTITION_EOF:
            self._read_to[place] = max(self._read_to.get(place, 0), ends[place])
            yield place
        else:
            raise KafkaException(error)
