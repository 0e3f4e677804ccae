"""One stack a data directory, and logs that do not grow for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.local.layout import DirectoryInUseError, Layout


def test_a_directory_in_use_is_refused_until_it_is_let_go(tmp_path: Path) -> None:
    with Layout(tmp_path / "data").locked(), pytest.raises(DirectoryInUseError, match="--data"):
        Layout(tmp_path / "data").locked().__enter__()
    with Layout(tmp_path / "data").locked():
        assert (tmp_path / "data").is_dir()


def test_each_run_begins_new_logs_and_keeps_those_of_the_one_before(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.logs.mkdir()
    for run in ("first", "second", "third"):
        layout.set_logs_aside()
        (layout.logs / "api.log").write_text(run)
    assert {path.name: path.read_text() for path in layout.logs.iterdir()} == {
        "api.log": "third",
        "api.log.before": "second",
    }
