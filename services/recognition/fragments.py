"""Words that the detector cut apart: where two of its boxes reach into each other on a line, they are one box.

Nothing is lost where they were two words: the recogniser reads the space between them, and they part again.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Boxes carry margins, which those of words apart share, too, but less than this. Measured: 0.3 left more words in
# pieces; with 0.1 long lines of newspapers were read worse.
_OVERLAP_HEIGHTS_MIN = 0.2
# On one line, in letters of one size.
_SHARED_HEIGHT_MIN = 0.7
_HEIGHT_RATIO_MIN = 0.7
# Longer than this, a crop would be squeezed.
_JOINED_HEIGHTS_MAX = 25.0

_CHUNK = 256


def join_fragments(
    boxes: NDArray[np.float32], scores: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes (N x 4: x0, y0, x1, y1) and scores (N) with the pieces of a word joined: as many of both as are left.

    A joined box is around its pieces; its score is the mean of theirs by area.
    """
    owner = list(range(len(boxes)))
    joined = boxes.copy()
    for left, right in _touching(boxes):
        first, second = _root(owner, left), _root(owner, right)
        around = np.concatenate(
            (np.minimum(joined[first, :2], joined[second, :2]), np.maximum(joined[first, 2:], joined[second, 2:]))
        )
        width, height = around[2:] - around[:2]
        if first != second and width <= _JOINED_HEIGHTS_MAX * height:
            owner[second] = first
            joined[first] = around
    roots = np.array([_root(owner, index) for index in range(len(boxes))], dtype=np.intp)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    means = np.bincount(roots, scores * areas, len(boxes)) / np.maximum(np.bincount(roots, areas, len(boxes)), 1e-9)
    kept = np.flatnonzero(roots == np.arange(len(boxes)))
    return joined[kept], means[kept].astype(np.float32)


def _touching(boxes: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Pairs (left, right) of boxes that reach into each other on a line, from the left of the page to the right."""
    heights = boxes[:, 3] - boxes[:, 1]
    pairs: list[tuple[int, int]] = []
    for start in range(0, len(boxes), _CHUNK):
        part, part_heights = boxes[start : start + _CHUNK, None], heights[start : start + _CHUNK, None]
        low = np.minimum(part_heights, heights)
        touches = part[..., 2] - boxes[:, 0] >= _OVERLAP_HEIGHTS_MIN * low
        touches &= (part[..., 0] < boxes[:, 0]) & (part[..., 2] < boxes[:, 2])
        shared = np.minimum(part[..., 3], boxes[:, 3]) - np.maximum(part[..., 1], boxes[:, 1])
        touches &= (shared >= _SHARED_HEIGHT_MIN * low) & (low >= _HEIGHT_RATIO_MIN * np.maximum(part_heights, heights))
        lefts, rights = np.nonzero(touches)
        pairs += zip((lefts + start).tolist(), rights.tolist(), strict=True)
    return sorted(pairs, key=lambda pair: float(boxes[pair[0], 0]))


def _root(owner: list[int], index: int) -> int:
    while owner[index] != index:
        index = owner[index]
    return index
