"""One Alembic tree, on SQLite and PostgreSQL."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, inspect, text

from services.runtime.database import create_database
from services.runtime.migrations import downgrade_engine, migrate, migrate_engine, missing_migration, newest_revision
from services.runtime.settings import DatabaseSettings


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = create_database(DatabaseSettings(url=SecretStr(database_url)))
    yield engine
    engine.dispose()


def test_migrating_twice_is_migrating_once(database_url: str) -> None:
    assert migrate(database_url) == newest_revision()
    assert migrate(database_url) == newest_revision()


def test_processes_that_migrate_at_once_do_not_meet(database_url: str) -> None:
    with ThreadPoolExecutor(6) as pool:
        revisions = list(pool.map(migrate, [database_url] * 6))
    assert revisions == [newest_revision()] * 6


def test_a_database_that_was_never_migrated_says_what_to_do(engine: Engine) -> None:
    assert "ocr-services migrate" in (missing_migration(engine) or "")
    migrate_engine(engine)
    assert missing_migration(engine) is None


def test_every_revision_can_be_taken_back(engine: Engine) -> None:
    migrate_engine(engine)
    downgrade_engine(engine, "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    assert migrate_engine(engine) == newest_revision()


def test_what_was_deleted_before_deletions_had_a_time_of_their_own_keeps_it(engine: Engine) -> None:
    migrate_engine(engine)
    downgrade_engine(engine, "0008_asked_at")
    row = "'r1', 'alice', 'ocr/alice/a.png', 'deleted', '2026-06-15 10:00:00+00:00', '2026-06-16 10:00:00+00:00'"
    with engine.begin() as connection:
        columns = "id, user_id, key, status, requested_at, finished_at"
        connection.execute(text(f"INSERT INTO results ({columns}) VALUES ({row})"))
    migrate_engine(engine)
    assert _moments(engine, "requested_at, finished_at, deleted_at") == [15, 15, 16]
    downgrade_engine(engine, "0008_asked_at")
    assert _moments(engine, "requested_at, finished_at") == [15, 16]


def _moments(engine: Engine, columns: str) -> list[int]:
    """The days of the month."""
    with engine.connect() as connection:
        (row,) = connection.execute(text(f"SELECT {columns} FROM results"))
    return [int(str(moment)[8:10]) for moment in row]
