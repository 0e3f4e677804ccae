"""Crops without text are as large as words, and the same for the same seed."""

import numpy as np

from training.data.nontext import NO_TEXT, crops


def test_crops_without_text_are_labelled_so_and_have_room_for_margins() -> None:
    for crop in crops(40, seed=3):
        assert crop.labels == (NO_TEXT,)
        x0, y0, x1, y1 = crop.box
        height, width = crop.pixels.shape
        assert 0 < x0 < x1 < width
        assert 0 < y0 < y1 < height


def test_same_seed_draws_the_same_crops() -> None:
    for ours, theirs in zip(crops(10, seed=5), crops(10, seed=5), strict=True):
        np.testing.assert_array_equal(ours.pixels, theirs.pixels)
