"""The layout that a searchable PDF is made with: the API's `format=json`, as far as it is needed here."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Point = tuple[float, float]


@dataclass(frozen=True)
class Word:
    """A word and the corners of its rectangle, from the one above its first letter, clockwise as it is read.

    Points are fractions (0 to 1) of the page as shown, y downwards. `ends_line` says that none follows on its line.
    """

    text: str
    polygon: tuple[Point, Point, Point, Point]
    ends_line: bool


@dataclass(frozen=True)
class Page:
    """The words of one page in reading order; `width` and `height` are pixels of the page as shown."""

    width: int
    height: int
    words: tuple[Word, ...]


@dataclass(frozen=True)
class Layout:
    """Every page of a document; `language` is a BCP 47 tag."""

    language: str
    pages: tuple[Page, ...]


def read_layout(path: Path) -> Layout:
    """The layout in a file. It is our own: one of another form is a fault of ours."""
    data = json.loads(path.read_bytes())
    return Layout(data["language"], tuple(map(_page, data["pages"])))


def _page(data: dict[str, Any]) -> Page:
    lines = (line for block in data["blocks"] for line in block["lines"])
    words = (word for line in lines for word in _words(line["words"]))
    return Page(data["width"], data["height"], tuple(words))


def _words(line: list[dict[str, Any]]) -> list[Word]:
    last = len(line) - 1
    return [Word(word["text"], _polygon(word["polygon"]), number == last) for number, word in enumerate(line)]


def _polygon(corners: list[list[float]]) -> tuple[Point, Point, Point, Point]:
    first, second, third, fourth = ((float(x), float(y)) for x, y in corners)
    return first, second, third, fourth
