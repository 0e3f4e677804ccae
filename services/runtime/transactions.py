"""One Kafka transaction: records and the offsets they answer become visible together, or not at all."""

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from schemas.cloudevents import Headers
from services.runtime.metrics import TRANSACTIONS
from services.runtime.open_transactions import Place

_log = logging.getLogger(__name__)

_HANGING_SECONDS = 1.0
"""A call that is so much later than its timeout hangs."""

_BURIED = b"aborted"
"""Key of records that nobody reads: of a transaction that is always aborted."""


@dataclass(frozen=True)
class Record:
    """A record as it goes to the broker."""

    topic: str
    key: str | bytes | None
    value: bytes | None
    headers: Headers


class TransactionAborted(Exception):
    """Nothing was published and no offset moved; poll, then publish again what is still held."""


class ProducerLost(Exception):
    """The producer cannot go on; a new one is needed. Whether the last transaction stands is not known."""


class TransactionalPublisher:
    """Publishes batches of records with offsets. One thread at a time."""

    def __init__(self, producer: Producer, timeout_seconds: float = 10.0) -> None:
        """`timeout_seconds` bounds each call; beyond the transaction's own timeout the broker has ended it anyway."""
        self._producer = producer
        self._timeout_seconds = timeout_seconds
        self.in_doubt = False
        """Whether the last transaction may be open, or stand: `publish` has raised `ProducerLost`."""

    def begin(self) -> None:
        """Registers with the broker, once, before the first batch."""
        self._producer.init_transactions(self._timeout_seconds)

    def bury(self, places: Iterable[Place], offset: TopicPartition, group_metadata: Any) -> None:
        """Ends what earlier producers of this transactional id left open in these partitions, and of a group's offsets.

        `offset`: any, of a partition that is there and that the group does not read.

        Beginning ends it too, but a broker that started just then has been seen to note the end and to write no
        marker of it (Apache Kafka 4.3.0). Readers wait behind the records, and the next commit of this producer there
        commits them as well. So a transaction that reaches the same partitions is aborted: its markers end both.

        Raises:
            KafkaException, ProducerLost: it did not succeed; to be repeated by this producer's successor.
        """
        self._producer.begin_transaction()
        for topic, partition in places:
            self._producer.produce(topic, partition=partition, key=_BURIED, value=None)
        if self._producer.flush(self._timeout_seconds):
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "records were not acknowledged in time"))
        self._send_offsets([offset], group_metadata)
        self._producer.abort_transaction(self._timeout_seconds)

    def publish(self, records: Sequence[Record], offsets: Sequence[TopicPartition], group_metadata: Any) -> None:
        """Publishes all of it or nothing.

        Raises:
            TransactionAborted: nothing was published: a refused generation, a broker that stayed away.
            ProducerLost: the producer is fenced, or the fate of the transaction is unknown.
        """
        started, outcome = time.perf_counter(), "aborted"
        self.in_doubt = True
        try:
            self._attempt(records, offsets, group_metadata)
            outcome, self.in_doubt = "committed", False
        except KafkaException as error:
            self._give_up(error)
        except BufferError as error:
            self._abort()
            self.in_doubt = False
            raise TransactionAborted(str(error)) from error
        finally:
            TRANSACTIONS.labels(outcome=outcome).observe(time.perf_counter() - started)

    def _attempt(self, records: Sequence[Record], offsets: Sequence[TopicPartition], group_metadata: Any) -> None:
        self._producer.begin_transaction()
        for record in records:
            self._producer.produce(record.topic, key=record.key, value=record.value, headers=record.headers)
        # librdkafka waits out a long poll inside send_offsets_to_transaction when records are still in flight.
        if records and self._producer.flush(self._timeout_seconds):
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "records were not acknowledged in time"))
        self._send_offsets(list(offsets), group_metadata)
        self._commit()

    def _send_offsets(self, offsets: list[TopicPartition], group_metadata: Any) -> None:
        """In a thread of its own: while the broker comes back, librdkafka may let this call wait for ever.

        It waits for a change of the coordinator's connection without a look at its timeout (its issue 5456).
        """
        sent: Future[None] = Future()

        def send() -> None:
            try:
                self._producer.send_offsets_to_transaction(offsets, group_metadata, self._timeout_seconds)
                sent.set_result(None)
            except Exception as error:
                sent.set_exception(error)

        # A daemon: a call that never returns must not hold up the end of the process.
        threading.Thread(target=send, name="transaction-offsets", daemon=True).start()
        try:
            sent.result(self._timeout_seconds + _HANGING_SECONDS)
        except TimeoutError as error:
            raise ProducerLost("sending offsets to the transaction does not come back") from error

    def _commit(self) -> None:
        deadline = time.monotonic() + self._timeout_seconds
        while True:
            try:
                self._producer.commit_transaction(max(0.1, deadline - time.monotonic()))
                return
            except KafkaException as error:
                # A commit that timed out may be under way: only repeating it tells its fate.
                if not error.args[0].retriable() or time.monotonic() >= deadline:
                    raise

    def _give_up(self, error: KafkaException) -> None:
        kafka_error = error.args[0]
        _log.warning("transaction failed", extra={"kafka_code": kafka_error.name(), "reason": kafka_error.str()})
        if kafka_error.fatal():
            raise ProducerLost(kafka_error.str()) from error
        self._abort()
        self.in_doubt = False
        raise TransactionAborted(kafka_error.str()) from error

    def _abort(self) -> None:
        try:
            self._producer.abort_transaction(self._timeout_seconds)
        except KafkaException as error:
            raise ProducerLost(f"cannot abort: {error}") from error
