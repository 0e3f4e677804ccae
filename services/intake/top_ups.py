"""Accounts whose balance has just risen above zero: their uploads may be worked on now."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from schemas.events import BalanceChanged
from services.runtime.admission import BalanceTable


class TopUps:
    """Notices the crossing from nothing to something. The balances' thread writes, the reconciler's reads."""

    def __init__(self, table: BalanceTable, delay_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._table = table
        self._delay_seconds = delay_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._positive: set[str] = set()
        self._due: OrderedDict[str, float] = OrderedDict()

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
                    self._due.move_to_end(user_id)

    def next_due(self) -> str | None:
        """A topped-up user whose delay is over, once; None when there is none."""
        with self._lock:
            if not self._due or next(iter(self._due.values())) > self._clock():
                return None
            return self._due.popitem(last=False)[0]

    def put_back(self, user_id: str) -> None:
        """The user could not be visited: once more, after the delay."""
        with self._lock:
            self._due[user_id] = self._clock() + self._delay_seconds
            self._due.move_to_end(user_id)

    def forget(self) -> None:
        """Everybody is about to be visited anyway."""
        with self._lock:
            self._due.clear()
