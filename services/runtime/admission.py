"""Who may have work done: the balances as the ledger publishes them, and how fresh they are."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from schemas.cloudevents import Undecodable, decode
from schemas.events import BalanceChanged, LedgerHeartbeat
from schemas.topics import BALANCES
from services.runtime.kafka import consumer_config, create_consumer, topic_name
from services.runtime.settings import KafkaSettings

_log = logging.getLogger(__name__)

_CONSUME_SECONDS = 0.1


class Verdict(Enum):
    """What admission says of an account."""

    ADMITTED = "admitted"
    NO_BALANCE = "no_balance"
    NO_ACCOUNT = "no_account"
    STALE = "stale"
    """The balances are not read to their end yet, or the ledger has not been heard of for too long."""


@dataclass
class BalanceTable:
    """Balances and heartbeats as last seen. Pure: knows no Kafka. Written by one thread, read by many."""

    staleness_seconds_max: float
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    balances: dict[str, BalanceChanged] = field(default_factory=dict)
    heartbeats: dict[int, LedgerHeartbeat] = field(default_factory=dict)
    complete: bool = False

    def apply(self, event: BalanceChanged | LedgerHeartbeat) -> None:
        """Takes in one event; a balance with a version that is not above the known one is dropped."""
        if isinstance(event, LedgerHeartbeat):
            known = self.heartbeats.get(event.partition)
            if known is None or event.posted_until >= known.posted_until:
                self.heartbeats[event.partition] = event
            return
        balance = self.balances.get(event.user_id)
        if balance is None or event.version > balance.version:
            self.balances[event.user_id] = event

    def posted_until(self) -> datetime | None:
        """The moment up to which every partition of usage is posted; None while one was never heard of."""
        if not self.heartbeats:
            return None
        # Copied: the reader's thread may add one meanwhile.
        expected = max(beat.partition_count for beat in list(self.heartbeats.values()))
        beats = [self.heartbeats.get(partition) for partition in range(expected)]
        times = [beat.posted_until for beat in beats if beat is not None]
        return min(times) if len(times) == expected else None

    def staleness_seconds(self) -> float:
        """Age of the oldest heartbeat in seconds; infinite while one was never heard of."""
        oldest = self.posted_until()
        return float("inf") if oldest is None else (self.now() - oldest).total_seconds()

    def verdict(self, user_id: str) -> Verdict:
        """Whether work for this user may start now."""
        if not self.complete or self.staleness_seconds() > self.staleness_seconds_max:
            return Verdict.STALE
        balance = self.balances.get(user_id)
        if balance is None:
            return Verdict.NO_ACCOUNT
        return Verdict.ADMITTED if balance.balance > 0 else Verdict.NO_BALANCE

    def balance(self, user_id: str) -> int | None:
        """The balance last published, in tokens; None for an unknown account."""
        known = self.balances.get(user_id)
        return known.balance if known else None


class BalanceReader:
    """Follows `ledger.balances` from its beginning in a thread of its own, without a group."""

    def __init__(self, settings: KafkaSettings, table: BalanceTable) -> None:
        self._settings = settings
        self.table = table
        self._stopping = threading.Event()
        self._failure: str | None = None
        self._listeners: list[Callable[[BalanceChanged], None]] = []
        self._thread = threading.Thread(target=self._run, name="balances", daemon=True)

    def on_balance(self, listener: Callable[[BalanceChanged], None]) -> None:
        """Calls `listener`, from the reader's thread, for every balance; register before `start`."""
        self._listeners.append(listener)

    def start(self) -> None:
        """Begins to read."""
        self._thread.start()

    def close(self) -> None:
        """Stops reading."""
        self._stopping.set()
        self._thread.join(5.0)

    def stopped(self) -> str | None:
        """None while the thread runs."""
        return None if self._thread.is_alive() else "the balances are not read any more"

    def problem(self) -> str | None:
        """Why admission cannot be judged; None when it can."""
        if self._failure:
            return self._failure
        if not self.table.complete:
            return "the balances are not read to their end yet"
        age = self.table.staleness_seconds()
        if age > self.table.staleness_seconds_max:
            return f"the ledger's oldest heartbeat is {age:.0f} s old"
        return None

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._follow()
            except KafkaException as error:
                # Without balances nothing is admitted; the next round starts over from the beginning.
                self._failure = f"the balances cannot be read: {error}"
                _log.warning(self._failure)
                self._stopping.wait(1.0)

    def _follow(self) -> None:
        # No commits and no group membership: the id only satisfies the client.
        config = consumer_config(self._settings, group="ocr-balances", offset_reset="earliest")
        consumer = create_consumer(config | {"enable.partition.eof": True})
        try:
            topic = topic_name(self._settings, BALANCES)
            ends = _assign_from_beginning(consumer, topic, ask_for_ends=not self._settings.embedded)
            pending = {number for number, end in ends.items() if end != 0}
            self._failure = None
            while not self._stopping.is_set():
                for message in consumer.consume(500, _CONSUME_SECONDS):
                    self._take(message)
                    pending -= _reached(message, ends)
                if not pending:
                    self.table.complete = True
        finally:
            consumer.close()

    def _take(self, message: Message) -> None:
        error = message.error()
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:
                return
            raise KafkaException(error)
        try:
            event = decode(message.headers(), message.value()).data
        except Undecodable as problem:
            if message.value() is not None:
                _log.warning("undecodable balance", extra={"reason": str(problem), "offset": message.offset()})
            return
        if isinstance(event, BalanceChanged | LedgerHeartbeat):
            self.table.apply(event)
        if isinstance(event, BalanceChanged):
            for listener in self._listeners:
                listener(event)


def _reached(message: Message, ends: Mapping[int, int | None]) -> set[int]:
    """The message's partition, if with it the partition is read to the end that it had at the start.

    The end known beforehand spares the wait of a fetch that finds nothing more. The broker's word that nothing
    more is there counts too: the last record before the end may be gone, compacted or a transaction's marker.
    """
    number, end = int(message.partition() or 0), ends.get(int(message.partition() or 0))
    at_end = message.error() is not None or (end is not None and int(message.offset() or 0) + 1 >= end)
    return {number} if at_end else set()


def _assign_from_beginning(consumer: Consumer, topic: str, *, ask_for_ends: bool) -> dict[int, int | None]:
    """Assigns every partition of `topic` from its beginning and returns where each ends now, None where not asked."""
    metadata = consumer.list_topics(topic, timeout=10).topics[topic]
    if metadata.error is not None or not metadata.partitions:
        raise KafkaException(metadata.error or KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART))
    partitions = [TopicPartition(topic, number, OFFSET_BEGINNING) for number in metadata.partitions]
    ends: dict[int, int | None] = dict.fromkeys(metadata.partitions)
    if ask_for_ends:  # The embedded broker reports ends that lie before its last records.
        for partition in partitions:
            ends[partition.partition] = consumer.get_watermark_offsets(partition, timeout=10)[1]
    consumer.assign(partitions)
    return ends


def wait_until_complete(reader: BalanceReader, timeout_seconds: float) -> bool:
    """Waits until the balances were read to their end once; False when `timeout_seconds` ran out."""
    deadline = time.monotonic() + timeout_seconds
    while not reader.table.complete and time.monotonic() < deadline:
        time.sleep(0.02)
    return reader.table.complete
