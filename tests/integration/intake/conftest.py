"""Intake on real parts: its own topics and buckets for each test, and readers of what it produces."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition

from schemas.cloudevents import decode_as
from schemas.events import BalanceChanged, OcrRequest
from schemas.topics import BALANCES, OBJECT_STORE_EVENTS, SWEEPS, UPLOADS, Topic
from services.intake.__main__ import Intake
from services.intake.settings import IntakeSettings
from services.runtime.kafka import create_producer, topic_name
from services.runtime.object_store import ObjectStore, create_client
from services.runtime.producing import EventProducer
from services.runtime.provisioning import ensure_bucket, provision_topics
from services.runtime.settings import KafkaSettings, ObjectStoreSettings
from tests.support.parts import KafkaPart, ObjectStorePart


@pytest.fixture
def kafka_settings(kafka: KafkaPart, topic_prefix: str) -> KafkaSettings:
    """The topics that intake knows, with a prefix of this test's own."""
    settings = KafkaSettings(
        bootstrap_servers=kafka.bootstrap_servers,
        topic_prefix=topic_prefix,
        partitions=3,
        session_timeout_ms=6_000,
        heartbeat_interval_ms=500,
    )
    provision_topics(settings, (OBJECT_STORE_EVENTS, UPLOADS, BALANCES, SWEEPS))
    return settings


class MakeStoreSettings(Protocol):
    """Settings for a store, with both buckets made."""

    def __call__(self, part: ObjectStorePart) -> ObjectStoreSettings:
        """Makes them."""


@pytest.fixture
def make_store_settings(bucket_prefix: str) -> MakeStoreSettings:
    """Settings for any of the stores, with buckets of this test's own."""

    def make(part: ObjectStorePart) -> ObjectStoreSettings:
        settings = ObjectStoreSettings.model_validate(
            {
                "endpoint_url": part.endpoint_url,
                "access_key": part.access_key,
                "secret_key": part.secret_key,
                "uploads_bucket": f"{bucket_prefix}uploads",
                "results_bucket": f"{bucket_prefix}results",
                "timeout_seconds": 5,
            }
        )
        store = ObjectStore(create_client(settings))
        ensure_bucket(store, settings.uploads_bucket)
        ensure_bucket(store, settings.results_bucket)
        return settings

    return make


@pytest.fixture
def store_settings(object_store: ObjectStorePart, make_store_settings: MakeStoreSettings) -> ObjectStoreSettings:
    """The session's store, which notifies nobody."""
    return make_store_settings(object_store)


@pytest.fixture
def store(store_settings: ObjectStoreSettings) -> ObjectStore:
    """The session's store behind our own calls."""
    return ObjectStore(create_client(store_settings))


@dataclass
class Running:
    """Intake at work in this process."""

    intake: Intake
    stop: threading.Event

    def wait_until_ready(self, seconds_max: float = 30.0) -> None:
        """Returns once nothing keeps notifications waiting."""
        wait_for(lambda: self.intake.ready() is None, seconds_max, lambda: str(self.intake.ready()))

    def end(self) -> None:
        """Stops as SIGTERM does; raises what a loop failed with."""
        self.stop.set()
        self.intake.join()


StartIntake = Callable[..., Running]


@pytest.fixture
def start_intake(kafka_settings: KafkaSettings) -> Iterator[StartIntake]:
    """Starts intake with the given store and settings; the reconciler is off unless asked for."""
    started: list[Running] = []

    def start(store_settings: ObjectStoreSettings, **settings: object) -> Running:
        stop = threading.Event()
        chosen = IntakeSettings.model_validate({"reconciler_enabled": False} | settings)
        running = Running(Intake(chosen, kafka_settings, store_settings, stop), stop)
        running.intake.start()
        started.append(running)
        return running

    yield start
    for running in started:
        if not running.stop.is_set():
            running.end()


class TopicReader:
    """Reads a topic from its beginning, without a group."""

    def __init__(self, settings: KafkaSettings, name: str) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": settings.bootstrap_servers,
                "group.id": "unused",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 50,
            }
        )
        numbers = self._consumer.list_topics(name, timeout=10).topics[name].partitions
        self._consumer.assign([TopicPartition(name, number, OFFSET_BEGINNING) for number in numbers])

    def read(self, count: int, seconds_max: float = 30.0) -> list[Message]:
        """`count` records, fewer when the time is over."""
        messages: list[Message] = []
        deadline = time.monotonic() + seconds_max
        while len(messages) < count and (left := deadline - time.monotonic()) > 0:
            for message in self._consumer.consume(count - len(messages), min(left, 0.5)):
                assert message.error() is None, message.error()
                messages.append(message)
        return messages

    def close(self) -> None:
        """Lets go of the broker."""
        self._consumer.close()


@pytest.fixture
def read_topic(kafka_settings: KafkaSettings) -> Iterator[Callable[[str], TopicReader]]:
    """Readers of topics, by their names without the prefix."""
    readers: list[TopicReader] = []

    def read(name: str) -> TopicReader:
        readers.append(TopicReader(kafka_settings, kafka_settings.topic_prefix + name))
        return readers[-1]

    yield read
    for reader in readers:
        reader.close()


class Uploads:
    """The requests on the upload lane, in the order they are read."""

    def __init__(self, reader: TopicReader) -> None:
        self._reader = reader

    def next(self, count: int, seconds_max: float = 30.0) -> list[OcrRequest]:
        """The next `count` requests, fewer when the time is over."""
        messages = self._reader.read(count, seconds_max)
        return [decode_as(OcrRequest, message.headers(), message.value()) for message in messages]

    def keys(self, count: int, seconds_max: float = 30.0) -> list[str]:
        """The object keys of the next `count` requests, sorted."""
        return sorted(request.key for request in self.next(count, seconds_max))

    def distinct_keys(self, count: int, seconds_max: float = 30.0) -> set[str]:
        """The object keys of the next requests, until there are `count` different ones or the time is over."""
        keys: set[str] = set()
        deadline = time.monotonic() + seconds_max
        while len(keys) < count and (left := deadline - time.monotonic()) > 0:
            keys |= {request.key for request in self.next(1, left)}
        return keys

    def silence(self, seconds: float = 2.0) -> bool:
        """Whether nothing more comes for so long."""
        return self.next(1, seconds) == []


@pytest.fixture
def uploads(read_topic: Callable[[str], TopicReader]) -> Uploads:
    """What intake requests."""
    return Uploads(read_topic(UPLOADS.name))


@pytest.fixture
def producer(kafka_settings: KafkaSettings) -> Iterator[EventProducer]:
    """Produces as another service."""
    events = EventProducer(create_producer(kafka_settings, linger_ms=0), kafka_settings, "test")
    yield events
    events.close()


class ProduceRaw(Protocol):
    """Writes records to a topic, acknowledged on return."""

    def __call__(self, topic: Topic, *bodies: bytes | None) -> None:
        """Writes them in this order."""


@pytest.fixture
def produce_raw(kafka_settings: KafkaSettings) -> Iterator[ProduceRaw]:
    """Produces records as they are."""
    raw = create_producer(kafka_settings, linger_ms=0)

    def produce(topic: Topic, *bodies: bytes | None) -> None:
        for body in bodies:
            raw.produce(topic_name(kafka_settings, topic), value=body, headers=[("origin", b"the test")])
        assert raw.flush(10) == 0

    yield produce
    raw.flush(5)


@pytest.fixture
def set_balance(producer: EventProducer) -> Callable[[str, int, int], None]:
    """Publishes a balance as the ledger does."""

    def publish(user_id: str, balance: int, version: int) -> None:
        event = BalanceChanged(user_id=user_id, balance=balance, version=version, as_of=datetime.now(UTC))
        producer.send(BALANCES, user_id, event, subject=user_id).result(10)

    return publish


def wait_for(condition: Callable[[], bool], seconds_max: float, why: Callable[[], str] = lambda: "") -> None:
    """Waits until `condition` holds; fails the test when the time is over."""
    deadline = time.monotonic() + seconds_max
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds_max} s: {why()}"
        time.sleep(0.05)


def notification(bucket: str, *keys: str, event_name: str = "ObjectCreated:Put") -> dict[str, object]:
    """A notification as AWS sends it, a record for each of the keys as given."""
    records = [
        {"eventName": event_name, "s3": {"bucket": {"name": bucket}, "object": {"key": key, "size": 1}}} for key in keys
    ]
    return {"Records": records}


def header_bytes(message: Message) -> dict[str, bytes]:
    """The headers of a record, by name."""
    headers = message.headers() or []
    pairs = headers.items() if isinstance(headers, dict) else headers
    return {name: value for name, value in pairs if isinstance(value, bytes)}
