"""Reads one page with any engine's networks: which way up, how large the letters, where the words, what they say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

from services.recognition.detection import Regions, find_words
from services.recognition.engine import FoundWord, PageWords
from services.recognition.frame import Frame, straighten
from services.recognition.letters import Letters, measure_letters
from services.recognition.merged_words import part_words
from services.recognition.networks import Networks
from services.recognition.orientation import sideways_share, skew_degrees
from services.recognition.plausibility import plausible, unrivalled
from services.recognition.reading import Reading, read_crops

# The detector is shown letters of this height: measured best between 17 and 20 on pages of many kinds.
_LETTER_HEIGHT_PIXELS = 17.0
# Tiny letters are not there any more when blown up further, and no page is worth more time than this.
_SCALE_MAX = 2.0
_DETECTED_PIXELS_MAX = 16_000_000
# White left around the letters when empty borders are cut away, in heights of a letter.
_MARGIN_LETTERS = 2.0

# A page is taken as lying on its side first where more of its letters' neighbours than this stand above and below.
_SIDEWAYS_SHARE_MIN = 0.55
# The longest words tell best which way up a page is: read upright they have 0.90 to 0.99, upside down up to 0.87,
# and lying on their side 0.34 to 0.60. Below this the other ways are tried, which few pages that stand upright are.
_TELLING_WORDS = 24
_TRUST_UPRIGHT = 0.93
_TRUST_SAME_AXIS = 0.7
_TRUST_GAIN_MIN = 0.05


@dataclass(frozen=True)
class _View:
    """The page turned and straightened in one way, and where its words would be."""

    grey: NDArray[np.uint8]
    frame: Frame
    regions: Regions


class PageReader:
    """An `Engine` made of two networks."""

    def __init__(self, name: str, model_version: str, networks: Networks) -> None:
        self.name = name
        self.model_version = model_version
        self._networks = networks

    def read_page(self, image: NDArray[np.uint8]) -> PageWords:
        """Read a page of height x width x 3, RGB."""
        grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
        letters = measure_letters(grey)
        if letters is None:
            return PageWords((), Frame.as_shown(grey.shape[1], grey.shape[0]))
        sideways = sideways_share(letters) > _SIDEWAYS_SHARE_MIN
        view = self._view(grey, 90) if sideways else self._view(grey, 0, letters)
        readings = self._read(view)
        trust = _trust(view, readings)
        if trust < _TRUST_UPRIGHT:
            better = self._better_view(grey, view, trust)
            if better is not None:
                view, readings = better, self._read(better)
        return PageWords(_words(view, readings), view.frame)

    def _view(self, grey: NDArray[np.uint8], orientation: int, letters: Letters | None = None) -> _View:
        """The page turned back by `orientation`; `letters` are its letters then, where they are known."""
        upright, frame = straighten(grey, orientation, 0.0)
        letters = letters or measure_letters(upright)
        skew = skew_degrees(letters) if letters else 0.0
        if skew:
            upright, frame = straighten(grey, orientation, skew)
            letters = measure_letters(upright)
        regions = self._find_words(upright, letters) if letters else Regions.none()
        return _View(upright, frame, regions)

    def _find_words(self, grey: NDArray[np.uint8], letters: Letters) -> Regions:
        left, top, right, bottom = _area(letters, grey.shape)
        area = grey[top:bottom, left:right]
        scale = min(_SCALE_MAX, _LETTER_HEIGHT_PIXELS / letters.height, sqrt(_DETECTED_PIXELS_MAX / area.size))
        regions = find_words(area, scale, self._networks).moved(left, top)
        if letters.large is None:
            return regions
        coarse = find_words(area, _LETTER_HEIGHT_PIXELS / letters.large.height, self._networks).moved(left, top)
        return regions.with_large(coarse, letters.large.shapes)

    def _read(self, view: _View) -> list[Reading]:
        return read_crops(view.grey, view.regions.boxes, self._networks)

    def _better_view(self, grey: NDArray[np.uint8], first: _View, trust: float) -> _View | None:
        """The way up in which the page reads best, if that is clearly better than the first."""
        best, best_trust = None, trust + _TRUST_GAIN_MIN
        for view in self._other_views(grey, first):
            if first.frame.orientation % 180 != view.frame.orientation % 180 and best_trust > _TRUST_SAME_AXIS:
                break
            telling = view.regions.longest(_TELLING_WORDS)
            view_trust = _mean_confidence(read_crops(view.grey, telling.boxes, self._networks))
            if view_trust > best_trust:
                best, best_trust = view, view_trust
        return best

    def _other_views(self, grey: NDArray[np.uint8], first: _View) -> Iterator[_View]:
        """Upside down first, then on either side; each is only made when it is asked for."""
        yield _upside_down(first, grey)
        beside = self._view(grey, (first.frame.orientation + 90) % 360)
        yield beside
        yield _upside_down(beside, grey)


def _upside_down(view: _View, grey: NDArray[np.uint8]) -> _View:
    """The same words seen the other way up: what is text does not depend on it."""
    turned, frame = straighten(grey, (view.frame.orientation + 180) % 360, view.frame.skew_degrees)
    height, width = turned.shape
    return _View(turned, frame, view.regions.upside_down(width, height))


def _area(letters: Letters, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """The part of the page that has letters on it, with a margin: x0, y0, x1, y1."""
    margin = round(_MARGIN_LETTERS * letters.height)
    x0, y0, x1, y1 = letters.box
    return max(0, x0 - margin), max(0, y0 - margin), min(shape[1], x1 + margin), min(shape[0], y1 + margin)


def _trust(view: _View, readings: list[Reading]) -> float:
    telling = view.regions.longest_indices(_TELLING_WORDS)
    return _mean_confidence([readings[index] for index in telling])


def _mean_confidence(readings: list[Reading]) -> float:
    return float(np.mean([reading.confidence for reading in readings])) if readings else 0.0


def _words(view: _View, readings: list[Reading]) -> tuple[FoundWord, ...]:
    kept = plausible(readings, view.regions.scores) & unrivalled(readings, view.regions.rivals())
    return tuple(
        word
        for reading, box, keep in zip(readings, view.regions.boxes.tolist(), kept, strict=True)
        if keep
        for word in part_words(reading, tuple(box))
    )
