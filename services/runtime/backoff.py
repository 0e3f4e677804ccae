"""Waiting before the next try: longer each time, never in step with others, bounded."""

import random
from collections.abc import Callable


class Backoff:
    """Seconds to wait after each failure in a row: doubling, with jitter, up to a bound."""

    def __init__(
        self,
        first_seconds: float = 0.1,
        seconds_max: float = 5.0,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._first_seconds = first_seconds
        self._seconds_max = seconds_max
        self._jitter = jitter
        self._failures = 0

    def failed(self) -> float:
        """Another failure; the seconds to wait now, between half and all of the current step."""
        step = min(self._first_seconds * 2.0 ** min(self._failures, 32), self._seconds_max)
        self._failures += 1
        return step * (0.5 + 0.5 * self._jitter())

    def succeeded(self) -> None:
        """The next failure is a first one again."""
        self._failures = 0
