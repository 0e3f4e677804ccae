"""A crop that holds several words gives several words, each in its part of the box."""

import numpy as np
import pytest

from services.recognition.merged_words import part_words
from services.recognition.reading import Reading, decode

VOCABULARY = "ab "
BLANK = len(VOCABULARY)
# 32 pixels high: one time step is 4 pixels of the page.
BOX = (100.0, 50.0, 180.0, 82.0)


def reading_of(classes: list[int]) -> Reading:
    logits = np.full((1, len(classes), BLANK + 1), -9.0, dtype=np.float32)
    logits[0, np.arange(len(classes)), classes] = 9.0
    return decode(logits, VOCABULARY)[0]


def test_one_word_keeps_its_box() -> None:
    (word,) = part_words(reading_of([3, 0, 0, 3, 1]), BOX)
    assert (word.text, word.box) == ("ab", BOX)
    assert word.confidence == pytest.approx(1.0, abs=1e-3)


def test_words_part_where_the_space_was_seen() -> None:
    first, second = part_words(reading_of([0, 3, 1, 3, 3, 2, 2, 3, 0, 3, 0, 1]), BOX)
    assert (first.text, second.text) == ("ab", "aab")
    assert first.box[0] == BOX[0]
    assert second.box[2] == BOX[2]
    # The space was first seen in the sixth step: 22 pixels from the left.
    assert first.box[2] < 122 < second.box[0]
    assert second.box[0] - first.box[2] == pytest.approx(6.4)


@pytest.mark.parametrize("classes", [[2, 0, 2], [2, 3, 2, 0], [0, 2, 3, 2]])
def test_spaces_at_the_ends_and_twice_make_no_words(classes: list[int]) -> None:
    assert [word.text for word in part_words(reading_of(classes), BOX)] == ["a"]


def test_nothing_read_is_no_word() -> None:
    assert list(part_words(reading_of([3, 3]), BOX)) == []
