"""What a transactional producer that misbehaves costs."""

import threading
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from services.runtime.transactions import ProducerLost, Record, TransactionAborted, TransactionalPublisher

_OFFSETS = [TopicPartition("lane", 0, 1)]


class OffsetsThatHang(threading.Event):
    """A producer that does not come back from sending offsets, whatever timeout it is given, before it is set."""

    def begin_transaction(self) -> None:
        """Begins."""

    def send_offsets_to_transaction(self, _offsets: object, _metadata: object, _timeout: float) -> None:
        """As librdkafka, where the coordinator's connection does not change any more."""
        self.wait()
        raise KafkaException(KafkaError(KafkaError._FENCED, "too late"))


def test_offsets_that_never_come_back_lose_the_producer_and_not_the_loop() -> None:
    producer = OffsetsThatHang()
    publisher = TransactionalPublisher(cast(Producer, producer), timeout_seconds=0.1)
    try:
        with pytest.raises(ProducerLost, match="does not come back"):
            publisher.publish([], _OFFSETS, object())
    finally:
        producer.set()


class RefusedOffsets:
    """A producer whose membership is of a former generation."""

    aborted = False

    def begin_transaction(self) -> None:
        """Begins."""

    def send_offsets_to_transaction(self, *_: Any) -> None:
        """Refused."""
        raise KafkaException(KafkaError(KafkaError.ILLEGAL_GENERATION, "illegal generation"))

    def abort_transaction(self, _timeout: float) -> None:
        """Aborts."""
        self.aborted = True


def test_refused_offsets_abort_the_transaction() -> None:
    producer = RefusedOffsets()
    with pytest.raises(TransactionAborted, match="illegal generation"):
        TransactionalPublisher(cast(Producer, producer)).publish([], _OFFSETS, object())
    assert producer.aborted


class Recorded:
    """A producer that does what it is told, and whose commits are lost."""

    def __init__(self) -> None:
        self.calls: list[object] = []

    def begin_transaction(self) -> None:
        """Begins."""
        self.calls.append("begin")

    def produce(self, topic: str, partition: int = -1, **_: Any) -> None:
        """Writes."""
        self.calls.append((topic, partition))

    def flush(self, _timeout: float) -> int:
        """All is there."""
        return 0

    def send_offsets_to_transaction(self, *_: Any) -> None:
        """Sends."""
        self.calls.append("offsets")

    def commit_transaction(self, _timeout: float) -> None:
        """Nobody hears whether it stands."""
        raise KafkaException(KafkaError(KafkaError._FENCED, "fenced", fatal=True))

    def abort_transaction(self, _timeout: float) -> None:
        """Aborts."""
        self.calls.append("abort")


def test_a_lost_transaction_is_in_doubt() -> None:
    publisher = TransactionalPublisher(cast(Producer, Recorded()))
    assert not publisher.in_doubt
    with pytest.raises(ProducerLost):
        publisher.publish([Record("results", "key", b"a", [])], _OFFSETS, object())
    assert publisher.in_doubt


def test_what_is_buried_reaches_each_place_and_the_offsets_and_is_aborted() -> None:
    producer = Recorded()
    TransactionalPublisher(cast(Producer, producer)).bury([("results", 1), ("usage", 0)], _OFFSETS[0], object())
    assert producer.calls == ["begin", ("results", 1), ("usage", 0), "offsets", "abort"]


def test_offsets_are_buried_where_no_record_was_left_open() -> None:
    producer = Recorded()
    TransactionalPublisher(cast(Producer, producer)).bury([], _OFFSETS[0], object())
    assert producer.calls == ["begin", "offsets", "abort"]
