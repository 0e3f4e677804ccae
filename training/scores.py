"""How right a reading is: words as a bag, characters in order."""

import re
from collections import Counter
from dataclasses import dataclass, field

import numpy as np


@dataclass
class WordScore:
    """Words found, read and wanted, summed over pages.

    A word is a whitespace-separated token; case and all but letters and digits are ignored. Their order is not judged.
    """

    found: int = field(default=0)
    read: int = field(default=0)
    wanted: int = field(default=0)

    def add(self, reading: str, truth: str) -> None:
        """Count one page."""
        have, want = _bag(reading), _bag(truth)
        self.found += (have & want).total()
        self.read += have.total()
        self.wanted += want.total()

    @property
    def f1(self) -> float:
        """Return the harmonic mean of precision and recall."""
        return 2 * self.found / max(1, self.read + self.wanted)


def _bag(text: str) -> Counter[str]:
    words = (re.sub(r"[\W_]+", "", token).lower() for token in text.split())
    return Counter(word for word in words if word)


def marked_words(reading: str, truth: str) -> tuple[int, int]:
    """Return how many words of the truth hold a letter beyond ASCII, and how many of these are read right."""
    want = Counter(word for word in truth.split() if any(letter.isalpha() and not letter.isascii() for letter in word))
    return want.total(), (want & Counter(reading.split())).total()


def edit_distance(left: str, right: str) -> int:
    """Return the fewest letters to insert, delete or replace to make one text of the other."""
    codes = np.array([ord(character) for character in right], dtype=np.int32)
    places = np.arange(len(right) + 1, dtype=np.int32)
    row = places.copy()
    for number, character in enumerate(left, start=1):
        reached = np.minimum(row[1:] + 1, row[:-1] + (codes != ord(character)))
        # An insertion costs one a place: the cheapest start before each place is a running minimum.
        row = np.concatenate(([np.int32(number)], reached))
        row = np.minimum.accumulate(row - places) + places
    return int(row[-1])


def character_accuracy(reading: str, truth: str) -> float:
    """Return 1 - edit distance / length of the truth, runs of whitespace as one space; at least 0."""
    have, want = " ".join(reading.split()), " ".join(truth.split())
    return max(0.0, 1 - edit_distance(have, want) / max(1, len(want)))
