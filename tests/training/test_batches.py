"""Crops come to the recogniser as the detector would cut them."""

import numpy as np
import pytest

from training.batches import MARGINS_USUAL, collate, frame, readable
from training.data.crops import Crop


def crop(height: int = 20, width: int = 100) -> Crop:
    """A white page, on it a grey box with a black left half: 10 pixels of context at each side."""
    pixels = np.full((height + 20, width + 20), 255, np.uint8)
    pixels[10 : 10 + height, 10 : 10 + width] = 128
    pixels[10 : 10 + height, 10 : 10 + width // 2] = 0
    return Crop(pixels, (10.0, 10.0, 10.0 + width, 10.0 + height), ("word",))


def test_frame_without_margins_is_the_box_at_32_rows() -> None:
    image = frame(crop(), (0.0, 0.0, 0.0, 0.0))
    assert image.shape == (32, 160)
    assert image[16, 20] == 0
    assert image[16, 140] == 128


def test_margins_are_heights_of_the_box() -> None:
    image = frame(crop(), (0.5, 0.0, 0.0, 0.0))
    assert image.shape == (32, 176)
    assert image[16, 4] == 255
    assert image[16, 24] == 0


def test_frame_never_looks_beyond_the_page() -> None:
    assert frame(crop(), (9.0, 9.0, 9.0, 9.0)).shape == (32, 96)


def test_stretch_changes_the_width_alone() -> None:
    assert frame(crop(), MARGINS_USUAL, stretch=2.0).shape[1] == pytest.approx(
        2 * frame(crop(), MARGINS_USUAL).shape[1], abs=1
    )


def test_batch_is_padded_black_to_whole_steps() -> None:
    batch = collate([np.full((32, 10), 200, np.uint8), np.full((32, 17), 100, np.uint8)], [("a",), ("b",)])
    assert batch.pixels.shape == (2, 32, 20)
    assert batch.pixels[0, :, 10:].max() == 0
    assert batch.pixels[1, 0, 16] == 100


def test_crop_too_narrow_for_its_label_is_left_out() -> None:
    assert readable(16, ("abcd",))
    assert not readable(16, ("abcc",))
    assert not readable(16, ("ab", "abcde"))
