"""Readings are scored as readers would."""

import pytest

from training.scores import WordScore, character_accuracy, edit_distance, marked_words


@pytest.mark.parametrize(
    ("left", "right", "distance"),
    [("", "", 0), ("abc", "", 3), ("", "ab", 2), ("kitten", "sitting", 3), ("flaw", "lawn", 2), ("same", "same", 0)],
)
def test_edit_distance(left: str, right: str, distance: int) -> None:
    assert edit_distance(left, right) == edit_distance(right, left) == distance


def test_characters_count_in_order_and_whitespace_as_one() -> None:
    assert character_accuracy("one\n\ntwo", "one two") == 1.0
    assert character_accuracy("one tvo", "one two") == pytest.approx(6 / 7)
    assert character_accuracy("entirely different and longer", "one") == 0.0


def test_words_count_once_each_whatever_their_order_case_and_punctuation() -> None:
    score = WordScore()
    score.add("total: 12.50 TOTAL stray", "Total 12.50 cash -")
    assert (score.found, score.read, score.wanted) == (2, 4, 3)
    assert score.f1 == pytest.approx(4 / 7)


def test_words_with_a_letter_beyond_ascii_count_letter_by_letter() -> None:
    assert marked_words("l'ätre où über 10€ bûches", "l'âtre où über 10€ bûches.") == (4, 2)
