"""The database as commands open it: one that is there and has its tables, or a sentence that says what to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from sqlalchemy import Engine

_WHERE = "start `ocr-services up`, name its folder with --data, or set OCR_DATABASE_URL and run `ocr-services migrate`"


@contextmanager
def opened_database() -> "Iterator[Engine]":
    """The database of the settings, until the block ends. Ends the command where there is none, or none with tables."""
    from sqlalchemy import inspect

    from services.runtime.database import create_database, database_url, reading
    from services.runtime.errors import DatabaseUnavailable
    from services.runtime.settings import DatabaseSettings

    settings = DatabaseSettings()
    url = database_url(settings.url.get_secret_value())
    if url.get_backend_name() == "sqlite" and url.database and not Path(url.database).is_file():
        typer.echo(f"there is no database at {url.database}: {_WHERE}", err=True)
        raise typer.Exit(1)
    engine = create_database(settings)
    try:
        with reading(engine) as connection:
            is_migrated = inspect(connection).has_table("alembic_version")
        if not is_migrated:
            typer.echo(f"the database has no tables: {_WHERE}", err=True)
            raise typer.Exit(1)
        yield engine
    except DatabaseUnavailable as error:
        typer.echo(f"The database cannot be reached: {error}", err=True)
        raise typer.Exit(1) from error
    finally:
        engine.dispose()
