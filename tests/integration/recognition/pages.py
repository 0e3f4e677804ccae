"""Twenty pages that differ in what is set on them, how large, and what a scanner or camera did to them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

_SAMPLE = Path(__file__).parents[3] / "samples" / "receipt.jpg"
_PAPER, _INK = 244, 24

# Pillow's own face has no letter with an accent.
_WORDS = (
    "the account of your order was sent on Monday with three copies and a letter from Hamburg Strasse Rechnung Betrag "
    "livraison maison garantie pregunta importe ciudad grazie totale Lisboa entrega Oslo tidning quarterly revenue "
    "148.50 $12.90 7,350.00 2026-11-23 09:15 No. 4711 A-1029/B info@example.org https://example.org (approx.) 12% VAT "
    "Invoice TOTAL Payment due within thirty days please quote this number Sincerely yours Dr. Jean-Luc O'Neill"
).split()


def varied_pages() -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Name and pixels (height x width x 3, RGB) of each page; the same ones in every run."""
    for number in range(19):
        chance = np.random.default_rng(number)
        layout = (_letter, _columns, _table, _poster)[number % 4]
        wear = (_as_is, _faded, _noisy, _blurred, _skewed, _sideways)[number % 6]
        worn = wear(layout(chance), chance)
        name = f"{number}{layout.__name__}{wear.__name__}"
        yield name, np.asarray(worn.convert("RGB"), dtype=np.uint8)
    yield "sample", np.asarray(Image.open(_SAMPLE).convert("RGB"), dtype=np.uint8)


@dataclass(frozen=True)
class SetWord:
    """A word on a page; `box` is x0, y0, x1, y1 in pixels."""

    text: str
    box: tuple[int, int, int, int]


def dense_page(words: int = 340) -> tuple[NDArray[np.uint8], list[SetWord]]:
    """A4 at 150 dots an inch, full of text: height x width x 3, RGB, and its words in reading order."""
    page = Image.new("L", (1240, 1754), _PAPER)
    placed = set_lines(page, (110, 100, 1130, 1660), 26, np.random.default_rng(2026), words)
    return np.asarray(page.convert("RGB"), dtype=np.uint8), placed


def set_lines(
    page: Image.Image,
    box: tuple[int, int, int, int],
    size: int,
    chance: np.random.Generator,
    words_max: int | None = None,
) -> list[SetWord]:
    """Fill a box (x0, y0, x1, y1) with lines of words, left-aligned; returns them in their order."""
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size)
    left, y, right, bottom = box
    placed: list[SetWord] = []
    x = left
    while words_max is None or len(placed) < words_max:
        word = str(chance.choice(_WORDS))
        end = x + round(draw.textlength(word, font))
        if end > right and x > left:
            x, y = left, y + round(size * 1.5)
            end = x + round(draw.textlength(word, font))
        if y + size > bottom:
            break
        draw.text((x, y), word, fill=_INK, font=font)
        placed.append(SetWord(word, (x, y, end, y + round(size * 1.2))))
        x = end + round(size * 0.3)
    return placed


def _text(chance: np.random.Generator, words: int) -> str:
    return " ".join(chance.choice(_WORDS, words))


def _letter(chance: np.random.Generator) -> Image.Image:
    size = int(chance.integers(18, 30))
    page = Image.new("L", (1000, 1200), _PAPER)
    set_lines(page, (90, 80, 600, 80 + 4 * size), size, chance)
    set_lines(page, (90, 300, 910, 1100), size, chance)
    return page


def _columns(chance: np.random.Generator) -> Image.Image:
    size = int(chance.integers(16, 22))
    page = Image.new("L", (1240, 1000), _PAPER)
    for left in (60, 460, 860):
        set_lines(page, (left, 80, left + 330, 920), size, chance)
    return page


def _table(chance: np.random.Generator) -> Image.Image:
    size = int(chance.integers(18, 26))
    page = Image.new("L", (1100, 900), _PAPER)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size)
    for row, y in enumerate(range(60, 840, 2 * size)):
        draw.line((50, y - size // 2, 1050, y - size // 2), fill=150)
        draw.text((60, y), f"{row + 1}", fill=_INK, font=font)
        draw.text((140, y), _text(chance, 3), fill=_INK, font=font)
        draw.text((800, y), f"{chance.uniform(1, 5000):,.2f}", fill=_INK, font=font)
    return page


def _poster(chance: np.random.Generator) -> Image.Image:
    page = Image.new("L", (1000, 1000), _PAPER)
    set_lines(page, (60, 60, 940, 300), 84, chance)
    set_lines(page, (60, 380, 940, 940), int(chance.integers(24, 36)), chance)
    return page


def _as_is(page: Image.Image, chance: np.random.Generator) -> Image.Image:
    del chance
    return page


def _faded(page: Image.Image, chance: np.random.Generator) -> Image.Image:
    """Low contrast, as of thermal paper, under light that falls from one side."""
    light = np.linspace(chance.uniform(0.6, 0.8), 1.0, page.width)
    pixels = 150 + 0.4 * (np.asarray(page, dtype=np.float64) - 150)
    return Image.fromarray((pixels * light).astype(np.uint8))


def _noisy(page: Image.Image, chance: np.random.Generator) -> Image.Image:
    """A sensor's noise, and a JPEG of poor quality."""
    pixels = np.asarray(page, dtype=np.float64) + chance.normal(0, 12, (page.height, page.width))
    file = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=45)
    return Image.open(file)


def _blurred(page: Image.Image, chance: np.random.Generator) -> Image.Image:
    return page.filter(ImageFilter.GaussianBlur(float(chance.uniform(0.6, 1.1))))


def _skewed(page: Image.Image, chance: np.random.Generator) -> Image.Image:
    angle = float(chance.uniform(1, 3))
    return page.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=_PAPER)


def _sideways(page: Image.Image, chance: np.random.Generator) -> Image.Image:
    del chance
    return page.transpose(Image.Transpose.ROTATE_90)
