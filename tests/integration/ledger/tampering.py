"""What a person with all rights in the database may do to it."""

from sqlalchemy import Engine, text

from services.runtime.database import transaction


def without_triggers(engine: Engine) -> None:
    """Removes what refuses changes of entries and lines."""
    with transaction(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("ALTER TABLE entries DISABLE TRIGGER USER"))
            connection.execute(text("ALTER TABLE entry_lines DISABLE TRIGGER USER"))
            return
        for table in ("entries", "entry_lines"):
            for change in ("update", "delete"):
                connection.execute(text(f"DROP TRIGGER {table}_no_{change}"))
