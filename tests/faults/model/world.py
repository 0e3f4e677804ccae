"""The real classes of intake, extractor and ledger around a broker and a store of memory, and a database of SQLite."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

from confluent_kafka import KafkaException, Producer
from pydantic import SecretStr

from schemas.cloudevents import decode
from schemas.events import BalanceChanged, OcrRequest, Origin, Price
from schemas.identity import result_id
from schemas.topics import BALANCES, REQUESTS, UPLOADS, USAGE
from services.extractor.outgoing import Outgoing
from services.extractor.recogniser import Recogniser
from services.extractor.settings import ExtractorSettings
from services.extractor.steps import Stores
from services.extractor.worker import Facts
from services.extractor.worker import Worker as ExtractorWorker
from services.intake.pace import Pace
from services.intake.recent import RecentRequests
from services.intake.requesting import UploadRequester
from services.intake.sweep import Buckets, UserSweep
from services.intake.worker import sort_out
from services.ledger.book import Batch, post_batch
from services.ledger.consumer import UsageConsumer
from services.ledger.heartbeat import Heartbeats
from services.ledger.offsets import Position, read_positions
from services.ledger.posting import Outcome
from services.ledger.publisher import Publisher
from services.ledger.worker import Worker as LedgerWorker
from services.runtime import groups
from services.runtime.admission import BalanceTable
from services.runtime.database import create_database
from services.runtime.dead_letters import DeadLetters
from services.runtime.documents import DocumentStore
from services.runtime.errors import DatabaseUnavailable, StoreUnavailable
from services.runtime.object_store import StoredObject
from services.runtime.producing import EventProducer
from services.runtime.settings import DatabaseSettings, KafkaSettings
from services.runtime.transactions import ProducerLost, TransactionalPublisher
from tests.faults.model.broker import MemoryBroker
from tests.faults.model.clients import MemoryConsumer, MemoryEvents, MemoryTransactions
from tests.faults.model.recogniser import InstantRecogniser
from tests.faults.model.store import MemoryStore

UPLOADS_BUCKET, RESULTS_BUCKET = "uploads", "results"
LANES = frozenset({REQUESTS.name, UPLOADS.name})
PRICE = Price(version="model", tokens_per_page_unit=50, tokens_per_word=1)
_START = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
_TURN_SECONDS = 0.3
_PARTITIONS = 2

POINTS = ("before the document", "after the document", "before the transaction", "after the transaction")


class Died(BaseException):
    """A process was killed here. Nothing of ours catches it."""


@dataclass(eq=False)
class Replica:
    """A process: what it does in one round, and the member of the group that it is."""

    consumer: MemoryConsumer
    group: str
    round: Callable[[], None]
    stop: Callable[[], None]
    leave: Callable[[], None]
    """Its membership ends without draining."""
    trouble: tuple[str, str] | None = None
    """The point at which something happens to it, once, and what."""


class World:
    """Everything that runs, and the faults that can be arranged for it."""

    def __init__(self, directory: Path, database: Path) -> None:
        self.seconds = 0.0
        self.broker = MemoryBroker(_PARTITIONS)
        self.store = MemoryStore(self.now)
        self.store.passing = self._passing
        self.documents = DocumentStore(self.store, RESULTS_BUCKET)
        self.engine = create_database(DatabaseSettings(url=SecretStr(f"sqlite:///{database}")))
        self.balances = BalanceTable(float("inf"), now=self.now)
        self.balances.complete = True
        self.database_failures = 0
        """So many postings to come find the database away."""
        self.replicas: dict[str, list[Replica]] = {groups.EXTRACTOR: [], groups.LEDGER: []}
        self.dead: list[Replica] = []
        """Killed, and not yet missed by their groups."""
        self._directory = directory
        self._numbers = count(1)
        self._running: Replica | None = None
        self._asleep: list[Replica] = []
        self._events = cast(EventProducer, MemoryEvents(self.broker, self.now))
        self._requester = UploadRequester(
            self._head, self._events, bucket=UPLOADS_BUCKET, spread=2, heads_parallel=1, now=self.now
        )
        self._stack = ExitStack()
        self._stack.enter_context(patch("services.extractor.lane_consumer.create_consumer", self._lane_consumer))
        self._stack.enter_context(patch("services.extractor.worker.StoreThreads", _AtOnce))
        self._stack.enter_context(patch("services.ledger.consumer.time", SimpleNamespace(monotonic=self._tick)))

    def close(self) -> None:
        """Lets go of everything."""
        self._stack.close()
        self._requester.close()
        self.engine.dispose()

    def now(self) -> datetime:
        """The world's time."""
        return _START + timedelta(seconds=self.seconds)

    # Clients

    def ask(self, key: str, etag: str) -> None:
        """A POST for a content: the API's record on the lane of those who wait."""
        user_id = key.split("/")[1]
        identity = result_id(UPLOADS_BUCKET, key, etag)
        request = OcrRequest(
            result_id=identity,
            user_id=user_id,
            bucket=UPLOADS_BUCKET,
            key=key,
            etag=etag,
            origin=Origin.API,
            requested_at=self.now(),
        )
        self._events.send(REQUESTS, identity, request, subject=key, correlation_id=identity)

    # Intake

    def notify(self, key: str) -> None:
        """A notification reaches intake."""
        hint = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": UPLOADS_BUCKET}, "object": {"key": key}}}
        keys = sort_out(json.dumps({"Records": [hint]}).encode(), UPLOADS_BUCKET).keys
        self._requester.request(keys, Origin.NOTIFICATION, lambda: False)

    def sweep(self, user_id: str) -> None:
        """The reconciler goes through one user's uploads."""
        pace = Pace(lambda: 0, lag_max=1, requests_per_second_max=1e9, sleep=lambda _: None)
        buckets, recent = Buckets(UPLOADS_BUCKET, RESULTS_BUCKET), RecentRequests(0.0, 1)
        sweep = UserSweep(
            self.store, buckets, self.balances, recent, pace, self._requester.send, age_seconds_min=0, now=self.now
        )
        sweep(user_id, lambda: None, topped_up=True)

    def _head(self, key: str) -> StoredObject | None:
        return self.store.head(UPLOADS_BUCKET, key)

    # Replicas

    def start(self, group: str) -> None:
        """One more replica."""
        self.replicas[group].append(self._extractor() if group == groups.EXTRACTOR else self._ledger())

    def run(self, replica: Replica, rounds: int) -> None:
        """Lets a replica go round its loop."""
        for _ in range(rounds):
            self.seconds += _TURN_SECONDS
            before, self._running = self._running, replica
            try:
                replica.round()
            except Died:
                self.replicas[replica.group].remove(replica)
                self.dead.append(replica)
                return
            except (ProducerLost, KafkaException):
                self.replicas[replica.group].remove(replica)
                replica.leave()
                self.start(replica.group)
                return
            finally:
                self._running = before
        self._hear_balances()

    def stop(self, replica: Replica) -> None:
        """SIGTERM: it drains and leaves its group."""
        self.replicas[replica.group].remove(replica)
        before, self._running = self._running, replica
        try:
            replica.stop()
        except Died:
            self.dead.append(replica)
        finally:
            self._running = before

    def end_sessions(self) -> None:
        """The groups notice who is dead, and each is started again."""
        while self.dead:
            replica = self.dead.pop()
            self.broker.expel(replica.group, replica.consumer.member)
            self.start(replica.group)

    def _passing(self, point: str) -> None:
        replica = self._running
        if replica is None or replica.trouble is None or replica.trouble[0] != point:
            return
        kind, replica.trouble = replica.trouble[1], None
        if kind == "dies":
            raise Died
        if kind == "is not answered":
            raise StoreUnavailable("the answer was lost")
        if kind == "is of unknown fate":
            raise ProducerLost("the answer was lost")
        # It sleeps past its session; the others take over; it wakes in the middle of what it was at.
        self.broker.expel(replica.group, replica.consumer.member)
        self._asleep.append(replica)
        for other in list(self.replicas[replica.group]):
            if other not in self._asleep:
                self.run(other, 6)
        self._asleep.remove(replica)

    def _lane_consumer(self, config: dict[str, Any]) -> MemoryConsumer:
        self._consumer = MemoryConsumer(self.broker, str(config["group.id"]))
        return self._consumer

    def _extractor(self) -> Replica:
        stop = threading.Event()
        worker = ExtractorWorker(
            kafka=KafkaSettings(),
            settings=ExtractorSettings(),
            publisher=TransactionalPublisher(cast(Producer, MemoryTransactions(self.broker, self._passing))),
            recogniser=cast(Recogniser, InstantRecogniser()),
            stores=Stores(self.store, self.documents, self.balances),
            outgoing=Outgoing(KafkaSettings(), RESULTS_BUCKET, self.now),
            facts=Facts(PRICE, "http://files/", 10_000, UPLOADS_BUCKET, self._directory),
            now=self.now,
            tick=lambda: None,
            numbers=self._numbers,
            clock=self._tick,
        )
        worker.join()
        stop.set()
        return Replica(self._consumer, groups.EXTRACTOR, worker.turn, lambda: worker.run(stop), worker.leave)

    def _ledger(self) -> Replica:
        consumer = MemoryConsumer(self.broker, groups.LEDGER)
        usage = UsageConsumer(cast(Any, consumer), USAGE.name, self._locate)
        publisher = Publisher(
            self.engine,
            self._events,
            self.balances,
            is_elected=lambda: True,
            poll_seconds=1.0,
            cycle_seconds=1e9,
            now=self.now,
        )
        worker = LedgerWorker(
            usage,
            self._post,
            DeadLetters(cast(Producer, None)),
            lambda: None,
            cast(Heartbeats, SimpleNamespace(beat=lambda _: None)),
            batch_records_max=3,
            batch_wait_seconds=0.0,
            on_rewound=publisher.renew,
            now=self.now,
        )
        usage.start()

        def go_round() -> None:
            worker.round(threading.Event())
            publisher.round()

        return Replica(consumer, groups.LEDGER, go_round, usage.close, usage.close)

    def _locate(self, partitions: Collection[int]) -> dict[int, Position]:
        self._reach_database()
        return read_positions(self.engine, partitions)

    def _post(self, batch: Batch, now: datetime) -> Outcome:
        self._reach_database()
        outcome = post_batch(self.engine, batch, now)
        self._passing("after the posting")
        return outcome

    def _reach_database(self) -> None:
        if self.database_failures:
            self.database_failures -= 1
            raise DatabaseUnavailable("away")

    def _hear_balances(self) -> None:
        for record in self.broker.records(BALANCES.name):
            event = decode(record.headers(), record.value()).data
            if isinstance(event, BalanceChanged):
                self.balances.apply(event)

    def _tick(self) -> float:
        self.seconds += 0.01
        return self.seconds


class _AtOnce:
    """As `StoreThreads`, without threads: a step runs when it is handed in."""

    def __init__(self, _threads: int) -> None:
        self.waitable, self._other = socket.socketpair()
        self._other.send(b"\0")
        self._done: list[tuple[int, Any]] = []

    def submit(self, number: int, step: Callable[[], Any]) -> None:
        """Runs it."""
        try:
            self._done.append((number, step()))
        except Exception as error:
            self._done.append((number, error))

    def collect(self) -> list[tuple[int, Any]]:
        """What has ended since."""
        ended, self._done = self._done, []
        return ended

    def close(self) -> list[tuple[int, Any]]:
        """Ends, and returns what has ended since."""
        self.waitable.close()
        self._other.close()
        return self.collect()
