"""The invisible words of one page as operators of a PDF's content stream."""

from collections.abc import Iterator
from dataclasses import dataclass

from services.searchable_pdf.glyphless import ADVANCE, DESCENT, Characters
from services.searchable_pdf.layout import Page, Point, Word

FONT_NAME = "/OcrServicesText"
"""What the font is called in a page's resources."""

_INVISIBLE = 3
_LETTER_WIDTH = ADVANCE / 1000
_BASELINE_SHARE = -DESCENT / 1000


@dataclass(frozen=True)
class Placement:
    """Where the page as shown lies in user space: its upper left corner, and its upper and left edges as vectors."""

    corner: Point
    across: Point
    down: Point

    def at(self, point: Point) -> Point:
        """A point, given in fractions of the page as shown, in user space."""
        x, y = point
        return (
            self.corner[0] + x * self.across[0] + y * self.down[0],
            self.corner[1] + x * self.across[1] + y * self.down[1],
        )


def text_layer(page: Page, placement: Placement, characters: Characters) -> bytes:
    """The operators; empty for a page without words."""
    words = list(filter(None, (_word(word, placement, characters) for word in page.words)))
    if not words:
        return b""
    return "\n".join(("BT", f"{_INVISIBLE} Tr", f"{FONT_NAME} 1 Tf", *words, "ET\n")).encode("ascii")


def _word(word: Word, placement: Placement, characters: Characters) -> str:
    """One word, stretched to its rectangle whichever way that lies."""
    encoded = characters.encode(word.text)
    if not encoded:
        return ""
    above, _, right, left = map(placement.at, word.polygon)
    letters = len(encoded) // 4
    along = tuple(_differences(right, left, 1 / (letters * _LETTER_WIDTH)))
    upwards = tuple(_differences(above, left, 1.0))
    origin = (left[0] + _BASELINE_SHARE * upwards[0], left[1] + _BASELINE_SHARE * upwards[1])
    matrix = " ".join(_number(value) for value in (*along, *upwards, *origin))
    # The space belongs to the text: programs that copy it need not guess from the distance.
    return f"{matrix} Tm <{encoded}{'' if word.ends_line else characters.encode(' ')}> Tj"


def _differences(to: Point, start: Point, factor: float) -> Iterator[float]:
    return ((end - begin) * factor for end, begin in zip(to, start, strict=True))


def _number(value: float) -> str:
    return f"{value:.4f}".rstrip("0").rstrip(".")
