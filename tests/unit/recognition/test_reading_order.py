"""The order of words on pages that are laid out here word by word; no network is asked."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from services.recognition.engine import FoundWord, PageWords
from services.recognition.frame import Frame
from services.recognition.pages import Block
from services.recognition.reading_order import order_words

LINE = 20.0
PITCH = 26.0
LETTER_WIDTH = 9.0


def put(text: str, x: float, y: float, size: float = 1.0) -> list[FoundWord]:
    """The words of one line of text, its first at x, y, in letters of `size` times the usual one."""
    words = []
    for word in text.split():
        width = size * LETTER_WIDTH * len(word)
        words.append(FoundWord(word, 0.9, (x, y, x + width, y + size * LINE)))
        x += width + size * 8.0
    return words


def paragraph(lines: Iterable[str], x: float, y: float, pitch: float = PITCH) -> list[FoundWord]:
    return [word for row, line in enumerate(lines) for word in put(line, x, y + row * pitch)]


def order(words: list[FoundWord]) -> tuple[Block, ...]:
    random.Random(3).shuffle(words)
    return order_words(PageWords(tuple(words), Frame.as_shown(2000, 2000)))


def text_of(blocks: tuple[Block, ...]) -> list[str]:
    return [line.text for block in blocks for line in block.lines]


def prose(name: str, lines: int) -> list[str]:
    """Lines of running text, each word telling where it belongs."""
    return [f"{name}a{_letters(row)} continues {name}b{_letters(row)} with words {name}c" for row in range(lines)]


def _letters(number: int) -> str:
    return chr(ord("a") + number % 26)


def test_lines_are_read_from_top_to_bottom() -> None:
    lines = ["The first line of it", "and the second one", "then a third"]

    assert text_of(order(paragraph(lines, 100, 100))) == lines


@pytest.mark.parametrize("offset", [0.0, 11.0])
def test_columns_of_text_are_read_one_after_the_other(offset: float) -> None:
    left, right = prose("left", 10), prose("right", 10)
    words = paragraph(left, 100, 100) + paragraph(right, 500, 100 + offset)

    assert text_of(order(words)) == left + right


def test_three_columns_under_a_headline_over_all_of_them() -> None:
    columns = [prose(name, 12) for name in ("one", "two", "three")]
    words = put("A headline that stands over everything here", 100, 20, size=3)
    for number, lines in enumerate(columns):
        words += paragraph(lines, 100 + number * 420, 120)

    assert text_of(order(words))[1:] == [line for lines in columns for line in lines]


def test_a_headline_over_two_of_three_columns() -> None:
    columns = [prose(name, 12) for name in ("one", "two", "three")]
    words = paragraph(columns[0], 100, 120)
    words += put("Headline over two columns today", 520, 40, size=3)
    words += paragraph(columns[1], 520, 120) + paragraph(columns[2], 940, 120)

    expected = [*columns[0], "Headline over two columns today", *columns[1], *columns[2]]
    assert text_of(order(words)) == expected


def test_items_and_prices_of_a_receipt_stay_together() -> None:
    items = ["White bread", "Butter salted 250 g", "Milk", "Orange juice fresh", "Apples red 1 kg", "Total"]
    prices = ["2.40", "3.15", "1.09", "2.99", "3.49", "13.12"]
    words = paragraph(items, 100, 100) + paragraph(prices, 600, 100)

    assert text_of(order(words)) == [f"{item} {price}" for item, price in zip(items, prices, strict=True)]


def test_a_table_is_read_row_by_row() -> None:
    cells = [["1", "Desk lamp of brass", "2", "49.50", "99.00"] for _ in range(8)]
    words = [
        word
        for row, line in enumerate(cells)
        for x, cell in zip((100, 160, 560, 700, 860), line, strict=True)
        for word in put(cell, x, 100 + row * PITCH)
    ]

    assert text_of(order(words)) == [" ".join(line) for line in cells]


def test_a_table_of_words_is_read_row_by_row() -> None:
    rows = [("Name", "Anna Schmidt"), ("Street", "Lindenweg 4"), ("Town", "Graz"), ("Country", "Austria"), ("Sex", "f")]
    words = [
        word
        for row, (left, right) in enumerate(rows)
        for word in put(left, 100, 100 + row * PITCH) + put(right, 400, 100 + row * PITCH)
    ]

    assert text_of(order(words)) == [f"{left} {right}" for left, right in rows]


def test_a_row_that_sinks_along_the_page_is_one_line() -> None:
    words = [FoundWord(f"w{i}", 0.9, (i * 60.0, 100 + i * 2.0, i * 60.0 + 50, 120 + i * 2.0)) for i in range(20)]

    assert text_of(order(words)) == [" ".join(f"w{i}" for i in range(20))]


def test_specks_do_not_tear_a_line_apart() -> None:
    lines = ["one two three four", "five six seven eight"]
    words = paragraph(lines, 100, 100)
    words.append(FoundWord(".", 0.5, (118.0, 119.0, 121.0, 124.0)))

    found = text_of(order(words))
    assert [" ".join(word for word in line.split() if word != ".") for line in found if line != "."] == lines


def test_white_between_lines_makes_blocks() -> None:
    words = paragraph(["first block", "goes on"], 100, 100) + paragraph(["second block"], 100, 260)

    assert [block.text for block in order(words)] == ["first block\ngoes on", "second block"]


def test_every_word_is_kept_once_on_pages_without_any_order() -> None:
    chance = random.Random(7)
    for _ in range(20):
        words = [
            FoundWord(f"w{index}", 0.9, (x, y, x + chance.uniform(3, 200), y + chance.uniform(3, 60)))
            for index in range(150)
            for x, y in [(chance.uniform(0, 1800), chance.uniform(0, 1800))]
        ]
        found = [word for line in text_of(order(list(words))) for word in line.split()]
        assert sorted(found) == sorted(word.text for word in words)


def test_no_words_no_blocks() -> None:
    assert order([]) == ()
