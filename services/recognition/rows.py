"""Words that stand on one line."""

from __future__ import annotations

from statistics import median

import numpy as np
from numpy.typing import NDArray

# A word belongs to a row when it shares this much of the lower one's height with the row's nearest word.
_VERTICAL_OVERLAP_MIN = 0.5
# Neighbours on a line may overlap by their margins, in heights of a word, but do not stand on each other.
_HORIZONTAL_OVERLAP_MAX = 0.6
# Specks and single signs are lower than this, in heights of the median word: they join rows, but lead none.
_SMALL_HEIGHT_MAX = 0.6
# Of rows that a word fits almost as well, the nearest is followed.
_EQUAL_OVERLAP = 0.05


def group_rows(boxes: NDArray[np.float64]) -> list[NDArray[np.intp]]:
    """Rows of words from top to bottom, each from left to right, as indices into `boxes` (N x 4).

    A row is followed from word to word, so that it may climb or sink along the page.
    """
    heights = boxes[:, 3] - boxes[:, 1]
    small = heights < _SMALL_HEIGHT_MAX * median(heights.tolist()) if len(boxes) else heights < 0
    by_x = np.argsort(boxes[:, 0], kind="stable")
    rows: list[list[int]] = []
    for index in by_x[~small[by_x]].tolist():
        ends = boxes[[row[-1] for row in rows]]
        _put(index, _continued(boxes[index], ends), rows)
    for index in by_x[small[by_x]].tolist():
        neighbours = boxes[[_nearest(index, row, boxes) for row in rows]]
        _put(index, _best_row(boxes[index], neighbours), rows)
    rows.sort(key=lambda row: median((boxes[row, 1] + boxes[row, 3]).tolist()))
    return [np.array(sorted(row, key=lambda index: float(boxes[index, 0])), dtype=np.intp) for row in rows]


def _put(index: int, home: int | None, rows: list[list[int]]) -> None:
    if home is None:
        rows.append([index])
    else:
        rows[home].append(index)


def _continued(word: NDArray[np.float64], ends: NDArray[np.float64]) -> int | None:
    """The row that `word` continues, given the last word of each (rows x 4)."""
    heights = np.minimum(word[3] - word[1], ends[:, 3] - ends[:, 1])
    stacked = ends[:, 2] - word[0] > _HORIZONTAL_OVERLAP_MAX * heights
    return _best_row(word, ends, stacked)


def _nearest(index: int, row: list[int], boxes: NDArray[np.float64]) -> int:
    return row[int(np.argmin(np.abs(boxes[row, 0] - boxes[index, 0])))]


def _best_row(
    word: NDArray[np.float64], others: NDArray[np.float64], excluded: NDArray[np.bool_] | None = None
) -> int | None:
    """The row whose word in `others` (rows x 4) stands beside `word`."""
    if not len(others):
        return None
    heights = np.minimum(word[3] - word[1], others[:, 3] - others[:, 1]).clip(1e-6)
    shared = (np.minimum(word[3], others[:, 3]) - np.maximum(word[1], others[:, 1])) / heights
    shared[shared < _VERTICAL_OVERLAP_MIN] = -1.0
    if excluded is not None:
        shared[excluded] = -1.0
    best = shared.max()
    if best < 0:
        return None
    equals = np.flatnonzero(shared >= best - _EQUAL_OVERLAP)
    return int(equals[np.argmin(np.abs(word[0] - others[equals, 2]))])
