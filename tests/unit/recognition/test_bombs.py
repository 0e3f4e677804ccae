"""Files that ask for much are refused by what they say of themselves, or cost no more than what they are."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from services.recognition import pixels
from services.recognition.document import WORKING_PIXELS_MAX, open_document
from services.recognition.errors import FileTooLarge, UnreadableDocument
from services.recognition.pixels import to_rgb
from tests.support import bombs

_SIDES = (65_535, 65_535)


def _heic_that_claims(width: int, height: int) -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", (64, 64))).save(buffer, format="HEIF")
    whole = bytearray(buffer.getvalue())
    extent = whole.index(b"ispe") + 8
    whole[extent : extent + 8] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    return bytes(whole)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: bombs.gif_that_claims(_SIDES, (8, 8)), id="a GIF by its screen"),
        pytest.param(lambda: bombs.gif_that_claims((8, 8), _SIDES), id="a GIF by its frame"),
        pytest.param(lambda: bombs.webp_that_claims(16_383, 16_383), id="a WebP"),
        pytest.param(lambda: bombs.jpeg_that_claims(65_000, 65_000), id="a JPEG"),
        pytest.param(lambda: bombs.tiff(4_000_000_000, 4_000_000_000, bombs.zeros(64)), id="a TIFF"),
        pytest.param(lambda: bombs.tiff_of_thumbnails(20_000), id="a TIFF of thumbnails"),
        pytest.param(lambda: bombs.bmp_that_claims(20_000, 20_000), id="a BMP"),
        pytest.param(lambda: bombs.pdf(pages=5_000), id="a PDF of thousands of pages"),
        pytest.param(lambda: _heic_that_claims(*_SIDES), id="a HEIC"),
    ],
)
def test_what_says_itself_that_it_is_too_much_is_not_decoded(tmp_path: Path, make: Callable[[], bytes]) -> None:
    with pytest.raises(FileTooLarge):
        open_document(_file(tmp_path, make()))


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: bombs.png_with_a_text_that_unpacks(100_000_000), id="a remark in a PNG"),
        pytest.param(lambda: bombs.tiff(64, 64, bombs.zeros(64), 0xFFFF_FFF0), id="a strip of 4 GB that is not there"),
        pytest.param(lambda: _heic_that_claims(9_999, 9_999), id="a HEIC"),
        pytest.param(bombs.pdf_whose_pages_are_a_ring, id="a PDF whose pages are a ring"),
    ],
)
def test_what_promises_more_than_it_has_is_unreadable(tmp_path: Path, make: Callable[[], bytes]) -> None:
    with pytest.raises(UnreadableDocument), open_document(_file(tmp_path, make())) as document:
        document.load_page(document.page_count - 1)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: bombs.gif_of_frames(10_000), id="a GIF"),
        pytest.param(lambda: bombs.webp_of_frames(2_000), id="a WebP"),
        pytest.param(bombs.tiff_without_end, id="a TIFF that is its own next page"),
    ],
)
def test_an_animation_or_a_ring_is_its_first_page(tmp_path: Path, make: Callable[[], bytes]) -> None:
    with open_document(_file(tmp_path, make())) as document:
        assert document.page_count == 1
        height, width = document.load_page(0).shape[:2]
        assert (width, height) == document.page_size(0)


@pytest.mark.parametrize(
    "box",
    [
        "[0 0 1000000000 1000000000]",
        "[0 0 1000000000 1]",
        "[0 0 1 10000000]",
        f"[0 0 {'9' * 38} {'9' * 38}]",
        f"[0 0 {'9' * 400} 1]",
        "[0 0 -100 -100]",
        "[/a /b (c) null]",
        "[0 0 nan inf]",
        "[0 0 612 792] /UserUnit 1000000",
    ],
)
def test_a_page_of_any_size_is_drawn_within_bounds(tmp_path: Path, box: str) -> None:
    with open_document(_file(tmp_path, bombs.pdf(box=box))) as document:
        width, height = document.page_size(0)
        page = document.load_page(0)
    # A page of a few rows may have one more than its share of the pixels.
    assert width * height <= 2 * WORKING_PIXELS_MAX
    assert page.shape[0] * page.shape[1] <= 2 * WORKING_PIXELS_MAX


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "1", "L", "CMYK", "I;16", "I", "F"])
@pytest.mark.parametrize("size", [(301, 203), (7, 901), (1, 5_000), (5_000, 1)])
def test_a_page_that_is_reduced_in_bands_is_the_same_page(
    monkeypatch: pytest.MonkeyPatch, mode: str, size: tuple[int, int]
) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (size[1], size[0], 4), dtype=np.uint8)
    if mode in ("I;16", "I", "F"):
        kind = {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]
        image = Image.fromarray(noise[..., 0].astype(kind) * 16)
    else:
        coloured = Image.fromarray(noise)
        image = coloured.convert("RGB").quantize(64) if mode == "P" else coloured.convert(mode)
    whole = to_rgb(image, size[0] * size[1] // 50 + 1)
    monkeypatch.setattr(pixels, "_BAND_PIXELS", 2_000)
    assert np.array_equal(to_rgb(image, size[0] * size[1] // 50 + 1), whole)


def _file(tmp_path: Path, body: bytes) -> Path:
    path = tmp_path / "bomb"
    path.write_bytes(body)
    return path
