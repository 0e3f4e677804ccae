"""From a file to its text."""

from __future__ import annotations

from collections.abc import Callable
from difflib import SequenceMatcher
from pathlib import Path

from PIL import Image

from services.recognition.engine import Engine
from services.recognition.pages import Page
from services.recognition.recognise import recognise_file
from tests.unit.recognition.conftest import LETTER, draw_lines


def test_a_letter_is_read(engine: Engine, save: Callable[..., Path]) -> None:
    document = recognise_file(save(draw_lines(), "letter.png"), engine)
    likeness = SequenceMatcher(None, document.text, "\n".join(LETTER), autojunk=False).ratio()

    assert likeness >= 0.97
    assert document.text.count("\n") == len(LETTER) - 1
    assert (document.language, document.media_type, document.page_units) == ("en", "image/png", 1)
    assert document.word_count == len(document.text.split())


def test_words_lie_where_they_are_printed(engine: Engine, save: Callable[..., Path]) -> None:
    page = recognise_file(save(draw_lines(), "letter.png"), engine).pages[0]
    first = next(page.words)
    x0, y0, x1, y1 = first.box

    assert first.text == "Dear"
    assert abs(x0 * page.width - 60) < 15
    assert 0 < (y1 - y0) * page.height < 60
    assert 30 < (x1 - x0) * page.width < 110


def test_pages_of_a_tiff_are_joined_by_a_form_feed(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "pages.tif"
    first, second = draw_lines(("First page",)), draw_lines(("Second page",))
    first.save(path, save_all=True, append_images=[second])

    assert recognise_file(path, engine).text == "First page\fSecond page"


def test_a_blank_page_has_no_words(engine: Engine, save: Callable[..., Path]) -> None:
    document = recognise_file(save(Image.new("RGB", (800, 1000), "white"), "blank.png"), engine)

    assert (document.text, document.word_count, document.language) == ("", 0, "und")
    assert len(document.pages) == 1


def test_a_page_survives_its_json(engine: Engine, save: Callable[..., Path]) -> None:
    page = recognise_file(save(draw_lines(), "letter.png"), engine).pages[0]
    again = Page.from_dict(page.to_dict())

    assert again.text == page.text
    assert again.to_dict() == page.to_dict()


def test_a_headline_of_large_letters_is_read_with_the_text_below(engine: Engine, save: Callable[..., Path]) -> None:
    page = draw_lines(LETTER, size=(1000, 700), letter_pixels=22, top=330)
    headline = draw_lines(("Summer in", "the city"), size=(1000, 300), letter_pixels=130, top=10, left=40)
    page.paste(headline.crop((0, 0, 1000, 165)), (0, 0))
    text = recognise_file(save(page, "magazine.png"), engine).text

    # Between large letters this face has narrow spaces: the model card says that such may be lost.
    assert "".join(text.split()).casefold().startswith("summerin")
    assert "Thompson" in text
