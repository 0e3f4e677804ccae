"""Both engines read alike: the same words in the same places, page by page."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from services.recognition.engine import Engine, PageWords
from tests.integration.recognition.pages import varied_pages

_SHARE_MIN = 0.995
_PLACES_DIFFER_PIXELS_MAX = 3.0


@pytest.mark.timeout(900)
def test_twenty_pages_give_the_same_words(tensorflow_engine: Engine, onnx_engine: Engine) -> None:
    shared = read = 0
    differences: list[str] = []
    for name, image in varied_pages():
        theirs, ours = _words(tensorflow_engine.read_page(image)), _words(onnx_engine.read_page(image))
        assert theirs, f"nothing was read on {name}"
        shared += 2 * (theirs & ours).total()
        read += theirs.total() + ours.total()
        if theirs != ours:
            differences.append(f"{name}: tensorflow {theirs - ours}, onnx {ours - theirs}")

    assert read > 2 * 1500
    assert shared / read >= _SHARE_MIN, "\n".join(differences)


def _words(page: PageWords) -> Counter[str]:
    return Counter(word.text for word in page.words)


def test_words_stand_in_the_same_places(tensorflow_engine: Engine, onnx_engine: Engine) -> None:
    (image,) = (image for name, image in varied_pages() if name == "sample")
    theirs, ours = tensorflow_engine.read_page(image).words, onnx_engine.read_page(image).words

    assert len(ours) > 30
    for word in ours:
        distances = [
            float(np.abs(np.subtract(word.box, other.box)).max()) for other in theirs if other.text == word.text
        ]
        assert min(distances, default=np.inf) <= _PLACES_DIFFER_PIXELS_MAX, word


def test_each_says_which_engine_and_weights_it_has(tensorflow_engine: Engine, onnx_engine: Engine) -> None:
    assert (tensorflow_engine.name, onnx_engine.name) == ("tensorflow", "onnx")
    names = {engine.model_version.partition("@")[0] for engine in (tensorflow_engine, onnx_engine)}
    assert len(names) == 1, "the same models in two forms"
