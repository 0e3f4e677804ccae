"""Pieces of one word are joined, words side by side and lines above each other are not."""

from __future__ import annotations

import numpy as np
import pytest

from services.recognition.fragments import join_fragments

Box = tuple[float, float, float, float]


def _joined(*boxes: Box) -> list[Box]:
    found, scores = join_fragments(np.array(boxes, np.float32).reshape(-1, 4), np.ones(len(boxes), np.float32))
    assert len(found) == len(scores)
    return [tuple(box) for box in found.tolist()]


def test_pieces_that_reach_into_each_other_are_one_word() -> None:
    assert _joined((0, 0, 50, 20), (40, 1, 90, 21), (82, 0, 130, 20)) == [(0, 0, 130, 21)]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param((48, 0, 90, 20), id="only the margins meet"),
        pytest.param((30, 12, 80, 32), id="another line"),
        pytest.param((40, -20, 160, 40), id="a headline"),
        pytest.param((10, 2, 40, 18), id="a mark within the word"),
    ],
)
def test_others_stay_apart(other: Box) -> None:
    assert len(_joined((0, 0, 50, 20), other)) == 2


def test_a_line_is_not_joined_into_a_crop_that_would_be_squeezed() -> None:
    pieces = [(40.0 * number, 0.0, 40.0 * number + 50, 20.0) for number in range(40)]
    joined = _joined(*pieces)
    assert 1 < len(joined) < 10
    assert max((x1 - x0) / (y1 - y0) for x0, y0, x1, y1 in joined) <= 25


def test_scores_are_means_by_area_and_the_order_of_the_boxes_stays() -> None:
    boxes = np.array([(200, 0, 220, 20), (40, 0, 90, 20), (0, 0, 50, 20)], np.float32)
    found, scores = join_fragments(boxes, np.array((0.2, 0.4, 0.8), np.float32))
    assert found.tolist() == [[200, 0, 220, 20], [0, 0, 90, 20]]
    assert scores.tolist() == pytest.approx([0.2, 0.6])


def test_a_page_without_words_has_no_pieces() -> None:
    assert _joined() == []


def test_pages_of_many_words_are_joined_as_pages_of_few() -> None:
    """More boxes than are compared at once."""
    rows = [(0.0, 40.0 * row, 50.0, 40.0 * row + 20) for row in range(400)]
    rows += [(35.0, 40.0 * row, 90.0, 40.0 * row + 20) for row in range(400)]
    assert sorted(_joined(*rows)) == [(0.0, 40.0 * row, 90.0, 40.0 * row + 20) for row in range(400)]
