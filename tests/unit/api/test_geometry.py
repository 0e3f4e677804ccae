"""A word's own rectangle, from the upright box that recognition leaves of it."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.document import PageLayout
from services.api.layout.geometry import word_polygon
from services.recognition.frame import straighten

WIDTH, HEIGHT = 800, 1200
Orientation = Literal[0, 90, 180, 270]
ORIENTATIONS: list[Orientation] = [0, 90, 180, 270]


def page(orientation: Orientation, skew_degrees: float) -> PageLayout:
    return PageLayout(
        number=1,
        width=WIDTH,
        height=HEIGHT,
        orientation=orientation,
        skew_degrees=skew_degrees,
        page_units=1,
        blocks=(),
    )


@given(
    orientation=st.sampled_from(ORIENTATIONS),
    skew=st.floats(-15, 15).map(lambda value: round(value, 2)),
    left=st.floats(250, 350),
    top=st.floats(350, 450),
    wide=st.floats(5, 200),
    high=st.floats(5, 60),
)
def test_it_is_the_rectangle_that_recognition_saw(
    orientation: Orientation, skew: float, left: float, top: float, wide: float, high: float
) -> None:
    _, frame = straighten(np.zeros((HEIGHT, WIDTH), dtype=np.uint8), orientation, skew)
    box = (left, top, left + wide, top + high)
    corners = np.array([(box[0], box[1], 1), (box[2], box[1], 1), (box[2], box[3], 1), (box[0], box[3], 1)])
    seen = corners @ frame.to_shown.T
    found = np.array(word_polygon(frame.relative_box(box), page(orientation, skew))) * (WIDTH, HEIGHT)
    assert np.abs(found - seen).max() < 0.1, "pixels"


@pytest.mark.parametrize(
    ("orientation", "first_corner"),
    [(0, (0.1, 0.2)), (90, (0.3, 0.2)), (180, (0.3, 0.4)), (270, (0.1, 0.4))],
)
def test_it_begins_above_the_first_letter(orientation: Orientation, first_corner: tuple[float, float]) -> None:
    polygon = word_polygon((0.1, 0.2, 0.3, 0.4), page(orientation, 0.0))
    assert polygon[0] == first_corner
    assert {x for x, _ in polygon} == {0.1, 0.3}
    assert {y for _, y in polygon} == {0.2, 0.4}


@given(
    box=st.tuples(*[st.floats(0, 1)] * 4).map(
        lambda v: (min(v[0], v[2]), min(v[1], v[3]), max(v[0], v[2]), max(v[1], v[3]))
    ),
    skew=st.floats(-90, 90),
)
def test_whatever_the_box_the_polygon_lies_on_the_page(box: tuple[float, float, float, float], skew: float) -> None:
    for x, y in word_polygon(box, page(90, skew)):
        assert 0 <= x <= 1
        assert 0 <= y <= 1
