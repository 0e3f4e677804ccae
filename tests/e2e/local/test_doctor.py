"""Doctor beside the embedded stack, which it finds by its data directory."""

import json
import subprocess
import sys
from pathlib import Path

from tests.e2e.local.running import running_stack


def _doctor(data: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "services.cli", "doctor", "--json", "--data", str(data)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_embedded_stack_is_well_while_it_runs_and_told_to_be_started_after(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_stack(data):
        done = _doctor(data)
        assert done.returncode == 0, done.stdout + done.stderr
        report = json.loads(done.stdout)
        levels = {(finding["check"], finding["level"]) for finding in report["checks"]}
        well = {"broker", "transactions", "topics", "conditional", "cors", "sources", "queue", "notifications"}
        assert {(check, "ok") for check in well | {"database", "weights"}} <= levels, report
        # It answers everybody on this machine, which doctor does not keep to itself.
        assert ("privacy", "warn") in levels
        assert (data / "stack.json").stat().st_mode & 0o077 == 0
    done = _doctor(data)
    assert done.returncode == 1
    assert "ocr-services up" in done.stderr
