"""What there is nothing to score in is refused, not scored as nought."""

from pathlib import Path

import pytest

from training import evaluate


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["evaluate", *arguments])
    return evaluate.main()


def test_a_folder_without_annotated_receipts_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "001.jpg").touch()

    assert run(monkeypatch, "--receipts", str(tmp_path)) == 2
    assert capsys.readouterr() == ("", f"{tmp_path} holds no annotated receipts\n")


def test_a_folder_without_pages_is_refused_though_there_are_receipts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "001.csv").touch()

    assert run(monkeypatch, "--receipts", str(tmp_path), "--a4", str(tmp_path / "missing")) == 2
    assert capsys.readouterr() == ("", f"{tmp_path / 'missing'} holds no pages\n")


def test_nothing_to_score_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch) == 2
    assert "nothing to score" in capsys.readouterr().err


def test_pages_alone_are_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(evaluate, "recognise_file", lambda path, _engine: Reading(path))
    (tmp_path / "1.txt").write_text("clean.png")

    assert run(monkeypatch, "--a4", str(tmp_path)) == 0
    told = capsys.readouterr().out
    assert '"characters_clean": 1.0' in told
    assert "receipts" not in told


class Reading:
    """Reads a page as the end of its name."""

    def __init__(self, path: Path) -> None:
        self.text = path.name.partition("-")[2]
