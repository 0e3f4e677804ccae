"""Waiting, and who may call it off."""

import time
from collections.abc import Callable

GiveUp = Callable[[], bool]
"""True when the work in hand need not be finished: time is over, the process stops, somebody else has it now."""

PAUSE_SECONDS_MAX = 10.0
"""The longest pause between two attempts at a dependency that is away."""
_POLL_SECONDS = 0.1


def sleep_unless(give_up: GiveUp, seconds: float) -> bool:
    """Sleeps; False as soon as `give_up` says so."""
    deadline = time.monotonic() + seconds
    while not give_up():
        left = deadline - time.monotonic()
        if left <= 0:
            return True
        time.sleep(min(left, _POLL_SECONDS))
    return False
