"""The replies: follows every partition of `ocr.results` from its end and wakes those who wait."""

import asyncio
import logging
import threading
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition

from schemas.cloudevents import Undecodable, decode
from schemas.events import ResultCompleted, ResultFailed, ResultRefused
from schemas.topics import RESULTS
from services.api.waiters import Waiters
from services.runtime.kafka import consumer_config, create_consumer, topic_name
from services.runtime.settings import KafkaSettings

_log = logging.getLogger(__name__)

_POLL_SECONDS = 0.2
_BROKER_SECONDS_MAX = 5.0
_RESTART_SECONDS = 0.5


class ReplyReader:
    """Reads replies in a thread of its own. Commits nothing and is in no group: every replica sees them all."""

    def __init__(self, settings: KafkaSettings, waiters: Waiters, inspection_seconds: float) -> None:
        self._settings = settings
        self._inspection_seconds = inspection_seconds
        self._waiters = waiters
        self._topic = topic_name(settings, RESULTS)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = threading.Event()
        self._problem: str | None = "the replies are not read yet"
        self._thread = threading.Thread(target=self._run, name="replies", daemon=True)

    def start(self) -> None:
        """Begins to read; call it from the event loop whose waiters are to be woken."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def close(self) -> None:
        """Stops reading."""
        self._stopping.set()
        self._thread.join(5.0)

    def problem(self) -> str | None:
        """None once every partition is assigned at its end, else what keeps it."""
        return self._problem

    def stopped(self) -> str | None:
        """None while the thread runs."""
        return None if self._thread.is_alive() else "the replies are not read any more"

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._follow()
            except KafkaException as error:
                self._problem = f"the replies cannot be read: {error}"
                _log.warning(self._problem)
                self._stopping.wait(_RESTART_SECONDS)

    def _follow(self) -> None:
        # The group's name only satisfies the client. A position that the broker no longer knows means that the
        # topic was made anew: then everything in it is new to us.
        config = consumer_config(self._settings, group="ocr-replies", offset_reset="earliest")
        consumer = create_consumer(config)
        try:
            assigned = self._assign_ends(consumer)
            self._problem = None
            # What was published before this moment was not read: whoever waits looks for the document instead.
            self._on_loop(self._waiters.missed)
            inspect_at = time.monotonic() + self._inspection_seconds
            while not self._stopping.is_set():
                message = consumer.poll(_POLL_SECONDS)
                if message is not None:
                    self._take(message)
                if time.monotonic() >= inspect_at:
                    assigned |= self._adopt_new_partitions(consumer, assigned)
                    inspect_at = time.monotonic() + self._inspection_seconds
        finally:
            consumer.close()

    def _assign_ends(self, consumer: Consumer) -> set[int]:
        """Assigns every partition at the offset that is its end *now*.

        The logical end would be looked up some time later, and what is published until then would be missed.
        """
        numbers = self._partitions(consumer)
        ends = [
            TopicPartition(
                self._topic,
                number,
                consumer.get_watermark_offsets(TopicPartition(self._topic, number), timeout=_BROKER_SECONDS_MAX)[1],
            )
            for number in numbers
        ]
        consumer.assign(ends)
        return numbers

    def _adopt_new_partitions(self, consumer: Consumer, assigned: set[int]) -> set[int]:
        """Partitions that were added meanwhile are read from their beginning: all in them is new."""
        try:
            new = self._partitions(consumer) - assigned
        except KafkaException as error:
            # The broker is away; the assignment holds, and the client reconnects by itself.
            _log.warning("cannot look for new partitions: %s", error)
            return set()
        if new:
            consumer.incremental_assign([TopicPartition(self._topic, number, OFFSET_BEGINNING) for number in new])
            _log.info("new partitions", extra={"topic": self._topic, "partitions": sorted(new)})
        return new

    def _partitions(self, consumer: Consumer) -> set[int]:
        metadata = consumer.list_topics(self._topic, timeout=_BROKER_SECONDS_MAX).topics[self._topic]
        if metadata.error is not None:
            raise KafkaException(metadata.error)
        return set(metadata.partitions)

    def _take(self, message: Message) -> None:
        error = message.error()
        if error is not None:
            raise KafkaException(error)
        key = message.key()
        # The key is the result id: replies that nobody here waits for, most of them, need no decoding.
        if key is None or not self._waiters.is_awaited(str(key, "utf-8", "replace")):
            return
        try:
            event = decode(message.headers(), message.value()).data
        except Undecodable as problem:
            _log.warning("undecodable reply", extra={"reason": str(problem), "offset": message.offset()})
            return
        if isinstance(event, ResultCompleted | ResultFailed | ResultRefused):
            self._on_loop(self._waiters.resolve, event)

    def _on_loop(self, callback: object, *arguments: object) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(callback, *arguments)  # type: ignore[arg-type]
        except RuntimeError:
            # The loop is closed: nobody waits any more.
            self._stopping.set()
