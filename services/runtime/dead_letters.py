"""Undecodable records, and only they, go to `<topic>.dlq` with the reason and where they came from.

Every dead letter is made here, by `dead_letter` or `foreign_dead_letter`, whoever sends it.
"""

import logging

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from schemas.cloudevents import Headers
from services.runtime.errors import BrokerUnavailable, Halt
from services.runtime.kafka import MESSAGE_BYTES_MAX
from services.runtime.metrics import DEAD_LETTERS
from services.runtime.transactions import Record

_log = logging.getLogger(__name__)

CONSECUTIVE_MAX = 100
"""A run of this many undecodable records is no accident of one producer: the worker halts."""

TRUNCATED = "dlq-truncated"
"""Header of a letter that did not fit into a message as the record came: the length of its value then, in bytes."""

_REASON_CHARACTERS_MAX = 1000
_EXTRAS_BYTES_MAX = 64 * 1024
_HEADER_BYTES = 10
"""What a header's two lengths take at most."""
_LETTER_BYTES_MAX = MESSAGE_BYTES_MAX - 1024
"""Key, value and headers; the rest is for the framing of the record and of its batch."""


def dead_letter_id(topic: str, partition: int, offset: int) -> str:
    """The event id of a dead letter: its origin, so that the same record twice is seen as one."""
    return f"{topic}/{partition}/{offset}"


def dead_letter(message: Message, reason: str) -> Record:
    """The record as it came, its headers prefixed with `original-` behind the origin and the reason.

    What does not fit into a message is cut, as `_fitting` tells.
    """
    topic, partition, offset = str(message.topic()), int(message.partition() or 0), int(message.offset() or 0)
    origin: Headers = [
        ("ce_id", dead_letter_id(topic, partition, offset)),
        ("dlq-reason", reason[:_REASON_CHARACTERS_MAX]),
        ("dlq-topic", topic),
        ("dlq-partition", str(partition)),
        ("dlq-offset", str(offset)),
    ]
    carried = message.headers() or []
    pairs = carried.items() if isinstance(carried, dict) else carried
    return _fitting(topic, message.key(), message.value(), origin, [(f"original-{name}", each) for name, each in pairs])


def foreign_dead_letter(topic: str, origin: str, body: bytes, reason: str) -> Record:
    """A message that did not come by Kafka but belongs on `topic`; `origin` is its own and no other's. Cut alike."""
    headers: Headers = [("ce_id", origin), ("dlq-reason", reason[:_REASON_CHARACTERS_MAX]), ("dlq-topic", topic)]
    return _fitting(topic, None, body, headers, [])


def _fitting(topic: str, key: bytes | None, value: bytes | None, origin: Headers, carried: Headers) -> Record:
    """The dead letter, cut to what a producer sends: no record may stay undecodable and too large for its dead letter.

    Key and original headers keep up to `_EXTRAS_BYTES_MAX` each, headers whole or not at all; the value keeps the rest.
    `TRUNCATED` then tells how many bytes the value had.
    """
    name = f"{topic}.dlq"
    if _size(key, value, origin + carried) <= _LETTER_BYTES_MAX:
        return Record(name, key, value, origin + carried)
    headers, kept = [*origin, (TRUNCATED, str(len(value or b"")))], 0
    for header in carried:
        size = _size(None, None, [header])
        if kept + size <= _EXTRAS_BYTES_MAX:
            headers.append(header)
            kept += size
    key = key and key[:_EXTRAS_BYTES_MAX]
    return Record(name, key, value and value[: _LETTER_BYTES_MAX - _size(key, None, headers)], headers)


def _size(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    """At most so many bytes as part of a message."""
    texts = [part.encode() if isinstance(part, str) else part or b"" for header in headers for part in header]
    return len(key or b"") + len(value or b"") + sum(map(len, texts)) + _HEADER_BYTES * len(headers)


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
    """Forwards undecodable records over a producer; halts the worker on a run of them. Of one thread.

    Others may use the same producer, and have the reports of these letters delivered in their threads.
    """

    def __init__(self, producer: Producer, consecutive_max: int = CONSECUTIVE_MAX) -> None:
        self._producer = producer
        self._run = UndecodableRun(consecutive_max)
        self._rejected: str | None = None
        self._kept = True

    def decoded(self) -> None:
        """A record was fine: the run of undecodable ones ends."""
        self._run.end()

    def add(self, message: Message, reason: str) -> None:
        """Queues one dead letter on the producer; the caller calls `keep` or `flush` before it commits the offset.

        Raises:
            Halt: a run of undecodable records.
        """
        self._run.add(message, reason)
        self._produce(dead_letter(message, reason))

    def add_foreign(self, topic: str, origin: str, body: bytes, reason: str) -> None:
        """Queues a message that did not come by Kafka but belongs on `topic`; `origin` is its own and no other's.

        Raises:
            Halt: as `add`.
        """
        self._run.count(topic, origin, reason)
        self._produce(foreign_dead_letter(topic, origin, body, reason))

    def flush(self, timeout_seconds: float) -> int:
        """Waits for the broker, and returns how many records it has not acknowledged in time.

        Raises:
            BrokerUnavailable: it rejected a dead letter, which is lost unless it is added again.
        """
        remaining = self._producer.flush(timeout_seconds)
        self._kept = not remaining
        rejected, self._rejected = self._rejected, None
        if rejected is not None:
            raise BrokerUnavailable(f"a dead letter was rejected: {rejected}")
        return remaining

    def keep(self, timeout_seconds: float) -> None:
        """Waits until the broker has every dead letter; where none was added, for nothing.

        Raises:
            BrokerUnavailable: it has not acknowledged one in time, or rejected one.
        """
        if self._kept:
            return  # A flush would wait for what others send over the same producer.
        remaining = self.flush(timeout_seconds)
        if remaining:
            raise BrokerUnavailable(f"{remaining} records not acknowledged within {timeout_seconds} s")

    def _report(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._rejected = error.str()

    def _produce(self, letter: Record) -> None:
        self._kept = False
        try:
            self._producer.produce(
                letter.topic, key=letter.key, value=letter.value, headers=letter.headers, on_delivery=self._report
            )
        except (BufferError, KafkaException) as error:
            raise BrokerUnavailable(f"dead letter for {letter.topic}: {error}") from error
