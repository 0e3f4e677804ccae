"""Annotated lines are split into words only where the ink agrees with the letters."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data.crops import Crop, CropStore, GreyImage, cut, write_crops
from training.data.receipts import Line, crops_of_page, read_lines, split_at_gaps, split_line


def columns(pattern: str) -> np.ndarray:
    return np.array([letter == "#" for letter in pattern])


def test_line_is_split_at_its_widest_gaps() -> None:
    assert split_at_gaps(columns("..##.##....#.##.#..."), [2, 3]) == [(2, 7), (11, 17)]


def test_line_without_gaps_enough_is_not_split() -> None:
    assert split_at_gaps(columns("####..####"), [2, 2, 2]) is None


def test_line_whose_widths_do_not_fit_its_letters_is_not_split() -> None:
    # The widest gap is within the second word: three letters would be as wide as nine.
    assert split_at_gaps(columns("###.####.########....###"), [3, 9]) is None


def test_empty_line_is_not_split() -> None:
    assert split_at_gaps(columns("......"), [1]) is None


def test_transcript_may_hold_commas(tmp_path: Path) -> None:
    path = tmp_path / "001.csv"
    path.write_text("10,20,90,20,90,40,10,40,LOT 1, JALAN 2,\nbroken line\n", encoding="utf-8")
    assert read_lines(path) == [Line((10.0, 20.0, 90.0, 40.0), "LOT 1, JALAN 2,")]


@pytest.fixture
def page() -> GreyImage:
    page = np.full((120, 400), 240, np.uint8)
    cv2.putText(page, "TOTAL", (40, 70), cv2.FONT_HERSHEY_SIMPLEX, 1.0, 0, 2)
    cv2.putText(page, "12.50", (200, 70), cv2.FONT_HERSHEY_SIMPLEX, 1.0, 0, 2)
    return page


def test_words_lie_where_they_are_printed(page: GreyImage) -> None:
    words = split_line(page, Line((35, 44, 300, 74), "TOTAL 12.50"))
    assert words is not None
    assert [word.text for word in words] == ["TOTAL", "12.50"]
    first, second = words
    assert 38 <= first.left < first.right <= 150
    assert 198 <= second.left < second.right <= 300


def test_white_on_black_is_split_alike(page: GreyImage) -> None:
    line = Line((35, 44, 300, 74), "TOTAL 12.50")
    assert split_line(255 - page, line) == split_line(page, line)


def test_crops_hold_words_and_the_whole_line_with_every_spelling(page: GreyImage, tmp_path: Path) -> None:
    crops = list(crops_of_page(page, [Line((35, 44, 300, 74), "TOTAL 12.50")], np.random.default_rng(1)))
    assert {crop.labels[0] for crop in crops} == {"TOTAL 12.50", "TOTAL", "12.50"}
    write_crops(tmp_path, crops)
    stored = CropStore(tmp_path)
    assert len(stored) == len(crops)
    for ours, theirs in zip(crops, (stored[index] for index in range(len(stored))), strict=True):
        assert theirs.labels == ours.labels
        assert theirs.box == pytest.approx(ours.box, abs=0.06)
        np.testing.assert_array_equal(theirs.pixels, ours.pixels)


def test_cut_keeps_context_and_scales_large_letters_down(page: GreyImage) -> None:
    crop = cut(page, (40.0, 10.0, 240.0, 106.0), ("x",))
    assert isinstance(crop, Crop)
    assert crop.box[3] - crop.box[1] == pytest.approx(48.0)
    assert crop.box[0] == pytest.approx(20.0)
    assert cut(page, (10.0, 10.0, 100.0, 13.0), ("x",)) is None
