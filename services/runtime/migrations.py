"""The database brought to the newest revision; several processes may do it at once."""

from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from pydantic import SecretStr
from sqlalchemy import Connection, Engine, text

from services.runtime.database import create_database, reading, transaction
from services.runtime.settings import DatabaseSettings

_LOCK = 0x6F63722D  # Any number that no other program of the same database takes.


def migrate(url: str, revision: str = "head") -> str:
    """Upgrades the database at `url`, if it needs it, and returns its revision.

    Raises:
        DatabaseUnavailable: the database is away.
    """
    engine = create_database(DatabaseSettings(url=SecretStr(url)))
    try:
        return migrate_engine(engine, revision)
    finally:
        engine.dispose()


def migrate_engine(engine: Engine, revision: str = "head") -> str:
    """As `migrate`. All revisions are one transaction: a failed upgrade leaves the database as it was."""
    with transaction(engine) as connection:
        _wait_for_others(connection)
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        return current_revision(connection) or ""


def downgrade_engine(engine: Engine, revision: str) -> None:
    """Takes the database back to `revision`; what later revisions added is lost."""
    with transaction(engine) as connection:
        _wait_for_others(connection)
        config = _config()
        config.attributes["connection"] = connection
        command.downgrade(config, revision)


def newest_revision() -> str:
    """The revision that this program expects."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def current_revision(connection: Connection) -> str | None:
    """The revision the database has; None before the first migration."""
    return MigrationContext.configure(connection).get_current_revision()


def missing_migration(engine: Engine) -> str | None:
    """None when the database has the revision that this program expects, else what to do about it."""
    with reading(engine) as connection:
        current = current_revision(connection)
    newest = newest_revision()
    return None if current == newest else f"the database is at {current}, not {newest}: run `ocr-services migrate`"


def _wait_for_others(connection: Connection) -> None:
    # On SQLite the transaction began by taking the writer's place.
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def _config() -> Config:
    config = Config()
    # Interpolation would trip over a percent sign in the path.
    config.set_main_option("script_location", str(files("migrations")).replace("%", "%%"))
    return config
