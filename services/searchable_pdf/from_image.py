"""A searchable PDF of an image file: a page for each of its pages."""

from pathlib import Path

from pikepdf import Dictionary, Pdf
from PIL import Image

from services.recognition.document import Document, open_document
from services.recognition.errors import UnreadableDocument
from services.searchable_pdf.glyphless import Characters, add_font
from services.searchable_pdf.layout import Layout, Page
from services.searchable_pdf.pictures import JPEG, Picture, decoded_page, stored_jpeg
from services.searchable_pdf.text_layer import FONT_NAME, Placement, text_layer

_PICTURE_NAME = "/Picture"
_DPI_DEFAULT = 200.0
_DPI_MIN, _DPI_MAX = 50.0, 2400.0
_POINTS_PER_INCH = 72.0
_SIDE_POINTS_MAX = 14_400.0  # what readers of PDF accept


def new_with_text(path: Path, layout: Layout) -> Pdf:
    """A PDF of the pages of an image file, to be saved. Raises `RecognitionError`."""
    pdf, characters = Pdf.new(), Characters()
    with open_document(path) as document:
        if document.page_count != len(layout.pages):
            raise UnreadableDocument("The file has other pages than those that were read.")
        for index, page in enumerate(layout.pages):
            width, height = _size_points(path, document, page)
            picture = _picture(pdf, path, document, index)
            pdf.add_blank_page(page_size=(width, height))
            placement = Placement((0.0, height), (width, 0.0), (0.0, -height))
            drawn = _drawing(picture, width, height) + text_layer(page, placement, characters)
            shown = pdf.pages[-1].obj
            shown.Contents = pdf.make_stream(drawn)
            shown.Resources = Dictionary(XObject=Dictionary({_PICTURE_NAME: picture.image}))
    font = add_font(pdf, characters)
    for made in pdf.pages:
        made.obj.Resources.Font = Dictionary({FONT_NAME: font})
    return pdf


def _picture(pdf: Pdf, path: Path, document: Document, index: int) -> Picture:
    stored = stored_jpeg(pdf, path) if document.media_type == JPEG else None
    return stored or decoded_page(pdf, document, index)


def _drawing(picture: Picture, width: float, height: float) -> bytes:
    turned = " ".join(map(str, picture.matrix))
    return f"q {width:.4f} 0 0 {height:.4f} 0 0 cm {turned} cm {_PICTURE_NAME} Do Q\n".encode("ascii")


def _size_points(path: Path, document: Document, page: Page) -> tuple[float, float]:
    scale = _POINTS_PER_INCH / _dpi(path, document.media_type)
    scale = min(scale, _SIDE_POINTS_MAX / max(page.width, page.height))
    return page.width * scale, page.height * scale


def _dpi(path: Path, media_type: str) -> float:
    """What the file says of its resolution, where that can be believed."""
    if media_type == "image/heic":
        return _DPI_DEFAULT
    with Image.open(path) as picture:
        said = picture.info.get("dpi", (0.0, 0.0))[0]
    return float(said) if _DPI_MIN <= float(said) <= _DPI_MAX else _DPI_DEFAULT
