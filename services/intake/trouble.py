"""What keeps work waiting, for the readiness page."""

import time
from collections.abc import Callable

_SECONDS = 15.0
"""Longer than any pause between two attempts."""


class Trouble:
    """The trouble met last. It is over when the work succeeds, or when nobody meets it again."""

    def __init__(self, at_first: str | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._reason = at_first
        self._until = float("inf")

    def met(self, reason: str) -> str:
        """Work waits because of `reason`, which is returned."""
        self._reason, self._until = reason, self._clock() + _SECONDS
        return reason

    def over(self) -> None:
        """Work goes on."""
        self._reason = None

    def __call__(self) -> str | None:
        """The reason, None when there is none."""
        return self._reason if self._clock() < self._until else None
