"""The two networks that an engine brings; everything around them is shared, so that all engines read alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

# What docTR's models were trained on, per channel of an image scaled to 0..1.
DETECTION_MEAN = (0.798, 0.785, 0.772)
DETECTION_STD = (0.264, 0.2749, 0.287)
RECOGNITION_MEAN = (0.694, 0.695, 0.693)
RECOGNITION_STD = (0.299, 0.296, 0.301)

# The detector halves its input five times.
DETECTION_STRIDE = 32
CROP_HEIGHT = 32
CROP_WIDTH_STRIDE = 4

Item = TypeVar("Item")
Made = TypeVar("Made")


class Networks(Protocol):
    """A detection and a recognition network."""

    # The characters of the recogniser's classes; one more class, the last, is the CTC blank.
    vocabulary: str

    def text_logits(self, grey: NDArray[np.uint8]) -> NDArray[np.float32]:
        """How likely each pixel is text: height x width in and out, both multiples of `DETECTION_STRIDE`."""

    def character_logits(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Crops of N x `CROP_HEIGHT` x W grey (W a multiple of 4) → N x T x (characters + blank)."""

    def side_by_side(self, make: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
        """What `make` makes of each item, in order. It runs the networks, several at a time where that is faster."""


def normalisation_tables(mean: tuple[float, float, float], std: tuple[float, float, float]) -> NDArray[np.float32]:
    """3 x 256: what each grey value becomes in each channel; a look-up costs less than the arithmetic."""
    grey = np.arange(256, dtype=np.float32)[None, :] / 255.0
    return (grey - np.array(mean, dtype=np.float32)[:, None]) / np.array(std, dtype=np.float32)[:, None]
