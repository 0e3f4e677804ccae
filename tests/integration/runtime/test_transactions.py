"""Records and offsets together or not at all, against a real broker."""

import time
import uuid
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, TopicPartition

from services.runtime.kafka import consumer_config, create_consumer, create_producer
from services.runtime.settings import KafkaSettings
from services.runtime.transactions import Record, TransactionAborted, TransactionalPublisher
from tests.support.parts import KafkaPart
from tests.support.stage import wait_for
from tests.support.topics import create_topics


@pytest.fixture
def settings(kafka: KafkaPart, topic_prefix: str) -> KafkaSettings:
    if kafka.kind == "embedded":
        pytest.skip("the embedded broker does not fence stale members")
    create_topics(kafka.bootstrap_servers, {f"{topic_prefix}in": 1, f"{topic_prefix}out": 1})
    return KafkaSettings(
        bootstrap_servers=kafka.bootstrap_servers,
        topic_prefix=topic_prefix,
        session_timeout_ms=6000,
        heartbeat_interval_ms=500,
    )


@pytest.fixture
def publisher(settings: KafkaSettings) -> TransactionalPublisher:
    built = TransactionalPublisher(create_producer(settings, linger_ms=0, transactional_id=str(uuid.uuid4())))
    built.begin()
    return built


@pytest.fixture
def member(settings: KafkaSettings) -> Iterator[Consumer]:
    consumer = _join(settings)
    yield consumer
    consumer.close()


def _join(settings: KafkaSettings) -> Consumer:
    consumer = create_consumer(consumer_config(settings, group="workers", offset_reset="earliest"))
    consumer.subscribe([f"{settings.topic_prefix}in"])
    wait_for(lambda: bool(consumer.poll(0.1) is None and consumer.assignment()), "it joins")
    return consumer


def _published(settings: KafkaSettings) -> list[bytes | None]:
    reader = create_consumer(consumer_config(settings, group=str(uuid.uuid4()), offset_reset="earliest"))
    reader.assign([TopicPartition(f"{settings.topic_prefix}out", 0, 0)])
    deadline, values = time.monotonic() + 2.0, []
    while time.monotonic() < deadline:
        message = reader.poll(0.1)
        if message is not None and message.error() is None:
            values.append(message.value())
    reader.close()
    return values


def _committed(settings: KafkaSettings, consumer: Consumer) -> int:
    return consumer.committed([TopicPartition(f"{settings.topic_prefix}in", 0)], timeout=10)[0].offset


def _record(settings: KafkaSettings, value: bytes) -> Record:
    return Record(f"{settings.topic_prefix}out", "key", value, [])


def test_records_and_offset_become_visible_together(
    settings: KafkaSettings, publisher: TransactionalPublisher, member: Consumer
) -> None:
    offsets = [TopicPartition(f"{settings.topic_prefix}in", 0, 5)]
    publisher.publish([_record(settings, b"a")], offsets, member.consumer_group_metadata())
    assert _published(settings) == [b"a"]
    assert _committed(settings, member) == 5


def test_a_stale_generation_publishes_nothing_and_the_producer_goes_on(
    settings: KafkaSettings, publisher: TransactionalPublisher, member: Consumer
) -> None:
    stale = member.consumer_group_metadata()
    member.close()
    again = _join(settings)
    offsets = [TopicPartition(f"{settings.topic_prefix}in", 0, 5)]
    with pytest.raises(TransactionAborted):
        publisher.publish([_record(settings, b"stale")], offsets, stale)
    publisher.publish([_record(settings, b"fresh")], offsets, again.consumer_group_metadata())
    assert _published(settings) == [b"fresh"]
    again.close()


def test_a_transaction_stays_below_a_poll_of_librdkafka(
    settings: KafkaSettings, publisher: TransactionalPublisher, member: Consumer
) -> None:
    """Without the flush before the offsets each would take about 100 ms more."""
    durations = []
    for number in range(20):
        started = time.perf_counter()
        offsets = [TopicPartition(f"{settings.topic_prefix}in", 0, number + 1)]
        publisher.publish([_record(settings, b"x")], offsets, member.consumer_group_metadata())
        durations.append(time.perf_counter() - started)
    assert min(durations) < 0.05


def test_what_is_buried_is_never_seen_and_what_comes_after_is(
    settings: KafkaSettings, publisher: TransactionalPublisher, member: Consumer
) -> None:
    metadata = member.consumer_group_metadata()
    publisher.bury([(f"{settings.topic_prefix}out", 0)], TopicPartition(f"{settings.topic_prefix}out", 0, 0), metadata)
    offsets = [TopicPartition(f"{settings.topic_prefix}in", 0, 5)]
    publisher.publish([_record(settings, b"a")], offsets, metadata)
    assert _published(settings) == [b"a"]


def test_an_heir_ends_what_a_producer_left_open_and_is_no_member_for_it(
    settings: KafkaSettings, member: Consumer, request: pytest.FixtureRequest
) -> None:
    name = f"left-{request.node.name}"
    dead = create_producer(settings, linger_ms=0, transactional_id=name)
    dead.init_transactions(30.0)
    dead.begin_transaction()
    record = _record(settings, b"left open")
    dead.produce(record.topic, key=record.key, value=record.value, headers=record.headers)
    dead.flush(30.0)
    dead.send_offsets_to_transaction(
        [TopicPartition(f"{settings.topic_prefix}in", 0, 3)], member.consumer_group_metadata(), 30.0
    )

    heir = TransactionalPublisher(create_producer(settings, linger_ms=0, transactional_id=name), 30.0)
    heir.begin()
    stranger = create_consumer(consumer_config(settings, group="workers", offset_reset="error"))
    unread = TopicPartition(f"{settings.topic_prefix}out", 0, 0)
    heir.bury([(unread.topic, 0)], unread, stranger.consumer_group_metadata())
    stranger.close()

    assert _committed(settings, member) < 0
    offsets = [TopicPartition(f"{settings.topic_prefix}in", 0, 5)]
    heir.publish([_record(settings, b"after")], offsets, member.consumer_group_metadata())
    assert _published(settings) == [b"after"]
