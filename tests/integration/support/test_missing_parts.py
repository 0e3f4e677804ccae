"""A run without a real part says so in its last lines, or fails where real parts are required."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[3]
_TEST = "tests/integration/support/test_real_parts.py::test_the_second_conditional_create_is_refused"


def _run_without_tools(tmp_path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs one test that needs an object store on a machine without Go, downloads or a Docker engine."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OCR_")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", _TEST],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=_ROOT,
        env=environment
        | {"PATH": str(tmp_path), "OCR_TEST_CACHE": str(tmp_path / "cache"), "DOCKER_HOST": "tcp://127.0.0.1:1"}
        | variables,
        check=False,
    )


def test_the_last_lines_name_what_was_not_covered(tmp_path: Path) -> None:
    run = _run_without_tools(tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    gap, reason = run.stdout.rstrip().splitlines()[-2:]
    assert gap.startswith("NOT COVERED: an S3 server that verifies signatures")
    assert "Go" in reason


def test_a_missing_part_is_an_error_where_real_parts_are_required(tmp_path: Path) -> None:
    run = _run_without_tools(tmp_path, OCR_REQUIRE_REAL_PARTS="1")
    assert run.returncode == 1
    assert "there is no real object_store" in run.stdout
