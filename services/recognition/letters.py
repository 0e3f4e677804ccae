"""How large the letters of a page are, and where they stand: measured on the picture itself, before any network.

Resolution decides what a detector finds: letters too small are missed, letters too large fall apart. The length
of a page's side says little about its letters, the strokes on it do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import ceil, sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

# Measuring needs no more than this: a larger page is measured at a fraction.
_MEASURED_PIXELS_MAX = 6_000_000

# A stroke is darker (or, on dark paper, lighter) than its surroundings by this much, and by this many
# deviations of the paper's grain.
_CONTRAST_MIN = 12
_CONTRAST_TO_GRAIN = 5.0
_SURROUNDINGS_PIXELS = 41
_GRAIN_SAMPLE_STEP = 4
_DEVIATIONS_PER_MEDIAN = 1.4826  # of a normal distribution

# What may be a letter: neither dust nor line nor picture.
_HEIGHT_MIN = 5
_HEIGHT_SHARE_MAX = 0.25
_WIDTH_TO_HEIGHT = (0.1, 6.0)
_LETTERS_MIN = 3


# A headline's letters are so much larger than the page's that the detector needs another look at them.
_LARGE_FACTOR_MIN = 3.0
# What lies around letters is a frame, a stamp or a picture: a letter holds at most some dirt.
_LARGE_HOLDS_MAX = 2


@dataclass(frozen=True)
class Letters:
    """The letter-like shapes on a page.

    shapes: N x 4 (x, y, width, height), in pixels of the page, N at least one.
    """

    shapes: NDArray[np.float32]

    @cached_property
    def height(self) -> float:
        """Height in pixels of the typical letter: between the heights of an x and of a capital.

        It is the median weighted by height, since dots and specks are many, but short.
        """
        heights = np.sort(self.shapes[:, 3])
        weights = np.cumsum(heights)
        return float(heights[np.searchsorted(weights, weights[-1] / 2)])

    @property
    def large(self) -> Letters | None:
        """Those of a headline, if there is one: several times as high as the typical letter."""
        shapes = self.shapes[self.shapes[:, 3] >= _LARGE_FACTOR_MIN * self.height]
        typical = self.shapes[abs(self.shapes[:, 3] - self.height) <= self.height / 2]
        shapes = shapes[_held(shapes, typical) <= _LARGE_HOLDS_MAX]
        return Letters(shapes) if len(shapes) >= _LETTERS_MIN else None

    @property
    def box(self) -> tuple[int, int, int, int]:
        """x0, y0, x1, y1 around all of them."""
        x, y, width, height = self.shapes.T
        return int(x.min()), int(y.min()), ceil((x + width).max()), ceil((y + height).max())


def _held(shapes: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.intp]:
    """How many centres of the others lie within each shape's box: as many numbers as shapes."""
    centres = others[:, :2] + others[:, 2:] / 2
    corners = shapes[:, None, :2], shapes[:, None, :2] + shapes[:, None, 2:]
    within = ((corners[0] < centres) & (centres < corners[1])).all(axis=2)
    return np.asarray(within.sum(axis=1))


def measure_letters(grey: NDArray[np.uint8]) -> Letters | None:
    """The letters on a grey page (height x width); None where nothing on it looks like letters."""
    factor = max(1, ceil(sqrt(grey.size / _MEASURED_PIXELS_MAX)))
    if factor > 1:
        size = max(1, grey.shape[1] // factor), max(1, grey.shape[0] // factor)
        grey = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    smooth = np.asarray(cv2.GaussianBlur(grey, (3, 3), 0), dtype=np.uint8)
    if _is_light_on_dark(smooth):
        smooth = 255 - smooth
    shapes = _dark_shapes(smooth, max(_CONTRAST_MIN, _CONTRAST_TO_GRAIN * _grain(smooth)))
    if len(shapes) < _LETTERS_MIN:
        return None
    return Letters(shapes.astype(np.float32) * factor)


def _is_light_on_dark(grey: NDArray[np.uint8]) -> bool:
    """Most of a page is paper: is that nearer to the darkest or to the lightest on it?"""
    sample = grey[::_GRAIN_SAMPLE_STEP, ::_GRAIN_SAMPLE_STEP]
    darkest, paper, lightest = np.percentile(sample, (1, 50, 99))
    return bool(paper - darkest < lightest - paper)


def _grain(grey: NDArray[np.uint8]) -> float:
    """Standard deviation of what changes from pixel to pixel where there is no ink: half a page at least."""
    blurred = cv2.GaussianBlur(grey, (7, 7), 0)
    differences = cv2.absdiff(grey, blurred)[::_GRAIN_SAMPLE_STEP, ::_GRAIN_SAMPLE_STEP]
    return float(np.median(differences)) * _DEVIATIONS_PER_MEDIAN


def _dark_shapes(grey: NDArray[np.uint8], contrast: float) -> NDArray[np.int32]:
    """x, y, width, height of each connected dark shape that may be a letter: N x 4."""
    ink = cv2.adaptiveThreshold(
        grey, 1, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, _SURROUNDINGS_PIXELS, contrast
    )
    _, _, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    shapes = np.asarray(stats[1:, :4], dtype=np.int32)
    widths, heights = shapes[:, 2], shapes[:, 3]
    narrowest, widest = _WIDTH_TO_HEIGHT
    fits = (heights >= _HEIGHT_MIN) & (heights <= max(_HEIGHT_MIN, grey.shape[0] * _HEIGHT_SHARE_MAX))
    fits &= (widths >= narrowest * heights) & (widths <= widest * heights)
    return np.asarray(shapes[fits], dtype=np.int32)
