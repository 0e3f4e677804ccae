"""Which way the lines of a page run, told from where its letters stand.

Letters of one line stand closer to each other than to those of the next line, on every kind of page: that gives
the axis. Across the lines, letters gather at some heights and leave others empty: the angle at which they do so
most is the skew. Neither can tell a page from the same page upside down; for that it has to be read.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.recognition.letters import Letters

# Enough letters to ask for their neighbours, and the rest to be asked about.
_ASKED_MAX = 200
_NEIGHBOURS = 2

# Fewer letters than this have neighbours by chance.
_LETTERS_MIN = 12
_LETTERS_FOR_SKEW_MIN = 40

# Sizes of letters on one line differ by less than this factor.
_SIZE_FACTOR_MAX = 2.5

_SKEW_DEGREES_MAX = 15.0
_COARSE_STEP_DEGREES = 0.5
_FINE_STEP_DEGREES = 0.1
# A page is straightened only where its letters are gathered better by this factor than as they stand.
_GATHERED_GAIN_MIN = 1.05
_SKEW_DEGREES_MIN = 0.4


def sideways_share(letters: Letters) -> float:
    """Share of the letters, from 0 to 1, whose nearest neighbours stand above and below rather than beside.

    Near 0 for a page whose lines run horizontally, near 1 for one that lies on its side, 0.5 where it cannot be told.
    """
    if len(letters.shapes) < _LETTERS_MIN:
        return 0.5
    x, y, width, height = letters.shapes.T
    sizes = np.maximum(width, height)
    asked = np.linspace(0, len(x) - 1, min(_ASKED_MAX, len(x))).astype(int)
    centre_x, centre_y = x + width / 2, y + height / 2
    # Free space between two shapes along each axis: the sides of letters, not their middles, are what is near.
    across = np.abs(centre_x[asked, None] - centre_x)
    down = np.abs(centre_y[asked, None] - centre_y)
    gap_x = np.maximum(0, across - (width[asked, None] + width) / 2)
    gap_y = np.maximum(0, down - (height[asked, None] + height) / 2)
    distance = np.hypot(gap_x, gap_y)
    alike = np.maximum(sizes[asked, None] / sizes, sizes / sizes[asked, None]) <= _SIZE_FACTOR_MAX
    distance[~alike] = np.inf
    distance[np.arange(len(asked)), asked] = np.inf
    nearest = np.argpartition(distance, _NEIGHBOURS, axis=1)[:, :_NEIGHBOURS]
    rows = np.arange(len(asked))[:, None]
    counts = np.isfinite(distance[rows, nearest])
    if not counts.any():
        return 0.5
    return float((down[rows, nearest] > across[rows, nearest])[counts].mean())


def skew_degrees(letters: Letters) -> float:
    """The angle in degrees by which the lines of an otherwise upright page are turned clockwise; 0 if hardly."""
    if len(letters.shapes) < _LETTERS_FOR_SKEW_MIN:
        return 0.0
    x, y, width, height = letters.shapes.T
    feet = np.stack((x + width / 2, y + height), axis=1)
    bin_pixels = max(1.0, letters.height / 6)
    coarse = np.arange(-_SKEW_DEGREES_MAX, _SKEW_DEGREES_MAX + 0.01, _COARSE_STEP_DEGREES)
    best = _most_gathered(feet, coarse, bin_pixels)
    fine = np.arange(best - _COARSE_STEP_DEGREES, best + _COARSE_STEP_DEGREES + 0.01, _FINE_STEP_DEGREES)
    best = _most_gathered(feet, fine, bin_pixels)
    gain = _gathered(feet, best, bin_pixels) / _gathered(feet, 0.0, bin_pixels)
    if abs(best) < _SKEW_DEGREES_MIN or gain < _GATHERED_GAIN_MIN:
        return 0.0
    return round(best, 2)


def _most_gathered(points: NDArray[np.float32], angles: NDArray[np.float64], bin_pixels: float) -> float:
    scores = [_gathered(points, angle, bin_pixels) for angle in angles.tolist()]
    return float(angles[int(np.argmax(scores))])


def _gathered(points: NDArray[np.float32], angle_degrees: float, bin_pixels: float) -> float:
    """How unevenly points fill the strips of a page that run at an angle: the sum of squares over the strips."""
    angle = np.deg2rad(angle_degrees)
    heights = points[:, 1] * np.cos(angle) - points[:, 0] * np.sin(angle)
    strips = np.bincount(((heights - heights.min()) / bin_pixels).astype(np.int64))
    return float(np.square(strips.astype(np.float64)).sum())
