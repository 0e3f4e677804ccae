"""What librdkafka has to say, once in a while: a client that cannot connect says so twenty times a second."""

import logging
import threading
import time
from collections.abc import Callable

_SECONDS = 10.0


class OnceInAWhile(logging.Filter):
    """Passes one line of each kind in a while; `held_back` on it counts those that did not pass before."""

    def __init__(self, seconds: float = _SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._next_at: dict[str, float] = {}
        self._held_back: dict[str, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line passes."""
        kind, now = _kind(record), self._clock()
        with self._lock:
            if now < self._next_at.get(kind, 0.0):
                self._held_back[kind] = self._held_back.get(kind, 0) + 1
                return False
            self._next_at[kind] = now + self._seconds
            held_back = self._held_back.pop(kind, 0)
        if held_back:
            record.held_back = held_back
        return True


def _kind(record: logging.LogRecord) -> str:
    """The code of an error, else librdkafka's own name for the kind of line, which it passes first."""
    code = getattr(record, "kafka_code", None)
    if code is not None:
        return str(code)
    return str(record.args[0]) if isinstance(record.args, tuple) and record.args else str(record.msg)
