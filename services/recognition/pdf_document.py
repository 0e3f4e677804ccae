"""PDFs, rendered by PDFium page by page."""

from __future__ import annotations

from math import sqrt
from pathlib import Path

import numpy as np
import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c
from numpy.typing import NDArray

from services.recognition.document import WORKING_PIXELS_MAX, Document, Limits
from services.recognition.errors import FileTooLarge, UnreadableDocument
from services.recognition.media_type import PDF

# At 200 dpi the small letters of print (7 points) are 10 pixels high, which is what the models read.
RENDER_DPI = 200
_POINTS_PER_INCH = 72


class PdfDocument(Document):
    """A PDF without a password. A page counts one unit whatever its size."""

    media_type = PDF

    def __init__(self, path: Path, limits: Limits) -> None:
        try:
            self._pdf = pdfium.PdfDocument(path)
        except pdfium.PdfiumError as error:
            raise UnreadableDocument(_why()) from error
        self._pixels_max = min(limits.pixels_max, WORKING_PIXELS_MAX)
        if self.page_count == 0:
            self.close()
            raise UnreadableDocument("The PDF has no pages.")
        if self.page_count > limits.pages_max:
            pages = self.page_count
            self.close()
            raise FileTooLarge(f"The PDF has {pages:,} pages; at most {limits.pages_max:,} pages are read.")

    @property
    def page_count(self) -> int:
        return len(self._pdf)

    def page_size(self, index: int) -> tuple[int, int]:
        width, height = self._size_points(index)
        scale = self._scale(width, height)
        return max(1, round(width * scale)), max(1, round(height * scale))

    def page_units(self, index: int) -> int:
        del index  # every page counts the same: its pixels are our choice, not the user's
        return 1

    def load_page(self, index: int) -> NDArray[np.uint8]:
        width, height = self._size_points(index)
        try:
            page = self._pdf[index]
            try:
                bitmap = page.render(
                    scale=self._scale(width, height), rev_byteorder=True, fill_color=(255, 255, 255, 255)
                )
                return np.ascontiguousarray(bitmap.to_numpy()[:, :, :3])
            finally:
                page.close()
        except pdfium.PdfiumError as error:
            raise UnreadableDocument(f"Page {index + 1} of the PDF cannot be rendered: {error}") from error

    def close(self) -> None:
        self._pdf.close()

    def _size_points(self, index: int) -> tuple[float, float]:
        try:
            width, height = self._pdf.get_page_size(index)
        except pdfium.PdfiumError as error:
            raise UnreadableDocument(f"Page {index + 1} of the PDF cannot be read: {error}") from error
        return max(1.0, width), max(1.0, height)

    def _scale(self, width_points: float, height_points: float) -> float:
        wanted = RENDER_DPI / _POINTS_PER_INCH
        # A page of a kilometre by a point is one row at least, and that one is bounded, too.
        longest = self._pixels_max / max(width_points, height_points)
        return min(wanted, sqrt(self._pixels_max / (width_points * height_points)), longest)


def _why() -> str:
    """Why PDFium could not open the last document, asked of PDFium: pypdfium2 4, with docTR 0.12, does not say it."""
    if pdfium_c.FPDF_GetLastError() in (pdfium_c.FPDF_ERR_PASSWORD, pdfium_c.FPDF_ERR_SECURITY):
        return "The PDF is encrypted; upload it without a password."
    return "The PDF is truncated or corrupt."
