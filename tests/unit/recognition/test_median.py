"""Our median is numpy's."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.recognition.median import median

NUMBERS = st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=12)


@given(NUMBERS)
def test_it_is_numpys_to_the_last_bit(numbers: list[float]) -> None:
    assert median(np.array(numbers)) == float(np.median(numbers))


def test_it_leaves_what_it_was_given_in_its_order() -> None:
    numbers = np.array([3.0, 1.0, 2.0])

    median(numbers)

    assert numbers.tolist() == [3.0, 1.0, 2.0]
