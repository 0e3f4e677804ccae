"""The short form of the load of POSTs."""

import pytest

from tests.load.ground import Ground
from tests.load.posts import Post, run

_POSTS = 160
_PLACES = 40


@pytest.mark.timeout(900)
def test_of_many_posts_at_once_none_is_lost_and_none_gets_anothers_result(ground: Ground) -> None:
    figures = run(ground, posts=_POSTS, places=_PLACES, page_seconds=0.05)
    assert figures.problems == []
    assert figures.answered == _POSTS
    assert figures.statuses[503] > 0, "the places were never all taken"
    assert figures.statuses[200] > 0


def test_anothers_result_would_be_seen() -> None:
    own = {"id": "r1", "key": "ocr/a/1.png", "text": "word1 word2", "tokensUsed": 52}
    post = Post("k", "ocr/a/1.png", "r1", 2)
    assert post.problem(dict(own)) is None
    for name, other in (("id", "r2"), ("key", "ocr/a/2.png"), ("text", "word1"), ("tokensUsed", 51)):
        assert post.problem(own | {name: other}) is not None
