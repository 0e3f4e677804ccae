"""One stack for all tests of the API; each test makes users of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.api.stack import Replica, Stack
from tests.support.parts import DatabasePart, KafkaPart, ObjectStorePart
from tests.support.postgres import create_database


@pytest.fixture(scope="session")
def stack(
    kafka: KafkaPart, object_store: ObjectStorePart, postgres: DatabasePart, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """Real Kafka, a real store, PostgreSQL, and an extractor that reads nothing."""
    directory: Path = tmp_path_factory.mktemp("api")
    made = Stack(kafka, object_store, create_database(postgres.url), directory)
    yield made
    made.close()


@pytest.fixture(scope="session")
def api(stack: Stack) -> Replica:
    """One API process."""
    return stack.start_replica()
