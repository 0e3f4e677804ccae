"""Databases with the ledger's tables."""

from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from services.runtime.database import create_database
from services.runtime.migrations import migrate_engine
from services.runtime.settings import DatabaseSettings, KafkaSettings
from tests.integration.ledger.running import Wire
from tests.support.parts import KafkaPart


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A migrated database, SQLite and PostgreSQL."""
    yield from _migrated(database_url)


@pytest.fixture
def postgres_engine(postgres_url: str) -> Iterator[Engine]:
    """A migrated database on PostgreSQL."""
    yield from _migrated(postgres_url)


def _migrated(url: str) -> Iterator[Engine]:
    engine = create_database(DatabaseSettings(url=SecretStr(url)))
    migrate_engine(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def kafka_settings(kafka: KafkaPart, topic_prefix: str) -> KafkaSettings:
    """The broker, with names of this test's own, and timeouts of a test."""
    return KafkaSettings(
        bootstrap_servers=kafka.bootstrap_servers,
        topic_prefix=topic_prefix,
        partitions=4,
        session_timeout_ms=3_000,
        heartbeat_interval_ms=300,
    )


@pytest.fixture
def wire(kafka_settings: KafkaSettings) -> Wire:
    """The topics of this test."""
    return Wire(kafka_settings)
