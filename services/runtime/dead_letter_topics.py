"""What lies on the dead-letter topics: read, and sent once more to where it came from."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.cloudevents import Headers
from schemas.topics import Topic
from services.runtime.dead_letters import TRUNCATED
from services.runtime.errors import BrokerUnavailable
from services.runtime.kafka import consumer_config, create_consumer, create_producer, dead_letters_name, topic_name
from services.runtime.settings import KafkaSettings

_SECONDS_MAX = 30.0
_ORIGINAL = "original-"


@dataclass(frozen=True)
class DeadLetter:
    """An undecodable record, with the name of the topic it came from and why it was not taken."""

    id: str
    """Its origin: topic, partition and offset."""
    topic: str
    reason: str
    at: datetime | None
    key: bytes | None
    value: bytes | None
    headers: Headers
    """As the record had them."""
    truncated_from_bytes: int | None = None
    """How long the value was, of a record that was too large for its dead letter: value, key or headers are cut."""


def read_dead_letters(settings: KafkaSettings, topics: Sequence[Topic]) -> Iterator[DeadLetter]:
    """Every dead letter of `topics` up to now, in the order in which they came; what is there twice, once.

    Raises:
        BrokerUnavailable: the broker did not answer.
    """
    config = consumer_config(settings, group="ocr-dead-letters", offset_reset="earliest")
    consumer = create_consumer(config | {"enable.partition.eof": True})
    try:
        for topic in topics:
            seen: set[str] = set()
            for message in _messages(consumer, dead_letters_name(settings, topic)):
                letter = _letter(message, topic_name(settings, topic))
                if letter.id not in seen:
                    seen.add(letter.id)
                    yield letter
    except KafkaException as error:
        raise BrokerUnavailable(str(error)) from error
    finally:
        consumer.close()


def replay(settings: KafkaSettings, letters: Sequence[DeadLetter]) -> list[DeadLetter]:
    """Produces the records again as they were, and returns when the broker has them all.

    A record that was taken meanwhile is recognised like every other duplicate; one that still cannot be decoded
    becomes a dead letter again, of its new place. Those that are cut are not sent but returned: half a record is
    another record.

    Raises:
        BrokerUnavailable: not all of them were acknowledged; repeating it is safe.
    """
    producer, problems = create_producer(settings, linger_ms=5), list[str]()

    def report(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            problems.append(error.str())

    try:
        for letter in letters:
            if letter.truncated_from_bytes is not None:
                continue
            producer.produce(
                letter.topic, key=letter.key, value=letter.value, headers=letter.headers, on_delivery=report
            )
            producer.poll(0)
    except (BufferError, KafkaException) as error:
        raise BrokerUnavailable(str(error)) from error
    unacknowledged = producer.flush(_SECONDS_MAX)
    if unacknowledged or problems:
        raise BrokerUnavailable(f"{unacknowledged + len(problems)} records were not acknowledged: {problems[:1]}")
    return [letter for letter in letters if letter.truncated_from_bytes is not None]


def _messages(consumer: Consumer, name: str) -> Iterator[Message]:
    numbers = list(consumer.list_topics(name, timeout=_SECONDS_MAX).topics[name].partitions)
    consumer.assign([TopicPartition(name, number, OFFSET_BEGINNING) for number in numbers])
    unfinished, deadline = set(numbers), time.monotonic() + _SECONDS_MAX
    while unfinished:
        message = consumer.poll(0.5)
        if message is None:
            if time.monotonic() > deadline:
                raise BrokerUnavailable(f"{name} could not be read to its end within {_SECONDS_MAX:.0f} s")
            continue
        deadline = time.monotonic() + _SECONDS_MAX
        error = message.error()
        if error is None:
            yield message
        elif error.code() == KafkaError._PARTITION_EOF:
            unfinished.discard(int(message.partition() or 0))
        else:
            raise KafkaException(error)


def _letter(message: Message, topic: str) -> DeadLetter:
    carried = message.headers() or []
    pairs = list(carried.items() if isinstance(carried, dict) else carried)
    texts = {
        name: value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")
        for name, value in pairs
    }
    _kind, milliseconds = message.timestamp()
    truncated_from = texts.get(TRUNCATED, "")
    return DeadLetter(
        id=texts.get("ce_id", f"{message.topic()}/{message.partition()}/{message.offset()}"),
        topic=texts.get("dlq-topic", topic),
        reason=texts.get("dlq-reason", ""),
        at=datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds > 0 else None,
        key=message.key(),
        value=message.value(),
        truncated_from_bytes=int(truncated_from) if truncated_from.isdecimal() else None,
        headers=[(name.removeprefix(_ORIGINAL), value) for name, value in pairs if name.startswith(_ORIGINAL)],
    )
