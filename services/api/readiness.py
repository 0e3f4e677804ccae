"""When the process may be sent POSTs."""

import time
from collections.abc import Awaitable, Callable, Sequence

from services.runtime.admission import BalanceTable
from services.runtime.errors import TransientError

_CACHED_SECONDS = 1.0


class Readiness:
    """Asks each check in turn. The database is asked at most once a second, however many probes come."""

    def __init__(
        self,
        checks: Sequence[Callable[[], str | None]],
        ping_database: Callable[[], Awaitable[None]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._checks = checks
        self._ping_database = ping_database
        self._clock = clock
        self._pinged_at = float("-inf")

    async def __call__(self) -> str | None:
        """None when ready, else a sentence that says what is missing."""
        for check in self._checks:
            problem = check()
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


def balances_problem(table: BalanceTable) -> str | None:
    """Why nobody's balance is known yet; None when it is.

    A ledger that has been silent for long is no reason: results that exist are still answered without it.
    """
    if not table.complete:
        return "the balances are not read to their end yet"
    if table.posted_until() is None:
        return "the ledger has not been heard of yet"
    return None
