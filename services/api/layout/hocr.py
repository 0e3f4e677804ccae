"""The layout as hOCR 1.2: XHTML whose elements carry classes and, in `title`, boxes in pixels."""

from collections.abc import Iterator
from itertools import count

from schemas.document import BlockLayout, Box, Document, LineLayout, PageLayout
from services.api.layout.markup import (
    counterclockwise_degrees,
    element,
    language_of,
    pixel_box,
    software_of,
    text_of,
)

_CAPABILITIES = "ocr_page ocr_carea ocr_par ocr_line ocrx_word ocrp_wconf"


def hocr_of(document: Document) -> bytes:
    """The hOCR of a completed document, in UTF-8."""
    return "\n".join(_lines(document)).encode()


def _lines(document: Document) -> Iterator[str]:
    language = language_of(document)
    languages = {"lang": language, "xml:lang": language} if language else {}
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield "<!DOCTYPE html>"
    yield element("html", xmlns="http://www.w3.org/1999/xhtml", **languages)
    yield f'<head><meta charset="utf-8"/><title>{text_of(document.key)}</title>'
    yield _meta("ocr-system", f"ocr-services {software_of(document)}")
    yield _meta("ocr-capabilities", _CAPABILITIES)
    yield _meta("ocr-number-of-pages", str(len(document.pages)))
    if language:
        yield _meta("ocr-langs", language)
    yield "</head><body>"
    for page in document.pages:
        yield from _page(page, document.key)
    yield "</body></html>\n"


def _meta(name: str, content: str) -> str:
    return element("meta", name=name, content=content).removesuffix(">") + "/>"


def _page(page: PageLayout, key: str) -> Iterator[str]:
    image = key.replace('"', "%22")
    title = f'image "{image}"; bbox 0 0 {page.width} {page.height}; ppageno {page.number - 1}'
    yield element("div", class_="ocr_page", id=f"page_{page.number}", title=title)
    numbers = count(1)
    for number, block in enumerate(page.blocks, start=1):
        yield from _block(block, page, f"{page.number}_{number}", numbers)
    yield "</div>"


def _block(block: BlockLayout, page: PageLayout, name: str, numbers: Iterator[int]) -> Iterator[str]:
    title = _bbox(block.box, page)
    yield element("div", class_="ocr_carea", id=f"block_{name}", title=title)
    yield element("p", class_="ocr_par", id=f"par_{name}", title=title)
    for line in block.lines:
        yield from _line(line, page, numbers)
    yield "</p></div>"


def _line(line: LineLayout, page: PageLayout, numbers: Iterator[int]) -> Iterator[str]:
    turned = counterclockwise_degrees(page)
    title = _bbox(line.box, page) + (f"; textangle {turned:g}" if turned else "")
    yield element("span", class_="ocr_line", id=f"line_{page.number}_{next(numbers)}", title=title)
    for word in line.words:
        title = f"{_bbox(word.box, page)}; x_wconf {round(100 * word.confidence)}"
        tag = element("span", class_="ocrx_word", id=f"word_{page.number}_{next(numbers)}", title=title)
        yield f"{tag}{text_of(word.text)}</span>"
    yield "</span>"


def _bbox(box: Box, page: PageLayout) -> str:
    return "bbox " + " ".join(map(str, pixel_box(box, page)))
