"""A recogniser that reads at once: a file says how many words it has."""

from __future__ import annotations

from multiprocessing.connection import Connection
from pathlib import Path

from schemas.events import ErrorCode
from services.extractor.child import Answer, Judge, Judged, Open, Opened, PageRead, Ready, Task, Unreadable
from tests.unit.extractor.samples import page

_UNREADABLE = b"torn"


def content(words: int, nonce: int) -> bytes:
    """A file of so many words, unlike any of another nonce; one of 0 words cannot be read."""
    return b"%d %d" % (words, nonce) if words else _UNREADABLE + b" %d" % nonce


def text_of(words: int) -> str:
    """What is read in such a file."""
    return " ".join(f"word{number + 1}" for number in range(words))


class InstantRecogniser:
    """The interface of `Recogniser`, without a process."""

    engine = Ready("instant", "1")

    def __init__(self) -> None:
        self._answer: Answer | None = None

    @property
    def idle(self) -> bool:
        """Whether it can be given a task."""
        return self._answer is None

    def waitables(self) -> list[Connection]:
        """Nothing is waited for."""
        return []

    def submit(self, task: Task) -> None:
        """Works at once."""
        self._answer = _answer(task)

    def collect(self) -> Answer | None:
        """The answer."""
        answer, self._answer = self._answer, None
        return answer

    def forget(self, path: Path) -> None:
        """Nothing is open."""

    def recycle_if_grown(self) -> None:
        """It never grows."""


def _answer(task: Task) -> Answer:
    if isinstance(task, Judge):
        return Judged("en", len(task.text.split()))
    body = task.path.read_bytes()
    if body.startswith(_UNREADABLE):
        return Unreadable(ErrorCode.UNREADABLE_DOCUMENT, "It is torn.")
    if isinstance(task, Open):
        return Opened("image/png", (1,))
    return PageRead(page(), text_of(int(body.split()[0])))
