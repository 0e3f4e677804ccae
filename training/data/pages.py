"""Whole synthetic pages with the place of every word: prose, newspapers, tables, receipts, forms, posters."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from training.data.canvas import Area, Canvas, PageWord, Style
from training.data.crops import Box, GreyImage
from training.data.degrade import degrade
from training.data.fonts import Fonts
from training.data.layouts import Setter
from training.data.tokens import Tokens


@dataclass(frozen=True)
class Page:
    """pixels: H x W grey. words: where and what, in pixels."""

    pixels: GreyImage
    words: list[PageWord]


def _columns(setter: Setter, area: Area, style: Style, count: int) -> None:
    left, top, right, bottom = area
    rng = setter.rng
    gutter = int(style.size * rng.uniform(0.9, 2.5))
    width = (right - left - gutter * (count - 1)) // count
    ruled = rng.random() < 0.3
    for column in range(count):
        x0 = left + column * (width + gutter)
        y = top
        while y + 3 * style.size < bottom:
            chance = rng.random()
            until = min(bottom, y + int(rng.integers(4, 40)) * style.size)
            if chance < 0.15:
                large = replace(
                    setter.style(int(style.size * rng.uniform(1.1, 2.6)), style.ink),
                    leading=1.15,
                )
                y = setter.headline((x0, y, x0 + width, bottom), large, int(rng.integers(1, 4)))
            elif chance < 0.22:
                until = min(bottom, y + int(rng.integers(4, 12)) * style.size)
                setter.picture((x0, y + 2, x0 + width, until))
                y = until
            elif chance < 0.27:
                y = setter.table((x0, y, x0 + width, until), style)
            else:
                y = setter.paragraph((x0, y, x0 + width, until), style)
            y += int(style.size * rng.uniform(0.0, 0.8))
        if ruled and column:
            setter.canvas.draw.line((x0 - gutter // 2, top, x0 - gutter // 2, bottom), fill=style.ink)


def prose(setter: Setter, area: Area, style: Style) -> None:
    _columns(setter, area, style, 1)


def newspaper(setter: Setter, area: Area, style: Style) -> None:
    left, _, right, bottom = area
    large = replace(setter.style(int(style.size * setter.rng.uniform(2, 5)), style.ink), leading=1.1)
    below = setter.headline(area, large, int(setter.rng.integers(1, 3)))
    count = int(np.clip((right - left) // (style.size * setter.rng.integers(9, 18)), 2, 5))
    _columns(setter, (left, below - int(large.size * 0.6), right, bottom), style, count)


def table(setter: Setter, area: Area, style: Style) -> None:
    setter.table(area, style)


def form(setter: Setter, area: Area, style: Style) -> None:
    setter.form(area, style)


def receipt(setter: Setter, area: Area, style: Style) -> None:
    left, top, right, bottom = area
    rng = setter.rng
    width = min(right - left, int(style.size * rng.uniform(16, 30)))
    mono = setter.style(style.size, style.ink, monospaced=rng.random() < 0.65)
    while top + 4 * style.size < bottom:
        large = replace(mono, size=int(mono.size * rng.uniform(1.2, 2.2)))
        below = setter.headline((left, top, left + width, bottom), large, 1) if rng.random() < 0.5 else top
        until = min(bottom, below + int(rng.integers(8, 50)) * style.size)
        top = setter.receipt((left, below, left + width, until), mono)


def poster(setter: Setter, area: Area, style: Style) -> None:
    left, top, right, bottom = area
    while top + 2 * style.size < bottom:
        size = int(style.size * setter.rng.uniform(1.5, 7))
        large = replace(setter.style(size, style.ink), leading=float(setter.rng.uniform(0.95, 1.2)))
        top = setter.headline((left, top, right, bottom), large, int(setter.rng.integers(1, 3)))


LAYOUTS: tuple[tuple[Callable[[Setter, Area, Style], None], float], ...] = (
    (prose, 0.26),
    (newspaper, 0.22),
    (table, 0.10),
    (form, 0.08),
    (receipt, 0.22),
    (poster, 0.12),
)


def render(tokens: Tokens, fonts: Fonts, rng: np.random.Generator, width: int, height: int) -> Page:
    """Set one page, wear it, and turn it by a small angle now and then."""
    dark = rng.random() < 0.05
    ink, paper = int(rng.integers(0, 90)), int(rng.integers(205, 256))
    canvas = Canvas(width, height, ink if dark else paper)
    setter = Setter(canvas, tokens, fonts, rng)
    size = int(np.clip(np.exp(rng.normal(np.log(21), 0.38)), 10, 52))
    style = setter.style(size, paper if dark else ink)
    margin = int(rng.uniform(0.02, 0.1) * width)
    layouts, shares = zip(*LAYOUTS, strict=True)
    layout = layouts[int(rng.choice(len(layouts), p=shares))]
    layout(setter, (margin, margin, width - margin, height - margin), style)
    page = Page(canvas.pixels(), canvas.words)
    if rng.random() < 0.35:
        page = turn(page, float(rng.normal(0.0, 1.2)), paper)
    return Page(degrade(page.pixels, rng), page.words)


def turn(page: Page, degrees: float, paper: int) -> Page:
    """Turn a page about its middle; a word's box becomes the box around its turned corners."""
    height, width = page.pixels.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    pixels = cv2.warpAffine(page.pixels, matrix, (width, height), flags=cv2.INTER_LINEAR, borderValue=paper)
    words = [replace(word, box=turned) for word in page.words if (turned := _turned(word.box, matrix, width, height))]
    return Page(np.asarray(pixels, dtype=np.uint8), words)


def _turned(box: Box, matrix: np.ndarray, width: int, height: int) -> Box | None:
    x0, y0, x1, y1 = box
    corners = np.array([[x0, y0, 1], [x1, y0, 1], [x1, y1, 1], [x0, y1, 1]]) @ matrix.T
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    inside = left >= 0 and top >= 0 and right < width and bottom < height
    return (float(left), float(top), float(right), float(bottom)) if inside else None
