"""Downloads are whole or absent, and fetched once however many runs want them."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from tests.support.downloads import PartUnavailableError, cache_directory, cached


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCR_TEST_CACHE", str(tmp_path / "cache"))


def _silent(_line: str) -> None:
    pass


def test_what_fails_half_way_leaves_nothing_that_looks_whole() -> None:
    def fails(target: Path) -> None:
        (target / "half").write_text("")
        raise PartUnavailableError("the network went away")

    with pytest.raises(PartUnavailableError):
        cached("thing-1", fails, _silent)
    assert not (cache_directory() / "thing-1").exists()
    assert cached("thing-1", lambda _: None, _silent).is_dir()


def test_two_runs_at_once_fetch_once() -> None:
    fetched = []

    def fetch(target: Path) -> None:
        time.sleep(0.2)
        fetched.append(target)
        (target / "whole").write_text("yes")

    seen: list[Path] = []
    runs = [threading.Thread(target=lambda: seen.append(cached("thing-2", fetch, _silent))) for _ in range(3)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert len(fetched) == 1
    assert [(path / "whole").read_text() for path in seen] == ["yes"] * 3


def test_what_a_killed_run_left_is_removed() -> None:
    left = cache_directory() / "thing-3.abandoned"
    left.mkdir(parents=True)
    cached("thing-3", lambda _: None, _silent)
    assert not left.exists()
