"""From words in no order to blocks of lines, as a person reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median

import numpy as np
from numpy.typing import NDArray

from services.recognition.columns import split_columns
from services.recognition.engine import FoundWord, PageWords
from services.recognition.frame import Frame
from services.recognition.pages import Block, Line, Word, enclosing_box
from services.recognition.rows import group_rows

# A new block starts after more white than this, in heights of a line and in what is usual between the lines
# around, or where the letters' size jumps.
_BLOCK_GAP_MIN = 0.7
_BLOCK_GAP_TO_USUAL_MIN = 1.5
_SIZE_JUMP_MIN = 1.6

_LETTERS_SHARE_MIN = 0.5


def order_words(found: PageWords) -> tuple[Block, ...]:
    """Blocks of lines of words in reading order, with boxes relative to the page as shown."""
    boxes = np.array([word.box for word in found.words], dtype=np.float64).reshape(-1, 4)
    is_letters = np.array([_is_letters(word.text) for word in found.words], dtype=np.bool_)
    blocks = []
    for part in split_columns(boxes, is_letters):
        rows = [part[row] for row in group_rows(boxes[part])]
        for lines in _blocks(rows, boxes):
            blocks.append(_block(lines, found.words, found.frame))
    return tuple(blocks)


def _is_letters(text: str) -> bool:
    return sum(character.isalpha() for character in text) >= _LETTERS_SHARE_MIN * len(text)


def _blocks(rows: Sequence[NDArray[np.intp]], boxes: NDArray[np.float64]) -> Iterator[list[NDArray[np.intp]]]:
    """Rows that belong together: without much white between them, in letters of about one size."""
    whites = [_white(boxes[above], boxes[below]) for above, below in pairwise(rows)]
    usual = max(0.0, median(whites)) if len(whites) > 1 else 0.0
    block: list[NDArray[np.intp]] = []
    for row in rows:
        if block and _starts_block(boxes[block[-1]], boxes[row], usual):
            yield block
            block = []
        block.append(row)
    if block:
        yield block


def _white(above: NDArray[np.float64], below: NDArray[np.float64]) -> float:
    """Pixels of white between two rows."""
    return float(median(below[:, 1].tolist()) - median(above[:, 3].tolist()))


def _starts_block(above: NDArray[np.float64], below: NDArray[np.float64], usual_white: float) -> bool:
    heights: list[float] = [median((row[:, 3] - row[:, 1]).tolist()) for row in (above, below)]
    lower, higher = max(1e-6, min(heights)), max(heights)
    gap_min = max(_BLOCK_GAP_MIN * lower, _BLOCK_GAP_TO_USUAL_MIN * usual_white)
    return _white(above, below) > gap_min or higher > _SIZE_JUMP_MIN * lower


def _block(rows: Sequence[NDArray[np.intp]], words: Sequence[FoundWord], frame: Frame) -> Block:
    lines = tuple(_line([words[index] for index in row.tolist()], frame) for row in rows)
    return Block(lines, enclosing_box(line.box for line in lines))


def _line(row: Sequence[FoundWord], frame: Frame) -> Line:
    words = tuple(Word(word.text, word.confidence, frame.relative_box(word.box)) for word in row)
    return Line(words, enclosing_box(word.box for word in words))
