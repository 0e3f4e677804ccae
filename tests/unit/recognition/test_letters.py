"""What counts as a letter of a headline."""

from __future__ import annotations

import cv2
import numpy as np

from services.recognition.letters import Letters, measure_letters


def _lines() -> list[tuple[int, int, int, int]]:
    return [(20 + 14 * column, 100 + 40 * row, 10, 20) for row in range(10) for column in range(30)]


def test_three_high_letters_are_a_headline() -> None:
    headline = [(20 + 90 * number, 10, 60, 80) for number in range(3)]
    large = Letters(np.array(_lines() + headline, np.float32)).large
    assert large is not None
    assert large.height == 80


def test_a_stamp_and_frames_around_letters_are_no_headline() -> None:
    """They are as high as one, but hold letters of the page."""
    frames = [(100 * number, 90, 90, 200) for number in range(4)]
    assert Letters(np.array(_lines() + frames, np.float32)).large is None


def test_a_page_with_a_rubber_stamp_is_looked_at_once() -> None:
    page = np.full((900, 700), 255, np.uint8)
    for row in range(60, 880, 40):
        cv2.putText(page, "Thank you for shopping here", (40, row), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 0, 2)
    for x, y, radius in ((200, 200, 110), (420, 330, 130), (300, 560, 120)):
        cv2.circle(page, (x, y), radius, 90, 3)
    letters = measure_letters(page)
    assert letters is not None
    assert letters.large is None
