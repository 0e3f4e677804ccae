"""Telling words from what merely looks like them: grain, strokes of a picture, the edges of a photograph."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from services.recognition.reading import Reading

# What is read with less confidence than this is no word.
_CONFIDENCE_MIN = 0.4
# A word that speaks for itself has this many letters or digits and this confidence.
_SOLID_SIGNS_MIN = 3
_SOLID_CONFIDENCE_MIN = 0.85
# A page holds text where at least this share of what was found on it are solid words.
_SOLID_SHARE_MIN = 0.05
# Beside solid words all others must look like text to the detector too: this much of what those do, and a little less
# where they are read without doubt. A lone digit fills less of its box than a word does.
_SCORE_TO_SOLID_MIN = 0.65
_CLEAR_CONFIDENCE_MIN = 0.85
_CLEAR_SCORE_TO_SOLID_MIN = 0.5
# A page without them may still hold a number or two, which are then beyond doubt.
_LONE_WORDS_MAX = 3
_LONE_CONFIDENCE_MIN = 0.95
_LONE_SCORE_MIN = 0.4
# A headline read this well is one, however well its pieces can be read.
_HEADLINE_CONFIDENCE_MIN = 0.85


def plausible(readings: Sequence[Reading], scores: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which of a page's readings are words, given the detector's mean probability of text in each: N booleans."""
    confidence = np.array([reading.confidence for reading in readings], dtype=np.float64)
    signs = np.array([sum(map(str.isalnum, reading.text)) for reading in readings], dtype=np.int64)
    solid = (signs >= _SOLID_SIGNS_MIN) & (confidence >= _SOLID_CONFIDENCE_MIN)
    if solid.sum() >= max(1.0, _SOLID_SHARE_MIN * len(readings)):
        to_solid = scores / np.median(scores[solid])
        like_text = (to_solid >= _SCORE_TO_SOLID_MIN) & (confidence >= _CONFIDENCE_MIN)
        clear = (to_solid >= _CLEAR_SCORE_TO_SOLID_MIN) & (confidence >= _CLEAR_CONFIDENCE_MIN) & (signs > 0)
        return np.asarray(solid | like_text | clear)
    lone = (signs > 0) & (confidence >= _LONE_CONFIDENCE_MIN) & (scores >= _LONE_SCORE_MIN)
    return np.asarray(lone & (lone.sum() <= _LONE_WORDS_MAX))


def unrivalled(readings: Sequence[Reading], rivals: Iterable[tuple[int, NDArray[np.intp]]]) -> NDArray[np.bool_]:
    """Which readings stand where two looks at a page found words in one place: N booleans.

    rivals: what was found for a headline, and what the page's own letters gave there. Those may be pieces of a
    headline, or words beside a picture that was taken for one: what reads better tells.
    """
    stands = np.ones(len(readings), dtype=np.bool_)
    confidence = np.array([reading.confidence for reading in readings], dtype=np.float64)
    for headline, pieces in rivals:
        if confidence[headline] >= min(_HEADLINE_CONFIDENCE_MIN, confidence[pieces].mean()):
            stands[pieces] = False
        else:
            stands[headline] = False
    return stands
