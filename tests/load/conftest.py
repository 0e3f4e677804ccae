"""A system of each test's own, with more partitions than one user's flood can fill."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.load.ground import PARTITIONS, Ground
from tests.support.parts import KafkaPart, ObjectStorePart
from tests.support.stage import raise_stage
from tests.support.system import System


@pytest.fixture
def ground(
    kafka: KafkaPart,
    object_store: ObjectStorePart,
    postgres_url: str,
    topic_prefix: str,
    bucket_prefix: str,
    tmp_path: Path,
) -> Iterator[Ground]:
    """Real Kafka, S3 and PostgreSQL; no service is started yet."""
    if kafka.kind == "embedded":
        pytest.skip(f"{kafka.description} runs one extractor and keeps no metadata")
    stage = raise_stage(kafka, object_store, topic_prefix, bucket_prefix, tmp_path, PARTITIONS)
    built = Ground(System(stage, postgres_url), tmp_path)
    yield built
    built.system.strike()
