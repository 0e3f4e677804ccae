"""Words that the detector took for one: the recogniser reads the space between them, and here they part."""

from __future__ import annotations

from collections.abc import Iterator

from services.recognition.engine import FoundWord
from services.recognition.networks import CROP_HEIGHT, CROP_WIDTH_STRIDE
from services.recognition.pages import Box
from services.recognition.reading import CROP_WIDTH_MAX, Reading

_SPACE = " "
# Between the boxes of words that part, in heights of the box.
_GAP_HEIGHTS = 0.2


def part_words(reading: Reading, box: Box) -> Iterator[FoundWord]:
    """The words of one crop, left to right; `box` (pixels) is cut where the recogniser saw the spaces."""
    x0, y0, x1, y1 = box
    half_gap = _GAP_HEIGHTS * (y1 - y0) / 2
    left, first = x0, 0
    for index, character in enumerate(reading.text + _SPACE):
        if character != _SPACE:
            continue
        last = index == len(reading.text)
        space = x1 if last else _x_of_step(reading.steps[index], box)
        right = x1 if last else max(left, space - half_gap)
        if index > first:
            yield FoundWord(reading.text[first:index], reading.confidence, (left, y0, right, y1))
        left, first = min(x1, space + half_gap), index + 1


def _x_of_step(step: int, box: Box) -> float:
    """Where a time step of the recogniser looks at, in pixels of the page."""
    x0, y0, x1, y1 = box
    crop_width = min(CROP_WIDTH_MAX, (x1 - x0) * CROP_HEIGHT / (y1 - y0))
    return min(x1, x0 + (step + 0.5) * CROP_WIDTH_STRIDE / crop_width * (x1 - x0))
