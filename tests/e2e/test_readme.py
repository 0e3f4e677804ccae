"""The examples of README.md and docs/events.md, as they stand there, against a running stack."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.local.up import readme_exports
from tests.e2e.local.running import RunningStack, eventually, running_stack
from tests.support.documents import README, ROOT, marked_block

_CONTRACT = {"id", "text", "key", "fileUrl", "createdAt", "wordCount", "tokensUsed", "language"}
_SEEN_SECONDS_MAX = 60.0


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(tmp_path_factory.mktemp("readme") / "data") as running:
        yield running


@pytest.fixture
def shell(stack: RunningStack) -> dict[str, str]:
    """The reader's shell, after the line that `make up` prints for it."""
    exported = readme_exports(stack.facts)
    assert exported.startswith("export ")
    return dict(os.environ) | dict(re.findall(r"([A-Z_0-9]+)='?([^' ]+)'?", exported))


def test_the_variables_of_the_readme_are_those_that_are_printed(stack: RunningStack) -> None:
    line = next(line for line in README.read_text("utf-8").splitlines() if line.startswith("export "))
    names = r"([A-Z_0-9]+)="
    assert re.findall(names, line) == re.findall(names, readme_exports(stack.facts))


def test_curl_uploads_and_gets_the_text(shell: dict[str, str]) -> None:
    block = marked_block(README, "curl")
    answers = [_bash(block, shell) for _ in range(2)]
    first, again = (json.loads(answer) for answer in answers)
    assert set(first) == _CONTRACT
    assert first["key"] == "ocr/demo/receipt.jpg"
    assert first["wordCount"] == len(first["text"].split()) > 0
    assert again == first


def test_the_ten_line_consumer_sees_what_was_read(stack: RunningStack, shell: dict[str, str]) -> None:
    block = marked_block(README, "consumer")
    assert len([line for line in block.splitlines() if line]) == 10
    key = stack.put("seen-downstream.jpg", (ROOT / "samples/receipt.jpg").read_bytes())
    consumer = subprocess.Popen([sys.executable, "-c", block], stdout=subprocess.PIPE, text=True, env=shell, cwd=ROOT)
    try:
        line = _line_with(key, consumer)
    finally:
        consumer.kill()
        consumer.wait()
    assert line.startswith(f"ocr.result.completed.v1 {key} ")


def test_the_commands_print_the_text(shell: dict[str, str], tmp_path: Path) -> None:
    for name in ("process", "recognise"):
        command = marked_block(README, name).replace(".venv/bin/ocr-services", f"{sys.executable} -m services.cli")
        assert "total" in _bash(command, shell | {"XDG_STATE_HOME": str(tmp_path)}).lower()


def test_the_archive_of_the_events_page_survives_its_end_and_keeps_each_text_once(
    stack: RunningStack, shell: dict[str, str], tmp_path: Path
) -> None:
    program = marked_block(ROOT / "docs/events.md", "archive")
    receipt = (ROOT / "samples/receipt.jpg").read_bytes()
    keys = []
    for run in range(2):
        keys.append(stack.put(f"archived-{run}.jpg", receipt))
        keys.append(stack.put(f"torn-{run}.jpg", b"not an image"))
        archive = subprocess.Popen([sys.executable, "-c", program], env=shell, cwd=tmp_path, stderr=subprocess.PIPE)
        try:
            assert eventually(lambda: set(keys) <= set(_archived(tmp_path))), _archived(tmp_path)
        finally:
            archive.kill()
            archive.communicate()
    for key, (text, reason) in ((key, _archived(tmp_path)[key]) for key in keys):
        assert (text is None, reason is None) == ("torn" in key, "torn" not in key)


def _archived(folder: Path) -> dict[str, tuple[str | None, str | None]]:
    """Text and reason by key; a key that stands there twice is a failure."""
    path = folder / "archive.db"
    if not path.exists():
        return {}
    with contextlib.closing(sqlite3.connect(path)) as archive:
        try:
            rows = archive.execute("SELECT key, text, reason FROM results").fetchall()
        except sqlite3.OperationalError:
            return {}  # the program has made the file, and not its table yet
    assert len({key for key, *_ in rows}) == len(rows)
    return {key: (text, reason) for key, text, reason in rows}


def _bash(script: str, environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _line_with(key: str, process: subprocess.Popen[str]) -> str:
    """The first line of a process that holds `key`; read in a thread, as a pipe has no time limit."""
    lines: queue.Queue[str] = queue.Queue()

    def read() -> None:
        for line in process.stdout or ():
            lines.put(line)

    threading.Thread(target=read, daemon=True).start()
    deadline = time.monotonic() + _SEEN_SECONDS_MAX
    while (remaining := deadline - time.monotonic()) > 0:
        try:
            line = lines.get(timeout=remaining)
        except queue.Empty:
            break
        if key in line:
            return line
    pytest.fail(f"no line with {key} within {_SEEN_SECONDS_MAX:.0f} s")
