"""How many requests a key may make in a time: a token bucket each, in this process alone.

A replica knows nothing of the others: behind a balancer that spreads evenly over N of them, a key gets up to N times
the limit. What protects the system as a whole are the bounds of what is in flight, and these hold in each replica too.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

from services.api.errors import ApiError

_BUCKETS_MAX = 10_000
_STATE_KEY = "rate_limit"


@dataclass(frozen=True)
class Allowance:
    """What is left to a key: requests at once, and whole seconds until all of them are there again."""

    limit: int
    remaining: int
    reset_seconds: int

    def headers(self) -> Mapping[str, str]:
        """As every answer says it."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset_seconds),
        }


class RateLimited(ApiError):
    """Too many requests; `allowance` is what the answer says beside."""

    def __init__(self, allowance: Allowance, retry_after_seconds: int) -> None:
        self.allowance = allowance
        message = f"Too many requests: at most {allowance.limit} at once; try again in {retry_after_seconds} s"
        super().__init__("rate_limited", message, {"Retry-After": str(retry_after_seconds)})


class RateLimiter:
    """Buckets that hold `requests` and fill evenly within `seconds`. Belongs to the event loop."""

    def __init__(self, requests: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`requests` of 0: no limit."""
        self._requests = requests
        self._per_second = requests / seconds
        self._clock = clock
        # What a bucket held, and when. One that is not there is full.
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, key_id: str) -> Allowance | None:
        """Takes one request out of a key's bucket; None without a limit. Raises `RateLimited` when it is empty."""
        if not self._requests:
            return None
        now = self._clock()
        held = self._held(key_id, now)
        if held < 1:
            raise RateLimited(self._allowance(held), max(1, ceil((1 - held) / self._per_second)))
        if key_id not in self._buckets and len(self._buckets) >= _BUCKETS_MAX:
            self._drop_full(now)
        self._buckets[key_id] = (held - 1, now)
        return self._allowance(held - 1)

    def _held(self, key_id: str, now: float) -> float:
        held, at = self._buckets.get(key_id, (float(self._requests), now))
        return min(float(self._requests), held + (now - at) * self._per_second)

    def _allowance(self, held: float) -> Allowance:
        return Allowance(self._requests, floor(held), ceil((self._requests - held) / self._per_second))

    def _drop_full(self, now: float) -> None:
        """Forgets whoever could make all their requests again: that is how many keys are in use at most."""
        self._buckets = {key: held for key, held in self._buckets.items() if self._held(key, now) < self._requests}


def remember(scope: Any, allowance: Allowance | None) -> None:
    """Keeps with a request what its answer is to say."""
    scope.setdefault("state", {})[_STATE_KEY] = allowance


def rate_limit_headers(scope: Any) -> Mapping[str, str]:
    """What the answer to this request says of its key's limit."""
    allowance = scope.get("state", {}).get(_STATE_KEY)
    return allowance.headers() if isinstance(allowance, Allowance) else {}
