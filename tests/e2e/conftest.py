"""The whole system, on PostgreSQL and a store that notifies."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.parts import KafkaPart, ObjectStorePart
from tests.support.stage import raise_stage
from tests.support.system import System


@pytest.fixture
def system(
    kafka: KafkaPart,
    notifying_store: ObjectStorePart,
    postgres_url: str,
    topic_prefix: str,
    bucket_prefix: str,
    tmp_path: Path,
) -> Iterator[System]:
    """Real Kafka, an S3 server that notifies it, PostgreSQL; no service is started yet."""
    stage = raise_stage(kafka, notifying_store, topic_prefix, bucket_prefix, tmp_path)
    built = System(stage, postgres_url)
    yield built
    built.strike()
