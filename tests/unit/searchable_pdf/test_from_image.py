"""Searchable PDFs of images: they look like the image, and say its words where they stand."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pikepdf
import pypdfium2 as pdfium
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageDraw, ImageFont, ImageOps

from services.recognition.errors import UnreadableDocument
from services.searchable_pdf.glyphless import font_program
from services.searchable_pdf.layout import Layout, Page, Point, Word
from services.searchable_pdf.make import make_searchable_pdf

WIDTH, HEIGHT = 400, 600
Make = Callable[[Path, Layout], pdfium.PdfDocument]


def rectangle(left: float, top: float, right: float, bottom: float) -> tuple[Point, Point, Point, Point]:
    return (left, top), (right, top), (right, bottom), (left, bottom)


def layout(*pages: tuple[Word, ...], width: int = WIDTH, height: int = HEIGHT) -> Layout:
    return Layout("en", tuple(Page(width, height, words) for words in pages))


WORDS = (
    Word("Straße", rectangle(0.1, 0.1, 0.4, 0.15), False),
    Word("日本", rectangle(0.5, 0.1, 0.7, 0.15), True),
    Word("😀(x)", rectangle(0.1, 0.5, 0.2, 0.52), True),
)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def run(source: Path, laid: Layout) -> pdfium.PdfDocument:
        target = tmp_path / "searchable.pdf"
        make_searchable_pdf(source, laid, target)
        return pdfium.PdfDocument(target)

    return run


def drawing(mode: str = "RGB", size: tuple[int, int] = (WIDTH, HEIGHT)) -> Image.Image:
    """A page that no turn or mirror image resembles."""
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((size[0] // 10, size[1] // 10, size[0] // 2, size[1] // 5), fill=(200, 30, 30))
    draw.ellipse((size[0] // 2, size[1] // 2, size[0] - 20, size[1] - 30), fill=(0, 0, 0))
    return image.convert(mode)


def rendered(page: pdfium.PdfPage, size: tuple[int, int]) -> NDArray[np.float64]:
    width, _ = page.get_size()
    image = page.render(scale=size[0] / width).to_pil().convert("RGB").resize(size)
    return np.asarray(image, dtype=np.float64)


def difference(page: pdfium.PdfPage, image: Image.Image) -> float:
    """Mean difference, 0 to 255."""
    return float(np.abs(rendered(page, image.size) - np.asarray(image.convert("RGB"), dtype=np.float64)).mean())


def text_of(page: pdfium.PdfPage) -> str:
    return str(page.get_textpage().get_text_range())


def box_of(page: pdfium.PdfPage, text: str) -> tuple[float, float, float, float]:
    """Where a word is found, as fractions of the page as shown: left, top, right, bottom."""
    textpage = page.get_textpage()
    found = textpage.search(text, match_case=True).get_next()
    assert found is not None, text
    boxes = [textpage.get_charbox(index, loose=True) for index in range(found[0], found[0] + found[1])]
    corners = [page_point(page, x, y) for left, bottom, right, top in boxes for x, y in ((left, bottom), (right, top))]
    xs, ys = zip(*corners, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def page_point(page: pdfium.PdfPage, x: float, y: float) -> Point:
    """A point of user space on the page as shown."""
    sides = page.get_cropbox()
    (left, right), (bottom, top) = sorted(sides[::2]), sorted(sides[1::2])
    across, up = (x - left) / (right - left), (y - bottom) / (top - bottom)
    return {0: (across, 1 - up), 90: (up, across), 180: (1 - across, up), 270: (1 - up, 1 - across)}[
        page.get_rotation()
    ]


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_is_in_it_byte_by_byte(tmp_path: Path, make: Make, mode: str) -> None:
    path = tmp_path / "a.jpg"
    drawing(mode).save(path, quality=95)
    (page,) = make(path, layout(WORDS))
    # Viewers differ in what they make of CMYK; a picture that is inverted differs by more than 100.
    assert difference(page, Image.open(path)) < (12 if mode == "CMYK" else 3)
    with pikepdf.open(tmp_path / "searchable.pdf") as pdf:
        assert pdf.pages[0].obj.Resources.XObject.Picture.read_raw_bytes() == path.read_bytes()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_is_turned_as_its_camera_says(tmp_path: Path, make: Make, orientation: int) -> None:
    path, exif = tmp_path / "a.jpg", Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    drawing().save(path, quality=95, exif=exif)
    shown = ImageOps.exif_transpose(Image.open(path))
    (page,) = make(path, layout(WORDS, width=shown.width, height=shown.height))
    assert difference(page, shown) < 3
    assert box_of(page, "Straße") == pytest.approx((0.1, 0.1, 0.4, 0.15), abs=0.01)


@pytest.mark.parametrize(
    ("name", "mode", "options"),
    [
        ("a.png", "RGB", {}),
        ("a.png", "L", {}),
        ("a.png", "1", {}),
        ("a.png", "P", {}),
        ("a.png", "RGBA", {}),
        ("a.bmp", "RGB", {}),
        ("a.gif", "P", {}),
        ("a.webp", "RGB", {"lossless": True}),
        ("a.tiff", "1", {"compression": "group4"}),
        ("a.tiff", "CMYK", {}),
    ],
)
def test_every_other_picture_looks_like_itself(
    tmp_path: Path, make: Make, name: str, mode: str, options: dict[str, Any]
) -> None:
    drawing(mode).save(tmp_path / name, **options)
    (page,) = make(tmp_path / name, layout(WORDS))
    assert difference(page, Image.open(tmp_path / name)) < 3


def test_every_word_is_found_where_it_stands(tmp_path: Path, make: Make) -> None:
    drawing().save(tmp_path / "a.png")
    (page,) = make(tmp_path / "a.png", layout(WORDS))
    assert text_of(page).split() == ["Straße", "日本", "😀(x)"]
    assert "Straße 日本" in text_of(page)
    for word in WORDS[:2]:
        expected = (*word.polygon[0], *word.polygon[2])
        assert box_of(page, word.text) == pytest.approx(expected, abs=0.01)


def test_words_of_a_turned_and_skewed_page_are_found_where_they_stand(tmp_path: Path, make: Make) -> None:
    drawing().save(tmp_path / "a.png")
    # Read from top to bottom, and one that rises by a few degrees.
    down = Word("downwards", ((0.3, 0.2), (0.3, 0.6), (0.25, 0.6), (0.25, 0.2)), True)
    rising = Word("rising", ((0.5, 0.4), (0.9, 0.35), (0.91, 0.38), (0.51, 0.43)), True)
    (page,) = make(tmp_path / "a.png", layout((down, rising)))
    assert box_of(page, "downwards") == pytest.approx((0.25, 0.2, 0.3, 0.6), abs=0.01)
    assert box_of(page, "rising") == pytest.approx((0.5, 0.35, 0.91, 0.43), abs=0.02)


def test_nothing_of_the_words_is_seen(tmp_path: Path, make: Make) -> None:
    blank = Image.new("RGB", (WIDTH, HEIGHT), "white")
    blank.save(tmp_path / "a.png")
    (page,) = make(tmp_path / "a.png", layout(WORDS))
    assert rendered(page, blank.size).min() == 255
    # Not even by a viewer that draws text which is told to be invisible.
    with pikepdf.open(tmp_path / "searchable.pdf", allow_overwriting_input=True) as pdf:
        content = pdf.pages[0].obj.Contents
        assert b"3 Tr" in content.read_bytes()
        content.write(content.read_bytes().replace(b"3 Tr", b"0 Tr"))
        pdf.save(tmp_path / "drawn.pdf")
    assert rendered(pdfium.PdfDocument(tmp_path / "drawn.pdf")[0], blank.size).min() == 255


def test_a_tiff_of_many_pages_keeps_them_in_order_and_without_words_if_it_has_none(tmp_path: Path, make: Make) -> None:
    first, second = drawing(), ImageOps.mirror(drawing())
    first.save(tmp_path / "a.tiff", save_all=True, append_images=[second], dpi=(300, 300))
    document = make(tmp_path / "a.tiff", layout(WORDS, ()))
    assert len(document) == 2
    assert difference(document[0], first) < 3
    assert difference(document[1], second) < 3
    assert text_of(document[1]) == ""
    assert document[0].get_size() == pytest.approx((WIDTH * 72 / 300, HEIGHT * 72 / 300), abs=0.1)


def test_the_language_is_said_and_the_same_request_gives_the_same_file(tmp_path: Path, make: Make) -> None:
    drawing().save(tmp_path / "a.png")
    contents = []
    for _ in range(2):
        make(tmp_path / "a.png", layout(WORDS)).close()
        contents.append((tmp_path / "searchable.pdf").read_bytes())
    assert contents[0] == contents[1]
    with pikepdf.open(tmp_path / "searchable.pdf") as pdf:
        assert str(pdf.Root.Lang) == "en"
        assert pdf.check_pdf_syntax() == []


def test_a_file_of_other_pages_than_were_read_is_refused(tmp_path: Path, make: Make) -> None:
    drawing().save(tmp_path / "a.png")
    with pytest.raises(UnreadableDocument):
        make(tmp_path / "a.png", layout((), ()))


def test_a_broken_picture_is_refused(tmp_path: Path, make: Make) -> None:
    drawing().save(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:500])
    with pytest.raises(UnreadableDocument):
        make(tmp_path / "a.png", layout(()))


def test_the_font_is_one_that_others_load() -> None:
    font = ImageFont.truetype(io.BytesIO(font_program()), 1000)
    assert font.getmetrics() == (800, 200)
