"""The examples of docs/api.md, as they stand there, against a running stack."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pypdfium2 as pdfium
import pytest

from services.local.up import readme_exports
from tests.e2e.local.running import RunningStack, running_stack
from tests.support.documents import ROOT

PAGE = ROOT / "docs/api.md"
_SECONDS_MAX = 120.0


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(tmp_path_factory.mktemp("api-page") / "data") as running:
        yield running


@pytest.fixture
def reader(tmp_path: Path) -> Path:
    """A folder of the reader's, with the samples in it."""
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    return tmp_path


def blocks(language: str) -> list[str]:
    """The examples in one language, in their order: each goes on where the one before ended."""
    marked = rf"<!-- test: {language} [\w ]+ -->\n```\w+\n(.*?)```"
    return re.findall(marked, PAGE.read_text("utf-8"), flags=re.DOTALL)


def run(command: list[str], stack: RunningStack, folder: Path) -> str:
    exported = dict(re.findall(r"([A-Z_0-9]+)='?([^' ]+)'?", readme_exports(stack.facts)))
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | exported,
        capture_output=True,
        text=True,
        timeout=_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def assert_searchable(path: Path, word: str) -> None:
    text = pdfium.PdfDocument(path)[0].get_textpage().get_text_range()
    assert word.lower() in text.lower()


def test_every_operation_has_an_example_in_both_languages() -> None:
    names = re.findall(r"<!-- test: (\w+) ([\w ]+) -->", PAGE.read_text("utf-8"))
    assert {name for language, name in names if language == "curl"} == {
        name for language, name in names if language == "python"
    }
    assert len(names) == len(blocks("curl")) + len(blocks("python"))


def test_the_curl_examples_work_one_after_the_other(stack: RunningStack, reader: Path) -> None:
    if shutil.which("jq") is None:
        pytest.skip("the examples use jq")
    printed = run(["bash", "-euo", "pipefail", "-c", "\n".join(blocks("curl"))], stack, reader)
    assert "total" in printed.lower(), "the text of the receipt"
    assert '"balance":' in printed
    assert_searchable(reader / "searchable.pdf", "total")


def test_the_python_examples_work_one_after_the_other(stack: RunningStack, reader: Path) -> None:
    printed = run([sys.executable, "-c", "\n".join(blocks("python"))], stack, reader)
    assert "total" in printed.lower(), "the text of the receipt"
    assert re.search(r"^1 \d+ \d+ \S+ [01]\.\d+$", printed, flags=re.MULTILINE), "words and where they stand"
    assert_searchable(reader / "searchable.pdf", "total")
    assert re.search(r"^2\S+Z \d+ ", printed, flags=re.MULTILINE), "the grant that opened the account"
