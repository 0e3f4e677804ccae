"""Notifications from a topic of another name, for stores that take no dots in it."""

from __future__ import annotations

import json

import pytest
from confluent_kafka.admin import AdminClient

from schemas.topics import BALANCES, OBJECT_STORE_EVENTS, SWEEPS, UPLOADS
from services.runtime.object_store import ObjectStore
from services.runtime.provisioning import provision_topics
from services.runtime.settings import KafkaSettings, ObjectStoreSettings
from tests.integration.intake.conftest import ProduceRaw, StartIntake, Uploads, notification
from tests.support.parts import KafkaPart


@pytest.fixture
def kafka_settings(kafka: KafkaPart, topic_prefix: str) -> KafkaSettings:
    """The topics that intake knows, that of notifications by a name of its own."""
    settings = KafkaSettings(
        bootstrap_servers=kafka.bootstrap_servers,
        topic_prefix=topic_prefix,
        object_store_topic=f"{topic_prefix}ocr-object-events",
        partitions=3,
        session_timeout_ms=6_000,
        heartbeat_interval_ms=500,
    )
    provision_topics(settings, (OBJECT_STORE_EVENTS, UPLOADS, BALANCES, SWEEPS))
    return settings


def test_intake_reads_it_and_its_dead_letters_stand_beside_it(
    store: ObjectStore,
    store_settings: ObjectStoreSettings,
    start_intake: StartIntake,
    produce_raw: ProduceRaw,
    uploads: Uploads,
    kafka_settings: KafkaSettings,
) -> None:
    store.put(store_settings.uploads_bucket, "ocr/alice/a.png", b"pixels", "image/png")
    start_intake(store_settings, kafka_enabled=True)
    told = json.dumps(notification(store_settings.uploads_bucket, "ocr/alice/a.png")).encode()
    produce_raw(OBJECT_STORE_EVENTS, b"hello", told)
    assert uploads.keys(1) == ["ocr/alice/a.png"]
    topics = AdminClient({"bootstrap.servers": kafka_settings.bootstrap_servers}).list_topics(timeout=30).topics
    assert {kafka_settings.object_store_topic, f"{kafka_settings.object_store_topic}.dlq"} <= set(topics)
    assert f"{kafka_settings.topic_prefix}object-store.events" not in topics
