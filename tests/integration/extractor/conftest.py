"""The stage that the tests of the extractor play on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.parts import KafkaPart, ObjectStorePart
from tests.support.stage import Stage, raise_stage


@pytest.fixture
def stage(
    kafka: KafkaPart, object_store: ObjectStorePart, topic_prefix: str, bucket_prefix: str, tmp_path: Path
) -> Iterator[Stage]:
    built = raise_stage(kafka, object_store, topic_prefix, bucket_prefix, tmp_path)
    built.fund("alice", 1_000_000)
    built.beat()
    yield built
    built.strike()
