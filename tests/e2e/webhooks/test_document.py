"""docs/webhooks.md as it stands there: its receiver, its commands and its calls, against a running stack."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.local.ports import free_port
from services.local.up import readme_exports
from tests.e2e.local.running import RunningStack, eventually, running_stack
from tests.support.documents import ROOT, marked_block

DOCUMENT = ROOT / "docs/webhooks.md"
_RECEIPT = (ROOT / "samples/receipt.jpg").read_bytes()


@dataclass
class Reader:
    """Somebody who follows the page in a folder of their own."""

    folder: Path
    environment: dict[str, str]

    def shell(self, command: str) -> str:
        """What a command prints."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def block(self, name: str) -> str:
        """What a block of the page prints."""
        return self.shell(marked_block(DOCUMENT, name))

    @contextmanager
    def receiver(self) -> Iterator[Path]:
        """The page's receiver, with the secret of now; the file holds what it prints."""
        heard = self.folder / "heard"
        with heard.open("wb") as output:
            program = marked_block(DOCUMENT, "receiver")
            process = subprocess.Popen(
                [sys.executable, "-c", program], cwd=self.folder, env=self.environment, stdout=output
            )
        try:
            yield heard
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[RunningStack]:
    with running_stack(tmp_path / "data") as running:
        yield running


@pytest.fixture
def reader(stack: RunningStack, tmp_path: Path) -> Reader:
    programs = tmp_path / "bin"
    programs.mkdir()
    command = programs / "ocr-services"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m services.cli "$@"\n')
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    port = free_port()
    exported = dict(re.findall(r"([A-Z_0-9]+)='?([^' ]+)'?", readme_exports(stack.facts)))
    own = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    # The page's port may be taken here: any free one stands for it.
    address = marked_block(DOCUMENT, "address").replace("9099", str(port))
    said = re.findall(r"(RECEIVER_\w+)=(\S+)", address)
    assert [name for name, _ in said] == ["RECEIVER_PORT", "RECEIVER_URL"]
    return Reader(tmp_path, dict(os.environ) | exported | own | dict(said))


def test_the_pages_receiver_hears_of_uploads_however_it_was_registered(stack: RunningStack, reader: Reader) -> None:
    listed = reader.block("add")
    assert reader.environment["RECEIVER_URL"] in listed
    with reader.receiver() as heard:
        key = stack.put("told.jpg", _RECEIPT)
        assert eventually(lambda: heard.read_text().startswith(f"result.completed {key} ")), heard.read_text()
        assert eventually(lambda: "delivered  result.completed" in reader.block("log"))
        assert len(heard.read_text().splitlines()) == 1
    reader.shell(f"ocr-services webhooks remove {listed.split()[0]} --data data")

    if shutil.which("jq") is None:
        pytest.skip("the calls over HTTP use jq")
    listed = reader.block("http")
    assert reader.environment["RECEIVER_URL"] in listed
    assert "whsec_" not in listed
    with reader.receiver() as heard:
        key = stack.put("again.jpg", _RECEIPT)
        assert eventually(lambda: heard.read_text().startswith(f"result.completed {key} ")), heard.read_text()
        assert eventually(lambda: "attempt 1: 204" in reader.block("log").splitlines()[0])
        reader.block("resend")
        assert eventually(lambda: "attempt 2: 204" in reader.block("log").splitlines()[0])
        before = (reader.folder / "secret.txt").read_text()
        reader.block("rotate")
        assert (reader.folder / "secret.txt").read_text() != before
        # The receiver that runs knows the old secret alone, which still signs.
        key = stack.put("rotated.jpg", _RECEIPT)
        assert eventually(lambda: f"result.completed {key} " in heard.read_text()), heard.read_text()
        # What was sent again has the old id: the receiver knew it.
        assert len(heard.read_text().splitlines()) == 2
