"""Pictures of every mode to 8-bit RGB on white paper."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_DEEP_MODES = ("I", "I;16", "I;16L", "I;16B", "I;16N", "F")
_WHITE = (255, 255, 255, 255)
_BAND_PIXELS = 4_000_000


def to_rgb(image: Image.Image, pixels_max: int) -> NDArray[np.uint8]:
    """Height x width x 3, reduced by a whole factor where `image` has more than `pixels_max`."""
    depth = _depth_of(image) if image.mode in _DEEP_MODES else None
    factor = ceil(sqrt(image.width * image.height / pixels_max))
    if factor <= 1:
        return _converted(image, depth, 1)
    return np.concatenate([_converted(band, depth, factor) for band in _bands(image, factor)])


def _bands(image: Image.Image, factor: int) -> Iterator[Image.Image]:
    """The image from top to bottom, cut where `factor` rows become one.

    A picture of 100 megapixels takes 400 MB as it lies; copies of the whole of it would end the process.
    """
    rows = max(1, _BAND_PIXELS // image.width // factor) * factor
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(top + rows, image.height)))


def _converted(image: Image.Image, depth: _Depth | None, factor: int) -> NDArray[np.uint8]:
    if depth is not None:
        image = Image.fromarray(depth.to_8_bit(np.asarray(image)))
    if image.mode == "1":
        image = image.convert("L")
    if image.mode == "P" or image.has_transparency_data:
        image = _over_white(image)
    if factor > 1:
        image = image.reduce(min(factor, max(image.size)))
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def _over_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    rgba = image.convert("RGBA")
    paper = Image.new("RGBA", rgba.size, _WHITE)
    paper.alpha_composite(rgba)
    return paper.convert("RGB")


@dataclass(frozen=True)
class _Depth:
    """What is black and what is white in grey of 16 or 32 bits or floating point, by the depth that its values use.

    Scanners and instruments store 10, 12 and 14 bits in 16: those pages would be almost black otherwise.
    """

    black: float
    white: float

    def to_8_bit(self, deep: NDArray[np.generic]) -> NDArray[np.uint8]:
        values = _finite(deep) - np.float32(self.black)
        values *= 255.0 / (self.white - self.black)
        return np.clip(values, 0, 255, out=values).round().astype(np.uint8)


def _depth_of(image: Image.Image) -> _Depth:
    lowest = peak = 0.0
    for band in _bands(image, 1):
        values = _finite(np.asarray(band))
        lowest, peak = min(lowest, float(values.min())), max(peak, float(values.max()))
    reach = peak - lowest
    return _Depth(lowest, lowest + (1.0 if reach <= 1.0 else 2.0 ** ceil(np.log2(reach + 1.0)) - 1.0))


def _finite(deep: NDArray[np.generic]) -> NDArray[np.float32]:
    return np.nan_to_num(deep.astype(np.float32), copy=False, posinf=0.0, neginf=0.0)
