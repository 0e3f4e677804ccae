"""How large the letters of a page are, and where they stand: measured on the picture itself, before any network.

Resolution decides what a detector finds: letters too small are missed, letters too large fall apart. The length
of a page's side says little about its letters, the strokes on it do.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

# Measuring needs no more than this: a larger page is measured at a fraction.
_MEASURED_PIXELS_MAX = 6_000_000

# A stroke is darker (or, on dark paper, lighter) than its surroundings by this much.
_CONTRAST_MIN = 15
_SURROUNDINGS_PIXELS = 41

# What may be a letter: neither dust nor line nor picture.
_HEIGHT_MIN = 5
_HEIGHT_SHARE_MAX = 0.25
_WIDTH_TO_HEIGHT = (0.1, 6.0)
_LETTERS_MIN = 4


@dataclass(frozen=True)
class Letters:
    """What a page's letter-like shapes measure, in pixels of the page.

    height: of the typical letter (between the heights of an x and of a capital).
    box: x0, y0, x1, y1 around all of them.
    """

    height: float
    box: tuple[int, int, int, int]


def measure_letters(grey: NDArray[np.uint8]) -> Letters | None:
    """Measure the letters on a grey page; None where nothing on it looks like letters."""
    factor = max(1, ceil(sqrt(grey.size / _MEASURED_PIXELS_MAX)))
    if factor > 1:
        size = max(1, grey.shape[1] // factor), max(1, grey.shape[0] // factor)
        grey = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    shapes = max(_letter_shapes(grey), _letter_shapes(255 - grey), key=len)
    if len(shapes) < _LETTERS_MIN:
        return None
    heights = np.sort(shapes[:, 3])
    # The median of heights weighted by height: dots and specks are many, but short.
    weights = np.cumsum(heights)
    height = float(heights[np.searchsorted(weights, weights[-1] / 2)])
    x0, y0 = shapes[:, 0].min(), shapes[:, 1].min()
    x1, y1 = (shapes[:, 0] + shapes[:, 2]).max(), (shapes[:, 1] + shapes[:, 3]).max()
    return Letters(height * factor, (x0 * factor, y0 * factor, x1 * factor, y1 * factor))


def _letter_shapes(grey: NDArray[np.uint8]) -> NDArray[np.int32]:
    """x, y, width, height of each connected dark shape that may be a letter: N x 4."""
    ink = cv2.adaptiveThreshold(
        grey, 1, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, _SURROUNDINGS_PIXELS, _CONTRAST_MIN
    )
    _, _, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    shapes = np.asarray(stats[1:, :4], dtype=np.int32)
    widths, heights = shapes[:, 2], shapes[:, 3]
    narrowest, widest = _WIDTH_TO_HEIGHT
    fits = (heights >= _HEIGHT_MIN) & (heights <= max(_HEIGHT_MIN, grey.shape[0] * _HEIGHT_SHARE_MAX))
    fits &= (widths >= narrowest * heights) & (widths <= widest * heights)
    return np.asarray(shapes[fits], dtype=np.int32)
