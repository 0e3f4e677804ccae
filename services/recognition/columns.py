"""Columns: where a page is read downwards first, and where its rows are read across.

White corridors stand between the columns of a newspaper as they do between the items and the prices of a receipt.
What lies on both sides tells them apart: columns hold running text, whose lines have several words and need not
stand beside each other; a table's cells are short and stand in rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from services.recognition.rows import group_rows

Boxes = NDArray[np.float64]
Indices = NDArray[np.intp]

# Least width of a corridor in heights of a line, with the lines it must pass: rivers of white through justified
# text are either narrow or short.
_WIDTHS_AND_LINES = ((1.0, 4), (0.5, 8))
# Fewer words than this cannot stand in so many lines on both sides of any of them.
_WORDS_BESIDE_MIN = 2 * min(lines for _, lines in _WIDTHS_AND_LINES)

# Words of a line stand closer than this, in heights of a line.
_WORD_GAP_MAX = 1.2
# The same for letters that are larger than the page's, in heights of their own.
_LARGE_HEIGHT_MIN = 1.3
_LARGE_WORD_GAP_MAX = 0.8
# Lines of running text have at least this many words, in the middle.
_WORDS_OF_TEXT_MIN = 3
_WORDS_OF_COLUMN_MIN = 2
# Two lines stand beside each other when their middles differ by less than this, in heights of a line.
_BESIDE_MAX = 0.25
_BESIDE_SHARE_MIN = 0.6
# A column of text has a straight left edge: lines start below each other, but for paragraphs' first.
_EDGE_STEP_MAX = 0.4
_STRAIGHT_SHARE_MIN = 0.6
_LETTERS_SHARE_MIN = 0.6


# Of the corridors of a part the tallest are looked at; shorter ones matter within the parts that those leave.
_LOOKED_AT_MAX = 24


@dataclass(frozen=True)
class _Corridor:
    """White to the left of `edge`, from `top` to `bottom`."""

    edge: float
    top: float
    bottom: float


def split_columns(boxes: Boxes, is_letters: NDArray[np.bool_]) -> list[Indices]:
    """Parts of an upright page in reading order, each to be read row by row.

    boxes: N x 4 in pixels; is_letters: N, whether a word is made of letters rather than of digits and signs.
    Returns index arrays that hold each word once.
    """
    if not len(boxes):
        return []
    line_height: float = max(1.0, median((boxes[:, 3] - boxes[:, 1]).tolist()))
    return list(_split(np.arange(len(boxes)), boxes / line_height, is_letters))


def _split(part: Indices, boxes: Boxes, is_letters: NDArray[np.bool_]) -> Iterator[Indices]:
    """What is above the tallest corridor, then its left side, its right side, and what is below."""
    corridor = _tallest_corridor(boxes[part], is_letters[part])
    if corridor is None:
        yield part
        return
    middle_y = (boxes[part, 1] + boxes[part, 3]) / 2
    above, below = middle_y < corridor.top, middle_y > corridor.bottom
    left = boxes[part, 0] < corridor.edge
    for chosen in (above, ~above & ~below & left, ~above & ~below & ~left, below):
        if chosen.any():
            yield from _split(part[chosen], boxes, is_letters)


def _tallest_corridor(boxes: Boxes, is_letters: NDArray[np.bool_]) -> _Corridor | None:
    """From here on, lengths are in heights of a line."""
    if len(boxes) < _WORDS_BESIDE_MIN:
        return None
    rows = group_rows(boxes)
    blockers = np.concatenate((boxes, _bridges(rows, boxes)))
    refused: set[tuple[int, int, int]] = set()
    for width, lines_min in _WIDTHS_AND_LINES:
        corridors = sorted(_corridors(boxes, blockers, width, lines_min), key=lambda it: it.top - it.bottom)
        for corridor in corridors[:_LOOKED_AT_MAX]:
            key = (round(corridor.edge), round(corridor.top), round(corridor.bottom))
            if key in refused:
                continue
            if _separates_columns(corridor, rows, boxes, is_letters, lines_min):
                return corridor
            refused.add(key)
    return None


def _bridges(rows: list[Indices], boxes: Boxes) -> Boxes:
    """The white between words of large letters, N x 4: a headline's words stand as far apart as two columns."""
    bridges = []
    for row in rows:
        for before, after in zip(boxes[row[:-1]], boxes[row[1:]], strict=True):
            height = min(before[3] - before[1], after[3] - after[1])
            if height >= _LARGE_HEIGHT_MIN and after[0] - before[2] < _LARGE_WORD_GAP_MAX * height:
                bridges.append((before[2], min(before[1], after[1]), after[0], max(before[3], after[3])))
    return np.array(bridges, dtype=np.float64).reshape(-1, 4)


def _corridors(boxes: Boxes, blockers: Boxes, width: float, height_min: float) -> Iterator[_Corridor]:
    """White corridors along the left edges of words, each once."""
    seen: set[tuple[int, int, int]] = set()
    x0, y0, x1, y1 = blockers.T
    for x, y in zip(boxes[:, 0], (boxes[:, 1] + boxes[:, 3]) / 2, strict=True):
        blocking = (x0 < x) & (x1 > x - width)
        above, below = blocking & (y1 <= y), blocking & (y0 >= y)
        if (blocking & ~above & ~below).any() or not (x1 <= x - width).any():
            continue
        top = float(y1[above].max() if above.any() else y0.min())
        bottom = float(y0[below].min() if below.any() else y1.max())
        key = (round(x), round(top), round(bottom))
        if bottom - top >= height_min and key not in seen:
            seen.add(key)
            yield _Corridor(float(x), top, bottom)


def _separates_columns(
    corridor: _Corridor, rows: list[Indices], boxes: Boxes, is_letters: NDArray[np.bool_], lines_min: int
) -> bool:
    left, right = _lines_beside(corridor, rows, boxes)
    if min(len(left), len(right)) < lines_min:
        return False
    words = min(_words_per_line(left), _words_per_line(right))
    if _share_beside(left, right, boxes) < _BESIDE_SHARE_MIN:
        return words >= _WORDS_OF_COLUMN_MIN
    return (
        words >= _WORDS_OF_TEXT_MIN
        and _straight_share(right, boxes) >= _STRAIGHT_SHARE_MIN
        and all(is_letters[np.concatenate(side)].mean() >= _LETTERS_SHARE_MIN for side in (left, right))
    )


def _lines_beside(corridor: _Corridor, rows: list[Indices], boxes: Boxes) -> tuple[list[Indices], list[Indices]]:
    """The lines on both sides of a corridor, top to bottom: of each row the words up to the next wide gap."""
    left, right = [], []
    for row in rows:
        middle_y = _middle_y(row, boxes)
        if not corridor.top <= middle_y <= corridor.bottom:
            continue
        is_left = boxes[row, 0] < corridor.edge
        if is_left.any():
            left.append(_near_words(row[is_left], boxes)[-1])
        if not is_left.all():
            right.append(_near_words(row[~is_left], boxes)[0])
    return left, right


def _near_words(row: Indices, boxes: Boxes) -> list[Indices]:
    """Split a row at its wide gaps."""
    breaks = np.flatnonzero(boxes[row[1:], 0] - boxes[row[:-1], 2] > _WORD_GAP_MAX) + 1
    return np.split(row, breaks)


def _words_per_line(lines: list[Indices]) -> float:
    return float(median(len(line) for line in lines))


def _share_beside(left: list[Indices], right: list[Indices], boxes: Boxes) -> float:
    """Share of the lines of the shorter side that have one of the other side right beside them."""
    fewer, more = sorted((left, right), key=len)
    ours = np.array([_middle_y(line, boxes) for line in fewer])
    theirs = np.array([_middle_y(line, boxes) for line in more])
    return float((np.abs(ours[:, None] - theirs).min(axis=1) <= _BESIDE_MAX).mean())


def _middle_y(line: Indices, boxes: Boxes) -> float:
    return float((boxes[line, 1] + boxes[line, 3]).mean() / 2)


def _straight_share(lines: list[Indices], boxes: Boxes) -> float:
    starts = np.array([boxes[line[0], 0] for line in lines])
    return float((np.abs(np.diff(starts)) <= _EDGE_STEP_MAX).mean())
