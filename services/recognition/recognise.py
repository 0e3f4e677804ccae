"""A file to its pages, text, language and number of words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from services.recognition.document import Document, Limits, open_document
from services.recognition.engine import Engine
from services.recognition.pages import Page
from services.recognition.reading_order import order_words
from services.recognition.text import count_words, detect_language, join_pages


@dataclass(frozen=True)
class RecognisedDocument:
    """All that is read from one file. `page_units` is what it counts in the price."""

    pages: tuple[Page, ...]
    text: str
    language: str
    word_count: int
    media_type: str
    page_units: int


def read_page(document: Document, index: int, engine: Engine) -> Page:
    """Read the page at `index` (from 0) of an open document. Raises `UnreadableDocument`."""
    width, height = document.page_size(index)
    found = engine.read_page(document.load_page(index))
    return Page(
        number=index + 1,
        width=width,
        height=height,
        orientation=found.frame.orientation,
        skew_degrees=found.frame.skew_degrees,
        blocks=order_words(found),
        page_units=document.page_units(index),
    )


def recognise_file(path: Path, engine: Engine, limits: Limits | None = None) -> RecognisedDocument:
    """Read a whole file, page by page. Raises `RecognitionError`."""
    with open_document(path, limits) as document:
        pages = tuple(read_page(document, index, engine) for index in range(document.page_count))
        media_type = document.media_type
    text = join_pages(pages)
    return RecognisedDocument(
        pages=pages,
        text=text,
        language=detect_language(text),
        word_count=count_words(text),
        media_type=media_type,
        page_units=sum(page.page_units for page in pages),
    )
