"""From words in no order to blocks of lines, as a person reads them."""

from __future__ import annotations

from collections.abc import Sequence

from services.recognition.engine import FoundWord, PageWords
from services.recognition.pages import Block, Line, Word, enclosing_box

# Two words stand on one line when they share this much of the lower one's height.
_VERTICAL_OVERLAP_MIN = 0.5


def order_words(found: PageWords) -> tuple[Block, ...]:
    """Blocks of lines of words, with boxes relative to the page as shown."""
    lines = [_line(row, found) for row in _rows(found.words)]
    return (Block(tuple(lines), enclosing_box(line.box for line in lines)),) if lines else ()


def _line(row: Sequence[FoundWord], found: PageWords) -> Line:
    words = tuple(Word(word.text, word.confidence, found.frame.relative_box(word.box)) for word in row)
    return Line(words, enclosing_box(word.box for word in words))


def _rows(words: Sequence[FoundWord]) -> list[list[FoundWord]]:
    rows: list[list[FoundWord]] = []
    for word in sorted(words, key=lambda word: word.box[1] + word.box[3]):
        home = max(rows, key=lambda row: _overlap(row[-1], word), default=None)
        if home is not None and _overlap(home[-1], word) >= _VERTICAL_OVERLAP_MIN:
            home.append(word)
        else:
            rows.append([word])
    return [sorted(row, key=lambda word: word.box[0]) for row in rows]


def _overlap(one: FoundWord, other: FoundWord) -> float:
    shared = min(one.box[3], other.box[3]) - max(one.box[1], other.box[1])
    lower = min(one.box[3] - one.box[1], other.box[3] - other.box[1])
    return shared / max(lower, 1e-6)
