"""The database: does it answer, and does it have the schema that this program expects."""

from collections.abc import Iterator

from sqlalchemy.exc import SQLAlchemyError

from services.doctor.findings import Finding, fail, ok, warn
from services.runtime.database import create_database, database_url
from services.runtime.errors import DatabaseUnavailable
from services.runtime.migrations import missing_migration, newest_revision
from services.runtime.settings import DatabaseSettings


def check_database(settings: DatabaseSettings, *, embedded: bool) -> Iterator[Finding]:
    """Connects, and compares the revision."""
    try:
        url = database_url(settings.url.get_secret_value())
    except ValueError as error:
        yield fail("database", str(error), "correct OCR_DATABASE_URL")
        return
    name = url.render_as_string(hide_password=True)
    if url.get_backend_name() == "sqlite" and not embedded:
        yield warn("database", f"{name} is a file of this machine", "use PostgreSQL where replicas share the ledger")
    engine = create_database(settings)
    try:
        missing = missing_migration(engine)
    except (DatabaseUnavailable, SQLAlchemyError) as error:
        yield fail("database", f"{name} does not answer: {error}", "start it, or correct OCR_DATABASE_URL")
        return
    finally:
        engine.dispose()
    if missing is not None:
        yield fail("migrations", missing, "run `ocr-services migrate`")
    else:
        yield ok("database", f"{name}, at revision {newest_revision()}")
