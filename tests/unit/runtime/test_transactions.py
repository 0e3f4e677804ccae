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
        self.calls: list[str] = []

    def begin_transaction(self) -> None:
        """Begins."""
        self.calls.append("begin")

    def produce(self, topic: str, **_: Any) -> None:
        """Writes."""
        self.calls.append(topic)

    def flush(self, _timeout: float) -> int:
        """All is there."""
        return 0

    def send_offsets_to_transaction(self, *_: Any) -> None:
        """Sends."""

    def commit_transaction(self, _timeout: float) -> None:
        """Nobody hears whether it stands."""
        raise KafkaException(KafkaError(KafkaError._FENCED, "fenced", fatal=True))

    def abort_transaction(self, _timeout: float) -> None:
        """Aborts."""
        self.calls.append("abort")


def test_what_is_in_doubt_is_written_once_more_and_aborted() -> None:
    records = [Record("results", "key", b"a", []), Record("usage", "key", b"b", [])]
    publisher = TransactionalPublisher(cast(Producer, Recorded()))
    with pytest.raises(ProducerLost):
        publisher.publish(records, _OFFSETS, object())
    assert list(publisher.in_doubt) == records

    producer = Recorded()
    TransactionalPublisher(cast(Producer, producer)).bury(publisher.in_doubt)
    assert producer.calls == ["begin", "results", "usage", "abort"]


def test_where_nothing_is_in_doubt_nothing_is_written() -> None:
    producer = Recorded()
    TransactionalPublisher(cast(Producer, producer)).bury(())
    assert producer.calls == []
