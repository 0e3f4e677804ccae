"""Which replica reconciles: the owner of the single partition of `ocr.sweeps`."""

import logging
import threading
import time
from collections.abc import Callable

from confluent_kafka import Consumer, KafkaException, TopicPartition

from schemas.topics import SWEEPS
from services.runtime import groups
from services.runtime.kafka import consumer_config, create_consumer, topic_name
from services.runtime.settings import KafkaSettings

_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.2


class Leadership:
    """Joins the reconcilers' group. One thread runs it; others ask `held`, which ends the moment it is lost."""

    def __init__(self, settings: KafkaSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._owned = threading.Event()
        self._polled_at = clock()
        # A replica that slept longer than this may have been replaced without having been told yet.
        self._trust_seconds = settings.session_timeout_ms / 1000

    def held(self) -> bool:
        """Whether this replica reconciles now."""
        return self._owned.is_set() and self._clock() - self._polled_at < self._trust_seconds

    def won(self) -> None:
        """From now on this replica reconciles."""
        self._polled_at = self._clock()
        self._owned.set()
        _log.info("this replica reconciles")

    def run(self, stopping: Callable[[], bool], tick: Callable[[], None]) -> None:
        """Keeps the membership until `stopping`.

        Raises:
            KafkaException: the client cannot go on.
        """
        consumer = create_consumer(consumer_config(self._settings, group=groups.RECONCILER, offset_reset="latest"))
        topic = topic_name(self._settings, SWEEPS)
        try:
            consumer.subscribe([topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)
            while not stopping():
                tick()
                # The reports themselves are of no interest here: polling keeps the membership.
                message = consumer.poll(_POLL_SECONDS)
                self._polled_at = self._clock()
                if message is not None and (error := message.error()) is not None:
                    if error.fatal():
                        raise KafkaException(error)
                    _log.warning("leadership: %s", error.str())
        finally:
            self._owned.clear()
            consumer.close()

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        consumer.incremental_assign(partitions)
        if partitions:
            self.won()

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if partitions:
            self._owned.clear()
            _log.info("this replica reconciles no longer")
        consumer.incremental_unassign(partitions)
