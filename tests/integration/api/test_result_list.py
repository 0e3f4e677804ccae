"""The list of results as it is kept from `ocr.results`, beside the offsets in SQL."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from confluent_kafka import OFFSET_BEGINNING, Message, Producer, TopicPartition
from pydantic import SecretStr
from sqlalchemy import Engine, delete

from schemas.cloudevents import encode
from schemas.events import ErrorCode
from schemas.topics import RESULTS
from services.api.result_list import ResultLister, clear_offsets, read_offsets
from services.api.results import ResultStatus, find_result
from services.api.tables import RESULTS as ROWS
from services.api.waiters import Reply
from services.runtime.database import create_database, transaction
from services.runtime.dead_letters import DeadLetters
from services.runtime.kafka import (
    common_config,
    consumer_config,
    create_consumer,
    create_producer,
    dead_letters_name,
    topic_name,
)
from services.runtime.migrations import migrate_engine
from services.runtime.producing import EventProducer, attributes_for
from services.runtime.provisioning import provision_topics
from services.runtime.settings import DatabaseSettings, KafkaSettings
from tests.support.parts import KafkaPart
from tests.unit.api.fakes import NOW, completed, failed


def until(check: Callable[[], bool], seconds_max: float = 20.0) -> None:
    deadline = time.monotonic() + seconds_max
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@dataclass
class Listing:
    """A topic of the test's own and a database for its list."""

    settings: KafkaSettings
    engine: Engine
    producer: Producer

    @property
    def topic(self) -> str:
        return topic_name(self.settings, RESULTS)

    @contextmanager
    def running(self) -> Iterator[None]:
        """A replica that lists."""
        raw = create_producer(self.settings, linger_ms=0)
        events = EventProducer(raw, self.settings, source="api")
        lister = ResultLister(self.settings, self.engine, DeadLetters(raw))
        lister.start()
        try:
            yield
        finally:
            lister.close()
            events.close()

    def publish(self, reply: Reply) -> str:
        headers, body = encode(reply, attributes_for(reply, source="/test", subject=reply.key, now=NOW))
        self.publish_raw(reply.result_id, body, headers)
        return reply.result_id

    def publish_raw(self, key: str, body: bytes | None, headers: list[tuple[str, str | bytes | None]]) -> None:
        self.producer.produce(self.topic, key=key, value=body, headers=headers)
        assert self.producer.flush(10) == 0

    def status(self, identity: str) -> ResultStatus | None:
        found = find_result(self.engine, identity)
        return None if found is None else found.status

    def dead_letters(self) -> list[Message]:
        """All that is there after a second."""
        consumer = create_consumer(consumer_config(self.settings, group="test", offset_reset="earliest"))
        consumer.assign([TopicPartition(dead_letters_name(self.settings, RESULTS), 0, OFFSET_BEGINNING)])
        found = consumer.consume(100, 2.0)
        consumer.close()
        return found


@pytest.fixture
def listing(kafka: KafkaPart, topic_prefix: str, sqlite_url: str) -> Iterator[Listing]:
    settings = KafkaSettings(
        bootstrap_servers=kafka.bootstrap_servers,
        topic_prefix=topic_prefix,
        partitions=2,
        session_timeout_ms=6_000,
        heartbeat_interval_ms=500,
    )
    provision_topics(settings, [RESULTS])
    engine = create_database(DatabaseSettings(url=SecretStr(sqlite_url), lock_timeout_seconds=0.5))
    migrate_engine(engine)
    yield Listing(settings, engine, Producer(common_config(settings)))
    engine.dispose()


def another(reply: Reply) -> Reply:
    """The same of another result."""
    return reply.model_copy(update={"result_id": str(uuid.uuid4())})


def test_what_was_published_before_and_while_it_runs_is_listed(listing: Listing) -> None:
    first = listing.publish(another(completed()))
    with listing.running():
        until(lambda: listing.status(first) is ResultStatus.COMPLETED)
        second = listing.publish(another(failed(ErrorCode.UNREADABLE_DOCUMENT)))
        until(lambda: listing.status(second) is ResultStatus.FAILED)


def test_a_replica_goes_on_where_the_last_one_committed(listing: Listing) -> None:
    with listing.running():
        first = listing.publish(another(completed()))
        until(lambda: listing.status(first) is not None)
    with transaction(listing.engine) as connection:
        connection.execute(delete(ROWS))
    second = listing.publish(another(completed()))
    with listing.running():
        until(lambda: listing.status(second) is not None)
    assert listing.status(first) is None, "it was not read again"


def test_a_database_restored_from_before_catches_up_by_itself(listing: Listing) -> None:
    ids = [listing.publish(another(completed())) for _ in range(20)]
    with listing.running():
        until(lambda: all(listing.status(each) for each in ids))
    offsets = read_offsets(listing.engine, listing.topic)
    with transaction(listing.engine) as connection:
        connection.execute(delete(ROWS))
    clear_offsets(listing.engine)
    with listing.running():
        until(lambda: all(listing.status(each) for each in ids))
    assert read_offsets(listing.engine, listing.topic) == offsets


def test_two_replicas_share_the_work_and_hand_it_over(listing: Listing) -> None:
    with listing.running():
        with listing.running():
            ids = [listing.publish(another(completed())) for _ in range(20)]
            until(lambda: all(listing.status(each) for each in ids))
        ids += [listing.publish(another(completed())) for _ in range(20)]
        until(lambda: all(listing.status(each) for each in ids))


def test_what_cannot_be_decoded_is_a_dead_letter_and_the_list_goes_on(listing: Listing) -> None:
    listing.publish_raw("x", b"not json", [("ce_id", b"1")])
    listing.publish_raw("x", None, [])
    identity = listing.publish(another(completed()))
    with listing.running():
        until(lambda: listing.status(identity) is not None)
        until(lambda: sum(read_offsets(listing.engine, listing.topic).values()) == 3)
    letters = listing.dead_letters()
    assert len(letters) == 2
    headers = dict(letters[0].headers() or [])
    assert headers["dlq-topic"] == listing.topic.encode()
    assert headers["dlq-reason"]
    assert letters[0].value() == b"not json"


def test_a_database_that_was_busy_makes_no_dead_letter_and_no_gap(listing: Listing) -> None:
    with listing.running():
        first = listing.publish(another(completed()))
        until(lambda: listing.status(first) is not None)
        with transaction(listing.engine):
            ids = [listing.publish(another(completed())) for _ in range(5)]
            time.sleep(2.0)
        until(lambda: all(listing.status(each) for each in ids), 40.0)
    assert listing.dead_letters() == []
