"""Pages drawn for the tests, and one engine for all of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from services.recognition.engine import Engine, create_engine

LETTER = (
    "Dear Mrs Thompson",
    "Thank you for your order of 12 March 2024",
    "The total amount of 148.50 is payable within 30 days",
    "Please quote the number 2024-0815 on your payment",
    "Yours sincerely",
)


@pytest.fixture(scope="session")
def engine() -> Engine:
    return create_engine("onnx", threads=2)


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """Write a picture under a name into the test's folder."""

    def write(image: Image.Image, name: str, **options: object) -> Path:
        path = tmp_path / name
        image.save(path, **options)  # type: ignore[arg-type]
        return path

    return write


def draw_lines(
    lines: tuple[str, ...] = LETTER,
    *,
    size: tuple[int, int] = (1000, 420),
    letter_pixels: int = 30,
    left: int = 60,
    top: int = 50,
) -> Image.Image:
    """Black text on white paper in the font that comes with Pillow."""
    page = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default(letter_pixels)
    for row, line in enumerate(lines):
        draw.text((left, top + row * letter_pixels * 2), line, fill="black", font=font)
    return page
