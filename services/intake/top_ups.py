"""Accounts whose balance has just risen above zero: their uploads may be worked on now."""

import math
import threading
import time
from collections.abc import Callable, Iterator

from schemas.events import BalanceChanged
from services.runtime.admission import BalanceTable
from services.runtime.backoff import Backoff

_PAUSE_SECONDS_FIRST = 1.0
_PAUSE_SECONDS_MAX = 60.0
"""The longest pause before a user who could not be visited is tried again."""


class TopUps:
    """Notices the crossing from nothing to something. The balances' thread writes, the reconciler's reads."""

    def __init__(self, table: BalanceTable, delay_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._table = table
        self._delay_seconds = delay_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._positive: set[str] = set()
        self._due: dict[str, float] = {}
        self._pauses: dict[str, Backoff] = {}

    def on_balance(self, event: BalanceChanged) -> None:
        """Looks at the table after `event` went in: the event itself may be an old one that was dropped."""
        user_id = event.user_id
        balance = self._table.balance(user_id)
        with self._lock:
            if balance is None or balance <= 0:
                self._positive.discard(user_id)
            elif user_id not in self._positive:
                self._positive.add(user_id)
                # While the topic is read for the first time nothing has changed: the first sweep visits everybody.
                if self._table.complete:
                    self._due[user_id] = self._clock() + self._delay_seconds

    def due(self) -> Iterator[str]:
        """The topped-up users whose delay is over by now, each once; without those who are put back meanwhile."""
        now = self._clock()
        with self._lock:
            due = sorted((at, user_id) for user_id, at in self._due.items() if at <= now)
        for _, user_id in due:
            with self._lock:
                if self._due.get(user_id, math.inf) > now:
                    continue
                del self._due[user_id]
            yield user_id

    def put_back(self, user_id: str) -> None:
        """The user could not be visited: once more, after a pause that grows each time."""
        first_seconds = max(self._delay_seconds, _PAUSE_SECONDS_FIRST)
        pause = self._pauses.setdefault(user_id, Backoff(first_seconds, _PAUSE_SECONDS_MAX))
        with self._lock:
            self._due[user_id] = self._clock() + pause.failed()

    def visited(self, user_id: str) -> None:
        """The user was visited: the next pause is a first one again."""
        self._pauses.pop(user_id, None)

    def forget(self) -> None:
        """Everybody is about to be visited anyway."""
        self._pauses.clear()
        with self._lock:
            self._due.clear()
