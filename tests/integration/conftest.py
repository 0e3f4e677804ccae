"""What tests on real parts share."""

from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from services.runtime.database import create_database
from services.runtime.migrations import migrate_engine
from services.runtime.settings import DatabaseSettings


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A migrated database of the test's own."""
    made = create_database(DatabaseSettings(url=SecretStr(database_url)))
    migrate_engine(made)
    yield made
    made.dispose()
