"""The database behind its few functions, on SQLite and PostgreSQL."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import SecretStr
from sqlalchemy import Column, Engine, Integer, MetaData, Table, Text, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from services.runtime.database import UtcDateTime, create_database, insert_many, reading, transaction
from services.runtime.errors import DatabaseUnavailable
from services.runtime.settings import DatabaseSettings
from tests.support.parts import DatabasePart

_METADATA = MetaData()
_THINGS = Table(
    "things",
    _METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", Text),
    Column("seen_at", UtcDateTime),
)


def _settings(url: str, **changes: float) -> DatabaseSettings:
    return DatabaseSettings(url=SecretStr(url)).model_copy(update=changes)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = create_database(_settings(database_url, lock_timeout_seconds=0.3))
    _METADATA.create_all(engine)
    yield engine
    engine.dispose()


def test_an_exception_leaves_nothing_behind(engine: Engine) -> None:
    def insert_and_fail() -> None:
        with transaction(engine) as connection:
            connection.execute(insert(_THINGS), {"id": 1})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        insert_and_fail()
    with reading(engine) as connection:
        assert connection.scalar(select(func.count()).select_from(_THINGS)) == 0


def test_rows_inserted_in_bulk_come_back_as_they_were(engine: Engine) -> None:
    moment = datetime(2026, 6, 15, 12, 30, tzinfo=timezone(timedelta(hours=2)))
    rows = [
        {"id": number, "name": name, "seen_at": moment}
        for number, name in enumerate(["plain", "tab\there", "back\\slash", "line\nbreak", "\\N", "ü 漢", None])
    ]
    with transaction(engine) as connection:
        insert_many(connection, _THINGS, rows)
    with reading(engine) as connection:
        found = connection.execute(select(_THINGS).order_by(_THINGS.c.id)).all()
    assert [row.name for row in found] == [row["name"] for row in rows]
    assert {row.seen_at for row in found} == {moment}
    assert found[0].seen_at.tzinfo is UTC


def test_a_bulk_insert_that_breaks_a_constraint_is_an_integrity_error(engine: Engine) -> None:
    with pytest.raises(IntegrityError), transaction(engine) as connection:
        insert_many(connection, _THINGS, [{"id": 1}, {"id": 1}])


def test_a_lock_that_does_not_come_is_transient(engine: Engine) -> None:
    with transaction(engine) as first:
        first.execute(insert(_THINGS), {"id": 1})
    with transaction(engine) as first:
        first.execute(update(_THINGS).values(name="held"))
        with pytest.raises(DatabaseUnavailable), transaction(engine) as second:
            second.execute(update(_THINGS).values(name="wanted"))


def test_a_mistake_in_a_statement_is_not_transient(engine: Engine) -> None:
    with pytest.raises(DBAPIError), transaction(engine) as connection:
        connection.execute(text("SELECT * FROM no_such_table"))


def test_readers_do_not_wait_for_the_writer(engine: Engine) -> None:
    with transaction(engine) as writer:
        writer.execute(insert(_THINGS), {"id": 1})
        with reading(engine) as reader:
            assert reader.scalar(select(func.count()).select_from(_THINGS)) == 0


def test_what_a_sqlite_writer_read_holds_until_it_commits(sqlite_url: str) -> None:
    engine = create_database(_settings(sqlite_url))
    _METADATA.create_all(engine)
    with transaction(engine) as connection:
        connection.execute(insert(_THINGS), {"id": 0})

    def count_up() -> None:
        for _ in range(50):
            with transaction(engine) as connection:
                seen = connection.scalar(select(_THINGS.c.id)) or 0
                connection.execute(update(_THINGS).values(id=seen + 1))

    threads = [threading.Thread(target=count_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with reading(engine) as connection:
        assert connection.scalar(select(_THINGS.c.id)) == 200
    engine.dispose()


def test_a_process_frozen_in_a_transaction_loses_its_locks(postgres_url: str) -> None:
    engine = create_database(_settings(postgres_url, idle_in_transaction_seconds_max=0.2))
    _METADATA.create_all(engine)
    with transaction(engine) as connection:
        connection.execute(insert(_THINGS), {"id": 1})
    frozen = engine.connect()
    frozen.execute(update(_THINGS).values(name="frozen"))
    with transaction(engine) as connection:
        connection.execute(update(_THINGS).values(name="went on"))

    def freeze_and_go_on() -> None:
        with transaction(engine) as connection:
            connection.execute(select(_THINGS))
            time.sleep(0.5)
            connection.execute(select(_THINGS))

    with pytest.raises(DatabaseUnavailable):
        freeze_and_go_on()
    frozen.invalidate()
    engine.dispose()


def test_a_database_that_went_away_is_transient_and_comes_back(postgres: DatabasePart, postgres_url: str) -> None:
    engine = create_database(_settings(postgres_url, connect_timeout_seconds=2))
    with reading(engine) as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    postgres.kill()
    try:
        with pytest.raises(DatabaseUnavailable), reading(engine) as connection:
            connection.scalar(text("SELECT 1"))
    finally:
        postgres.start()
    with reading(engine) as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    engine.dispose()


def test_a_session_the_server_ends_is_transient(postgres_url: str) -> None:
    engine = create_database(_settings(postgres_url))

    def lose_the_session() -> None:
        with transaction(engine) as connection:
            backend = connection.scalar(text("SELECT pg_backend_pid()"))
            with transaction(engine) as other:
                other.execute(text("SELECT pg_terminate_backend(:backend)"), {"backend": backend})
            connection.scalar(text("SELECT 1"))

    with pytest.raises(DatabaseUnavailable):
        lose_the_session()
    engine.dispose()


@pytest.mark.parametrize("written", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"])
def test_every_way_to_write_postgresql_is_understood(written: str, postgres_url: str) -> None:
    _, rest = postgres_url.split("://")
    engine = create_database(_settings(f"{written}://{rest}"))
    with reading(engine) as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    engine.dispose()


def test_another_kind_of_database_is_refused() -> None:
    with pytest.raises(ValueError, match="mysql"):
        create_database(_settings("mysql://localhost/ocr"))
