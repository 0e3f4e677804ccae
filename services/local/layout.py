"""Where the embedded stack keeps what survives a restart, and the lock that keeps a second one out."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


class DirectoryInUseError(RuntimeError):
    """Another stack runs on this data directory."""


@dataclass(frozen=True)
class Layout:
    """The files below one data directory."""

    root: Path

    @property
    def objects(self) -> Path:
        """The object store's buckets."""
        return self.root / "objects"

    @property
    def database(self) -> Path:
        """The SQLite file: accounts, entries, API keys, the list of results."""
        return self.root / "ocr.db"

    @property
    def logs(self) -> Path:
        """A log file a process."""
        return self.root / "logs"

    @property
    def spool(self) -> Path:
        """Objects while they are read; emptied at each start."""
        return self.root / "spool"

    @property
    def programs(self) -> Path:
        """A copy of the broker's program, where the installed one may not be run."""
        return self.root / "programs"

    @property
    def credentials(self) -> Path:
        """The local user and API key, readable by the owner alone."""
        return self.root / "credentials.json"

    @property
    def stack(self) -> Path:
        """The settings of the stack that runs here, for commands beside it; there only while it runs."""
        return self.root / "stack.json"

    def set_logs_aside(self) -> None:
        """Begins new log files; those of the run before stay beside them, those before that go."""
        for log in self.logs.glob("*.log"):
            log.replace(log.with_suffix(".log.before"))

    def is_running(self) -> bool:
        """Whether a stack is up here: its settings are told, and a process that lives holds the lock."""
        if not self.stack.is_file():
            return False
        with self._lock.open("a") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    @property
    def _lock(self) -> Path:
        return self.root / "lock"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the directory for this process; the kernel lets go of it when the process ends.

        Raises:
            DirectoryInUseError: another process holds it.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with self._lock.open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DirectoryInUseError(f"another stack runs on {self.root}: stop it, or choose --data") from None
            yield
