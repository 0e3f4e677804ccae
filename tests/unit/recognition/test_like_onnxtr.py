"""Our post-processing against OnnxTR's, which ports docTR's: the same boxes and the same letters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from services.recognition.detection import find_words
from services.recognition.networks import Item, Made
from services.recognition.reading import decode
from services.recognition.vocabulary import VOCABULARY_FRENCH

onnxtr_detection = pytest.importorskip("onnxtr.models.detection.postprocessor.base")
onnxtr_recognition = pytest.importorskip("onnxtr.models.recognition.models.crnn")
onnxtr_vocabulary = pytest.importorskip("onnxtr.utils.vocabs")


class _Networks:
    """A detector that has made up its mind."""

    vocabulary = VOCABULARY_FRENCH

    def __init__(self, logits: NDArray[np.float32]) -> None:
        self._logits = logits

    def text_logits(self, grey: NDArray[np.uint8]) -> NDArray[np.float32]:
        assert grey.shape == self._logits.shape
        return self._logits

    def character_logits(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        raise AssertionError(f"only the detector is asked, not for {crops.shape}")

    def side_by_side(self, make: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
        return map(make, items)


def test_boxes_are_those_of_onnxtr() -> None:
    chance = np.random.default_rng(8)
    logits = np.full((512, 640), -4.0, dtype=np.float32)
    for row in range(30, 480, 40):
        for column in range(30, 560, 110):
            width, height = int(chance.integers(12, 80)), int(chance.integers(5, 16))
            cv2.rectangle(logits, (column, row), (column + width, row + height), float(chance.uniform(0, 5)), -1)
    ours = find_words(np.zeros((512, 640), dtype=np.uint8), 1.0, _Networks(logits)).boxes
    probabilities = 1 / (1 + np.exp(-logits))
    processor = onnxtr_detection.GeneralDetectionPostProcessor(bin_thresh=0.3, box_thresh=0.1)
    theirs = processor(probabilities[None, :, :, None])[0][0][:, :4] * (640, 512, 640, 512)

    assert len(ours) == len(theirs) > 40
    # Theirs are rounded to whole pixels on the way.
    assert np.abs(_matched(ours, theirs)).max() <= 2.0


def _matched(ours: NDArray[np.float32], theirs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each of our boxes less the nearest of theirs."""
    distances = np.abs(ours[:, None, :] - theirs[None]).sum(axis=2)
    return np.asarray(ours - theirs[distances.argmin(axis=1)], dtype=np.float64)


def test_letters_are_those_of_onnxtr() -> None:
    logits = np.random.default_rng(9).normal(0, 3, (40, 24, len(VOCABULARY_FRENCH) + 1)).astype(np.float32)
    logits[:, ::2, -1] += 12  # blanks, so that doubled letters are kept apart
    theirs = [text for text, _ in onnxtr_recognition.CRNNPostProcessor(VOCABULARY_FRENCH)(logits)]

    assert [reading.text for reading in decode(logits, VOCABULARY_FRENCH)] == theirs


def test_the_vocabulary_is_that_of_doctr() -> None:
    assert onnxtr_vocabulary.VOCABS["french"] == VOCABULARY_FRENCH
