"""Processes that are started again when they die, later each time they die soon."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.local.process import ManagedProcess

Report = Callable[[str], None]
"""Says one line to whoever watches."""

DELAY_SECONDS_FIRST = 0.5
DELAY_SECONDS_MAX = 30.0
STEADY_SECONDS = 60.0
"""A process that ran for so long has earned a quick restart again."""


def restart_delay_seconds(deaths_in_a_row: int) -> float:
    """How long to wait before the next start: doubling from half a second up to half a minute."""
    return min(DELAY_SECONDS_FIRST * 2.0 ** (deaths_in_a_row - 1), DELAY_SECONDS_MAX)


@dataclass
class _Watched:
    process: ManagedProcess
    started_at: float = 0.0
    deaths_in_a_row: int = 0
    start_at: float | None = None
    """When to start it again; None while it runs."""


class Restarter:
    """Starts processes in order, restarts the dead, stops them in reverse order."""

    def __init__(
        self, processes: Sequence[ManagedProcess], report: Report, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._watched = [_Watched(process) for process in processes]
        self._report = report
        self._clock = clock

    def start(self) -> None:
        """Starts every process; returns without waiting for any of them."""
        for watched in self._watched:
            self._start(watched)

    def tick(self) -> None:
        """Notes who died since the last call, and starts whose time has come."""
        now = self._clock()
        for watched in self._watched:
            if watched.start_at is not None:
                if now >= watched.start_at:
                    self._start(watched)
            elif not watched.process.is_running():
                self._note_death(watched, now)

    def stop(self, grace_seconds: float) -> None:
        """Asks the processes to stop, the last started first, each with so much time to finish its work."""
        for watched in reversed(self._watched):
            watched.process.stop(grace_seconds)
            watched.start_at = None

    def kill(self) -> None:
        """Ends them all at once."""
        for watched in reversed(self._watched):
            watched.process.kill()

    def _start(self, watched: _Watched) -> None:
        watched.process.start()
        watched.started_at = self._clock()
        watched.start_at = None

    def _note_death(self, watched: _Watched, now: float) -> None:
        steady = now - watched.started_at >= STEADY_SECONDS
        watched.deaths_in_a_row = 1 if steady else watched.deaths_in_a_row + 1
        delay_seconds = restart_delay_seconds(watched.deaths_in_a_row)
        watched.start_at = now + delay_seconds
        self._report(
            f"{watched.process.name} ended with status {watched.process.exit_status}; "
            f"it starts again in {delay_seconds:g} s (log: {watched.process.log_path})"
        )
