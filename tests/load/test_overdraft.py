"""The short form of the ledger being away while uploads come."""

import pytest

from tests.load.ground import Ground
from tests.load.overdraft import run


@pytest.mark.timeout(900)
def test_an_overdraft_is_bounded_and_a_top_up_brings_back_what_was_refused(ground: Ground) -> None:
    figures = run(ground, uploads=250, staleness_seconds=8.0, page_seconds=0.1)
    assert figures.problems == []
    assert 0 < figures.read_while_away < 250
    assert figures.refused == 250 - figures.read_while_away
    assert figures.read_in_the_end == 250
