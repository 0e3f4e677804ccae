"""How long to wait before the next attempt, and who may call the waiting off."""

import random
import time
from collections.abc import Callable, Iterator

GiveUp = Callable[[], bool]
"""True when the work in hand need not be finished: time is over, the process stops, somebody else has it now."""

_POLL_SECONDS = 0.1


def delays(first_seconds: float = 0.2, seconds_max: float = 10.0) -> Iterator[float]:
    """Waits in seconds, doubling up to `seconds_max`, each drawn from its upper half so that replicas spread out."""
    ceiling = first_seconds
    while True:
        yield random.uniform(ceiling / 2, ceiling)
        ceiling = min(seconds_max, ceiling * 2)


def sleep_unless(give_up: GiveUp, seconds: float) -> bool:
    """Sleeps; False as soon as `give_up` says so."""
    deadline = time.monotonic() + seconds
    while not give_up():
        left = deadline - time.monotonic()
        if left <= 0:
            return True
        time.sleep(min(left, _POLL_SECONDS))
    return False
