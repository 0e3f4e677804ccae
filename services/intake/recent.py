"""What was requested lately, so that an object that waits in the lane is not requested in every sweep."""

import time
from collections import OrderedDict
from collections.abc import Callable


class RecentRequests:
    """Result ids with the moment of their request; the oldest are forgotten first."""

    def __init__(self, repeat_seconds: float, remembered_max: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._repeat_seconds = repeat_seconds
        self._remembered_max = remembered_max
        self._clock = clock
        self._requested_at: OrderedDict[str, float] = OrderedDict()

    def __contains__(self, result_id: str) -> bool:
        """Whether it was requested within the last `repeat_seconds`."""
        requested_at = self._requested_at.get(result_id)
        return requested_at is not None and self._clock() - requested_at < self._repeat_seconds

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._requested_at)

    def add(self, result_id: str) -> None:
        """It is requested now."""
        self._requested_at[result_id] = self._clock()
        self._requested_at.move_to_end(result_id)
        while len(self._requested_at) > self._remembered_max:
            self._requested_at.popitem(last=False)

    def clear(self) -> None:
        """Nothing is remembered."""
        self._requested_at.clear()
