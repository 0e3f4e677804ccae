"""Pictures of every mode to 8-bit RGB on white paper."""

from __future__ import annotations

from math import ceil, sqrt

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_DEEP_MODES = ("I", "I;16", "I;16L", "I;16B", "I;16N", "F")
_WHITE = (255, 255, 255, 255)


def to_rgb(image: Image.Image, pixels_max: int) -> NDArray[np.uint8]:
    """Height x width x 3, reduced by a whole factor where `image` has more than `pixels_max`."""
    if image.mode in _DEEP_MODES:
        image = Image.fromarray(_to_8_bit(np.asarray(image)))
    if image.mode == "1":
        image = image.convert("L")
    if image.mode == "P" or image.has_transparency_data:
        image = _over_white(image)
    factor = ceil(sqrt(image.width * image.height / pixels_max))
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


def _to_8_bit(deep: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Grey of 16 or 32 bits or floating point, scaled by the depth that its values use.

    Scanners and instruments store 10, 12 and 14 bits in 16: those pages would be almost black otherwise.
    """
    values = np.nan_to_num(deep.astype(np.float32), posinf=0.0, neginf=0.0)
    values -= min(0.0, float(values.min()))
    peak = float(values.max())
    white = 1.0 if peak <= 1.0 else 2.0 ** ceil(np.log2(peak + 1.0)) - 1.0
    values *= 255.0 / white
    return np.clip(values, 0, 255).round().astype(np.uint8)
