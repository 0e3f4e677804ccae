"""The ledger's tables as code and as migration."""

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from pydantic import SecretStr

from services.ledger.tables import metadata
from services.runtime.database import create_database, reading
from services.runtime.migrations import migrate_engine
from services.runtime.settings import DatabaseSettings


def test_the_migration_makes_the_tables_that_the_code_expects(database_url: str) -> None:
    engine = create_database(DatabaseSettings(url=SecretStr(database_url)))
    migrate_engine(engine)
    with reading(engine) as connection:
        ours = set(metadata.tables)
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "include_name": lambda name, kind, _parents: kind != "table" or name in ours,
            },
        )
        assert compare_metadata(context, metadata) == []
    engine.dispose()
