"""Pictures as image objects of a PDF: JPEGs as they are, all others without loss unless they had lost before."""

import io
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pikepdf import Array, Dictionary, Name, Object, Pdf
from PIL import ExifTags, Image

from services.recognition.document import Document

JPEG = "image/jpeg"
_LOSSY = {"image/webp", "image/heic"}
_JPEG_QUALITY = 90
_COLOUR_SPACES = {"L": Name.DeviceGray, "RGB": Name.DeviceRGB, "CMYK": Name.DeviceCMYK}
_PREDICTOR_PNG, _FILTER_UP = 15, 2

# How the unit square of a stored picture lies on the page as shown, by its EXIF orientation: a, b, c, d, e, f.
_EXIF_MATRICES = {
    1: (1, 0, 0, 1, 0, 0),
    2: (-1, 0, 0, 1, 1, 0),
    3: (-1, 0, 0, -1, 1, 1),
    4: (1, 0, 0, -1, 0, 1),
    5: (0, -1, -1, 0, 1, 1),
    6: (0, -1, 1, 0, 0, 1),
    7: (0, 1, 1, 0, 0, 0),
    8: (0, 1, -1, 0, 1, 0),
}


@dataclass(frozen=True)
class Picture:
    """An image object, and how it lies on the page as shown."""

    image: Object
    matrix: tuple[int, int, int, int, int, int] = (1, 0, 0, 1, 0, 0)


def stored_jpeg(pdf: Pdf, path: Path) -> Picture | None:
    """The JPEG of a file, byte by byte; None where a PDF cannot hold it as it is."""
    with Image.open(path, formats=["JPEG"]) as picture:
        mode, (width, height) = picture.mode, picture.size
        inverted = mode == "CMYK" and "adobe" in picture.info
        orientation = int(picture.getexif().get(ExifTags.Base.Orientation, 1))
    if mode not in _COLOUR_SPACES:
        return None
    image = _image(pdf, path.read_bytes(), width, height, _COLOUR_SPACES[mode], Name.DCTDecode)
    if inverted:
        image.Decode = Array([1, 0] * 4)
    return Picture(image, _EXIF_MATRICES.get(orientation, _EXIF_MATRICES[1]))


def decoded_page(pdf: Pdf, document: Document, index: int) -> Picture:
    """A page as it is shown, decoded. Raises `UnreadableDocument`."""
    pixels = document.load_page(index)
    height, width, _ = pixels.shape
    if (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all():
        pixels = np.ascontiguousarray(pixels[..., :1])
    grey = pixels.shape[2] == 1
    space = Name.DeviceGray if grey else Name.DeviceRGB
    if document.media_type in _LOSSY:
        return Picture(_image(pdf, _as_jpeg(pixels), width, height, space, Name.DCTDecode))
    if grey and not np.any((pixels > 0) & (pixels < 255)):
        bits = np.packbits(pixels[..., 0] > 0, axis=1)
        return Picture(_image(pdf, zlib.compress(bits.tobytes()), width, height, space, Name.FlateDecode, bits=1))
    image = _image(pdf, _deflated(pixels), width, height, space, Name.FlateDecode)
    image.DecodeParms = Dictionary(Predictor=_PREDICTOR_PNG, Colors=pixels.shape[2], BitsPerComponent=8, Columns=width)
    return Picture(image)


def _image(pdf: Pdf, data: bytes, width: int, height: int, space: Name, filter_: Name, bits: int = 8) -> Object:
    image = pdf.make_stream(data, Type=Name.XObject, Subtype=Name.Image)
    image.Width, image.Height, image.ColorSpace, image.BitsPerComponent = width, height, space, bits
    image.Filter = filter_
    return image


def _as_jpeg(pixels: NDArray[np.uint8]) -> bytes:
    written = io.BytesIO()
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    picture.save(written, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    return written.getvalue()


def _deflated(pixels: NDArray[np.uint8]) -> bytes:
    """Each row as its difference from the row above, which a page has much less of, and compressed."""
    height, width, channels = pixels.shape
    rows = pixels.reshape(height, width * channels)
    filtered = np.empty((height, width * channels + 1), dtype=np.uint8)
    filtered[:, 0] = _FILTER_UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    return zlib.compress(filtered.tobytes())
