"""The ledger on the embedded broker, whose events are gone after a restart, and which under-reports its ends."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from sqlalchemy import Engine

from schemas.topics import UPLOADS
from services.ledger.audit import audit
from services.ledger.grants import grant
from services.ledger.lane_offsets import LaneOffsets, Place
from services.ledger.offsets import clear_offsets
from services.runtime import groups
from services.runtime.kafka import consumer_config, create_consumer, topic_name
from services.runtime.settings import KafkaSettings
from tests.integration.ledger.running import Wire, balance, entry_count, eventually, outbox_count, running
from tests.support.kafka import start_embedded_broker
from tests.support.parts import KafkaPart
from tests.support.usage import NOON, usage


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[KafkaPart]:
    """An embedded broker of this test's own."""
    part = start_embedded_broker(tmp_path)
    yield part
    part.kill()


@pytest.fixture
def embedded_settings(broker: KafkaPart) -> KafkaSettings:
    """As the local stack sets them."""
    return KafkaSettings(
        bootstrap_servers=broker.bootstrap_servers,
        partitions=4,
        session_timeout_ms=6_000,
        heartbeat_interval_ms=500,
        embedded=True,
    )


def test_a_broker_that_starts_empty_again_gets_all_balances_and_new_usage_is_posted(
    broker: KafkaPart, embedded_settings: KafkaSettings, sqlite_engine: Engine
) -> None:
    grant(sqlite_engine, "alice", 1_000, "k1", now=NOON)
    wire = Wire(embedded_settings)
    wire.send([usage("r1"), usage("r2", "bob", 70)])
    with running(embedded_settings, sqlite_engine):
        eventually(lambda: entry_count(sqlite_engine) == 3 and outbox_count(sqlite_engine) == 0)
        eventually(lambda: {beat.partition for beat in wire.heartbeats()} == {0, 1, 2, 3})
        assert wire.balances() == {"alice": 800, "bob": -70}
    wire.close()
    broker.stop()
    broker.start()
    clear_offsets(sqlite_engine)
    wire = Wire(embedded_settings)
    wire.send([usage("r2", "bob", 70), usage("r3")])
    with running(embedded_settings, sqlite_engine):
        eventually(lambda: balance(sqlite_engine, "alice") == 600)
        eventually(lambda: wire.balances() == {"alice": 600, "bob": -70})
    wire.close()
    assert audit(sqlite_engine).findings == []


def test_a_request_that_still_waits_is_not_taken_for_gone(embedded_settings: KafkaSettings) -> None:
    wire, topic = Wire(embedded_settings), topic_name(embedded_settings, UPLOADS)
    for number in range(5):
        wire.send_raw(str(number).encode(), [], UPLOADS, partition=0)
    wire.flush()
    wire.close()
    consumer = create_consumer(consumer_config(embedded_settings, group=groups.EXTRACTOR, offset_reset="error"))
    consumer.commit(offsets=[TopicPartition(topic, 0, 2)], asynchronous=False)
    consumer.close()
    places = [Place(topic, 0, offset) for offset in range(8)]
    assert LaneOffsets(embedded_settings).done(places) == {*places[:2], *places[5:]}
