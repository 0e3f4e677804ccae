"""`ocr-services process` and the Python client as docs/client.md shows them, against a running stack."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.local.running import RunningStack, running_stack
from tests.support.documents import ROOT, marked_block

DOCUMENT = ROOT / "docs/client.md"
SAMPLE = ROOT / "samples/receipt.jpg"
_SECONDS_MAX = 90

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(tmp_path_factory.mktemp("client") / "data") as running:
        yield running


@pytest.fixture
def environment(stack: RunningStack, tmp_path: Path) -> dict[str, str]:
    """A user's shell: the address, the key, a home of its own, and `ocr-services` on the path."""
    programs = tmp_path / "bin"
    programs.mkdir()
    command = programs / "ocr-services"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m services.cli "$@"\n')
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    return dict(os.environ) | {
        "OCR_URL": stack.facts["url"],
        "OCR_API_KEY": stack.facts["apiKey"],
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path) -> Run:
    """Runs `ocr-services process` in an empty folder."""

    def run(*arguments: str | Path, text: str | None = None, **changes: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "services.cli", "process", *map(str, arguments)],
            cwd=tmp_path,
            env=environment | changes,
            input=text,
            capture_output=True,
            text=True,
            timeout=_SECONDS_MAX,
            check=False,
        )

    return run


def picture(tmp_path: Path, number: int = 0, name: str = "a.jpg") -> Path:
    """The sample with other bytes after its end: another content with the same text."""
    path = tmp_path / name
    path.write_bytes(SAMPLE.read_bytes() + bytes([number]))
    return path


def completed(stack: RunningStack) -> int:
    """How many results there are, waiting until none is pending."""
    headers = {"X-API-Key": stack.facts["apiKey"]}
    while True:
        answer = httpx.get(f"{stack.facts['url']}/api/ocr/results?limit=100", headers=headers, trust_env=False).json()
        if all(result["status"] != "pending" for result in answer["results"]):
            return sum(result["status"] == "completed" for result in answer["results"])


def test_the_text_goes_to_standard_output_and_nothing_else(run: Run, tmp_path: Path) -> None:
    done = run(picture(tmp_path, 1))
    assert (done.returncode, done.stderr) == (0, "")
    assert "HARBOUR" in done.stdout.upper()


def test_run_again_it_neither_uploads_nor_pays_again(run: Run, stack: RunningStack, tmp_path: Path) -> None:
    files = [picture(tmp_path, 10 + number, f"{number}.jpg") for number in range(3)]
    first = run("--json", *files)
    results, balance = completed(stack), stack.balance()
    moved = files[0].rename(tmp_path / "another name.jpg")
    again = run("--json", moved, *files[1:])
    assert first.returncode == again.returncode == 0
    ids = [[json.loads(line)["id"] for line in done.stdout.splitlines()] for done in (first, again)]
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 3
    assert (completed(stack), stack.balance()) == (results, balance)
    anew = run("--json", "--again", files[1])
    assert json.loads(anew.stdout)["id"] not in ids[0]


def test_a_run_that_was_killed_in_the_middle_is_taken_up_by_the_next(
    run: Run, environment: dict[str, str], stack: RunningStack, tmp_path: Path
) -> None:
    before = completed(stack)
    file = picture(tmp_path, 20)
    state = Path(environment["XDG_STATE_HOME"]) / "ocr-services/uploads.jsonl"
    command = [sys.executable, "-m", "services.cli", "process", str(file)]
    killed = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    while not state.exists() or not state.read_text().endswith("\n"):
        assert killed.poll() is None
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    done = run(file)
    assert done.returncode == 0
    assert completed(stack) == before + 1


def test_a_line_of_json_is_the_apis_result_with_the_files_name(run: Run, stack: RunningStack, tmp_path: Path) -> None:
    file = picture(tmp_path, 31)
    row = json.loads(run("--json", file).stdout)
    answer = stack.post(row["key"]).json()
    assert row == {"file": str(file), **answer}


def test_files_that_cannot_be_read_are_told_one_by_one(run: Run, tmp_path: Path) -> None:
    wrong = tmp_path / "notes.png"
    wrong.write_text("no pixels")
    done = run(picture(tmp_path, 30), wrong)
    assert done.returncode == 1
    assert done.stdout.startswith(f"==> {tmp_path / 'a.jpg'} <==\n")
    assert "notes.png: " in done.stderr
    assert "(unsupported_media_type, request " in done.stderr
    lines = [json.loads(line) for line in run("--json", tmp_path / "a.jpg", wrong).stdout.splitlines()]
    assert [line.get("code") for line in lines] == [None, "unsupported_media_type"]
    assert lines[1]["requestId"]


@pytest.mark.parametrize("arguments", [("missing.jpg",), (".",), ("-", "-"), ()])
def test_what_is_no_file_is_a_wrong_argument(run: Run, arguments: tuple[str, ...]) -> None:
    done = run(*arguments, text="")
    assert (done.returncode, done.stdout) == (2, "")


def test_a_refused_key_ends_it_before_other_files_are_begun(run: Run, tmp_path: Path) -> None:
    files = [picture(tmp_path, 40 + number, f"{number}.jpg") for number in range(5)]
    done = run("--jobs", "1", *files, OCR_API_KEY="ocr_" + "x" * 43)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("invalid_api_key") == 1
    assert "4 files were not begun" in done.stderr
    assert run(files[0], OCR_API_KEY="").returncode == 2


def test_a_service_that_is_not_there_is_told(run: Run, tmp_path: Path) -> None:
    done = run("--timeout", "1", picture(tmp_path, 50), OCR_URL="http://127.0.0.1:1")
    assert done.returncode == 1
    assert "the service at http://127.0.0.1:1 cannot be reached" in done.stderr
    assert done.stderr.endswith("set OCR_URL (`make up` prints it) or --url\n")


def test_a_reader_that_has_enough_ends_it_quietly(environment: dict[str, str], tmp_path: Path) -> None:
    files = " ".join(str(picture(tmp_path, 60 + number, f"{number}.jpg")) for number in range(3))
    script = f"set -o pipefail; ocr-services process {files} | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=_SECONDS_MAX, check=False
    )
    assert done.stdout.startswith("==> ")
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 141)


@pytest.mark.parametrize("name", ["one file", "standard input", "json lines", "recognise"])
def test_the_shell_examples_of_the_document(environment: dict[str, str], tmp_path: Path, name: str) -> None:
    if "jq " in marked_block(DOCUMENT, name) and shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", marked_block(DOCUMENT, name)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = (tmp_path / "receipt.txt").read_text() if name == "standard input" else done.stdout
    assert ("receipt.jpg" if name == "json lines" else "TOTAL") in said
    if name == "recognise":
        assert (tmp_path / "drawn/receipt.jpg-1.png").is_file()


@pytest.mark.parametrize("name", ["python", "steps"])
def test_the_python_examples_of_the_document(environment: dict[str, str], tmp_path: Path, name: str) -> None:
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    done = subprocess.run(
        [sys.executable, "-c", marked_block(DOCUMENT, name)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert ("words," if name == "python" else "result_deleted") in done.stdout
