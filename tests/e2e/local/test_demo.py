"""`make demo` does what the README shows, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from tests.e2e.local.running import eventually, gone


def test_the_demo_shows_the_whole_pipeline_and_leaves_nothing(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OCR_")}
    done = subprocess.run(
        [sys.executable, "-m", "services.local.demo"],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment | {"TMPDIR": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    answers = [json.loads(text) for text in re.findall(r"^\{.*?^\}", done.stdout, flags=re.MULTILINE | re.DOTALL)]
    result, entry = answers
    assert set(result) == {"id", "text", "key", "fileUrl", "createdAt", "wordCount", "tokensUsed", "language"}
    assert "HARBOUR" in result["text"].upper()
    assert entry["resultId"] == result["id"]
    assert sum(line["amount"] for line in entry["lines"]) == 0
    balances = re.search(r"Balance before: (\d+).*Balance after: (\d+)", done.stdout, flags=re.DOTALL)
    assert balances is not None
    assert int(balances[1]) - int(balances[2]) == result["tokensUsed"]
    for event in ("ocr.result.completed.v1", "ocr.usage.recorded.v1", "ledger.entry.posted.v1"):
        assert event in done.stdout
    assert list(tmp_path.glob("ocr-demo-*")) == []


def test_a_demo_that_is_stopped_leaves_nothing_either(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OCR_")}
    demo = subprocess.Popen(
        [sys.executable, "-u", "-m", "services.local.demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment | {"TMPDIR": str(tmp_path)},
        start_new_session=True,
    )
    assert demo.stdout is not None
    assert any("broker:" in line for line in demo.stdout)
    family = psutil.Process(demo.pid).children(recursive=True)
    assert family
    os.killpg(demo.pid, signal.SIGINT)  # Ctrl-C reaches every process of the terminal
    said = demo.communicate(timeout=60)[0]
    assert demo.returncode == 130, said
    assert said.endswith("Stopped.\n")
    assert "Traceback" not in said
    assert list(tmp_path.glob("ocr-demo-*")) == []
    assert eventually(lambda: all(gone(process) for process in family))
