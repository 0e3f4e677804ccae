"""From results to deliveries: reads `ocr.results` in a group of its own, writes, then commits.

1. What the results' users have registered is looked up.
2. Deliveries are written, each under an id that follows from webhook and result: twice is once.
3. The offsets are committed. A crash before that repeats 1 and 2, to no effect.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition
from sqlalchemy import Engine

from schemas.cloudevents import Undecodable, decode
from schemas.events import ResultCompleted, ResultFailed, ResultRefused
from schemas.topics import RESULTS
from services.runtime import groups
from services.runtime.backoff import Backoff
from services.runtime.dead_letters import DeadLetters
from services.runtime.errors import TransientError
from services.runtime.kafka import consumer_config, create_consumer, topic_name
from services.runtime.settings import KafkaSettings
from services.webhook_registry.payloads import Notice, notice_of
from services.webhook_registry.registry import Webhook, webhooks_of
from services.webhooks.deliveries import enqueue

_log = logging.getLogger(__name__)

_BATCH_MAX = 200
_BATCH_SECONDS = 0.2
_FLUSH_SECONDS = 10.0


class ResultConsumer:
    """Runs in a thread of its own, starting over after whatever may pass; anything else ends the process."""

    def __init__(
        self,
        settings: KafkaSettings,
        engine: Engine,
        dead_letters: DeadLetters,
        on_new: Callable[[], None],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._dead_letters = dead_letters
        self._on_new = on_new
        self._now = now
        self._topic = topic_name(settings, RESULTS)
        self.assigned = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Reads until `stop` is set.

        Raises:
            Halt: a run of undecodable records.
        """
        backoff = Backoff(seconds_max=10.0)
        while not stop.is_set():
            try:
                self._follow(stop, backoff)
            except (KafkaException, TransientError) as error:
                _log.warning("results are read again: %s", error, extra={"reason": type(error).__name__})
                stop.wait(backoff.failed())

    def _follow(self, stop: threading.Event, backoff: Backoff) -> None:
        # From the beginning for a new group: a result that is older than its webhook is not told anyway.
        consumer = create_consumer(consumer_config(self._settings, group=groups.WEBHOOKS, offset_reset="earliest"))
        try:
            consumer.subscribe([self._topic], on_assign=lambda *_: self.assigned.set())
            while not stop.is_set():
                messages = consumer.consume(_BATCH_MAX, _BATCH_SECONDS)
                if messages:
                    self._take(consumer, messages)
                    backoff.succeeded()
        finally:
            self.assigned.clear()
            consumer.close()

    def _take(self, consumer: Consumer, messages: Sequence[Message]) -> None:
        notices = []
        for message in messages:
            error = message.error()
            if error is not None:
                raise KafkaException(error)
            notice = self._decoded(message)
            if notice is not None:
                notices.append(notice)
        # Dead letters are on the broker before the offset that skips them moves.
        self._dead_letters.keep(_FLUSH_SECONDS)
        registered = webhooks_of(self._engine, {notice.user_id for notice in notices}) if notices else {}
        wanted = [
            (webhook, notice)
            for notice in notices
            for webhook in registered.get(notice.user_id, ())
            if wants(webhook, notice)
        ]
        if enqueue(self._engine, wanted, self._now()):
            self._on_new()
        consumer.commit(offsets=_ends(messages), asynchronous=False)

    def _decoded(self, message: Message) -> Notice | None:
        try:
            decoded = decode(message.headers(), message.value())
            event = decoded.data
            if not isinstance(event, ResultCompleted | ResultFailed | ResultRefused):
                raise Undecodable(f"an event of another kind on {self._topic}")
        except Undecodable as problem:
            self._dead_letters.add(message, str(problem))
            return None
        self._dead_letters.decoded()
        return notice_of(event, decoded.attributes.traceparent)


def _ends(messages: Sequence[Message]) -> list[TopicPartition]:
    """The offset after the last message of each partition."""
    ends = {(str(each.topic()), int(each.partition() or 0)): int(each.offset() or 0) + 1 for each in messages}
    return [TopicPartition(topic, partition, offset) for (topic, partition), offset in ends.items()]


def wants(webhook: Webhook, notice: Notice) -> bool:
    """Whether a webhook is to be told of a result: one of a kind it asked for, from after it asked."""
    return notice.event_type in webhook.event_types and notice.occurred_at >= webhook.created_at
