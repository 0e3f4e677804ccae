"""When the process may be sent POSTs, and when it had better end."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor, Future

from services.runtime.admission import BalanceTable
from services.runtime.errors import BucketMissing, StoreUnavailable, TransientError
from services.runtime.producing import EventProducer, ProducerFailed

Check = Callable[[], str | None]
"""None when well, else a sentence that says what is wrong."""

_CACHED_SECONDS = 1.0
_WATCH_SECONDS = 1.0
_BUCKETS_SECONDS = 5.0


class Readiness:
    """Asks each check in turn. The database is asked at most once a second, however many probes come."""

    def __init__(
        self,
        checks: Sequence[Check],
        ping_database: Callable[[], Awaitable[None]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._checks = checks
        self._ping_database = ping_database
        self._clock = clock
        self._pinged_at = float("-inf")

    async def __call__(self) -> str | None:
        """None when ready, else a sentence that says what is missing."""
        problem = first_problem(*self._checks)
        if problem is not None:
            return problem
        if self._clock() - self._pinged_at < _CACHED_SECONDS:
            return None
        try:
            await self._ping_database()
        except TransientError as error:
            return f"the database cannot be reached: {type(error).__name__}"
        self._pinged_at = self._clock()
        return None


class BucketWatch:
    """Whether the buckets are there, as a check. It tells what was found last, and never waits for the store.

    A store that is away is no reason: what needs it says so. A bucket that is missing comes back by no retry.
    """

    def __init__(
        self,
        require: Callable[[str], None],
        buckets: Sequence[str],
        executor: Executor,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._require = require
        self._buckets = buckets
        self._executor = executor
        self._clock = clock
        self._asked_at = float("-inf")
        self._asking: Future[None] | None = None
        self._problem: str | None = None

    def __call__(self) -> str | None:
        """None when both are there, or nothing is known; else which is missing, and what makes it."""
        idle = self._asking is None or self._asking.done()
        if idle and self._clock() - self._asked_at >= _BUCKETS_SECONDS:
            self._asked_at = self._clock()
            self._asking = self._executor.submit(self._ask)
        return self._problem

    def _ask(self) -> None:
        try:
            for bucket in self._buckets:
                self._require(bucket)
        except BucketMissing as error:
            self._problem = f"{error}: run `ocr-services provision`"
        except StoreUnavailable:
            return
        else:
            self._problem = None


def balances_problem(table: BalanceTable) -> str | None:
    """Why nobody's balance is known yet; None when it is.

    A ledger that has been silent for long is no reason: results that exist are still answered without it.
    """
    if not table.complete:
        return "the balances are not read to their end yet"
    if table.posted_until() is None:
        return "the ledger has not been heard of yet"
    return None


def producer_problem(producer: EventProducer) -> str | None:
    """Why no request will ever be produced again; None while that is not so."""
    try:
        producer.check()
    except ProducerFailed as error:
        return f"the producer failed for good: {error}"
    return None


def first_problem(*checks: Check) -> str | None:
    """What the first check that finds something finds."""
    return next((problem for problem in (check() for check in checks) if problem is not None), None)


async def watch(live: Check, give_up: Callable[[str], None]) -> None:
    """Gives up once the process does not live any more: nobody who only looks at its exit would notice."""
    while True:
        problem = live()
        if problem is not None:
            give_up(problem)
            return
        await asyncio.sleep(_WATCH_SECONDS)
