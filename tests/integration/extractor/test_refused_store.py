"""The extractor as it ships, on a store that lets several conditional writers win, and on the same that does not."""

from collections.abc import Iterator

import pytest

from tests.integration.extractor.asking import results, uploaded
from tests.support.misbehaving_store import Misbehaviour, misbehaving_store
from tests.support.scripted_engine import picture
from tests.support.stage import Stage

_EXTRACTOR = "services.extractor"


@pytest.fixture
def other_store() -> Iterator[tuple[dict[str, str], Misbehaviour]]:
    """The variables that lead there, and what it does wrong."""
    with misbehaving_store() as (settings, behaviour):
        yield {"OCR_S3_ENDPOINT_URL": settings.endpoint_url or "", "OCR_S3_ACCESS_KEY": "test"}, behaviour


def test_a_store_that_ignores_if_none_match_is_refused_at_the_start(
    stage: Stage, other_store: tuple[dict[str, str], Misbehaviour]
) -> None:
    address, behaviour = other_store
    behaviour.ignores_conditions = True
    stage.ask(uploaded(stage, "a.png", picture()))
    worker = stage.start(_EXTRACTOR, **address)
    assert worker.wait() == 3
    assert "does not honour If-None-Match" in worker.output()
    assert results(stage) == []
    assert "GET" not in behaviour.requests, "nothing is begun"


def test_the_same_store_with_conditions_is_taken(
    stage: Stage, other_store: tuple[dict[str, str], Misbehaviour]
) -> None:
    address, behaviour = other_store
    stage.start_ready(_EXTRACTOR, **address)
    assert behaviour.requests.count("PUT") >= 32, "of sixteen writers, twice"
