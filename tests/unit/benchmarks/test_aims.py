"""A figure on its bound is within it, except where it is to be above."""

import pytest

from benchmarks.aims import Aim


@pytest.mark.parametrize(
    ("sign", "figure", "verdict"),
    [
        ("<=", 25.0, "met"),
        ("<=", 25.1, "MISSED"),
        (">=", 25.0, "met"),
        (">=", 24.9, "MISSED"),
        (">", 25.0, "MISSED"),
        (">", 25.1, "met"),
        ("<=", None, "not measured"),
    ],
)
def test_a_line_begins_with_its_verdict(sign: str, figure: float | None, verdict: str) -> None:
    assert Aim("POST, p50 ms", sign, 25).verdict(figure).startswith(f"{verdict} ")


def test_a_line_names_figure_and_bound() -> None:
    assert Aim("events/s", ">=", 5000).verdict(4821.4) == "MISSED        events/s: 4,821, aim >= 5,000"
