"""The one SQL database: SQLite on one machine, else PostgreSQL. Every failure that may pass is a type."""

import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ARRAY,
    URL,
    Column,
    ColumnElement,
    Connection,
    DateTime,
    Dialect,
    Engine,
    Table,
    TableValuedAlias,
    TypeDecorator,
    Update,
    any_,
    bindparam,
    create_engine,
    event,
    func,
    insert,
    make_url,
    text,
    update,
)
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from services.runtime.errors import DatabaseUnavailable
from services.runtime.settings import DatabaseSettings

_READ_ONLY = "ocr_read_only"
_IDLE_SINCE = "ocr_idle_since"
_NEW = "new_"
"""Before a column's name: the parameter that gives it its value; the bare name has a meaning of its own."""
_PING_AFTER_IDLE_SECONDS = 0.25
_SQLITE_TRANSIENT = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
}
# Connection, transaction rollback (deadlock, serialisation), resources, lock not available, operator
# intervention, system error; then: a standby after a failover, and the idle transaction that was ended.
_POSTGRES_TRANSIENT = ("08", "40", "53", "55P03", "57", "58", "25006", "25P03")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment: `timestamptz` on PostgreSQL, naive UTC on SQLite, which knows no zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To the database."""
        if value is None:
            return None
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """From the database."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


def database_url(written: str) -> URL:
    """The URL with its driver: psycopg 3 for PostgreSQL, whichever way it is written.

    Raises:
        ValueError: neither SQLite nor PostgreSQL.
    """
    url = make_url(written)
    dialect = url.drivername.partition("+")[0]
    if dialect in ("postgres", "postgresql"):
        return url.set(drivername="postgresql+psycopg")
    if dialect == "sqlite":
        return url
    raise ValueError(f"a database of the kind {dialect!r} is not supported: use sqlite or postgresql")


def create_database(settings: DatabaseSettings) -> Engine:
    """A pool of connections; nothing is opened before the first transaction."""
    url = database_url(settings.url.get_secret_value())
    return _sqlite(url, settings) if url.get_backend_name() == "sqlite" else _postgres(url, settings)


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes: committed at the end, rolled back by an exception.

    On SQLite it begins by taking the one writer's place, so that what it reads holds until it commits.

    Raises:
        DatabaseUnavailable: the database is away or busy. When the commit itself was cut off it may stand or not.
    """
    with _classified(), engine.begin() as connection:
        yield connection


@contextmanager
def single_statement(engine: Engine) -> Iterator[Connection]:
    """A transaction of exactly one statement, which on PostgreSQL needs one round trip. Raises as `transaction`.

    There a statement outside of a transaction is one by itself: done whole or not at all, and on disk when it returns.
    """
    if engine.dialect.name != "postgresql":
        with transaction(engine) as connection:
            yield connection
        return
    with _classified(), engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads, and on SQLite waits for no writer. Raises as `transaction`."""
    with _classified(), engine.connect().execution_options(**{_READ_ONLY: True}) as connection:
        yield connection


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A transaction that reads one moment's state throughout, for as long as it takes. Raises as `transaction`."""
    with reading(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
            connection.execute(text("SET LOCAL statement_timeout = 0"))
        yield connection


def insert_many(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Inserts rows that all have the same columns: by COPY on PostgreSQL, which is several times faster."""
    if not rows:
        return
    if connection.dialect.name != "postgresql":
        connection.execute(insert(table), rows)
        return
    columns = list(rows[0])
    names = ", ".join(f'"{column}"' for column in columns)
    cursor = connection.connection.cursor()
    try:
        with cursor.copy(f'COPY "{table.name}" ({names}) FROM STDIN') as copy:
            for row in rows:
                copy.write_row([row[column] for column in columns])
    except Exception as error:
        dbapi_error = connection.dialect.loaded_dbapi.Error
        if not isinstance(error, dbapi_error):
            raise
        raise DBAPIError.instance(f"COPY {table.name}", None, error, dbapi_error, dialect=connection.dialect) from error
    finally:
        cursor.close()


def update_many(connection: Connection, table: Table, key: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Updates the rows named by column `key`, all in the same columns: in one statement on PostgreSQL."""
    if not rows:
        return
    statement = _update_of_many(connection.dialect.name, table, key, tuple(rows[0]))
    if connection.dialect.name == "postgresql":
        connection.execute(statement, arrays_of(rows))
    else:
        connection.execute(statement, [{_NEW + column: value for column, value in row.items()} for row in rows])


@cache
def _update_of_many(dialect: str, table: Table, key: str, columns: Sequence[str]) -> Update:
    # Kept: to build a statement takes longer than to run it.
    if dialect == "postgresql":
        new = arrays_as_table(table, columns)
        changes = {column: new.c[column] for column in columns if column != key}
        return update(table).where(table.c[key] == new.c[key]).values(changes)
    bound: dict[str, Any] = {column: bindparam(_NEW + column) for column in columns if column != key}
    return update(table).where(table.c[key] == bindparam(_NEW + key)).values(bound)


def arrays_as_table(table: Table, columns: Sequence[str]) -> TableValuedAlias:
    """Rows with these columns of `table`, as a table `new` within a statement of PostgreSQL.

    The statement is built once, and run with the `arrays_of` some rows, however many.
    """
    arrays = [bindparam(_NEW + column, type_=ARRAY(table.c[column].type)) for column in columns]
    return func.unnest(*arrays).table_valued(*(table.c[column] for column in columns)).render_derived("new")


def arrays_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The parameters of a statement with `arrays_as_table`: rows that all have its columns."""
    return {_NEW + column: [row[column] for row in rows] for column in rows[0]}


def among(connection: Connection, column: Column[Any], values: Collection[Any]) -> ColumnElement[bool]:
    """Whether a column's value is one of `values`, however many: as one array on PostgreSQL."""
    if connection.dialect.name != "postgresql":
        return column.in_(values)
    return column == any_(bindparam(None, list(values), ARRAY(column.type)))


def is_transient(error: DBAPIError) -> bool:
    """Whether the same transaction may well succeed later."""
    if error.connection_invalidated:
        return True
    origin = error.orig
    if isinstance(origin, sqlite3.Error):
        return getattr(origin, "sqlite_errorcode", 0) & 0xFF in _SQLITE_TRANSIENT
    state = getattr(origin, "sqlstate", None)
    if state is None:
        # psycopg gives no state to what the server never answered.
        return type(origin).__name__ in ("OperationalError", "ConnectionTimeout", "InterfaceError")
    return str(state).startswith(_POSTGRES_TRANSIENT)


@contextmanager
def _classified() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if not is_transient(error):
            raise
        raise DatabaseUnavailable(str(error.orig).strip() or type(error.orig).__name__) from error
    except PoolTimeout as error:
        raise DatabaseUnavailable("every connection of the pool is in use") from error


def _postgres(url: URL, settings: DatabaseSettings) -> Engine:
    timeouts = {
        "lock_timeout": settings.lock_timeout_seconds,
        "statement_timeout": settings.statement_timeout_seconds,
        "idle_in_transaction_session_timeout": settings.idle_in_transaction_seconds_max,
    }
    options = " ".join(f"-c {name}={int(seconds * 1000)}" for name, seconds in timeouts.items())
    engine = create_engine(
        url,
        pool_size=settings.pool_size,
        pool_timeout=settings.lock_timeout_seconds,
        connect_args={
            "options": options,
            "connect_timeout": settings.connect_timeout_seconds,
            "application_name": "ocr-services",
            # A server whose machine vanished is noticed within some 15 s, not after two hours.
            "keepalives_idle": 5,
            "keepalives_interval": 3,
            "keepalives_count": 3,
        },
    )
    _ping_after_idling(engine)
    return engine


def _ping_after_idling(engine: Engine) -> None:
    """A connection that died while idle is replaced without anybody noticing; one in use all the time is not asked."""

    @event.listens_for(engine, "checkin")
    def left(_connection: object, record: ConnectionPoolEntry) -> None:
        record.info[_IDLE_SINCE] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def taken(connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: object) -> None:
        idle_since = record.info.get(_IDLE_SINCE)
        if idle_since is None or time.monotonic() - idle_since < _PING_AFTER_IDLE_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            # The pool takes another one, and drops those that are older than this moment.
            raise DisconnectionError("died while idle") from error


def _sqlite(url: URL, settings: DatabaseSettings) -> Engine:
    if url.database and url.database != ":memory:":
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        url,
        pool_timeout=settings.lock_timeout_seconds,
        connect_args={"timeout": settings.lock_timeout_seconds},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        # The driver's own idea of when a transaction begins would read before it takes the writer's place.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        read_only = connection.get_execution_options().get(_READ_ONLY, False)
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine
