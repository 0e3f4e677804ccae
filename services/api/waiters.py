"""Those who wait for a result, by result id. Touched by the event loop's thread, except where it says otherwise."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

from schemas.events import ResultCompleted, ResultFailed, ResultRefused
from services.runtime.metrics import WAITERS

Reply = ResultCompleted | ResultFailed | ResultRefused


class Signal(Enum):
    """Why a wait ended without a reply."""

    TIMED_OUT = "timed_out"
    GONE = "gone"
    """Who waited has hung up."""
    MISSED = "missed"
    """Replies may have passed unseen: look for the document, then go on waiting."""


class Overloaded(Exception):
    """As many are waiting as may wait."""


class HungUp(Exception):
    """The client closed its connection before it was answered."""


class InFlight:
    """Bounds the POSTs in flight, in all and for each user."""

    def __init__(self, total_max: int, per_user_max: int) -> None:
        self._total_max = total_max
        self._per_user_max = per_user_max
        self._by_user: Counter[str] = Counter()
        self._total = 0

    @contextmanager
    def slot(self, user_id: str) -> Iterator[None]:
        """Holds one place while the block runs. Raises `Overloaded` when there is none."""
        if self._total >= self._total_max or self._by_user[user_id] >= self._per_user_max:
            raise Overloaded
        self._total += 1
        self._by_user[user_id] += 1
        try:
            yield
        finally:
            self._total -= 1
            self._by_user[user_id] -= 1
            if not self._by_user[user_id]:
                del self._by_user[user_id]


class Waiter:
    """One wait for one result id."""

    def __init__(self) -> None:
        self._arrived: asyncio.Future[Reply | Signal] = asyncio.get_running_loop().create_future()

    def tell(self, what: Reply | Signal) -> None:
        """Ends the current wait; of two that were not looked at yet a reply outdoes a signal, a result a refusal."""
        if not self._arrived.done():
            self._arrived.set_result(what)
        elif self._outdoes(what):
            self._arrived = asyncio.get_running_loop().create_future()
            self._arrived.set_result(what)

    def _outdoes(self, what: Reply | Signal) -> bool:
        is_final = what is Signal.GONE or not isinstance(what, Signal)
        return is_final and isinstance(self._arrived.result(), Signal | ResultRefused)

    def rearm(self) -> None:
        """What was heard was not meant for this wait: the next reply is waited for."""
        if self._arrived.done():
            self._arrived = asyncio.get_running_loop().create_future()

    async def wait(self, timeout_seconds: float) -> Reply | Signal:
        """The next reply or signal. After `Signal.MISSED` the waiter is armed again before this returns."""
        await asyncio.wait({self._arrived}, timeout=max(0.0, timeout_seconds))
        if not self._arrived.done():
            return Signal.TIMED_OUT
        what = self._arrived.result()
        if what is Signal.MISSED:
            self._arrived = asyncio.get_running_loop().create_future()
        return what


class Waiters:
    """Who waits for which result; several may wait for the same."""

    def __init__(self) -> None:
        self._by_result: dict[str, set[Waiter]] = {}
        self._draining = False

    @contextmanager
    def register(self, result_id: str) -> Iterator[Waiter]:
        """A waiter that hears every reply to `result_id` from now on until the block ends."""
        waiter = Waiter()
        self._by_result.setdefault(result_id, set()).add(waiter)
        WAITERS.inc()
        if self._draining:
            waiter.tell(Signal.TIMED_OUT)
        try:
            yield waiter
        finally:
            WAITERS.dec()
            others = self._by_result[result_id]
            others.discard(waiter)
            if not others:
                del self._by_result[result_id]

    def is_awaited(self, result_id: str) -> bool:
        """Whether anybody here waits for this result. From any thread."""
        return result_id in self._by_result

    def resolve(self, reply: Reply) -> None:
        """Hands a reply to all who wait for it."""
        for waiter in self._by_result.get(reply.result_id, ()):
            waiter.tell(reply)

    def missed(self) -> None:
        """Replies may have passed unseen: all look for their document."""
        self._tell_all(Signal.MISSED)

    def drain(self) -> None:
        """The process ends: all waits, those to come too, run out now."""
        self._draining = True
        self._tell_all(Signal.TIMED_OUT)

    def _tell_all(self, signal: Signal) -> None:
        for waiters in self._by_result.values():
            for waiter in waiters:
                waiter.tell(signal)
