"""Threads beside the main loop; one that fails stops the process, which is started anew."""

import logging
import threading
from collections.abc import Callable

_log = logging.getLogger(__name__)


class Threads:
    """Starts threads that work until one event is set, and sets it when one of them fails."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._threads: list[threading.Thread] = []
        self.failed = False

    def start(self, name: str, target: Callable[[threading.Event], None]) -> None:
        """Runs `target` until the event that it is given is set."""
        thread = threading.Thread(target=self._run, args=(name, target), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def join(self, timeout_seconds: float) -> None:
        """Waits for all of them to end, for each at most so long."""
        for thread in self._threads:
            thread.join(timeout_seconds)

    def _run(self, name: str, target: Callable[[threading.Event], None]) -> None:
        try:
            target(self._stop)
        except Exception:
            _log.exception("%s failed", name)
            self.failed = True
            self._stop.set()
