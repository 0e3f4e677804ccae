"""hOCR and ALTO: what other programs read must be valid, whatever the words are."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from schemas.document import Document
from services.api.layout.alto import NAMESPACE, alto_of
from services.api.layout.formats import RENDERINGS
from services.api.layout.hocr import hocr_of
from tests.support.documents import ROOT
from tests.unit.api.fakes import KEY, RESULT_ID, USER, FakeWorld, app, document, page
from tests.unit.api.test_app import call

ALTO_SCHEMA = etree.XMLSchema(
    etree.parse(os.environ.get("OCR_TEST_ALTO_XSD") or Path(__file__).with_name("alto-profile.xsd"))
)
ALTO = f"{{{NAMESPACE}}}"
XHTML = "{http://www.w3.org/1999/xhtml}"


def holding(*words: str, **changes: Any) -> Document:
    turned: dict[str, Any] = {name: changes.pop(name) for name in ("orientation", "skew_degrees") if name in changes}
    return document().model_copy(update={"pages": (page(*words, **turned),), **changes})


def alto(made: Document) -> Any:
    root = etree.fromstring(alto_of(made))
    ALTO_SCHEMA.assertValid(root)
    return root


def hocr(made: Document) -> Any:
    return etree.fromstring(hocr_of(made))


def with_class(root: Any, name: str) -> list[Any]:
    return [found for found in root.iter() if found.get("class") == name]


def test_alto_has_every_word_in_pixels() -> None:
    root = alto(holding("two", "wörds"))
    assert root.findtext(f".//{ALTO}fileName") == KEY
    (sheet,) = root.iter(f"{ALTO}Page")
    assert (sheet.get("WIDTH"), sheet.get("HEIGHT"), sheet.get("LANG")) == ("1000", "2000", "en")
    assert sheet.get("ROTATION") is None
    strings = list(root.iter(f"{ALTO}String"))
    assert [string.get("CONTENT") for string in strings] == ["two", "wörds"]
    assert len(list(root.iter(f"{ALTO}SP"))) == 1
    first = strings[0]
    assert [first.get(name) for name in ("HPOS", "VPOS", "WIDTH", "HEIGHT", "WC")] == ["100", "200", "100", "20", "0.9"]
    assert first[0][0].get("POINTS") == "100.0,200.0 200.0,200.0 200.0,220.0 100.0,220.0"


def test_hocr_has_every_word_in_pixels() -> None:
    root = hocr(holding("two", "wörds", engine="onnx", model_version="7"))
    assert root.tag == f"{XHTML}html"
    assert root.get("lang") == "en"
    metas = {meta.get("name"): meta.get("content") for meta in root.iter(f"{XHTML}meta") if meta.get("name")}
    assert metas["ocr-system"] == "ocr-services onnx 7"
    assert metas["ocr-number-of-pages"] == "1"
    used = {found.get("class") for found in root.iter() if found.get("class")}
    assert used <= set(metas["ocr-capabilities"].split())
    (sheet,) = with_class(root, "ocr_page")
    assert sheet.get("title") == f'image "{KEY}"; bbox 0 0 1000 2000; ppageno 0'
    words = with_class(root, "ocrx_word")
    assert [word.text for word in words] == ["two", "wörds"]
    assert words[0].get("title") == "bbox 100 200 200 220; x_wconf 90"
    assert "textangle" not in with_class(root, "ocr_line")[0].get("title")


@pytest.mark.parametrize(
    ("orientation", "skew", "counterclockwise"), [(90, 0.0, "270"), (180, 2.5, "177.5"), (0, -1.25, "1.25")]
)
def test_turned_pages_say_so_counterclockwise(orientation: int, skew: float, counterclockwise: str) -> None:
    made = holding("word", orientation=orientation, skew_degrees=skew)
    (sheet,) = alto(made).iter(f"{ALTO}Page")
    assert sheet.get("ROTATION") == counterclockwise
    (line,) = with_class(hocr(made), "ocr_line")
    assert line.get("title").endswith(f"; textangle {counterclockwise}")


def test_a_page_without_words_and_a_text_without_language_are_valid() -> None:
    made = holding(language="und")
    (sheet,) = alto(made).iter(f"{ALTO}Page")
    assert sheet.get("LANG") is None
    root = hocr(made)
    assert root.get("lang") is None
    assert with_class(root, "ocrx_word") == []


def test_ids_are_unique_over_pages() -> None:
    pages = tuple(page("a", "b").model_copy(update={"number": number}) for number in (1, 2))
    made = document().model_copy(update={"pages": pages})
    assert len(list(alto(made).iter(f"{ALTO}String"))) == 4
    ids = [found.get("id") for found in hocr(made).iter() if found.get("id")]
    assert len(ids) == len(set(ids))


@given(words=st.lists(st.text(min_size=1), min_size=1, max_size=3), name=st.text(min_size=1))
def test_whatever_the_words_are_both_are_well_formed_and_say_them(words: list[str], name: str) -> None:
    made = holding(*words, key=f"ocr/alice/{name}.jpg")
    sayable = [re.sub("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "", word) for word in words]
    assert [string.get("CONTENT") for string in alto(made).iter(f"{ALTO}String")] == sayable
    # XML reads any line end of a text as a line feed.
    lines = [re.sub("\r\n?", "\n", word) for word in sayable]
    assert [word.text or "" for word in with_class(hocr(made), "ocrx_word")] == lines


def test_the_console_names_its_downloads_as_the_api_does() -> None:
    listed = re.findall(r'\["(\w+)", "[^"]+", "([\w.]+)"\]', (ROOT / "services/api/console/result-view.js").read_text())
    assert dict(listed) == {format_.value: each.extension for format_, each in RENDERINGS.items()} | {"pdf": "pdf"}


@pytest.mark.parametrize(
    ("format_", "media_type", "ending"),
    [("hocr", "application/xhtml+xml", "hocr"), ("alto", "application/xml", "alto.xml")],
)
def test_they_are_served_as_what_they_are(format_: str, media_type: str, ending: str) -> None:
    world = FakeWorld(documents={(USER, RESULT_ID): document()})
    answer = call(app(world), "GET", f"/api/ocr/results/{RESULT_ID}/layout", params={"format": format_})
    assert answer.headers["content-type"] == media_type
    assert answer.headers["content-disposition"] == f'inline; filename="{RESULT_ID}.{ending}"'
    assert etree.fromstring(answer.content) is not None
