"""A child reads neither the environment nor the memory of the process that started it."""

import ctypes
import os
import subprocess
import sys

import pytest

_PR_CAPBSET_DROP = 24

_PARENT = """
import subprocess, sys
sys.path[:] = {path!r}
from services.runtime.children import close_to_children
if {closed}:
    close_to_children()
look = "import os; print(open(f'/proc/{{os.getppid()}}/environ').read())"
sys.exit(subprocess.run([sys.executable, "-c", look], env={{}}).returncode)
"""


def _without_capabilities() -> None:
    """Root reads everything by its capabilities; services have none, and so have those that begin here."""
    for capability in range(64):
        ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc and prctl")
@pytest.mark.parametrize("closed", [True, False])
def test_a_parent_that_is_closed_is_not_read_by_its_child(closed: bool) -> None:
    parent = subprocess.run(
        [sys.executable, "-c", _PARENT.format(path=sys.path, closed=closed)],
        env={"PATH": os.environ["PATH"], "OCR_S3_SECRET_KEY": "a-secret"},
        preexec_fn=_without_capabilities,
        capture_output=True,
        text=True,
    )
    assert ("a-secret" in parent.stdout) is not closed, parent.stderr
    assert ("PermissionError" in parent.stderr) is closed
