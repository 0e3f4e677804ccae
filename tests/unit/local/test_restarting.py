"""Dead services come back, soon at first, and stop in the reverse order of their start."""

from __future__ import annotations

from pathlib import Path

from services.local.process import ManagedProcess
from services.local.restarting import DELAY_SECONDS_MAX, STEADY_SECONDS, Restarter, restart_delay_seconds


class FakeProcess(ManagedProcess):
    """A process that lives and dies by assignment."""

    def __init__(self, name: str, events: list[str]) -> None:
        super().__init__(name, ["true"], Path("/nonexistent"))
        self.alive = False
        self._events = events

    def start(self) -> None:
        self.alive = True
        self._events.append(f"start {self.name}")

    def stop(self, grace_seconds: float = 30.0) -> None:  # noqa: ARG002
        self.alive = False
        self._events.append(f"stop {self.name}")

    def is_running(self) -> bool:
        return self.alive


class Clock:
    """Time that moves when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def _watch(*names: str) -> tuple[Restarter, dict[str, FakeProcess], list[str], Clock, list[str]]:
    events: list[str] = []
    lines: list[str] = []
    clock = Clock()
    processes = {name: FakeProcess(name, events) for name in names}
    restarter = Restarter(list(processes.values()), lines.append, clock)
    restarter.start()
    return restarter, processes, events, clock, lines


def test_a_dead_service_is_started_again_and_the_others_are_left_alone() -> None:
    restarter, processes, events, clock, lines = _watch("ledger", "api")
    processes["ledger"].alive = False
    restarter.tick()
    assert not processes["ledger"].alive
    clock.now += restart_delay_seconds(1)
    restarter.tick()
    assert processes["ledger"].alive
    assert events == ["start ledger", "start api", "start ledger"]
    assert len(lines) == 1
    assert "ledger" in lines[0]


def test_a_service_that_keeps_dying_is_started_less_and_less_often() -> None:
    restarter, processes, events, clock, _ = _watch("ledger")
    waits = []
    for _ in range(10):
        processes["ledger"].alive = False
        died_at = clock.now
        while not processes["ledger"].alive:
            restarter.tick()
            clock.now += 0.25
        waits.append(clock.now - died_at)
    assert waits == sorted(waits)
    assert waits[-1] >= DELAY_SECONDS_MAX
    assert events.count("start ledger") == 11


def test_a_long_life_is_forgiven() -> None:
    restarter, processes, _, clock, _ = _watch("ledger")
    for _ in range(6):
        processes["ledger"].alive = False
        restarter.tick()
        clock.now += DELAY_SECONDS_MAX
        restarter.tick()
    clock.now += STEADY_SECONDS
    processes["ledger"].alive = False
    restarter.tick()
    clock.now += restart_delay_seconds(1)
    restarter.tick()
    assert processes["ledger"].alive


def test_services_stop_in_reverse_order() -> None:
    restarter, _, events, _, _ = _watch("ledger", "extractor", "api")
    restarter.stop(grace_seconds=1)
    assert events[3:] == ["stop api", "stop extractor", "stop ledger"]


def test_delays_double_up_to_a_bound() -> None:
    assert [restart_delay_seconds(count) for count in (1, 2, 3, 20)] == [0.5, 1.0, 2.0, DELAY_SECONDS_MAX]
