"""The layout as JSON, as OpenAPI shows it."""

from pydantic import Field
from pydantic.config import JsonDict

from schemas.base import WireModel
from schemas.document import BlockLayout, Box, Document, LineLayout, PageLayout, WordLayout
from services.api.examples import EXAMPLE_ID, EXAMPLE_KEY, example_config
from services.api.layout.geometry import Polygon, word_polygon

_EXAMPLE_WORD: JsonDict = {
    "text": "Extracted",
    "confidence": 0.9871,
    "box": [0.1, 0.1, 0.22, 0.12],
    "polygon": [[0.1, 0.1], [0.22, 0.1], [0.22, 0.12], [0.1, 0.12]],
}
_EXAMPLE_LINE: JsonDict = {"box": [0.1, 0.1, 0.22, 0.12], "words": [_EXAMPLE_WORD]}
_EXAMPLE: JsonDict = {
    "id": EXAMPLE_ID,
    "key": EXAMPLE_KEY,
    "language": "en",
    "pages": [
        {
            "number": 1,
            "width": 1240,
            "height": 1754,
            "orientation": 0,
            "skewDegrees": 0.0,
            "blocks": [{"box": [0.1, 0.1, 0.22, 0.12], "lines": [_EXAMPLE_LINE]}],
        }
    ],
}


class Word(WireModel):
    """One word and where it stands."""

    text: str
    confidence: float = Field(description="0 to 1: how sure the recogniser is.")
    box: Box = Field(description="The upright box around it: left, top, right, bottom.")
    polygon: Polygon = Field(
        description="Its own rectangle, turned as the page's content is: corners from the one above the first letter, "
        "clockwise as the word is read."
    )


class Line(WireModel):
    """Words that stand on one line, in reading order."""

    box: Box
    words: tuple[Word, ...]


class Block(WireModel):
    """Lines that belong together."""

    box: Box
    lines: tuple[Line, ...]


class Page(WireModel):
    """One page as a viewer shows it. Every position is a fraction of it, x to the right and y downwards."""

    number: int = Field(description="From 1.")
    width: int = Field(description="Pixels, of the page as shown; of a PDF as it was rendered for reading.")
    height: int = Field(description="Pixels.")
    orientation: int = Field(description="Degrees its content is turned clockwise: 0, 90, 180 or 270.")
    skew_degrees: float = Field(description="What is left beyond that, clockwise.")
    blocks: tuple[Block, ...] = Field(description="In reading order.")


class Layout(WireModel):
    """Every word of a result, how sure the recogniser is of it, and where it stands."""

    model_config = example_config(_EXAMPLE)

    id: str
    key: str
    language: str
    pages: tuple[Page, ...]


def layout_of(document: Document) -> Layout:
    """The layout that a completed document holds."""
    assert document.language is not None
    return Layout(
        id=document.result_id,
        key=document.key,
        language=document.language,
        pages=tuple(map(_page, document.pages)),
    )


def _page(page: PageLayout) -> Page:
    return Page(
        number=page.number,
        width=page.width,
        height=page.height,
        orientation=page.orientation,
        skew_degrees=page.skew_degrees,
        blocks=tuple(_block(block, page) for block in page.blocks),
    )


def _block(block: BlockLayout, page: PageLayout) -> Block:
    return Block(box=block.box, lines=tuple(_line(line, page) for line in block.lines))


def _line(line: LineLayout, page: PageLayout) -> Line:
    return Line(box=line.box, words=tuple(_word(word, page) for word in line.words))


def _word(word: WordLayout, page: PageLayout) -> Word:
    return Word(text=word.text, confidence=word.confidence, box=word.box, polygon=word_polygon(word.box, page))
