"""Images, decoded by Pillow: JPEG, PNG, WebP, TIFF with all its pages, BMP, the first frame of a GIF, HEIC."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil, sqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from services.recognition.document import WORKING_PIXELS_MAX, Document, Limits
from services.recognition.errors import FileTooLarge, UnreadableDocument, UnsupportedMediaType
from services.recognition.media_type import HEIC
from services.recognition.pixels import to_rgb

# Pillow's decoder for each media type; it is asked for that one only, so that a file cannot choose.
_PILLOW_FORMATS = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/gif": "GIF",
    "image/tiff": "TIFF",
    "image/bmp": "BMP",
    "image/webp": "WEBP",
    HEIC: "HEIF",
}

# What Pillow's decoders raise on broken input, next to OSError.
_DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    RuntimeError,
    AttributeError,
    EOFError,
    struct.error,
    zlib.error,
)

_ORIENTATIONS_TURNED_SIDEWAYS = (5, 6, 7, 8)
_TIFF_SUBFILE_TYPE = 254
_TIFF_REDUCED_RESOLUTION = 1
# A pyramid has a page in eight or nine sizes. Hundreds of thousands of thumbnails fit into a file, and none is a page.
_FRAMES_A_PAGE_MAX = 20

# Our limit of pixels is checked from the header, and is the setting; Pillow's own would be a second one.
Image.MAX_IMAGE_PIXELS = None


class ImageDocument(Document):
    """An image file; only a TIFF has more than one page."""

    def __init__(self, path: Path, media_type: str, limits: Limits) -> None:
        if media_type == HEIC:
            _register_heif()
        self.media_type = media_type
        with _unreadable("The image is truncated or corrupt."):
            self._image = Image.open(path, formats=[_PILLOW_FORMATS[media_type]])
        try:
            with _unreadable("The image is truncated or corrupt."):
                self._frames = list(self._page_frames(limits))
            for index in range(self.page_count):
                self._check_pixels(index, limits)
        except BaseException:
            self.close()
            raise

    @property
    def page_count(self) -> int:
        return len(self._frames)

    def page_size(self, index: int) -> tuple[int, int]:
        return self._frames[index][1]

    def load_page(self, index: int) -> NDArray[np.uint8]:
        frame, (width, height) = self._frames[index]
        with _unreadable(f"Page {index + 1} of the image is truncated or corrupt."):
            self._image.seek(frame)
            reduction = ceil(sqrt(width * height / WORKING_PIXELS_MAX))
            if reduction > 1:
                # JPEG decodes at half, quarter or eighth size for less than the price of the whole.
                self._image.draft(None, (self._image.width // reduction, self._image.height // reduction))
            self._image.load()
            return to_rgb(self._upright(self._image), pixels_max=WORKING_PIXELS_MAX)

    def close(self) -> None:
        self._image.close()

    def _page_frames(self, limits: Limits) -> Iterator[tuple[int, tuple[int, int]]]:
        """Frame number and shown size of each page, from headers alone."""
        if self.media_type != "image/tiff":
            yield 0, self._shown_size()
            return
        pages, frame = 0, 0
        while self._seek(frame):
            if not self._is_thumbnail():
                pages += 1
                if pages > limits.pages_max:
                    raise FileTooLarge(
                        f"The TIFF has more than {limits.pages_max:,} pages; no more than that are read."
                    )
                yield frame, self._shown_size()
            frame += 1
            if frame > limits.pages_max * _FRAMES_A_PAGE_MAX:
                raise FileTooLarge(f"The TIFF has more than {frame - 1:,} pages and thumbnails; no more are looked at.")

    def _seek(self, frame: int) -> bool:
        try:
            self._image.seek(frame)
        except EOFError:
            return False
        return True

    def _is_thumbnail(self) -> bool:
        """A smaller copy of another page, as some scanners and pyramids store it."""
        tags = getattr(self._image, "tag_v2", {})
        return self._image.tell() > 0 and bool(tags.get(_TIFF_SUBFILE_TYPE, 0) & _TIFF_REDUCED_RESOLUTION)

    def _check_pixels(self, index: int, limits: Limits) -> None:
        width, height = self.page_size(index)
        if width * height > limits.pixels_max:
            raise FileTooLarge(
                f"Page {index + 1} has {width:,} x {height:,} pixels; at most {limits.pixels_max:,} are read."
            )

    def _shown_size(self) -> tuple[int, int]:
        """Size of the current frame as it is shown, from its header."""
        width, height = self._image.size
        # Pillow's TIFF reader turns the page itself and gives its size as shown.
        if self.media_type != "image/tiff" and self._exif_orientation() in _ORIENTATIONS_TURNED_SIDEWAYS:
            width, height = height, width
        return width, height

    def _exif_orientation(self) -> int:
        if self.media_type == "image/png" and "exif" not in self._image.info:
            return 1  # Pillow would decode the page to look for EXIF behind it
        try:
            return int(self._image.getexif().get(ExifTags.Base.Orientation, 1))
        except _DECODER_ERRORS:
            return 1  # broken metadata say nothing of the picture

    def _upright(self, image: Image.Image) -> Image.Image:
        if self.media_type == "image/tiff" or self._exif_orientation() == 1:
            return image
        return ImageOps.exif_transpose(image)


@contextmanager
def _unreadable(reason: str) -> Iterator[None]:
    """Whatever a decoder raises inside means that the file cannot be read."""
    try:
        yield
    except _DECODER_ERRORS as error:
        raise UnreadableDocument(reason) from error


def _register_heif() -> None:
    try:
        from pillow_heif import register_heif_opener
    except ImportError as error:
        raise UnsupportedMediaType(
            "HEIC is not read by this installation; convert to JPEG, or install the extra `heic`."
        ) from error
    register_heif_opener()
