"""From pages to one text, its language and its number of words."""

from __future__ import annotations

from collections.abc import Iterable

from services.recognition.language import LANGUAGE_UNDETERMINED, detect
from services.recognition.pages import Page

PAGE_SEPARATOR = "\f"

# Below this many letters langdetect guesses: "Total 12.00" would be Tagalog or Portuguese.
_LETTERS_MIN = 12
# langdetect tells two scripts of Chinese apart; ISO 639-1 has one code.
_ISO_639_1 = {"zh-cn": "zh", "zh-tw": "zh"}
# Enough to judge by; the cost grows with the text, the answer does not change.
_CHARACTERS_MAX = 10_000


def join_pages(pages: Iterable[Page]) -> str:
    """The text of a document: its pages' texts, joined by a form feed. A blank page is an empty text."""
    return PAGE_SEPARATOR.join(page.text for page in pages)


def count_words(text: str) -> int:
    """Number of whitespace-separated words."""
    return len(text.split())


def detect_language(text: str) -> str:
    """ISO 639-1 code of the language that most of `text` is in, `und` where there is no text to judge by.

    The same text has the same answer in every process.
    """
    sample = " ".join(text.split())[:_CHARACTERS_MAX]
    letters = [character for character in sample if character.isalpha()]
    if len(letters) < _LETTERS_MIN:
        return LANGUAGE_UNDETERMINED
    if sum(letter.isupper() for letter in letters) > len(letters) / 2:
        sample = sample.lower()  # langdetect passes over words in capitals, of which a receipt is made
    code = detect(sample)
    return _ISO_639_1.get(code, code)
