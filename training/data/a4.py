"""Letters and reports on A4 with their text in reading order: what a scanner or a print-to-image gives.

Each page is written twice, clean and degraded, at 150, 200 or 300 dots an inch.
"""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from training.data.canvas import Canvas, PageWord, Style
from training.data.degrade import degrade
from training.data.fonts import Fonts
from training.data.layouts import Setter
from training.data.pages import Page, turn
from training.data.tokens import Tokens
from training.vocabulary import to_label

INCHES = (8.27, 11.69)
RESOLUTIONS = (150, 200, 300)
POINTS = (9.5, 13.0)
POINTS_PER_INCH = 72


def write_a4(folder: Path, count: int, words: dict[str, list[str]], fonts: Fonts, seed: int) -> int:
    """Write NNN-clean.png, NNN-degraded.png and NNN.txt for `count` pages; returns how many images."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    tokens = Tokens(words, rng)
    for number in range(count):
        dpi = RESOLUTIONS[number % len(RESOLUTIONS)]
        page = letter(tokens, fonts, rng, dpi)
        worn = turn(page, float(rng.normal(0, 0.4)), 255)
        name = f"{number:03}"
        cv2.imwrite(str(folder / f"{name}-clean.png"), page.pixels)
        cv2.imwrite(str(folder / f"{name}-degraded.png"), degrade(worn.pixels, rng, clean_share=0.0))
        (folder / f"{name}.txt").write_text(text_of(page.words), encoding="utf-8")
    return 2 * count


def letter(tokens: Tokens, fonts: Fonts, rng: np.random.Generator, dpi: int) -> Page:
    """Set a heading and paragraphs, one below the other."""
    width, height = (round(side * dpi) for side in INCHES)
    canvas = Canvas(width, height, 255)
    setter = Setter(canvas, tokens, fonts, rng)
    face = fonts.draw(rng)
    # A face without the accents would leave words out.
    while not face.prints("äéñçßøãì"):
        face = fonts.draw(rng)
    size = round(rng.uniform(*POINTS) * dpi / POINTS_PER_INCH)
    style = Style(face, size, ink=int(rng.integers(0, 40)), leading=float(rng.uniform(1.15, 1.5)))
    margin = round(dpi * 0.9)
    y = setter.headline((margin, margin, width - margin, height), replace(style, size=round(size * 1.6)), 1)
    while y + 6 * size < height - margin:
        until = min(height - margin, y + int(rng.integers(5, 14)) * size)
        y = setter.paragraph((margin, y, width - margin, until), style) + size
    return Page(canvas.pixels(), canvas.words)


def text_of(words: list[PageWord]) -> str:
    """Return the words as lines, in the order in which they were set."""
    lines: dict[int, list[str]] = {}
    for word in words:
        lines.setdefault(word.line, []).append(to_label(word.text) or word.text)
    return "\n".join(" ".join(line) for line in lines.values()) + "\n"
