"""Child processes that log to a file, answer a probe before they count as started, and die with their parent."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PROBE_INTERVAL_SECONDS = 0.05
_LOG_TAIL_BYTES = 4000


class ProcessNotReadyError(RuntimeError):
    """A process exited, or did not answer its probe in time; the message ends with the tail of its log."""


def _die_with_parent(death_signal: signal.Signals) -> Callable[[], None] | None:
    """What the child runs between fork and exec so that the kernel ends it when its parent is killed.

    The library is loaded here, before the fork: after it only plain calls are safe. Elsewhere than on Linux
    there is no such call, and a parent that is killed outright leaves its children behind.
    """
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def arm() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != parent:  # it died between the fork and the call above
            os._exit(1)

    return arm


@dataclass
class ManagedProcess:
    """One child process: start, stop, kill, and start again with the same command.

    It leads a process group of its own, so that a Ctrl-C in the terminal reaches only the parent, which then
    stops its children in the order it wants, and so that `kill` takes grandchildren along. Start it from a thread
    that lives as long as it should: the kernel ends it with the thread that forked it.
    """

    name: str
    command: Sequence[str]
    log_path: Path
    environment: Mapping[str, str] | None = None
    directory: Path | None = None
    user: int | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    _popen: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    def start(self) -> None:
        """Starts the process; its output is appended to `log_path`. Raises when it runs already."""
        if self.is_running():
            raise RuntimeError(f"{self.name} runs already")
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self._popen = subprocess.Popen(
                list(self.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=None if self.environment is None else dict(self.environment),
                cwd=self.directory,
                user=self.user,
                group=self.user,
                extra_groups=None if self.user is None else [],
                start_new_session=True,
                preexec_fn=_die_with_parent(self.death_signal),
            )

    @property
    def pid(self) -> int | None:
        """The process id of the last start, or None before the first."""
        return None if self._popen is None else self._popen.pid

    @property
    def exit_status(self) -> int | None:
        """The exit status of the last start (negative: the signal), or None while it runs or never ran."""
        return None if self._popen is None else self._popen.poll()

    def is_running(self) -> bool:
        """Whether the last start still runs."""
        return self._popen is not None and self._popen.poll() is None

    def stop(self, grace_seconds: float = 30.0) -> None:
        """Asks it to stop, waits up to `grace_seconds`, then kills what is left of its group."""
        if self._popen is None:
            return
        if self._popen.poll() is None:
            self._popen.send_signal(self.stop_signal)
            try:
                self._popen.wait(grace_seconds)
            except subprocess.TimeoutExpired:
                pass
        self.kill()

    def kill(self) -> None:
        """Kills it and whatever it started in its process group, at once; returns when it is gone."""
        if self._popen is None:
            return
        try:
            os.killpg(self._popen.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass  # the group is empty already (macOS answers EPERM where Linux answers ESRCH)
        self._popen.wait()

    def log_tail(self) -> str:
        """The last lines of its log."""
        try:
            with self.log_path.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - _LOG_TAIL_BYTES))
                return log.read().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def wait_until_ready(self, probe: Callable[[], bool], timeout_seconds: float) -> None:
        """Calls `probe` until it returns True.

        Raises ProcessNotReadyError when the process exits first or the time runs out. A probe returns False for
        "not yet"; what it raises is not swallowed.
        """
        deadline = time.monotonic() + timeout_seconds
        while True:
            if not self.is_running():
                raise ProcessNotReadyError(f"{self.name} exited with {self.exit_status}:\n{self.log_tail()}")
            if probe():
                return
            if time.monotonic() > deadline:
                raise ProcessNotReadyError(
                    f"{self.name} was not ready within {timeout_seconds:g} s:\n{self.log_tail()}"
                )
            time.sleep(_PROBE_INTERVAL_SECONDS)
