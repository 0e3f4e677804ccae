"""When a delivery that failed is tried again."""

import random
from collections.abc import Callable
from dataclasses import dataclass

_FACTOR = 3.0


@dataclass(frozen=True)
class Schedule:
    """Pauses that grow threefold, with jitter, up to a bound; after the last attempt there is none."""

    attempts_max: int
    first_seconds: float
    seconds_max: float
    jitter: Callable[[], float] = random.random

    def pause_seconds(self, attempts: int) -> float | None:
        """How long to wait after so many attempts, between half and all of the current step; None: it is over."""
        if attempts >= self.attempts_max:
            return None
        step = min(self.first_seconds * _FACTOR ** (attempts - 1), self.seconds_max)
        return step * (0.5 + 0.5 * self.jitter())
