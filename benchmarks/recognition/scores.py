"""How many words of a page were read: bags of words, so that engines of different reading orders compare fairly."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass


@dataclass
class BagScore:
    """Words summed over pages. Relaxed: case, and all but letters and digits, is ignored."""

    relaxed: bool
    found: int = 0
    read: int = 0
    wanted: int = 0

    def add(self, reading: str, truth: str) -> None:
        """Count one page."""
        have, want = self._bag(reading), self._bag(truth)
        self.found += (have & want).total()
        self.read += have.total()
        self.wanted += want.total()

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, from 0 to 1."""
        return 2 * self.found / max(1, self.read + self.wanted)

    def _bag(self, text: str) -> Counter[str]:
        tokens = text.split()
        if self.relaxed:
            tokens = [re.sub(r"[\W_]+", "", token).lower() for token in tokens]
        return Counter(token for token in tokens if token)


def receipt_truth(annotation: str) -> str:
    """The text of an annotation: a line is eight corner coordinates and the transcript, which may hold commas."""
    return "\n".join(line.split(",", 8)[8] for line in annotation.splitlines() if line.count(",") >= 8)
