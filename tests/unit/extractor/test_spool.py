"""Nothing is left behind, also by those who could not tidy up."""

import os
import subprocess
import sys
from pathlib import Path

from services.extractor.spool import spool_directory

_KILLED = """
import os, pathlib, signal, sys
from services.extractor.spool import spool_directory
with spool_directory(pathlib.Path(sys.argv[1])) as spool:
    (spool / "object").write_bytes(b"x")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_spool_is_gone_after_use(tmp_path: Path) -> None:
    with spool_directory(tmp_path) as spool:
        (spool / "object").write_bytes(b"x")
    assert os.listdir(tmp_path) == []


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path)], check=False)
    assert len(os.listdir(tmp_path)) == 1
    with spool_directory(tmp_path) as spool:
        assert os.listdir(tmp_path) == [spool.name]


def test_a_spool_in_use_is_left_alone(tmp_path: Path) -> None:
    with spool_directory(tmp_path) as first, spool_directory(tmp_path) as second:
        assert first.exists()
        assert second.exists()
