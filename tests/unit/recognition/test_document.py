"""What is opened, what is refused and with which code, and what a page looks like once decoded."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pypdfium2 as pdfium
import pytest
from PIL import Image

from services.recognition.document import WORKING_PIXELS_MAX, Limits, open_document
from services.recognition.errors import (
    FileTooLarge,
    RecognitionError,
    UnreadableDocument,
    UnsupportedMediaType,
)

WHITE, RED = (255, 255, 255), (255, 0, 0)

Save = Callable[..., Path]

# The keys in it fit no password, the empty one least of all.
ENCRYPTED_PDF = b"""%PDF-1.4
1 0 obj << /Type /Catalog /Pages 2 0 R >> endobj
2 0 obj << /Type /Pages /Kids [3 0 R] /Count 1 >> endobj
3 0 obj << /Type /Page /Parent 2 0 R /MediaBox [0 0 72 72] >> endobj
4 0 obj << /Filter /Standard /V 1 /R 2 /P -4
/O <0101010101010101010101010101010101010101010101010101010101010101>
/U <0202020202020202020202020202020202020202020202020202020202020202> >> endobj
trailer << /Root 1 0 R /Size 5 /Encrypt 4 0 R /ID [<00> <00>] >>
%%EOF
"""


def half_red(size: tuple[int, int] = (40, 20)) -> Image.Image:
    """White, the left half red."""
    image = Image.new("RGB", size, WHITE)
    image.paste(RED, (0, 0, size[0] // 2, size[1]))
    return image


def write_pdf(path: Path, pages: int, size_points: tuple[float, float] = (72, 144)) -> Path:
    pdf = pdfium.PdfDocument.new()
    for _ in range(pages):
        pdf.new_page(*size_points)
    pdf.save(path)
    pdf.close()
    return path


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and has a few bytes of it: a bomb to decode, harmless to measure."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("pillow_format", "media_type"),
    [
        ("JPEG", "image/jpeg"),
        ("PNG", "image/png"),
        ("WEBP", "image/webp"),
        ("TIFF", "image/tiff"),
        ("BMP", "image/bmp"),
        ("GIF", "image/gif"),
    ],
)
def test_the_content_decides_and_not_the_name(save: Save, pillow_format: str, media_type: str) -> None:
    with open_document(save(half_red(), "misleading.pdf", format=pillow_format)) as document:
        page = document.load_page(0)

        assert document.media_type == media_type
        assert (document.page_count, document.page_size(0)) == (1, (40, 20))
        assert page.shape == (20, 40, 3)
        assert page.dtype == np.uint8
        assert page[10, 35].min() > 240
        assert page[10, 5, 0] > 200
        assert page[10, 5, 1] < 60


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", UnsupportedMediaType),
        (b"Dear Sir,\nthis is a text named like a picture.\n", UnsupportedMediaType),
        (b"BM is how this text starts, and a bitmap too", UnsupportedMediaType),
        (b"PK\x03\x04" + b"\0" * 100, UnsupportedMediaType),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", UnsupportedMediaType),
        (b"\x89PNG\r\n\x1a\n", UnreadableDocument),
        (b"\x89PNG\r\n\x1a\n" + b"garbage" * 100, UnreadableDocument),
        (b"\xff\xd8\xff\xe0" + b"\0" * 50, UnreadableDocument),
        (b"II*\x00\x08\x00\x00\x00", UnreadableDocument),
        (b"GIF89a", UnreadableDocument),
        (b"RIFF\x10\x00\x00\x00WEBPVP8 ", UnreadableDocument),
        (b"BM" + struct.pack("<IIII", 100, 0, 54, 40) + b"\0" * 20, UnreadableDocument),
        (b"%PDF-1.7\nnot much of a PDF", UnreadableDocument),
    ],
)
def test_what_is_no_document_has_its_code(tmp_path: Path, content: bytes, error: type[RecognitionError]) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(content)

    with pytest.raises(error) as refused, open_document(path) as document:
        document.load_page(0)
    assert refused.value.code == error.code
    assert refused.value.reason.endswith(".")


@pytest.mark.parametrize("pillow_format", ["JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_a_truncated_image_is_unreadable(tmp_path: Path, pillow_format: str, share: float) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (300, 300, 3), dtype=np.uint8)
    path = tmp_path / "whole"
    Image.fromarray(noise).save(path, format=pillow_format)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])

    with pytest.raises(UnreadableDocument), open_document(path) as document:
        document.load_page(0)


def test_a_truncated_pdf_is_unreadable_or_still_whole(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", 3)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 3])

    with pytest.raises(UnreadableDocument):
        open_document(path)


def test_too_many_bytes_are_refused(save: Save) -> None:
    with pytest.raises(FileTooLarge, match="bytes"):
        open_document(save(half_red(), "a.png"), Limits(bytes_max=50))


@pytest.mark.parametrize("size", [(50_000, 50_000), (2_147_483_647, 2_147_483_647), (10_001, 10_000)])
def test_a_bomb_is_refused_by_its_header(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(*size))

    with pytest.raises(FileTooLarge, match="pixels"):
        open_document(path)


def test_ten_thousand_pages_are_refused_unrendered(tmp_path: Path) -> None:
    with pytest.raises(FileTooLarge, match="10,000 pages"):
        open_document(write_pdf(tmp_path / "long.pdf", 10_000))


def test_a_tiff_of_too_many_pages_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "long.tif"
    half_red().save(path, save_all=True, append_images=[half_red()] * 5)

    with pytest.raises(FileTooLarge, match="pages"):
        open_document(path, Limits(pages_max=5))
    with open_document(path, Limits(pages_max=6)) as document:
        assert document.page_count == 6


def test_every_page_of_a_tiff_is_measured(tmp_path: Path) -> None:
    path = tmp_path / "mixed.tif"
    half_red().save(path, save_all=True, append_images=[half_red((400, 300))])

    with pytest.raises(FileTooLarge, match="Page 2"):
        open_document(path, Limits(pixels_max=10_000))


def test_a_thumbnail_in_a_tiff_is_no_page(tmp_path: Path) -> None:
    path = tmp_path / "pyramid.tif"
    small = half_red((20, 10))
    small.encoderinfo = {"tiffinfo": {254: 1}}
    half_red().save(path, save_all=True, append_images=[small, half_red((60, 30))])

    with open_document(path) as document:
        assert [document.page_size(index) for index in range(document.page_count)] == [(40, 20), (60, 30)]
        assert document.load_page(1).shape == (30, 60, 3)


def test_a_pdf_with_a_password_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "secret.pdf"
    path.write_bytes(ENCRYPTED_PDF)

    with pytest.raises(UnreadableDocument, match="encrypted"):
        open_document(path)


def test_a_pdf_is_rendered_on_white_at_200_dpi(tmp_path: Path) -> None:
    with open_document(write_pdf(tmp_path / "a.pdf", 2)) as document:
        assert document.media_type == "application/pdf"
        assert document.page_count == 2
        assert document.page_size(0) == (200, 400)
        assert document.load_page(1).shape == (400, 200, 3)
        assert document.load_page(1).min() == 255
        assert document.page_units(0) == 1


def test_a_poster_in_a_pdf_is_rendered_smaller(tmp_path: Path) -> None:
    with open_document(write_pdf(tmp_path / "poster.pdf", 1, (14_400, 14_400))) as document:
        width, height = document.page_size(0)
        page = document.load_page(0)

        assert width * height <= WORKING_PIXELS_MAX * 1.01
        assert page.shape == (height, width, 3)
        assert document.page_units(0) == 1


@pytest.mark.parametrize(
    ("orientation", "red_corner"),
    [(1, (0, 0)), (2, (0, -1)), (3, (-1, -1)), (4, (-1, 0)), (5, (0, 0)), (6, (0, -1)), (7, (-1, -1)), (8, (-1, 0))],
)
@pytest.mark.parametrize("pillow_format", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_orientation_is_honoured(
    save: Save, pillow_format: str, orientation: int, red_corner: tuple[int, int]
) -> None:
    image = Image.new("RGB", (64, 32), WHITE)
    image.paste(RED, (0, 0, 16, 16))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(image, "turned", format=pillow_format, exif=exif, quality=95)

    with open_document(path) as document:
        page = document.load_page(0)
        assert document.page_size(0) == ((64, 32) if orientation < 5 else (32, 64))
        assert page.shape[:2] == document.page_size(0)[::-1]
        assert page[red_corner][1] < 60
        others = [(0, 0), (0, -1), (-1, 0), (-1, -1)]
        others.remove(red_corner)
        assert all(page[corner][1] > 200 for corner in others)


def grey_ramp(dtype: type[np.generic], peak: float) -> Image.Image:
    ramp = np.linspace(0, peak, 64)[None, :].repeat(16, axis=0)
    return Image.fromarray(ramp.astype(dtype))


def with_mode(mode: str) -> Image.Image:
    return half_red().convert(mode)


@pytest.mark.parametrize(
    ("image", "pillow_format"),
    [
        (grey_ramp(np.uint16, 65535), "PNG"),
        (grey_ramp(np.uint16, 65535), "TIFF"),
        (grey_ramp(np.uint16, 4095), "TIFF"),
        (grey_ramp(np.int32, 65535), "TIFF"),
        (grey_ramp(np.float32, 1.0), "TIFF"),
        (grey_ramp(np.float32, 255.0), "TIFF"),
        (grey_ramp(np.uint8, 255), "PNG"),
    ],
)
def test_grey_of_any_depth_keeps_black_and_white(save: Save, image: Image.Image, pillow_format: str) -> None:
    with open_document(save(image, "ramp", format=pillow_format)) as document:
        row = document.load_page(0)[8, :, 0].astype(int)

    assert row[0] == 0
    assert row[-1] >= 250
    assert (np.diff(row) >= 0).all()
    assert abs(row[32] - 128) <= 6


@pytest.mark.parametrize(
    ("mode", "pillow_format"),
    [
        ("P", "PNG"),
        ("P", "GIF"),
        ("1", "PNG"),
        ("1", "TIFF"),
        ("L", "JPEG"),
        ("CMYK", "JPEG"),
        ("CMYK", "TIFF"),
        ("YCbCr", "JPEG"),
        ("LAB", "TIFF"),
        ("RGBA", "PNG"),
        ("LA", "PNG"),
        ("RGBA", "WEBP"),
    ],
)
def test_every_mode_becomes_rgb(save: Save, mode: str, pillow_format: str) -> None:
    image = with_mode("L").convert("LA") if mode == "LA" else _convert(mode)
    with open_document(save(image, "mode", format=pillow_format)) as document:
        page = document.load_page(0)

    assert page.shape == (20, 40, 3)
    assert page[10, 36].min() > 230, "white stays white"
    assert page[10, 4].min() < 160, "red is darker than white in every mode"


def _convert(mode: str) -> Image.Image:
    if mode != "LAB":
        return with_mode(mode)
    light = np.where(np.arange(40) < 20, 120, 255).astype(np.uint8)[None, :].repeat(20, axis=0)
    return Image.merge("LAB", [Image.fromarray(light), *(Image.new("L", (40, 20), 128) for _ in "ab")])


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white_paper(save: Save, mode: str) -> None:
    image = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 10, 20))
    with open_document(save(image.convert(mode), "clear.png")) as document:
        page = document.load_page(0)

    assert page[10, 15].tolist() == [255, 255, 255]
    assert page[10, 5].tolist() == [0, 0, 0]


@pytest.mark.parametrize("size", [(1, 1), (20_000, 100), (100, 20_000), (3, 1)])
def test_odd_sizes_are_decoded(save: Save, size: tuple[int, int]) -> None:
    with open_document(save(Image.new("L", size, 255), "odd.png")) as document:
        assert document.load_page(0).shape == (size[1], size[0], 3)


@pytest.mark.parametrize(("size", "units"), [((4000, 3000), 1), ((4001, 3000), 2), ((6000, 4001), 3), ((1, 1), 1)])
def test_a_unit_is_each_started_twelve_megapixels(save: Save, size: tuple[int, int], units: int) -> None:
    with open_document(save(Image.new("1", size, 1), "big.png")) as document:
        assert document.page_units(0) == units


def test_a_large_page_comes_reduced_with_its_own_size_told(save: Save) -> None:
    size = (8000, 6000)
    for name in ("big.png", "big.jpg"):
        with open_document(save(Image.new("L", size, 255), name)) as document:
            height, width = document.load_page(0).shape[:2]
            assert document.page_size(0) == size
            assert document.page_units(0) == 4
            assert width * height <= WORKING_PIXELS_MAX
            assert abs(width / height - 4 / 3) < 0.01


def test_the_first_frame_of_an_animation_is_its_page(tmp_path: Path) -> None:
    path = tmp_path / "moving.gif"
    half_red().save(path, save_all=True, append_images=[Image.new("RGB", (40, 20), (0, 0, 255))] * 3)
    with open_document(path) as document:
        assert document.page_count == 1
        assert document.load_page(0)[10, 5].tolist() == [255, 0, 0]


def test_heic_is_read_with_its_extra(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    path = tmp_path / "photo.jpg"
    pillow_heif.from_pillow(half_red((64, 64))).save(path, format="HEIF", quality=90)
    with open_document(path) as document:
        assert document.media_type == "image/heic"
        assert document.load_page(0)[32, 60].min() > 230
