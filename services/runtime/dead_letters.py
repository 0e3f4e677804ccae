"""Undecodable records, and only they, go to `<topic>.dlq` with the reason and where they came from."""

import logging

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from schemas.cloudevents import Headers
from services.runtime.errors import BrokerUnavailable, Halt
from services.runtime.metrics import DEAD_LETTERS

_log = logging.getLogger(__name__)

CONSECUTIVE_MAX = 100
"""A run of this many undecodable records is no accident of one producer: the worker halts."""


def dead_letter_id(topic: str, partition: int, offset: int) -> str:
    """The event id of a dead letter: its origin, so that the same record twice is seen as one."""
    return f"{topic}/{partition}/{offset}"


def dead_letter_headers(message: Message, reason: str) -> Headers:
    """The original headers, prefixed, behind the origin and the reason."""
    topic, partition, offset = str(message.topic()), int(message.partition() or 0), int(message.offset() or 0)
    origin = {
        "ce_id": dead_letter_id(topic, partition, offset),
        "dlq-reason": reason[:1000],
        "dlq-topic": topic,
        "dlq-partition": str(partition),
        "dlq-offset": str(offset),
    }
    carried = message.headers() or []
    pairs = carried.items() if isinstance(carried, dict) else carried
    headers: Headers = list(origin.items())
    return headers + [(f"original-{name}", value) for name, value in pairs]


class UndecodableRun:
    """Counts undecodable records and halts the worker on a run of them."""

    def __init__(self, consecutive_max: int = CONSECUTIVE_MAX) -> None:
        self._consecutive_max = consecutive_max
        self._consecutive = 0

    def end(self) -> None:
        """A record was fine: the run of undecodable ones ends."""
        self._consecutive = 0

    def add(self, message: Message, reason: str) -> None:
        """Counts one.

        Raises:
            Halt: the last `consecutive_max` records were all undecodable.
        """
        topic, partition, offset = str(message.topic()), int(message.partition() or 0), int(message.offset() or 0)
        self.count(topic, dead_letter_id(topic, partition, offset), reason)

    def count(self, topic: str, origin: str, reason: str) -> None:
        """Counts one by the name of its origin. Raises as `add`."""
        self._consecutive += 1
        _log.warning("undecodable record", extra={"topic": topic, "origin": origin, "reason": reason})
        DEAD_LETTERS.labels(topic=topic).inc()
        if self._consecutive >= self._consecutive_max:
            raise Halt(f"{self._consecutive} undecodable records in a row on {topic}; the last: {reason}")


class DeadLetters:
    """Forwards undecodable records over a producer; halts the worker on a run of them."""

    def __init__(self, producer: Producer, consecutive_max: int = CONSECUTIVE_MAX) -> None:
        self._producer = producer
        self._run = UndecodableRun(consecutive_max)
        self._rejected: str | None = None

    def decoded(self) -> None:
        """A record was fine: the run of undecodable ones ends."""
        self._run.end()

    def add(self, message: Message, reason: str) -> None:
        """Queues one dead letter on the producer; the caller calls `keep` or `flush` before it commits the offset.

        Raises:
            Halt: a run of undecodable records.
        """
        self._run.add(message, reason)
        self._produce(str(message.topic()), message.key(), message.value(), dead_letter_headers(message, reason))

    def add_foreign(self, topic: str, origin: str, body: bytes, reason: str) -> None:
        """Queues a message that did not come by Kafka but belongs on `topic`; `origin` is its own and no other's.

        Raises:
            Halt: as `add`.
        """
        self._run.count(topic, origin, reason)
        headers: Headers = [("ce_id", origin), ("dlq-reason", reason[:1000]), ("dlq-topic", topic)]
        self._produce(topic, None, body, headers)

    def flush(self, timeout_seconds: float) -> int:
        """Waits for the broker, and returns how many records it has not acknowledged in time.

        Raises:
            BrokerUnavailable: it rejected a dead letter, which is lost unless it is added again.
        """
        remaining = self._producer.flush(timeout_seconds)
        rejected, self._rejected = self._rejected, None
        if rejected is not None:
            raise BrokerUnavailable(f"a dead letter was rejected: {rejected}")
        return remaining

    def keep(self, timeout_seconds: float) -> None:
        """Waits until the broker has every dead letter.

        Raises:
            BrokerUnavailable: it has not acknowledged one in time, or rejected one.
        """
        remaining = self.flush(timeout_seconds)
        if remaining:
            raise BrokerUnavailable(f"{remaining} records not acknowledged within {timeout_seconds} s")

    def _report(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._rejected = error.str()

    def _produce(self, topic: str, key: bytes | None, body: bytes | None, headers: Headers) -> None:
        try:
            self._producer.produce(f"{topic}.dlq", key=key, value=body, headers=headers, on_delivery=self._report)
        except (BufferError, KafkaException) as error:
            raise BrokerUnavailable(f"dead letter of {topic}: {error}") from error
