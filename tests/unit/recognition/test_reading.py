"""What the recogniser is shown, and that its readings come back in the order of the boxes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from services.recognition.engine import create_engine
from services.recognition.networks import CROP_WIDTH_STRIDE, Item, Made
from services.recognition.onnx_engine import OnnxNetworks
from services.recognition.reading import decode, gap_columns, read_crops, with_spaces
from services.recognition.weights import find_weights
from tests.unit.recognition.conftest import draw_lines


class _Recorder:
    """A recogniser that sees a letter in every second time step, and keeps what it was shown."""

    vocabulary = "x"

    def __init__(self) -> None:
        self.shown: list[NDArray[np.uint8]] = []

    def text_logits(self, grey: NDArray[np.uint8]) -> NDArray[np.float32]:
        raise AssertionError(f"only the recogniser is asked, not for {grey.shape}")

    def character_logits(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.shown += list(crops)
        columns = crops.max(axis=1).reshape(len(crops), -1, CROP_WIDTH_STRIDE).max(axis=2)
        logits = np.zeros((len(crops), columns.shape[1], 2), np.float32)
        logits[:, :, 1] = 1.0
        logits[:, ::2, 0] = np.where(columns[:, ::2] > 0, 2.0, 0.0)
        return logits

    def side_by_side(self, make: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
        return map(make, items)


def test_readings_come_in_the_order_of_the_boxes() -> None:
    page = np.full((100, 2_000), 200, np.uint8)
    widths = np.random.default_rng(5).integers(20, 900, 120)
    boxes = np.array([(10, 10, 10 + width, 42) for width in widths], np.float32)

    letters = [len(reading.text) for reading in read_crops(page, boxes, _Recorder())]

    # The wider the box, the more letters.
    assert (np.diff(np.array(letters)[np.argsort(widths)]) >= 0).all()
    assert letters != sorted(letters)


def test_the_outermost_of_a_box_is_not_shown() -> None:
    """There are strokes of other lines and words."""
    page = np.full((200, 400), 255, np.uint8)
    page[50:54, 100:300] = page[96:100, 100:300] = 0
    networks = _Recorder()

    read_crops(page, np.array([(100, 50, 300, 100)], np.float32), networks)

    assert networks.shown[0][:, :100].min() == 255


def test_runs_side_by_side_keep_the_order_and_use_all_threads() -> None:
    weights = find_weights(None)
    networks = OnnxNetworks(weights.detection, weights.recognition, 2)
    both = threading.Barrier(2, timeout=30)

    def make(number: int) -> int:
        both.wait()  # never passed by one at a time
        return number * number

    assert list(networks.side_by_side(make, range(6))) == [0, 1, 4, 9, 16, 25]


def test_the_text_does_not_depend_on_the_number_of_threads() -> None:
    lines = tuple(f"Position {number} of the invoice costs {number * 7}.50 EUR" for number in range(24))
    page = np.asarray(draw_lines(lines, size=(1_200, 1_700)))

    texts = [
        [word.text for word in create_engine("onnx", threads=threads).read_page(page).words] for threads in (1, 2, 3)
    ]

    assert texts[0] == texts[1] == texts[2]
    assert len(texts[0]) > 150


def test_a_gap_is_as_wide_as_a_space_and_no_narrower() -> None:
    pixels = np.full((1, 32, 60), 250, dtype=np.uint8)
    for start, end in ((4, 14), (19, 30), (36, 50)):  # gaps of 4, 5, 6 and 10 columns
        pixels[0, 6:26, start:end] = 20

    assert np.flatnonzero(gap_columns(pixels)[0]).tolist() == [*range(14, 19), *range(30, 36), *range(50, 60)]


def test_a_space_that_a_gap_shows_is_read_though_it_is_not_the_likeliest() -> None:
    vocabulary = "ab "
    pixels = np.full((2, 32, 32), 250, dtype=np.uint8)
    pixels[:, 6:26, 0:10] = pixels[:, 6:26, 20:32] = 20
    pixels[1, 6:26, 10:20] = 20  # the second crop has no gap
    probabilities = np.full((2, 8, 4), 0.01, dtype=np.float32)
    probabilities[:, 1, 0] = probabilities[:, 6, 1] = 0.97
    probabilities[:, [0, 2, 3, 5, 7], 3] = 0.97
    probabilities[:, 4, 2:] = 0.2, 0.78

    logits = with_spaces(np.log(probabilities), pixels, vocabulary)
    assert [reading.text for reading in decode(logits, vocabulary)] == ["a b", "ab"]


def test_a_recogniser_without_a_space_is_left_alone() -> None:
    logits = np.zeros((1, 8, 3), dtype=np.float32)
    assert with_spaces(logits, np.full((1, 32, 32), 250, dtype=np.uint8), "ab") is logits
