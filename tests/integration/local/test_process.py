"""Child processes: nothing outlives its parent, nothing counts as started that does not answer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from services.local.process import ManagedProcess, ProcessNotReadyError

_SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
_PARENT = """
import sys, time
from pathlib import Path
from services.local.process import ManagedProcess
child = ManagedProcess("child", [sys.executable, "-c", "import time; time.sleep(60)"], Path(sys.argv[1]))
child.start()
print(child.pid, flush=True)
time.sleep(60)
"""


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def _eventually(holds: Callable[[], bool], seconds_max: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds_max
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel ends orphans on Linux only")
def test_a_child_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", _PARENT, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True)
    try:
        assert parent.stdout is not None
        child_pid = int(parent.stdout.readline())
        assert _alive(child_pid)
    finally:
        parent.kill()
        parent.communicate()
    assert _eventually(lambda: not _alive(child_pid))


def test_a_process_that_exits_is_not_ready_and_its_log_says_why(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('the port is taken')"]
    process = ManagedProcess("server", command, tmp_path / "log")
    process.start()
    with pytest.raises(ProcessNotReadyError, match="the port is taken"):
        process.wait_until_ready(lambda: False, timeout_seconds=30)


def test_a_process_that_never_answers_is_not_ready(tmp_path: Path) -> None:
    process = ManagedProcess("server", _SLEEP, tmp_path / "log")
    process.start()
    try:
        with pytest.raises(ProcessNotReadyError, match=r"within 0\.1 s"):
            process.wait_until_ready(lambda: False, timeout_seconds=0.1)
    finally:
        process.kill()


def test_a_process_that_ignores_the_request_to_stop_is_killed(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    code = (
        "import pathlib, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        f"pathlib.Path({str(ready)!r}).touch(); time.sleep(60)"
    )
    process = ManagedProcess("stubborn", [sys.executable, "-c", code], tmp_path / "log")
    process.start()
    process.wait_until_ready(ready.exists, timeout_seconds=30)
    process.stop(grace_seconds=0.2)
    assert process.exit_status == -signal.SIGKILL


def test_stopping_takes_grandchildren_along(tmp_path: Path) -> None:
    note = tmp_path / "grandchild"
    code = (
        "import pathlib, subprocess, sys, time; "
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
        f"pathlib.Path({str(note)!r}).write_text(str(child.pid)); time.sleep(60)"
    )
    process = ManagedProcess("parent", [sys.executable, "-c", code], tmp_path / "log")
    process.start()
    process.wait_until_ready(lambda: note.exists() and note.read_text() != "", timeout_seconds=30)
    grandchild = int(note.read_text())
    process.stop(grace_seconds=5)
    assert _eventually(lambda: not _alive(grandchild))


def test_a_stopped_process_starts_again_and_keeps_its_log(tmp_path: Path) -> None:
    code = "import os; print('started', os.getpid(), flush=True); import time; time.sleep(60)"
    process = ManagedProcess("server", [sys.executable, "-c", code], tmp_path / "log")
    pids = []
    for _ in range(2):
        process.start()
        process.wait_until_ready(lambda: f"started {process.pid}" in process.log_tail(), timeout_seconds=30)
        pids.append(process.pid)
        process.stop()
    assert pids[0] != pids[1]
    assert process.log_tail().count("started") == 2
    assert not process.is_running()
    assert os.path.getsize(tmp_path / "log") > 0
