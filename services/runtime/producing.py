"""Events onto topics, outside of transactions."""

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from schemas.cloudevents import Attributes, Headers, encode, event_type
from schemas.events import Event
from schemas.topics import Topic
from services.runtime import tracing
from services.runtime.errors import BrokerUnavailable
from services.runtime.kafka import topic_name
from services.runtime.settings import KafkaSettings


def attributes_for(
    event: Event,
    *,
    source: str,
    subject: str,
    now: datetime,
    correlation_id: str | None = None,
    traceparent: str | None = None,
    event_id: str | None = None,
) -> Attributes:
    """The context of an event that is about to be produced; its id is fresh unless given."""
    return Attributes(
        id=event_id or str(uuid.uuid4()),
        type=event_type(type(event)),
        source=source,
        subject=subject,
        time=now,
        correlation_id=correlation_id,
        traceparent=traceparent,
    )


class ProducerFailed(Exception):
    """The client met an error it cannot get over, such as a broker that lost its data."""


class EventProducer:
    """Produces events and hands out a future for each, resolved when the broker has acknowledged it.

    A thread of its own serves delivery reports, so that futures resolve whatever the caller does.
    """

    def __init__(
        self,
        producer: Producer,
        settings: KafkaSettings,
        source: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._producer = producer
        self._settings = settings
        self.source = f"/ocr-services/{source}"
        self._now = now
        self._failure: str | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="delivery-reports", daemon=True)
        self._thread.start()

    def send(
        self,
        topic: Topic,
        key: str | None,
        event: Event,
        *,
        subject: str,
        correlation_id: str | None = None,
        traceparent: str | None = None,
    ) -> "Future[Message]":
        """Queues one event. The future raises `BrokerUnavailable` when it was not acknowledged in time.

        With a `traceparent` the sending is a span of that trace, and its context is what travels.

        Raises:
            BrokerUnavailable: the local queue is full.
        """
        sending = tracing.sending(topic.name, correlation_id, traceparent) if traceparent else None
        attributes = attributes_for(
            event,
            source=self.source,
            subject=subject,
            now=self._now(),
            correlation_id=correlation_id,
            traceparent=sending.traceparent if sending else None,
        )
        acknowledged = self.send_encoded(topic, key, *encode(event, attributes))
        if sending and tracing.is_on():
            acknowledged.add_done_callback(sending.end_with)
        return acknowledged

    def send_encoded(self, topic: Topic, key: str | None, headers: Headers, body: bytes) -> "Future[Message]":
        """As `send`, for an event that was encoded before."""
        acknowledged: Future[Message] = Future()

        def report(error: KafkaError | None, message: Message) -> None:
            # From here on nobody can cancel it, or the report would fail, and with it the thread that serves all.
            if not acknowledged.set_running_or_notify_cancel():
                return
            if error is not None:
                self._note(error)
                acknowledged.set_exception(BrokerUnavailable(error.str()))
            else:
                acknowledged.set_result(message)

        try:
            self._producer.produce(
                topic_name(self._settings, topic), key=key, value=body, headers=headers, on_delivery=report
            )
        except (BufferError, KafkaException) as error:
            if isinstance(error, KafkaException):
                self._note(error.args[0])
            raise BrokerUnavailable(str(error)) from error
        return acknowledged

    def check(self) -> None:
        """Does nothing while the producer is well.

        Raises:
            ProducerFailed: no event will ever be sent again; only a new producer, a new process helps.
        """
        if self._failure is not None:
            raise ProducerFailed(self._failure)

    def flush(self, timeout_seconds: float) -> None:
        """Waits until everything queued is acknowledged.

        Raises:
            BrokerUnavailable: something is still queued after `timeout_seconds`.
        """
        remaining = self._producer.flush(timeout_seconds)
        if remaining:
            raise BrokerUnavailable(f"{remaining} records not acknowledged within {timeout_seconds} s")

    def close(self, timeout_seconds: float = 10.0) -> None:
        """Flushes what it can and stops serving delivery reports."""
        self._producer.flush(timeout_seconds)
        self._stopping.set()
        self._thread.join(2.0)

    def _note(self, error: KafkaError) -> None:
        if error.fatal():
            self._failure = error.str()

    def _serve(self) -> None:
        while not self._stopping.is_set():
            self._producer.poll(0.1)
