"""Opening a file as a document: pages that can be measured before they are decoded, and decoded one by one.

What a page costs in memory is known from its header, so every limit is checked before anything is decoded.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from services.recognition.errors import FileTooLarge
from services.recognition.media_type import HEAD_BYTES, PDF, sniff

# An image counts one unit of price for each started twelve megapixels of its own size.
UNIT_PIXELS = 12_000_000

# Larger pages are decoded at a fraction of their size: what a reader needs of A3 at 400 dpi fits in here,
# and a page of 100 megapixels would take 300 MB.
WORKING_PIXELS_MAX = 25_000_000


@dataclass(frozen=True)
class Limits:
    """What is accepted: bytes of the file, pages of a document, pixels of one page."""

    bytes_max: int = 50_000_000
    pages_max: int = 200
    pixels_max: int = 100_000_000


class Document(ABC):
    """An open file of one or more pages. Pages are counted from 0 here. Close it after use."""

    media_type: str

    @property
    @abstractmethod
    def page_count(self) -> int: ...

    @abstractmethod
    def page_size(self, index: int) -> tuple[int, int]:
        """Width and height in pixels of the page as it is shown (EXIF orientation applied)."""

    def page_units(self, index: int) -> int:
        """What the page counts in the price."""
        width, height = self.page_size(index)
        return max(1, ceil(width * height / UNIT_PIXELS))

    @abstractmethod
    def load_page(self, index: int) -> NDArray[np.uint8]:
        """Decode a page as it is shown: height x width x 3, RGB, what is transparent on white.

        A page over `WORKING_PIXELS_MAX` comes reduced. Raises `UnreadableDocument`.
        """

    @abstractmethod
    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def open_document(path: Path, limits: Limits | None = None) -> Document:
    """Open an image or a PDF, told apart by content.

    Raises `UnsupportedMediaType`, `UnreadableDocument` or `FileTooLarge`, without decoding a page.
    """
    limits = limits or Limits()
    size_bytes = path.stat().st_size
    if size_bytes > limits.bytes_max:
        raise FileTooLarge(f"The file has {size_bytes:,} bytes; at most {limits.bytes_max:,} bytes are read.")
    with path.open("rb") as file:
        media_type = sniff(file.read(HEAD_BYTES))
    if media_type == PDF:
        from services.recognition.pdf_document import PdfDocument

        return PdfDocument(path, limits)
    from services.recognition.image_document import ImageDocument

    return ImageDocument(path, media_type, limits)
