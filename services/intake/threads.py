"""The loops of one process, each in a thread; the process ends when one of them does."""

import logging
import threading
import time
from collections.abc import Callable

from services.runtime.health import Liveness

_log = logging.getLogger(__name__)
_CHECK_SECONDS = 0.5

Loop = Callable[[Callable[[], bool], Callable[[], None]], None]
"""Works until its first argument returns true, and calls the second each time it goes round."""


class Loops:
    """Runs loops until `stop` is set or one of them fails."""

    def __init__(self, stop: threading.Event, age_seconds_max: float) -> None:
        self._stop = stop
        self._age_seconds_max = age_seconds_max
        self._failure: BaseException | None = None
        self._ticks: dict[str, Liveness] = {}
        self._threads: list[threading.Thread] = []

    def start(self, name: str, loop: Loop) -> None:
        """Begins a loop in a thread of its own."""
        liveness = self._ticks[name] = Liveness(self._age_seconds_max)

        def run() -> None:
            try:
                loop(self._stop.is_set, liveness.tick)
            except BaseException as error:
                _log.exception("a loop failed, the process ends", extra={"loop": name})
                self._failure = self._failure or error
            finally:
                self._stop.set()

        thread = threading.Thread(target=run, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def live(self) -> str | None:
        """The loop that hangs, None when all go round."""
        problems = (f"{name}: {problem}" for name, tick in self._ticks.items() if (problem := tick()))
        return next(problems, None)

    def join(self, timeout_seconds: float, check: Callable[[], None]) -> None:
        """Waits until `stop` is set or `check` raises, then `timeout_seconds` for the loops to end.

        Raises:
            BaseException: what a loop failed with, or `check`.
        """
        try:
            while not self._stop.wait(_CHECK_SECONDS):
                check()
        finally:
            self._stop.set()
            self._end(timeout_seconds)
        if self._failure is not None:
            raise self._failure

    def _end(self, timeout_seconds: float) -> None:
        deadline = time.monotonic() + timeout_seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
