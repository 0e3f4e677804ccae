"""The formats of a layout: what each is called, how it is made, how it is sent."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from schemas.document import Document
from services.api.layout.alto import alto_of
from services.api.layout.hocr import hocr_of
from services.api.layout.models import layout_of


class LayoutFormat(StrEnum):
    """What `format` may be."""

    JSON = "json"
    HOCR = "hocr"
    ALTO = "alto"
    TEXT = "text"
    PDF = "pdf"


@dataclass(frozen=True)
class Rendering:
    """One format: its media type, the ending of a file of it, and how a completed document is written in it."""

    media_type: str
    extension: str
    render: Callable[[Document], bytes]


def _text(document: Document) -> bytes:
    assert document.text is not None
    return document.text.encode()


RENDERINGS: Mapping[LayoutFormat, Rendering] = {
    LayoutFormat.JSON: Rendering("application/json", "json", lambda document: layout_of(document).to_json()),
    LayoutFormat.HOCR: Rendering("application/xhtml+xml", "hocr", hocr_of),
    LayoutFormat.ALTO: Rendering("application/xml", "alto.xml", alto_of),
    LayoutFormat.TEXT: Rendering("text/plain; charset=utf-8", "txt", _text),
}
"""By format; a PDF needs the uploaded file, too, and is made by `services.api.searchable_pdf`."""
