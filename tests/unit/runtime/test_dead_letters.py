"""Every record fits into its dead letter, and what was cut is told."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import pytest
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from schemas.cloudevents import Headers
from services.runtime.dead_letters import TRUNCATED, DeadLetters, dead_letter, foreign_dead_letter
from services.runtime.errors import BrokerUnavailable
from services.runtime.kafka import MESSAGE_BYTES_MAX, create_producer
from services.runtime.settings import KafkaSettings
from services.runtime.transactions import Record

_KIB = 1024
_TRACE: Headers = [("traceparent", b"00-1-2-01"), ("empty", None)]


@dataclass(frozen=True)
class Arrived:
    """The part of a Kafka message of which a dead letter is made."""

    sent_key: bytes | None
    sent_value: bytes | None
    sent: Headers = field(default_factory=list)

    def topic(self) -> str:
        return "lane"

    def partition(self) -> int:
        return 2

    def offset(self) -> int:
        return 7

    def key(self) -> bytes | None:
        return self.sent_key

    def value(self) -> bytes | None:
        return self.sent_value

    def headers(self) -> Headers:
        return self.sent


def letter_of(arrived: Arrived, reason: str = "because") -> Record:
    return dead_letter(cast(Message, arrived), reason)


def send(record: Record) -> None:
    """Queues a record on a producer with the project's own limits. Raises KafkaException if it is too large."""
    producer = create_producer(KafkaSettings(bootstrap_servers="127.0.0.1:1"), linger_ms=0)
    try:
        producer.produce(record.topic, key=record.key, value=record.value, headers=record.headers)
        producer.purge()
    finally:
        producer.close()


def test_a_record_that_fits_is_a_letter_as_it_came() -> None:
    value = os.urandom(MESSAGE_BYTES_MAX - 8 * _KIB)
    letter = letter_of(Arrived(b"key", value, _TRACE))
    assert (letter.topic, letter.key, letter.value) == ("lane.dlq", b"key", value)
    assert letter.headers == [
        ("ce_id", "lane/2/7"),
        ("dlq-reason", "because"),
        ("dlq-topic", "lane"),
        ("dlq-partition", "2"),
        ("dlq-offset", "7"),
        ("original-traceparent", b"00-1-2-01"),
        ("original-empty", None),
    ]


@pytest.mark.parametrize("reason", ["because", "ü" * 5_000])
def test_the_value_is_cut_to_what_a_producer_sends_and_its_length_is_told(reason: str) -> None:
    value = os.urandom(MESSAGE_BYTES_MAX - 20)
    with pytest.raises(KafkaException):
        send(Record("lane.dlq", b"key", value, [("dlq-reason", reason), *_TRACE]))
    letter = letter_of(Arrived(b"key", value, _TRACE), reason)
    send(letter)
    assert letter.value is not None
    assert value.startswith(letter.value)
    assert len(letter.value) > len(value) - 8 * _KIB
    assert letter.key == b"key"
    assert (TRUNCATED, str(len(value))) in letter.headers
    assert {("original-traceparent", b"00-1-2-01"), ("original-empty", None)} <= set(letter.headers)


@pytest.mark.parametrize(
    "arrived",
    [
        Arrived(None, os.urandom(5 * _KIB * _KIB)),  # As compression lets through.
        Arrived(os.urandom(MESSAGE_BYTES_MAX), None),
        Arrived(os.urandom(MESSAGE_BYTES_MAX), b"", _TRACE),
        Arrived(b"k", b"v" * 2_000, [("large", os.urandom(MESSAGE_BYTES_MAX - 3_000)), *_TRACE]),
        Arrived(b"k", b"v", [("n" * MESSAGE_BYTES_MAX, None), *_TRACE]),
        Arrived(b"k", b"v" * 900 * _KIB, [("short", b"h")] * 20_000),
        Arrived(b"k", None, [("", "")] * 200_000),
    ],
    ids=["value", "key", "key-and-nothing", "header", "header-name", "many-headers", "empty-headers"],
)
def test_whatever_is_large_fits(arrived: Arrived) -> None:
    letter = letter_of(arrived)
    send(letter)
    headers = dict(letter.headers)
    assert headers[TRUNCATED] == str(len(arrived.sent_value or b""))
    assert headers["dlq-reason"] == "because"
    assert (letter.value is None) == (arrived.sent_value is None)
    assert (arrived.sent_value or b"").startswith(letter.value or b"")
    assert letter.key == (arrived.sent_key and arrived.sent_key[: 64 * _KIB])


def test_headers_that_are_too_long_are_left_out_and_the_others_stay() -> None:
    letter = letter_of(Arrived(b"k", b"v", [("large", os.urandom(MESSAGE_BYTES_MAX)), *_TRACE]))
    assert [name for name, _ in letter.headers[-3:]] == [TRUNCATED, "original-traceparent", "original-empty"]
    assert (letter.key, letter.value) == (b"k", b"v")


def test_a_message_that_did_not_come_by_kafka_is_cut_alike() -> None:
    body = os.urandom(2 * MESSAGE_BYTES_MAX)
    letter = foreign_dead_letter("lane", "sqs/1", body, "because")
    send(letter)
    assert (TRUNCATED, str(len(body))) in letter.headers
    assert ("ce_id", "sqs/1") in letter.headers


class Flushed:
    """A producer that counts its flushes and acknowledges as it is told."""

    flushes = 0
    remaining = 0
    error: KafkaError | None = None
    reports: list[Callable[[KafkaError | None, Message], None]]

    def __init__(self) -> None:
        self.reports = []

    def produce(self, _topic: str, on_delivery: Callable[[KafkaError | None, Message], None], **_: object) -> None:
        self.reports.append(on_delivery)

    def flush(self, _timeout: float) -> int:
        self.flushes += 1
        if not self.remaining:
            for report in self.reports:
                report(self.error, cast(Message, None))
            self.reports.clear()
        return self.remaining


def test_the_producer_is_flushed_only_where_a_letter_was_added() -> None:
    producer = Flushed()
    letters = DeadLetters(cast(Producer, producer))
    letters.decoded()
    letters.keep(1)
    assert producer.flushes == 0
    letters.add(cast(Message, Arrived(b"k", b"v")), "because")
    letters.keep(1)
    letters.keep(1)
    assert producer.flushes == 1


def test_a_letter_that_is_not_acknowledged_yet_is_flushed_again() -> None:
    producer = Flushed()
    letters = DeadLetters(cast(Producer, producer))
    producer.remaining = 1
    letters.add_foreign("lane", "sqs/1", b"v", "because")
    for flushes in (1, 2):
        with pytest.raises(BrokerUnavailable, match="1 records not acknowledged"):
            letters.keep(1)
        assert producer.flushes == flushes
    producer.remaining = 0
    letters.keep(1)
    letters.keep(1)
    assert producer.flushes == 3


def test_a_letter_that_was_rejected_is_told_once() -> None:
    producer = Flushed()
    producer.error = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE, "too large")
    letters = DeadLetters(cast(Producer, producer))
    letters.add_foreign("lane", "sqs/1", b"v", "because")
    with pytest.raises(BrokerUnavailable, match="rejected: too large"):
        letters.keep(1)
    letters.keep(1)
