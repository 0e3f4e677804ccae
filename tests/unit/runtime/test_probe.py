"""What the race of conditional writers says of a store."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest

from services.runtime.errors import Halt, StoreUnavailable
from services.runtime.object_store import PreconditionFailed
from services.runtime.probe import probe_conditional_writes


class _Store:
    """Lets the first writers win that many times, and refuses the others."""

    def __init__(self, creations: int, replacements: int) -> None:
        self._left = {"create": creations, "replace": replacements}
        self._etags = itertools.count(1)
        self._lock = threading.Lock()
        self.deleted: list[str] = []

    def create(self, *_: object) -> str:
        return self._write("create")

    def replace(self, *_: object) -> str:
        return self._write("replace")

    def delete(self, _: str, key: str) -> None:
        self.deleted.append(key)

    def _write(self, how: str) -> str:
        with self._lock:
            if self._left[how] == 0:
                raise PreconditionFailed("taken")
            self._left[how] -= 1
        return f"etag {next(self._etags)}"


def _probe(store: Any) -> None:
    probe_conditional_writes(store, "results", writers=4)


def test_one_winner_is_right_and_nothing_stays_behind() -> None:
    store = _Store(1, 1)
    _probe(store)
    assert len(store.deleted) == 1


@pytest.mark.parametrize("store", [_Store(4, 1), _Store(2, 1), _Store(1, 4)])
def test_several_winners_halt(store: _Store) -> None:
    with pytest.raises(Halt, match="concurrent writers won where one should"):
        _probe(store)
    assert len(store.deleted) == 1


@pytest.mark.parametrize("store", [_Store(0, 0), _Store(1, 0)])
def test_no_winner_is_a_lost_answer_and_asked_again(store: _Store) -> None:
    """The client repeats a request whose answer was lost, and the store refuses what it has done already."""
    with pytest.raises(StoreUnavailable, match="none was told"):
        _probe(store)
    assert len(store.deleted) == 1
