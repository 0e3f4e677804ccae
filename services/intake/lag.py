"""How much waits on the upload lane: what the extractors have committed, against the ends of the partitions."""

import time
from collections.abc import Callable

from confluent_kafka import Consumer, KafkaException, TopicPartition

from schemas.topics import UPLOADS
from services.runtime import groups
from services.runtime.errors import BrokerUnavailable
from services.runtime.kafka import consumer_config, create_consumer, topic_name
from services.runtime.partition_ends import end_by_fetch
from services.runtime.settings import KafkaSettings

_TIMEOUT_SECONDS = 10.0


class UploadLag:
    """Looks at the extractors' group without joining it. One thread at a time."""

    def __init__(
        self, settings: KafkaSettings, age_seconds_max: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._topic = topic_name(settings, UPLOADS)
        self._age_seconds_max = age_seconds_max
        self._clock = clock
        self._consumer: Consumer | None = None
        self._measured: tuple[float, int] | None = None

    def __call__(self) -> int:
        """Records of `ocr.uploads` that no extractor has finished; at most `age_seconds_max` old.

        Raises:
            BrokerUnavailable: the broker did not answer, or the topic is absent.
        """
        now = self._clock()
        if self._measured is None or now - self._measured[0] > self._age_seconds_max:
            try:
                self._measured = (now, self._measure())
            except KafkaException as error:
                raise BrokerUnavailable(f"the upload lane's lag is unknown: {error}") from error
        return self._measured[1]

    def close(self) -> None:
        """Lets go of the broker."""
        if self._consumer is not None:
            self._consumer.close()

    def _measure(self) -> int:
        consumer = self._client()
        metadata = consumer.list_topics(self._topic, timeout=_TIMEOUT_SECONDS).topics[self._topic]
        if metadata.error is not None:
            raise KafkaException(metadata.error)
        asked = [TopicPartition(self._topic, number) for number in metadata.partitions]
        lag = 0
        for committed in consumer.committed(asked, timeout=_TIMEOUT_SECONDS):
            if committed.error is not None:
                raise KafkaException(committed.error)
            low, high = consumer.get_watermark_offsets(committed, timeout=_TIMEOUT_SECONDS)
            # A negative offset: nothing is committed, so nothing is finished.
            begin = max(low, committed.offset)
            if self._settings.embedded:
                high = max(high, end_by_fetch(consumer, self._topic, committed.partition, begin, _TIMEOUT_SECONDS))
            lag += max(0, high - begin)
        return lag

    def _client(self) -> Consumer:
        if self._consumer is None:
            config = consumer_config(self._settings, group=groups.EXTRACTOR, offset_reset="error")
            self._consumer = create_consumer(config | {"enable.partition.eof": True})
        return self._consumer
