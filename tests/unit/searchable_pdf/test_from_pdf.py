"""Searchable PDFs of PDFs: scanned pages get words, pages with text of their own stay as they are."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pikepdf
import pypdfium2 as pdfium
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pikepdf import Array, Dictionary, Name

from services.recognition.errors import RecognitionError, UnreadableDocument
from services.searchable_pdf.make import make_searchable_pdf
from tests.unit.searchable_pdf.test_from_image import (
    HEIGHT,
    WIDTH,
    WORDS,
    Make,
    box_of,
    difference,
    drawing,
    layout,
    make,
    text_of,
)

__all__ = ["make"]

_HELLO = b"BT /F1 24 Tf 50 500 Td (Hello world that was typed) Tj ET"


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A page that is only a picture."""
    path = tmp_path / "scan.pdf"
    drawing().save(path, "PDF", resolution=72)
    return path


def rewritten(path: Path, **changes: object) -> Path:
    """The same file with other entries of its first page."""
    with pikepdf.open(path, allow_overwriting_input=True) as pdf:
        for name, value in changes.items():
            pdf.pages[0].obj[f"/{name}"] = value
        pdf.save(path)
    return path


def typed(path: Path, content: bytes = _HELLO, *, pages: int = 1) -> Path:
    """Pages with text, whose resources are their parent's."""
    with pikepdf.new() as pdf:
        font = Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica)
        for _ in range(pages):
            pdf.add_blank_page(page_size=(WIDTH, HEIGHT))
            page = pdf.pages[-1].obj
            page.Contents = pdf.make_stream(content)
            del page["/Resources"]
        pdf.Root.Pages.Resources = Dictionary(Font=Dictionary(F1=pdf.make_indirect(font)))
        pdf.save(path)
    return path


def test_a_scanned_page_looks_the_same_and_is_searchable(scan: Path, make: Make) -> None:
    (page,) = make(scan, layout(WORDS))
    assert difference(page, drawing()) < 3
    assert text_of(page).split() == ["Straße", "日本", "😀(x)"]
    assert box_of(page, "Straße") == pytest.approx((0.1, 0.1, 0.4, 0.15), abs=0.01)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270, -90, 450])
@pytest.mark.parametrize("crop", [None, (50, 100, 350, 450), (350, 450, 50, 100)], ids=["whole", "cropped", "corners"])
def test_words_stand_where_they_are_shown_however_the_page_is_turned_and_cropped(
    scan: Path, make: Make, rotation: int, crop: tuple[int, int, int, int] | None
) -> None:
    changes: dict[str, object] = {"Rotate": rotation} | ({"CropBox": Array(list(crop))} if crop else {})
    path = rewritten(scan, **changes)
    before = pdfium.PdfDocument(path)[0].render(scale=1).to_pil().convert("RGB")
    (page,) = make(path, layout(WORDS))
    assert difference(page, before) < 1
    assert box_of(page, "Straße") == pytest.approx((0.1, 0.1, 0.4, 0.15), abs=0.01)


def test_a_page_with_text_of_its_own_is_left_as_it_is(tmp_path: Path, make: Make) -> None:
    path = typed(tmp_path / "typed.pdf")
    words = tuple(word for word in WORDS)
    (page,) = make(path, layout(words))
    assert text_of(page) == "Hello world that was typed"


def test_a_stamp_does_not_make_a_scan_searchable(tmp_path: Path, make: Make) -> None:
    path = typed(tmp_path / "typed.pdf", b"BT /F1 8 Tf 10 10 Td (7) Tj ET")
    (page,) = make(path, layout(WORDS))
    assert "Straße" in text_of(page)
    assert "7" in text_of(page), "its own font is still there"


def test_text_inside_a_form_counts(tmp_path: Path, make: Make) -> None:
    path = typed(tmp_path / "typed.pdf", b"/Form Do")
    with pikepdf.open(path, allow_overwriting_input=True) as pdf:
        fonts = pdf.pages[0].obj.Resources.Font
        form = pdf.make_stream(_HELLO, Type=Name.XObject, Subtype=Name.Form)
        form.BBox = Array([0, 0, WIDTH, HEIGHT])
        form.Resources = Dictionary(Font=fonts)
        pdf.pages[0].obj.Resources = Dictionary(XObject=Dictionary(Form=form))
        pdf.save(path)
    (page,) = make(path, layout(WORDS))
    assert text_of(page) == "Hello world that was typed"


def test_a_state_that_the_page_leaves_behind_moves_no_words(tmp_path: Path, make: Make) -> None:
    path = typed(tmp_path / "typed.pdf", b"0.5 0 0 0.5 30 40 cm 0.1 w")
    (page,) = make(path, layout(WORDS))
    assert box_of(page, "Straße") == pytest.approx((0.1, 0.1, 0.4, 0.15), abs=0.01)


def test_of_many_pages_each_gets_its_own_words_and_shares_nothing(tmp_path: Path, make: Make) -> None:
    path = typed(tmp_path / "typed.pdf", b"", pages=3)
    document = make(path, layout(WORDS[:1], (), WORDS[1:2]))
    assert [text_of(page).strip() for page in document] == ["Straße", "", "日本"]


def test_what_needs_no_password_to_be_read_is_made_searchable(scan: Path, make: Make) -> None:
    with pikepdf.open(scan, allow_overwriting_input=True) as pdf:
        pdf.save(scan, encryption=pikepdf.Encryption(owner="o", user=""))
    (page,) = make(scan, layout(WORDS))
    assert "Straße" in text_of(page)


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.9])
def test_a_damaged_pdf_is_refused_or_repaired(scan: Path, tmp_path: Path, cut: float) -> None:
    content = scan.read_bytes()
    scan.write_bytes(content[: int(len(content) * cut)])
    try:
        make_searchable_pdf(scan, layout(WORDS), tmp_path / "out.pdf")
    except UnreadableDocument:
        return
    assert len(pdfium.PdfDocument(tmp_path / "out.pdf")) == 1


def test_content_that_is_no_content_stops_nothing(tmp_path: Path, make: Make) -> None:
    for content in (b"(unclosed << /X [ 1 2 BI garbage", b"\x9c\x81 (a) Tj", b"/Nothing Do /F1 Do"):
        (page,) = make(typed(tmp_path / "typed.pdf", content), layout(WORDS))
        assert page.render(scale=0.2).to_pil().size > (0, 0)


@pytest.mark.parametrize("rotation", [Name.Ninety, Array([90])])
def test_a_page_with_a_wrong_entry_is_refused(scan: Path, tmp_path: Path, rotation: pikepdf.Object) -> None:
    path = rewritten(scan, Rotate=rotation)
    with pytest.raises(UnreadableDocument):
        make_searchable_pdf(path, layout(WORDS), tmp_path / "out.pdf")


def test_a_page_count_other_than_what_was_read_is_refused(scan: Path, make: Make) -> None:
    with pytest.raises(UnreadableDocument):
        make(scan, layout((), ()))


MUTATIONS = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True),
        st.sampled_from([b"", b"0", b"/Parent", b"<<", b">>", b"-1", b"null", b"["]) | st.binary(max_size=3),
        st.integers(0, 30),
    ),
    min_size=1,
    max_size=20,
)


@given(mutations=MUTATIONS, is_scan=st.booleans())
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_broken_it_is_made_or_refused(
    mutations: list[tuple[float, bytes, int]], is_scan: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("broken", numbered=True)
    path = folder / "broken.pdf"
    if is_scan:
        drawing().save(path, "PDF", resolution=72)
    else:
        typed(path)
    content = bytearray(path.read_bytes())
    for where, put, removed in mutations:
        start = int(where * len(content))
        content[start : start + removed] = put
    path.write_bytes(content)
    with contextlib.suppress(RecognitionError):
        make_searchable_pdf(path, layout(WORDS), folder / "out.pdf")
