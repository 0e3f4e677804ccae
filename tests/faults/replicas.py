"""Replicas of the services, each a process that is started again when it died, as an orchestrator does."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from services.local.ports import LOOPBACK, free_port
from services.local.process import ManagedProcess

_RESTART_SECONDS = 0.5
EXIT_HALTED = 3


@dataclass
class Replica:
    """One process of a service; it keeps its port over restarts."""

    service: str
    number: int
    process: ManagedProcess
    port: int
    frozen: bool = False
    died_at: float | None = None

    @property
    def name(self) -> str:
        """As the report calls it."""
        return f"{self.service}-{self.number}"

    def signal(self, number: signal.Signals) -> bool:
        """Sends a signal to the process alone, not to its children; False if there is none."""
        if self.process.pid is None or not self.process.is_running():
            return False
        os.kill(self.process.pid, number)
        return True

    def ready(self) -> bool:
        """Whether `/readyz` answers 200."""
        try:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{self.port}/readyz", timeout=2) as answer:
                return int(answer.status) == 200
        except (urllib.error.URLError, OSError):
            return False


def replica(service: str, number: int, module: str, environment: Mapping[str, str], directory: Path) -> Replica:
    """A replica that is not started yet."""
    port = free_port()
    port_variable = "OCR_API_PORT" if service == "api" else "OCR_HEALTH_PORT"
    variables = {**os.environ, **environment, port_variable: str(port)}
    process = ManagedProcess(
        name=f"{service}-{number}",
        command=[sys.executable, "-m", module],
        log_path=directory / f"{service}-{number}.log",
        environment=variables,
    )
    return Replica(service, number, process, port)


@dataclass
class Replicas:
    """All of them, and the thread that starts the dead ones again. It lives as long as they do."""

    all: list[Replica]
    halts: list[str] = field(default_factory=list)
    """Replicas that stopped on purpose, which no fault of a part is a reason for."""
    deaths: int = 0
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Starts all; returns at once."""
        self._thread = threading.Thread(target=self._run, name="replicas")
        self._thread.start()

    def of(self, service: str) -> list[Replica]:
        """The replicas of a service."""
        return [each for each in self.all if each.service == service]

    def wait_until_ready(self, seconds_max: float) -> list[str]:
        """Waits for all; returns the names of those that are not ready in time."""
        deadline = time.monotonic() + seconds_max
        waiting = list(self.all)
        while waiting and time.monotonic() < deadline:
            waiting = [each for each in waiting if not each.ready()]
            time.sleep(0.2)
        return [each.name for each in waiting]

    def close(self) -> None:
        """Kills all."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(30.0)

    def _run(self) -> None:
        for each in self.all:
            each.process.start()
        while not self._stopping.wait(0.1):
            for each in self.all:
                self._look_after(each)
        for each in self.all:
            each.process.kill()

    def _look_after(self, each: Replica) -> None:
        if each.process.is_running():
            return
        if each.died_at is None:
            each.died_at = time.monotonic()
            self.deaths += 1
            if each.process.exit_status == EXIT_HALTED:
                self.halts.append(f"{each.name}: {each.process.log_tail()[-600:]}")
            each.process.kill()  # what its group still holds
        elif time.monotonic() >= each.died_at + _RESTART_SECONDS:
            each.died_at = None
            each.process.start()
