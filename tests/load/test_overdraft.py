"""The short form of the ledger being away while uploads come."""

import pytest

from tests.load.ground import Ground
from tests.load.overdraft import run

_UPLOADS = 130
"""More than can be read while admission lasts."""


@pytest.mark.timeout(900)
def test_an_overdraft_is_bounded_and_a_top_up_brings_back_what_was_refused(ground: Ground) -> None:
    figures = run(ground, uploads=_UPLOADS, staleness_seconds=12.0, page_seconds=0.15)
    assert figures.problems == []
    assert 0 < figures.read_while_away < _UPLOADS
    assert figures.refused == _UPLOADS - figures.read_while_away
    assert figures.read_in_the_end == _UPLOADS
