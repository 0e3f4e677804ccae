# ruff: noqa: RUF001 - typographic characters are the data here
"""The characters that the recogniser tells apart, and how text is brought into them."""

import itertools
import re
import unicodedata

DOCTR_FRENCH = (
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~°£€¥¢฿"
    "àâéèêëîïôùûüçÀÂÉÈÊËÎÏÔÙÛÜÇ"
)
"""docTR's vocabulary `french`, 126 characters, in its order."""

WESTERN_LETTERS = "äößÄÖáíóúÁÍÓÚñÑãõÃÕìòÌÒåøæÅØÆœŒ"
"""What German, Spanish, Portuguese, Italian and the Nordic languages add."""

WESTERN_SIGNS = "«»¿¡§©®ºª•"

WORD_SPACE = " "
"""A class of its own: a crop that holds two words is read as two words."""

VOCABULARY = DOCTR_FRENCH + WESTERN_LETTERS + WESTERN_SIGNS + WORD_SPACE

BLANK = len(VOCABULARY)
"""The index of CTC's blank: the last class, as docTR has it."""

KEYBOARD_FORMS = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛′ʼ", "'"),
        **dict.fromkeys("“”„‟″", '"'),
        **dict.fromkeys("‐‑‒–—―−", "-"),
        **dict.fromkeys("·∙●", "•"),
        "…": "...",
        "ﬁ": "fi",
        "ﬂ": "fl",
        "ẞ": "ß",
        "™": "TM",
    }
)
"""Typographic quotes, dashes and ligatures are read as the keys that stand for them: within one word
crop a hyphen and a dash, or an apostrophe and a quote, differ by less than fonts do."""

_LETTERS = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")

_INDEX = {character: index for index, character in enumerate(VOCABULARY)}


def to_label(text: str) -> str | None:
    """Normalise `text` to a label of single-spaced words, or return None if a character has no class."""
    composed = unicodedata.normalize("NFC", text).translate(KEYBOARD_FORMS)
    label = WORD_SPACE.join(composed.split())
    return label if label and all(character in _INDEX for character in label) else None


def encode(label: str) -> list[int]:
    """Return the class indices of a label; a character outside the vocabulary raises KeyError."""
    return [_INDEX[character] for character in label]


def decode(classes: list[int]) -> str:
    """Collapse a CTC best path (class indices, one a time step) to text."""
    kept = [
        index
        for position, index in enumerate(classes)
        if index != BLANK and (position == 0 or index != classes[position - 1])
    ]
    return WORD_SPACE.join("".join(VOCABULARY[index] for index in kept).split())


def ctc_steps_min(label: str) -> int:
    """Return the fewest time steps in which CTC can spell `label`: a repeated letter needs a blank between."""
    repeats = sum(left == right for left, right in itertools.pairwise(label))
    return len(label) + repeats


def case_spellings(label: str) -> tuple[str, ...]:
    """Return the spellings that paper may show for a label that annotators upper-cased, most likely first."""
    capitalised = _LETTERS.sub(lambda letters: letters[0].capitalize(), label)
    spellings = (label, capitalised, label.lower(), label.capitalize())
    return tuple(dict.fromkeys(s for s in spellings if all(character in _INDEX for character in s)))
