"""Whose page is next: a pure scheduler over the open records.

Those somebody waits for come first, round-robin; uploads get at least every n-th page. A suspect, one that was
open when a parent died before, runs alone from its first page to its last.
"""

from collections import deque
from enum import StrEnum


class Lane(StrEnum):
    """Which of the two topics a record came by."""

    WAITING = "waiting"
    UPLOAD = "upload"


class Lanes:
    """Turns of the open records, by their numbers."""

    def __init__(self, uploads_every: int) -> None:
        self._uploads_every = uploads_every
        self._turns: dict[Lane, deque[int]] = {lane: deque() for lane in Lane}
        self._suspects: set[int] = set()
        self._alone: int | None = None
        self._since_upload = 0

    def add(self, number: int, lane: Lane, *, suspect: bool = False) -> None:
        """Lets a record take part."""
        self._turns[lane].append(number)
        if suspect:
            self._suspects.add(number)

    def discard(self, number: int) -> None:
        """Takes a record out; an unknown one is no error."""
        for turns in self._turns.values():
            if number in turns:
                turns.remove(number)
        self._suspects.discard(number)
        if self._alone == number:
            self._alone = None

    def next(self, ready: set[int]) -> int | None:
        """The record whose next page is read, of those that are `ready`; None if it is nobody's turn.

        While a suspect runs, it is nobody else's turn, even when the suspect itself is not ready.
        """
        if self._alone is not None:
            return self._alone if self._alone in ready else None
        for lane in self._order():
            number = self._take(lane, ready)
            if number is not None:
                self._since_upload = 0 if lane is Lane.UPLOAD else self._since_upload + 1
                if number in self._suspects:
                    self._alone = number
                return number
        return None

    @property
    def alone(self) -> int | None:
        """The suspect that runs, if one does."""
        return self._alone

    def _order(self) -> tuple[Lane, Lane]:
        if self._since_upload >= self._uploads_every - 1:
            return (Lane.UPLOAD, Lane.WAITING)
        return (Lane.WAITING, Lane.UPLOAD)

    def _take(self, lane: Lane, ready: set[int]) -> int | None:
        turns = self._turns[lane]
        for _ in range(len(turns)):
            number = turns[0]
            turns.rotate(-1)
            if number in ready:
                return number
        return None
