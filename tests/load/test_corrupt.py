"""The short form of a flood of corrupt files."""

import pytest

from tests.load.corrupt import run
from tests.load.ground import Ground


@pytest.mark.timeout(900)
def test_corrupt_files_of_one_user_halt_nothing_and_cost_nothing(ground: Ground) -> None:
    """More in a row than the undecodable messages, or failures of the engine, that would halt an extractor."""
    figures = run(ground, files=300, crashing=2)
    assert figures.problems == []
    assert len(figures.codes) >= 2
