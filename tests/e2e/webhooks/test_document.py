"""docs/webhooks.md as it stands there: its receiver and its commands, against a running stack."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.local.ports import free_port
from tests.e2e.local.running import RunningStack, eventually, running_stack
from tests.support.documents import ROOT, marked_block

DOCUMENT = ROOT / "docs/webhooks.md"


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[RunningStack]:
    with running_stack(tmp_path / "data") as running:
        yield running


def test_the_documents_receiver_hears_of_an_upload(stack: RunningStack, tmp_path: Path) -> None:
    port = free_port()
    programs = tmp_path / "bin"
    programs.mkdir()
    command = programs / "ocr-services"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m services.cli "$@"\n')
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    environment = dict(os.environ) | {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "OCR_DATABASE_URL": f"sqlite:///{tmp_path / 'data' / 'ocr.db'}",
        "OCR_WEBHOOKS_ALLOWED_NETWORKS": "127.0.0.0/8",
        "RECEIVER_URL": f"http://127.0.0.1:{port}/hook",
        "RECEIVER_PORT": str(port),
    }

    def shell(name: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", marked_block(DOCUMENT, name)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert environment["RECEIVER_URL"] in shell("add")
    heard = tmp_path / "heard"
    with heard.open("wb") as output:
        receiver = subprocess.Popen(
            [sys.executable, "-c", marked_block(DOCUMENT, "receiver")], cwd=tmp_path, env=environment, stdout=output
        )
    try:
        key = stack.put("told.jpg", (ROOT / "samples/receipt.jpg").read_bytes())
        assert eventually(lambda: heard.read_text().startswith(f"result.completed {key} ")), heard.read_text()
        assert eventually(lambda: "delivered  result.completed" in shell("log"))
    finally:
        receiver.kill()
        receiver.wait()
    assert len(heard.read_text().splitlines()) == 1
