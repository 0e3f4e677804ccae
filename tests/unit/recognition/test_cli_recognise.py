"""`ocr-services recognise`: one line of JSON a file, and a status that tells whether all were read."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from services.cli.__main__ import app
from tests.unit.recognition.conftest import draw_lines


def run(*arguments: str | Path) -> tuple[int, list[dict[str, Any]], str]:
    result = CliRunner().invoke(app, ["recognise", *map(str, arguments)])
    return result.exit_code, [json.loads(line) for line in result.stdout.splitlines()], result.stderr


def test_a_file_gives_a_line_of_json(save: Callable[..., Path]) -> None:
    status, rows, _ = run(save(draw_lines(("Hello world",)), "hello.png"))

    assert status == 0
    assert rows[0].pop("seconds") >= 0
    assert rows == [{"image": "hello.png", "text": "Hello world", "language": "und", "wordCount": 2, "pages": 1}]


def test_a_folder_is_read_file_by_file_and_failures_are_told(tmp_path: Path) -> None:
    draw_lines(("Second page",)).save(tmp_path / "b.png")
    (tmp_path / "a.png").write_text("not a picture at all")
    (tmp_path / "a.csv").write_text("1,2,passed over")
    (tmp_path / ".hidden").write_text("passed over")
    draw_lines(("Third page",)).save(tmp_path / "c", "PNG")
    status, rows, told = run(tmp_path, tmp_path / "missing.png")

    assert status == 1
    assert [row["image"] for row in rows] == ["a.png", "b.png", "c", "missing.png"]
    assert rows[0]["error"]["code"] == "unsupported_media_type"
    assert rows[1]["text"] == "Second page"
    assert rows[2]["text"] == "Third page"
    assert (rows[3]["text"], rows[3]["error"]["code"]) == ("", "file_not_found")
    assert "2 files" in told


def test_words_are_drawn_beside_the_page(save: Callable[..., Path], tmp_path: Path) -> None:
    drawn = tmp_path / "drawn"
    page = draw_lines(("Hello world",))
    _, (row,), _ = run(save(page, "hello.png"), "--render", drawn)
    picture = Image.open(drawn / "hello.png-1.png")

    assert picture.size == (2000, 420)
    # The page is as it was, but for two thin boxes.
    left = np.asarray(picture.crop((0, 0, 1000, 420)))
    assert 0 < (left != np.asarray(page.convert("RGB"))).any(axis=2).mean() < 0.01
    # What stands beside it can be read: by what read the page.
    picture.crop((1000, 0, 2000, 420)).convert("L").point(lambda value: 255 if value > 180 else value).save(
        tmp_path / "beside.png"
    )
    _, (beside,), _ = run(tmp_path / "beside.png")
    assert beside["text"] == row["text"] == "Hello world"


def test_files_of_one_name_have_pictures_of_their_own(tmp_path: Path) -> None:
    for number, folder in enumerate(("a", "b", "c")):
        (tmp_path / folder).mkdir()
        draw_lines(("Hello",)).resize((100 + number, 42)).save(
            tmp_path / folder / ("X.png" if folder == "c" else "x.png")
        )
    draw_lines(("Hello",)).resize((103, 42)).save(tmp_path / "x.png~2", "PNG")
    drawn = tmp_path / "drawn"
    status, rows, _ = run(tmp_path / "a/x.png", tmp_path / "x.png~2", tmp_path / "b", tmp_path / "c", "--render", drawn)

    assert status == 0
    assert [row["image"] for row in rows] == ["x.png", "x.png~2", "x.png", "X.png"]
    widths = {path.name: Image.open(path).width for path in drawn.iterdir()}
    assert widths == {"x.png-1.png": 200, "x.png~2-1.png": 206, "x.png~3-1.png": 202, "X.png~4-1.png": 204}


@pytest.mark.parametrize(("engine", "told"), [("tesseract", "onnx, tensorflow")])
def test_an_unknown_engine_is_refused(engine: str, told: str) -> None:
    status, rows, error = run("x.png", "--engine", engine)

    assert (status, rows) == (2, [])
    assert told in error


def test_an_engine_that_is_not_installed_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "doctr", None)
    # Whatever was imported before in this process.
    for name in [name for name in sys.modules if name.startswith("services.recognition.tensorflow_engine")]:
        monkeypatch.delitem(sys.modules, name)
    status, rows, error = run("x.png", "--engine", "tensorflow")

    assert (status, rows) == (2, [])
    assert "ocr-services[tensorflow]" in " ".join(error.split())
    assert "make install-all" in " ".join(error.split())


def test_weights_elsewhere_are_looked_for_there(tmp_path: Path) -> None:
    status, _, error = run("x.png", "--weights", tmp_path)

    assert status == 2
    assert "detection model" in " ".join(error.split())
