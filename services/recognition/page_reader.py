"""Reads one page with any engine's networks: the letters' size, the words' boxes, their letters."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from services.recognition.detection import find_words
from services.recognition.engine import FoundWord, PageWords
from services.recognition.frame import straighten
from services.recognition.letters import Letters, measure_letters
from services.recognition.merged_words import part_words
from services.recognition.networks import Networks
from services.recognition.reading import read_crops

# The detector is shown letters of this height: measured best between 14 and 20 on pages of many kinds.
_LETTER_HEIGHT_PIXELS = 16.0
# Tiny letters are not there any more when blown up further.
_SCALE_MAX = 2.0
# White left around the letters when empty borders are cut away, in heights of a letter.
_MARGIN_LETTERS = 2.0
# Words that the recogniser believes in less are strokes of a picture, or noise.
_CONFIDENCE_MIN = 0.4


class PageReader:
    """An `Engine` made of two networks."""

    def __init__(self, name: str, model_version: str, networks: Networks) -> None:
        self.name = name
        self.model_version = model_version
        self._networks = networks

    def read_page(self, image: NDArray[np.uint8]) -> PageWords:
        """Read a page of height x width x 3, RGB."""
        grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
        upright, frame = straighten(grey, orientation=0, skew_degrees=0.0)
        return PageWords(self._read(upright), frame)

    def _read(self, grey: NDArray[np.uint8]) -> tuple[FoundWord, ...]:
        letters = measure_letters(grey)
        if letters is None:
            return ()
        left, top, right, bottom = _area(letters, grey.shape)
        scale = min(_SCALE_MAX, _LETTER_HEIGHT_PIXELS / letters.height)
        regions = find_words(grey[top:bottom, left:right], scale, self._networks)
        boxes = regions.boxes + np.array((left, top, left, top), dtype=np.float32)
        readings = read_crops(grey, boxes, self._networks)
        return tuple(
            word
            for reading, (x0, y0, x1, y1) in zip(readings, boxes.tolist(), strict=True)
            if reading.confidence >= _CONFIDENCE_MIN
            for word in part_words(reading, (x0, y0, x1, y1))
        )


def _area(letters: Letters, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """The part of the page that has letters on it, with a margin: x0, y0, x1, y1."""
    margin = round(_MARGIN_LETTERS * letters.height)
    x0, y0, x1, y1 = letters.box
    return max(0, x0 - margin), max(0, y0 - margin), min(shape[1], x1 + margin), min(shape[0], y1 + margin)
