"""Which model files are taken: from a folder, from docTR's cache, from what ships; and in which form."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.recognition.engine import create_engine
from services.recognition.errors import WeightsNotFound
from services.recognition.weights import SHIPPED_DIR, Weights, find_model, find_weights


@pytest.fixture(autouse=True)
def no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCTR_CACHE_DIR", raising=False)


def _files(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(name.encode())
    return folder


def test_the_int8_form_is_taken_where_there_is_one(tmp_path: Path) -> None:
    folder = _files(tmp_path, "db_a.onnx", "db_a.int8.onnx", "crnn_a.onnx", "crnn_a.weights.h5")
    found = find_weights(folder)

    assert (found.detection.name, found.recognition.name) == ("db_a.int8.onnx", "crnn_a.onnx")
    assert find_weights(folder, (".onnx",)).detection.name == "db_a.onnx"
    assert find_model("recognition", folder, (".weights.h5",)).name == "crnn_a.weights.h5"


@pytest.mark.parametrize(
    "names", [("db_a.onnx",), ("db_a.onnx", "db_b.onnx", "crnn_a.onnx"), ("db_a.weights.h5", "crnn_a.weights.h5"), ()]
)
def test_a_folder_that_does_not_hold_one_of_each_is_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(WeightsNotFound, match="exactly one"):
        find_weights(_files(tmp_path, *names))


def test_the_cache_gives_what_it_has_and_the_package_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCTR_CACHE_DIR", str(tmp_path))
    _files(tmp_path / "models", "crnn_mine.onnx")
    found = find_weights()

    assert found.recognition == tmp_path / "models" / "crnn_mine.onnx"
    assert found.detection.parent == SHIPPED_DIR


def test_several_models_in_the_cache_are_not_guessed_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCTR_CACHE_DIR", str(tmp_path))
    _files(tmp_path / "models", "crnn_mine.onnx", "crnn_yours.onnx")

    with pytest.raises(WeightsNotFound, match=r"crnn_mine\.onnx, crnn_yours\.onnx"):
        find_weights()


def test_a_cache_that_nobody_named_is_not_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    _files(tmp_path / ".cache" / "doctr" / "models", "crnn_mine.onnx")

    assert find_weights().recognition.parent == SHIPPED_DIR


def test_the_version_changes_with_the_bytes(tmp_path: Path) -> None:
    _files(tmp_path, "db_a-12ab.weights.h5", "crnn_a.weights.h5")
    before = Weights(tmp_path / "db_a-12ab.weights.h5", tmp_path / "crnn_a.weights.h5").version
    (tmp_path / "crnn_a.weights.h5").write_bytes(b"others")
    after = Weights(tmp_path / "db_a-12ab.weights.h5", tmp_path / "crnn_a.weights.h5").version

    assert before.startswith("db_a-12ab+crnn_a@")
    assert before != after


def test_onnx_reads_none_of_the_models_that_doctr_publishes() -> None:
    with pytest.raises(WeightsNotFound, match="tensorflow"):
        create_engine("onnx", detection_model="db_resnet50")
