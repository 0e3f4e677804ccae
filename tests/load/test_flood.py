"""The short form of floods and of long documents."""

import pytest

from tests.load.flood import PAGES_LONGER_MAX, run, run_long_documents
from tests.load.ground import Ground


@pytest.mark.timeout(900)
def test_a_post_waits_for_some_pages_and_others_uploads_not_for_a_flood(ground: Ground) -> None:
    figures = run(ground, uploads=60, posts=2, page_seconds=1.5)
    assert figures.problems == []
    assert len(figures.pages_before) == 2
    assert max(figures.pages_before) <= PAGES_LONGER_MAX
    assert figures.partitions <= 4
    assert figures.singles_done > 0, "no user of several came to lie on another partition"


@pytest.mark.timeout(900)
def test_long_documents_that_are_waited_for_do_not_stop_uploads(ground: Ground) -> None:
    figures = run_long_documents(ground, documents=3, pages=60, singles=1, page_seconds=0.2)
    assert figures.problems == []
    assert figures.pages_read_by_then < 180
