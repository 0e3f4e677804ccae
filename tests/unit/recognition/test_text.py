"""Language, words and the joining of pages."""

from __future__ import annotations

import pytest

from services.recognition.pages import Block, Line, Page, Word
from services.recognition.text import count_words, detect_language, join_pages

BOX = (0.0, 0.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The quick brown fox jumps over the lazy dog and runs away", "en"),
        ("Der schnelle braune Fuchs springt über den faulen Hund", "de"),
        ("Le renard brun rapide saute par-dessus le chien paresseux", "fr"),
        ("El rápido zorro marrón salta sobre el perro perezoso", "es"),
        ("THANK YOU FOR SHOPPING WITH US PLEASE COME AGAIN SOON", "en"),
        ("这是一个用来测试语言检测功能的中文句子我们希望它能够正确地识别出来。", "zh"),
        ("", "und"),
        ("12.50 3.99 16.49", "und"),
        ("Total 5.00", "und"),
        ("... --- !!! ???", "und"),
    ],
)
def test_language(text: str, language: str) -> None:
    assert detect_language(text) == language


def test_the_same_text_has_the_same_language_every_time() -> None:
    text = "Menu total caffe latte pasta pizza salmon"

    assert len({detect_language(text) for _ in range(20)}) == 1


def test_words_are_what_whitespace_separates() -> None:
    assert count_words("one two\nthree\n\nfour\ffive  six") == 6
    assert count_words("") == 0


def test_pages_are_joined_by_a_form_feed_and_blank_ones_stay() -> None:
    line = Line((Word("one", 0.9, BOX), Word("two", 0.8, BOX)), BOX)
    blocks = (Block((line, line), BOX), Block((line,), BOX))
    pages = [Page(number, 10, 10, 0, 0.0, content, 1) for number, content in ((1, blocks), (2, ()), (3, blocks))]

    assert join_pages(pages) == "one two\none two\n\none two\f\fone two\none two\n\none two"
