"""What recognition returns: pages of blocks of lines of words, in reading order.

Every box is `(x0, y0, x1, y1)`, from 0 to 1, relative to the page as it is shown (EXIF orientation applied,
content not yet turned upright), x to the right and y downwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Box = tuple[float, float, float, float]

# Boxes are written with this many decimals: a tenth of a pixel on a page of 10,000.
_BOX_DECIMALS = 5
_CONFIDENCE_DECIMALS = 4


@dataclass(frozen=True)
class Word:
    """One word; `confidence` is from 0 to 1. `text` is not empty and holds no whitespace."""

    text: str
    confidence: float
    box: Box

    def to_dict(self) -> dict[str, Any]:
        return {
            "text": self.text,
            "confidence": round(self.confidence, _CONFIDENCE_DECIMALS),
            "box": _box_to_list(self.box),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Word:
        return cls(str(data["text"]), float(data["confidence"]), _box_from_list(data["box"]))


@dataclass(frozen=True)
class Line:
    """Words that stand on one line, from left to right."""

    words: tuple[Word, ...]
    box: Box

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)

    def to_dict(self) -> dict[str, Any]:
        return {"words": [word.to_dict() for word in self.words], "box": _box_to_list(self.box)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Line:
        return cls(tuple(Word.from_dict(word) for word in data["words"]), _box_from_list(data["box"]))


@dataclass(frozen=True)
class Block:
    """Lines that belong together: a paragraph, a column's part, the rows of a table."""

    lines: tuple[Line, ...]
    box: Box

    @property
    def text(self) -> str:
        return "\n".join(line.text for line in self.lines)

    def to_dict(self) -> dict[str, Any]:
        return {"lines": [line.to_dict() for line in self.lines], "box": _box_to_list(self.box)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Block:
        return cls(tuple(Line.from_dict(line) for line in data["lines"]), _box_from_list(data["box"]))


@dataclass(frozen=True)
class Page:
    """One page.

    `number` counts from 1; `width` and `height` are pixels of the page as shown (for a PDF: as rendered);
    `orientation` says by how many degrees clockwise the content was found turned (0, 90, 180 or 270), and
    `skew_degrees` the small angle, clockwise too, that was left after that. `page_units` is what the page
    counts in the price.
    """

    number: int
    width: int
    height: int
    orientation: int
    skew_degrees: float
    blocks: tuple[Block, ...]
    page_units: int

    @property
    def text(self) -> str:
        """Words joined by a space, lines by a newline, blocks by an empty line."""
        return "\n\n".join(block.text for block in self.blocks)

    @property
    def words(self) -> Iterator[Word]:
        return (word for block in self.blocks for line in block.lines for word in line.words)

    def to_dict(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "width": self.width,
            "height": self.height,
            "orientation": self.orientation,
            "skewDegrees": round(self.skew_degrees, 2),
            "pageUnits": self.page_units,
            "blocks": [block.to_dict() for block in self.blocks],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Page:
        return cls(
            number=int(data["number"]),
            width=int(data["width"]),
            height=int(data["height"]),
            orientation=int(data["orientation"]),
            skew_degrees=float(data["skewDegrees"]),
            blocks=tuple(Block.from_dict(block) for block in data["blocks"]),
            page_units=int(data["pageUnits"]),
        )


def enclosing_box(boxes: Iterable[Box]) -> Box:
    """The smallest box around `boxes`, of which there is at least one."""
    x0s, y0s, x1s, y1s = zip(*boxes, strict=True)
    return min(x0s), min(y0s), max(x1s), max(y1s)


def _box_to_list(box: Box) -> list[float]:
    return [round(value, _BOX_DECIMALS) for value in box]


def _box_from_list(values: Iterable[float]) -> Box:
    x0, y0, x1, y1 = (float(value) for value in values)
    return x0, y0, x1, y1
