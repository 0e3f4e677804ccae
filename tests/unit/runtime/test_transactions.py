"""What a transactional producer that misbehaves costs."""

import threading
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from services.runtime.transactions import ProducerLost, TransactionAborted, TransactionalPublisher

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
