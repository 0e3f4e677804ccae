"""What the XML formats of a layout have in common: text that XML can hold, and boxes in pixels."""

import re
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

from schemas.document import Box, Document, PageLayout

LANGUAGE_UNDETERMINED = "und"

# XML 1.0 has no place for these, escaped or not.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class PixelBox(NamedTuple):
    """A box in whole pixels of its page as shown."""

    left: int
    top: int
    right: int
    bottom: int


def pixel_box(box: Box, page: PageLayout) -> PixelBox:
    """The pixels that hold a box, which is in fractions of its page."""
    left, top, right, bottom = box
    return PixelBox(
        round(left * page.width), round(top * page.height), round(right * page.width), round(bottom * page.height)
    )


def counterclockwise_degrees(page: PageLayout) -> float:
    """By how much the page's content is turned, the way both formats count it: 0 up to 360."""
    return round(-page.orientation - page.skew_degrees, 2) % 360


def software_of(document: Document) -> str:
    """Engine and version of the models that read a document."""
    return f"{document.engine or ''} {document.model_version or ''}".strip()


def language_of(document: Document) -> str | None:
    """The language of a document, if it has one."""
    return None if document.language == LANGUAGE_UNDETERMINED else document.language


def text_of(text: str) -> str:
    """Text as the content of an element."""
    return escape(_NOT_XML.sub("", text))


def element(name: str, /, **attributes: str | float) -> str:
    """A start tag; numbers have at most four decimals. A name that Python reserves ends with `_` here."""
    return f"<{name}{''.join([_attribute(key.rstrip('_'), value) for key, value in attributes.items()])}>"


def _attribute(name: str, value: str | float) -> str:
    if isinstance(value, str):
        return f" {name}={quoteattr(_NOT_XML.sub('', value))}"
    return f' {name}="{value}"' if isinstance(value, int) else f' {name}="{round(value, 4):g}"'
