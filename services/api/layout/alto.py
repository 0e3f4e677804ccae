"""The layout as ALTO 4.4, the Library of Congress's XML for the text and layout of pages; in pixels."""

from collections.abc import Iterator
from itertools import count

from schemas.base import format_time
from schemas.document import BlockLayout, Box, Document, LineLayout, PageLayout, WordLayout
from services.api.layout.geometry import word_polygon
from services.api.layout.markup import (
    counterclockwise_degrees,
    element,
    language_of,
    pixel_box,
    software_of,
    text_of,
)

NAMESPACE = "http://www.loc.gov/standards/alto/ns-v4#"
_SCHEMA = "http://www.loc.gov/standards/alto/v4/alto-4-4.xsd"
_PROCESSING = "recognition"


def alto_of(document: Document) -> bytes:
    """The ALTO of a completed document, in UTF-8."""
    return "\n".join(_lines(document)).encode()


def _lines(document: Document) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    schema = {
        "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
        "xsi:schemaLocation": f"{NAMESPACE} {_SCHEMA}",
    }
    yield element("alto", xmlns=NAMESPACE, **schema, SCHEMAVERSION="4.4")
    yield from _description(document)
    yield "<Layout>"
    for page in document.pages:
        yield from _page(page, language_of(document))
    yield "</Layout></alto>\n"


def _description(document: Document) -> Iterator[str]:
    yield "<Description><MeasurementUnit>pixel</MeasurementUnit>"
    yield f"<sourceImageInformation><fileName>{text_of(document.key)}</fileName></sourceImageInformation>"
    yield element("Processing", ID=_PROCESSING) + "<processingCategory>contentGeneration</processingCategory>"
    yield f"<processingDateTime>{format_time(document.created_at)}</processingDateTime>"
    yield "<processingSoftware><softwareName>OCR Services</softwareName>"
    yield f"<softwareVersion>{text_of(software_of(document))}</softwareVersion>"
    yield "</processingSoftware></Processing></Description>"


def _page(page: PageLayout, language: str | None) -> Iterator[str]:
    attributes: dict[str, str | float] = {"WIDTH": page.width, "HEIGHT": page.height, "PHYSICAL_IMG_NR": page.number}
    if turned := counterclockwise_degrees(page):
        attributes["ROTATION"] = turned
    if language is not None:
        attributes["LANG"] = language
    yield element("Page", ID=f"page_{page.number}", PROCESSINGREFS=_PROCESSING, **attributes)
    yield element("PrintSpace", HPOS=0, VPOS=0, WIDTH=page.width, HEIGHT=page.height)
    numbers = count(1)
    for number, block in enumerate(page.blocks, start=1):
        yield from _block(block, page, number, numbers)
    yield "</PrintSpace></Page>"


def _block(block: BlockLayout, page: PageLayout, number: int, numbers: Iterator[int]) -> Iterator[str]:
    yield element("TextBlock", ID=f"block_{page.number}_{number}", **_place(block.box, page))
    for line in block.lines:
        yield from _line(line, page, numbers)
    yield "</TextBlock>"


def _line(line: LineLayout, page: PageLayout, numbers: Iterator[int]) -> Iterator[str]:
    yield element("TextLine", ID=f"line_{page.number}_{next(numbers)}", **_place(line.box, page))
    yield "<SP/>".join(_string(word, page, next(numbers)) for word in line.words)
    yield "</TextLine>"


def _string(word: WordLayout, page: PageLayout, number: int) -> str:
    tag = element(
        "String",
        ID=f"word_{page.number}_{number}",
        CONTENT=word.text,
        WC=min(1.0, max(0.0, word.confidence)),
        **_place(word.box, page),
    )
    points = " ".join(f"{x * page.width:.1f},{y * page.height:.1f}" for x, y in word_polygon(word.box, page))
    return f"{tag}<Shape>{element('Polygon', POINTS=points)}</Polygon></Shape></String>"


def _place(box: Box, page: PageLayout) -> dict[str, float]:
    left, top, right, bottom = pixel_box(box, page)
    return {"HPOS": left, "VPOS": top, "WIDTH": right - left, "HEIGHT": bottom - top}
