"""Pages that lie turned or askew are read as if they lay straight, and upright ones are left alone."""

from __future__ import annotations

from difflib import SequenceMatcher

import numpy as np
import pytest
from PIL import Image

from services.recognition.engine import Engine
from services.recognition.frame import straighten
from services.recognition.letters import measure_letters
from services.recognition.orientation import sideways_share, skew_degrees
from services.recognition.pages import Word
from services.recognition.reading_order import order_words
from tests.unit.recognition.conftest import LETTER, draw_lines


def turned(degrees_clockwise: float) -> Image.Image:
    page = draw_lines(size=(1100, 700), top=150)
    return page.rotate(-degrees_clockwise, expand=True, fillcolor="white", resample=Image.Resampling.BICUBIC)


def read(engine: Engine, image: Image.Image) -> tuple[str, list[Word], int, float]:
    found = engine.read_page(np.asarray(image))
    blocks = order_words(found)
    words = [word for block in blocks for line in block.lines for word in line.words]
    text = "\n".join(line.text for block in blocks for line in block.lines)
    return text, words, found.frame.orientation, found.frame.skew_degrees


def likeness(text: str) -> float:
    return SequenceMatcher(None, text, "\n".join(LETTER), autojunk=False).ratio()


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_turned_page_is_read_upright(engine: Engine, degrees: int) -> None:
    text, _, orientation, skew = read(engine, turned(degrees))

    assert orientation == degrees
    assert skew == 0.0
    assert likeness(text) >= 0.97


@pytest.mark.parametrize("degrees", [-8.0, -2.0, 1.0, 5.0])
def test_a_page_that_lies_askew_is_straightened(engine: Engine, degrees: float) -> None:
    text, _, orientation, skew = read(engine, turned(degrees))

    assert orientation == 0
    assert skew == pytest.approx(degrees, abs=0.3)
    assert likeness(text) >= 0.95


@pytest.mark.parametrize(("degrees", "corner"), [(0, (0, 0)), (90, (1, 0)), (180, (1, 1)), (270, (0, 1)), (4, (0, 0))])
def test_boxes_lie_on_the_page_as_it_is_shown(engine: Engine, degrees: int, corner: tuple[int, int]) -> None:
    _, words, _, _ = read(engine, turned(degrees))
    x0, y0, x1, y1 = words[0].box

    assert words[0].text == "Dear"
    assert ((x0 + x1) / 2 > 0.5, (y0 + y1) / 2 > 0.5) == (corner[0] == 1, corner[1] == 1)
    wide = x1 - x0 > y1 - y0
    assert wide == (degrees in (0, 180, 4)) or degrees in (90, 270)
    assert 0 <= x0 < x1 <= 1
    assert 0 <= y0 < y1 <= 1


def test_straightening_and_its_frame_agree() -> None:
    page = np.full((300, 200), 255, dtype=np.uint8)
    page[40:60, 30:70] = 0
    for orientation in (0, 90, 180, 270):
        for skew in (0.0, 7.0, -3.0):
            upright, frame = straighten(page, orientation, skew)
            rows, columns = np.nonzero(upright < 100)
            box = (float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1))
            x0, y0, x1, y1 = frame.relative_box(box)

            assert (x0 + x1) / 2 * 200 == pytest.approx(50, abs=2)
            assert (y0 + y1) / 2 * 300 == pytest.approx(50, abs=2)


def test_the_axis_and_the_skew_are_told_from_letters_alone() -> None:
    for degrees in (0.0, 3.0, -6.0):
        letters = measure_letters(np.asarray(turned(degrees).convert("L")))
        assert letters is not None
        assert sideways_share(letters) < 0.3
        assert skew_degrees(letters) == pytest.approx(degrees, abs=0.3)
    letters = measure_letters(np.asarray(turned(90).convert("L")))
    assert letters is not None
    assert sideways_share(letters) > 0.7
