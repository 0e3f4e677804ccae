"""A ledger in threads of the test, on the real broker; and what the tests send it and read back."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from confluent_kafka import OFFSET_BEGINNING, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from sqlalchemy import Engine, func, select

from schemas.cloudevents import Headers, decode, encode
from schemas.events import BalanceChanged, Event, LedgerHeartbeat
from schemas.topics import BALANCES, ENTRIES, UPLOADS, USAGE, Topic
from services.ledger.book import Batch, post_batch
from services.ledger.consumer import Locate, UsageConsumer
from services.ledger.ends import Ends
from services.ledger.heartbeat import Heartbeats
from services.ledger.outbox import waiting
from services.ledger.places import Places
from services.ledger.posting import Outcome, user_account
from services.ledger.publisher import Publisher
from services.ledger.tables import accounts, entries, outbox
from services.ledger.worker import Worker
from services.runtime import groups
from services.runtime.admission import BalanceReader, BalanceTable
from services.runtime.database import reading
from services.runtime.dead_letters import DeadLetters
from services.runtime.kafka import common_config, consumer_config, create_consumer, create_producer, topic_name
from services.runtime.producing import EventProducer, attributes_for
from services.runtime.provisioning import provision_topics
from services.runtime.settings import KafkaSettings

LEDGER_TOPICS = (USAGE, BALANCES, ENTRIES, UPLOADS)


def eventually(holds: Callable[[], object], seconds_max: float = 60.0, what: str = "it never held") -> None:
    """Waits until `holds()` is true."""
    deadline = time.monotonic() + seconds_max
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@dataclass
class Wire:
    """The topics of one test."""

    kafka: KafkaSettings
    _producer: Producer = field(init=False)

    def __post_init__(self) -> None:
        provision_topics(self.kafka, LEDGER_TOPICS)
        self._producer = create_producer(self.kafka, linger_ms=1)

    def send(self, events: Sequence[Event], topic: Topic = USAGE, partition: int | None = None) -> None:
        """Produces events, to one partition if it is given, else where their user belongs."""
        for event in events:
            attributes = attributes_for(event, source="/tests", subject="tests", now=datetime.now(UTC))
            headers, body = encode(event, attributes)
            self.send_raw(body, headers, topic, partition, key=getattr(event, "user_id", ""))
        self.flush()

    def send_raw(
        self, body: bytes | None, headers: Headers, topic: Topic = USAGE, partition: int | None = None, key: str = "k"
    ) -> None:
        """Produces one record as it is."""
        anywhere = -1
        self._producer.produce(
            topic_name(self.kafka, topic),
            key=key,
            value=body,
            headers=headers,
            partition=anywhere if partition is None else partition,
        )

    def close(self) -> None:
        """Lets go of the broker."""
        self._producer.close()

    def flush(self) -> None:
        """Waits until all is on the broker."""
        assert self._producer.flush(60) == 0

    def records(self, name: str) -> list[Message]:
        """Every record of a topic, from its beginning to where it ended when its reading began; others may write on."""
        config = consumer_config(self.kafka, group="tests", offset_reset="earliest")
        consumer = create_consumer(config | {"enable.partition.eof": True})
        try:
            pending = set(consumer.list_topics(name, timeout=10).topics[name].partitions)
            consumer.assign([TopicPartition(name, number, OFFSET_BEGINNING) for number in pending])
            ends, records = dict[int, int](), list[Message]()
            while pending:
                message = consumer.poll(10)
                assert message is not None, f"the end of {name} was not reached"
                error, place = message.error(), TopicPartition(name, int(message.partition() or 0))
                assert error is None or error.code() == KafkaError._PARTITION_EOF, error
                # As the answer to the fetch told it: the embedded broker says it wrongly to who asks.
                end = ends.setdefault(place.partition, consumer.get_watermark_offsets(place, cached=True)[1])
                offset = int(message.offset() or 0)
                if error is None and offset < end:
                    records.append(message)
                # The last offsets may be marks of transactions, which no record tells; then the partition's end does.
                if error is not None or offset >= end - 1:
                    pending.discard(place.partition)
            return records
        finally:
            consumer.close()

    def ends(self, topic: Topic) -> dict[int, int]:
        """Where each partition of a topic ends now; partitions without a record are left out."""
        found = Ends(AdminClient(common_config(self.kafka)), topic_name(self.kafka, topic))
        highs = found.highs(range(found.partition_count()))
        return {number: high for number, high in highs.items() if high}

    def balances(self) -> dict[str, int]:
        """The balance of the highest version of every user, as a reader sees it."""
        latest: dict[str, BalanceChanged] = {}
        for event in self.events(BALANCES):
            if isinstance(event, BalanceChanged):
                known = latest.get(event.user_id)
                if known is None or event.version > known.version:
                    latest[event.user_id] = event
        return {user: event.balance for user, event in latest.items()}

    def heartbeats(self, partition: int | None = None) -> list[LedgerHeartbeat]:
        """The heartbeats so far, of one partition if it is given."""
        beats = [event for event in self.events(BALANCES) if isinstance(event, LedgerHeartbeat)]
        return [beat for beat in beats if partition is None or beat.partition == partition]

    def events(self, topic: Topic) -> list[Event]:
        """Every event of a topic."""
        return [decode(each.headers(), each.value()).data for each in self.records(topic_name(self.kafka, topic))]


@dataclass
class Ledger:
    """One replica, with its parts within reach."""

    engine: Engine
    consumer: UsageConsumer
    worker: Worker
    publisher: Publisher
    stop: threading.Event
    failures: list[Exception]


@contextmanager
def running(
    kafka: KafkaSettings,
    engine: Engine,
    *,
    post: Callable[[Batch, datetime], Outcome] | None = None,
    locate: Locate | None = None,
    heartbeat_seconds: float = 0.5,
    batch_records_max: int = 500,
) -> Iterator[Ledger]:
    """A ledger that reads, posts, beats and publishes until the block ends."""
    stop, failures = threading.Event(), list[Exception]()
    topic = topic_name(kafka, USAGE)
    raw_producer = create_producer(kafka, linger_ms=1)
    producer = EventProducer(raw_producer, kafka, "ledger")
    ends = Ends(AdminClient(common_config(kafka)), topic)
    config = consumer_config(kafka, group=groups.LEDGER, offset_reset="error")
    raw_consumer = create_consumer(config | {"enable.partition.eof": True})
    consumer = UsageConsumer(raw_consumer, topic, locate or Places(engine, None if kafka.embedded else ends))
    balances = BalanceReader(kafka, BalanceTable(60))
    publisher = Publisher(
        engine,
        producer,
        balances.table,
        is_elected=lambda: 0 in consumer.owned,
        poll_seconds=0.1,
        cycle_seconds=300,
    )
    worker = Worker(
        consumer,
        post or partial(post_batch, engine),
        DeadLetters(raw_producer),
        lambda: producer.flush(10),
        Heartbeats(
            producer,
            ends,
            interval_seconds=heartbeat_seconds,
            ask_the_broker=not kafka.embedded,
            unpublished=partial(waiting, engine),
        ),
        batch_records_max=batch_records_max,
        batch_wait_seconds=0.05,
        on_posted=publisher.wake,
        on_rewound=publisher.renew,
    )

    def guarded(target: Callable[[threading.Event], None]) -> None:
        try:
            target(stop)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(target,)) for target in (worker.run, publisher.run)]
    balances.start()
    for thread in threads:
        thread.start()
    try:
        yield Ledger(engine, consumer, worker, publisher, stop, failures)
    finally:
        stop.set()
        for thread in threads:
            thread.join(20)
        consumer.close()
        balances.close()
        producer.close()
        raw_producer.close()


@contextmanager
def in_background(run: Callable[[threading.Event], bool]) -> Iterator[None]:
    """Runs a whole ledger in a thread until the block ends; it must end well."""
    stop, well = threading.Event(), list[bool]()
    thread = threading.Thread(target=lambda: well.append(run(stop)))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)
    assert well == [True]


def balance(engine: Engine, user_id: str) -> int | None:
    """A user's balance in SQL."""
    with reading(engine) as connection:
        return connection.scalar(select(accounts.c.balance).where(accounts.c.id == user_account(user_id)))


def outbox_count(engine: Engine) -> int:
    """How many rows wait to be published."""
    with reading(engine) as connection:
        return connection.scalar(select(func.count()).select_from(outbox)) or 0


def entry_count(engine: Engine) -> int:
    """How many entries there are."""
    with reading(engine) as connection:
        return connection.scalar(select(func.count()).select_from(entries)) or 0
