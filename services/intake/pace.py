"""How fast the reconciler may go: behind everything that already waits, and never above a rate."""

import time
from collections.abc import Callable

GoOn = Callable[[], None]
"""Called at every step and while waiting; raises `CalledOff` when the work is to stop at once."""

_POLL_SECONDS = 0.2


class CalledOff(Exception):
    """This replica stops, or another one reconciles now."""


class Pace:
    """Waits until the upload lane is short enough and the next request may be made."""

    def __init__(
        self,
        lag: Callable[[], int],
        *,
        lag_max: int,
        requests_per_second_max: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._lag = lag
        self._lag_max = lag_max
        self._interval_seconds = 1.0 / requests_per_second_max
        self._clock = clock
        self._sleep = sleep
        self._next_at = 0.0

    def wait_for_lane(self, go_on: GoOn) -> None:
        """Waits while more than `lag_max` records wait on the lane.

        Raises:
            BrokerUnavailable: how many wait cannot be seen.
        """
        while self._lag() > self._lag_max:
            go_on()
            self._sleep(_POLL_SECONDS)

    def wait_for_turn(self, go_on: GoOn) -> None:
        """Waits for the lane, then for the rate; on return one request may be made.

        Raises:
            BrokerUnavailable: as `wait_for_lane`.
        """
        self.wait_for_lane(go_on)
        while (left := self._next_at - self._clock()) > 0:
            go_on()
            self._sleep(min(left, _POLL_SECONDS))
        go_on()
        self._next_at = max(self._next_at, self._clock() - _POLL_SECONDS) + self._interval_seconds
