"""The parent's side of the recognising child: one task at a time, watched for memory and time."""

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
from pydantic import TypeAdapter

from services.extractor.child import (
    Answer,
    Broken,
    EngineFactory,
    Forget,
    Judged,
    Opened,
    PageRead,
    ReadAtOnce,
    Ready,
    Start,
    Task,
    Unreadable,
)
from services.recognition.document import Limits
from services.runtime.children import child_environment
from services.runtime.errors import Halt
from services.runtime.metrics import CHILD_STARTS

_log = logging.getLogger(__name__)

_CHILD = "from services.extractor.child import main; main()"
_KINDS = {
    kind.__name__: TypeAdapter[Answer | Ready](kind)
    for kind in (Opened, PageRead, Judged, ReadAtOnce, Unreadable, Broken, Ready)
}
_MESSAGE_BYTES_MAX = 256 << 20
_START_SECONDS_MAX = 120.0
_FAILED_STARTS_MAX = 5
_MEMORY_CHECK_SECONDS = 0.1
_MEGABYTE = 1 << 20


@dataclass(frozen=True)
class ChildBounds:
    """What a child may take."""

    page_seconds_max: float
    memory_mb_max: int
    memory_mb_recycle: int
    documents_max: int


@dataclass(frozen=True)
class Died:
    """The child ended during a task, by itself or by our hand."""

    reason: str


class Recogniser:
    """A child and its one task. Belongs to the parent's loop; no call of it blocks but `close`."""

    def __init__(
        self,
        engine_factory: EngineFactory,
        limits: Limits,
        bounds: ChildBounds,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine_factory = engine_factory
        self._limits = limits
        self._bounds = bounds
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._usage: psutil.Process | None = None
        self._connection: Connection | None = None
        self._task: Task | None = None
        self._ready: Ready | None = None
        self._known: set[Path] = set()
        """Files that the child was given and not yet told to close."""
        self._done_with: set[Path] = set()
        """Those of them that it is told to close as soon as it is idle."""
        self._deadline = 0.0
        self._checked_at = 0.0
        self._documents = 0
        self._documents_checked = 0
        self._failed_starts = 0

    @property
    def engine(self) -> Ready | None:
        """Name and version of the models; None until they were loaded once."""
        return self._ready

    @property
    def idle(self) -> bool:
        """Whether it can be given a task."""
        return self._connection is not None and self._task is None and self._deadline == 0.0

    def start(self, reason: str = "start") -> None:
        """Starts a child; it is idle once its models are loaded."""
        self._connection, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                (sys.executable, "-c", _CHILD, str(theirs.fileno())),
                env=child_environment() | {"PYTHONPATH": os.pathsep.join(each or os.getcwd() for each in sys.path)},
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
            )
        self._usage = psutil.Process(self._process.pid)
        self._send(Start(self._engine_factory, self._limits, os.getpid()))
        self._deadline = self._clock() + _START_SECONDS_MAX
        self._documents = self._documents_checked = 0
        self._known, self._done_with = set(), set()
        CHILD_STARTS.labels(reason=reason).inc()

    def waitables(self) -> list[Connection]:
        """What becomes readable when there is something to collect."""
        return [self._connection] if self._connection is not None else []

    def submit(self, task: Task) -> None:
        """Gives the idle child a task."""
        self._close_files()
        self._known.add(task.path)
        self._task = task
        self._deadline = self._clock() + self._bounds.page_seconds_max
        self._send(task)

    def forget(self, path: Path) -> None:
        """Lets the child close a file, at once or when it is idle again.

        A child at work reads nothing: what is sent to it meanwhile fills the pipe, and a parent that waits there for
        the child, which may wait for the parent to take a long answer, would wait for ever.
        """
        if path in self._known:
            self._done_with.add(path)
        if self.idle:
            self._close_files()

    def collect(self) -> Answer | Died | None:
        """The answer to the task, or that the child died of it; None while it works.

        An answer that is there counts, however late it is looked for: only then is the child judged.

        Raises:
            Halt: the child cannot be started.
        """
        connection = self._sure_connection()
        try:
            if connection.poll():
                return self._received(_message(connection.recv_bytes(_MESSAGE_BYTES_MAX)))
        except (EOFError, OSError):
            return self._died(self._exit_reason())
        except _NoMessage:
            return self._died("it sent what is no answer")
        problem = self._watch()
        return self._died(problem) if problem is not None else None

    def recycle_if_grown(self) -> None:
        """Between documents: replaces a child that read many, or whose memory has grown."""
        if not self.idle or self._documents == self._documents_checked:
            return
        self._documents_checked = self._documents
        if self._documents >= self._bounds.documents_max or self._memory_mb() > self._bounds.memory_mb_recycle:
            self.close()
            self.start("recycled")

    def close(self) -> None:
        """Ends the child and waits for its end."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.kill()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(5.0)
        self._connection, self._process, self._task = None, None, None

    def _close_files(self) -> None:
        for path in self._done_with:
            self._send(Forget(path))
        self._known -= self._done_with
        self._done_with.clear()

    def _send(self, message: Start | Task | Forget) -> None:
        try:
            self._sure_connection().send(message)
        except OSError:
            _log.warning("the recogniser was gone before its task")  # `collect` sees its end and says so.

    def _received(self, message: Answer | Ready) -> Answer | None:
        self._deadline, self._failed_starts = 0.0, 0
        if isinstance(message, Ready):
            self._ready = message
            return None
        task, self._task = self._task, None
        if task is not None and isinstance(message, Judged | ReadAtOnce):
            # The child has closed it already.
            self._known.discard(task.path)
            self._done_with.discard(task.path)
        self._close_files()
        if isinstance(message, Judged | ReadAtOnce | Unreadable):
            self._documents += 1
        if isinstance(message, Broken):
            _log.error("the engine failed", extra={"reason": message.reason})
        return message

    def _watch(self) -> str | None:
        """What the child did that it may not; the deadline first, memory now and then."""
        now = self._clock()
        if self._deadline and now > self._deadline:
            return "the start took too long" if self._task is None else "a page took longer than allowed"
        if now - self._checked_at >= _MEMORY_CHECK_SECONDS and self._task is not None:
            self._checked_at = now
            if self._memory_mb() > self._bounds.memory_mb_max:
                return f"it used more than {self._bounds.memory_mb_max} MB"
        return None

    def _died(self, reason: str) -> Died | None:
        task = self._task
        _log.warning("the recogniser ended", extra={"reason": reason, "task": type(task).__name__ if task else None})
        self.close()
        if task is None:
            self._failed_starts += 1
            if self._failed_starts >= _FAILED_STARTS_MAX:
                raise Halt(f"the recogniser cannot be started: {reason}")
        self.start("died")
        return Died(reason) if task is not None else None

    def _exit_reason(self) -> str:
        if self._process is None:
            return "it was never started"
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        code = self._process.returncode
        return f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"

    def _memory_mb(self) -> float:
        if self._usage is None:
            return 0.0
        try:
            return float(self._usage.memory_info().rss) / _MEGABYTE
        except psutil.Error:
            return 0.0

    def _sure_connection(self) -> Connection:
        if self._connection is None:
            raise RuntimeError("the recogniser was not started")
        return self._connection


class _NoMessage(Exception):
    """These bytes are nothing that a child says."""


def _message(sent: bytes) -> Answer | Ready:
    try:
        kind, content = json.loads(sent)
        return _KINDS[kind].validate_python(content)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _NoMessage from error
