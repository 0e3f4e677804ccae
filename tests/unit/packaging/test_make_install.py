"""What `make install` says while pip works: little, but never nothing, and all of a failure."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.documents import ROOT

_WORKS = """#!/bin/sh
case "$*" in *--requirement*) ;; *) exit 0 ;; esac
for each in $(seq 25); do
  echo "Collecting package-$each==1.0 (from -r requirements/local.txt (line $each))"
  echo "  Downloading package_$each-1.0-py3-none-any.whl.metadata (2 kB)"
done
for each in $(seq 25); do echo "Downloading package_$each-1.0-py3-none-any.whl (2 kB)"; done
echo "Installing collected packages: package-1, package-2"
"""
_FAILS = """#!/bin/sh
echo "Collecting absent==1.0"
echo "ERROR: No matching distribution found for absent==1.0" >&2
exit 1
"""


def install(folder: Path, python: str) -> subprocess.CompletedProcess[str]:
    """`make install` in a copy of what it needs, with a script in place of the environment's Python."""
    if shutil.which("make") is None:
        pytest.skip("no make")
    for name in ("Makefile", "pyproject.toml", "requirements/local.txt", "training/training.mk"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    stub = folder / ".venv/bin/python"
    stub.parent.mkdir(parents=True)
    stub.write_text(python)
    stub.chmod(0o755)
    # A `make` that runs this test is none of this one's business: it would tell of folders, and take its variables.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", "install"], cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_it_says_what_it_installs_how_long_that_takes_and_how_far_it_is(tmp_path: Path) -> None:
    done = install(tmp_path, _WORKS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "Installing requirements/local.txt into .venv: a minute or more",
        "  10 packages fetched",
        "  20 packages fetched",
        "  25 packages fetched, unpacking them",
    ]


def test_a_failure_of_pip_shows_its_reason_and_is_tried_again_the_next_time(tmp_path: Path) -> None:
    done = install(tmp_path, _FAILS)
    assert done.returncode != 0
    assert "ERROR: No matching distribution found for absent==1.0" in done.stderr
    assert not (tmp_path / ".venv/.local-installed").exists()
