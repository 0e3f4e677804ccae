"""The one Alembic tree of the database; `services.runtime.migrations` runs it."""
