"""Crops cut out of synthetic pages: single words, and runs of words as the detector merges them."""

from collections.abc import Iterator
from itertools import groupby

import numpy as np

from training.data.canvas import PageWord
from training.data.crops import Box, Crop, cut
from training.data.fonts import Fonts
from training.data.page_store import AnnotatedPage
from training.data.pages import Page, render
from training.data.tokens import Tokens
from training.vocabulary import WORD_SPACE, to_label

RUN_SHARE = 0.22
"""How many of the crops hold several words."""

CROPS_PER_PAGE_MAX = 60
"""A dense page shows one font in one state: many pages teach more than many words of one."""


def crops_of_page(page: Page, rng: np.random.Generator) -> Iterator[Crop]:
    """Yield crops of a page's words and runs, at most CROPS_PER_PAGE_MAX, in random order."""
    lines = [list(words) for _, words in groupby(page.words, key=lambda word: word.line)]
    spans = [(line, first) for line in lines for first in range(len(line))]
    for index in rng.permutation(len(spans))[:CROPS_PER_PAGE_MAX]:
        line, first = spans[index]
        count = int(rng.integers(2, 6)) if rng.random() < RUN_SHARE else 1
        words = line[first : first + count]
        label = to_label(WORD_SPACE.join(word.text for word in words))
        if label is None:
            continue
        if (crop := cut(page.pixels, around(words), (label,))) is not None:
            yield crop


def around(words: list[PageWord]) -> Box:
    """Return the box around words."""
    lefts, tops, rights, bottoms = zip(*(word.box for word in words), strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def crops(count: int, words: dict[str, list[str]], fonts: Fonts, seed: int) -> Iterator[Crop]:
    """Yield `count` crops of as many pages as it takes."""
    rng = np.random.default_rng(seed)
    tokens = Tokens(words, rng)
    made = 0
    while made < count:
        width, height = (int(side) for side in rng.integers(500, 1200, 2))
        for crop in crops_of_page(render(tokens, fonts, rng, width, height), rng):
            if made == count:
                return
            made += 1
            yield crop


def annotated_pages(count: int, words: dict[str, list[str]], fonts: Fonts, seed: int) -> Iterator[AnnotatedPage]:
    """Yield `count` pages for the detector."""
    rng = np.random.default_rng(seed)
    tokens = Tokens(words, rng)
    for _ in range(count):
        width, height = (int(side) for side in rng.integers(620, 1150, 2))
        page = render(tokens, fonts, rng, width, height)
        yield AnnotatedPage(page.pixels, [word.box for word in page.words], [])
