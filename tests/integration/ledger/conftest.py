"""Databases with the ledger's tables, and topics of the test's own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from services.runtime.database import create_database
from services.runtime.migrations import migrate
from services.runtime.settings import DatabaseSettings, KafkaSettings
from tests.integration.ledger.running import Wire
from tests.support.parts import DatabasePart, KafkaPart
from tests.support.postgres import create_database as create_postgres_database
from tests.support.postgres import drop_database


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    path = tmp_path_factory.mktemp("migrated") / "template.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres: DatabasePart) -> str:
    """A migrated PostgreSQL database to copy."""
    url = create_postgres_database(postgres.url)
    migrate(url)
    return url


@pytest.fixture
def sqlite_engine(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Engine]:
    """A migrated database on SQLite."""
    path = shutil.copy(migrated_sqlite, tmp_path / "ledger.db")
    yield from _engine(f"sqlite:///{path}")


@pytest.fixture
def postgres_engine(postgres: DatabasePart, migrated_postgres: str) -> Iterator[Engine]:
    """A migrated database on PostgreSQL."""
    url = create_postgres_database(postgres.url, template_url=migrated_postgres)
    yield from _engine(url)
    drop_database(postgres.url, url)


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """A migrated database; the test runs on SQLite and on PostgreSQL."""
    engine: Engine = request.getfixturevalue(f"{request.param}_engine")
    return engine


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
def wire(kafka_settings: KafkaSettings) -> Iterator[Wire]:
    """The topics of this test."""
    wire = Wire(kafka_settings)
    yield wire
    wire.close()


def _engine(url: str) -> Iterator[Engine]:
    engine = create_database(DatabaseSettings(url=SecretStr(url)))
    yield engine
    engine.dispose()
