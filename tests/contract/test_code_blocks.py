"""Every code block of the documentation is executed by a test, or stands below with the reason why not."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from services.api.errors import ErrorBody
from services.webhook_registry.payloads import notice_of
from tests.support.documents import ROOT, documents
from tests.unit.api.fakes import completed

_TESTS = {
    "README.md": "tests/e2e/test_readme.py",
    "docs/api.md": "tests/e2e/test_api_page.py",
    "docs/client.md": "tests/e2e/client/test_process_command.py",
    "docs/events.md": "tests/e2e/test_readme.py",
    "docs/object-stores.md": "tests/contract/test_object_store_page.py",
    "docs/operations.md": "tests/e2e/test_keeping.py",
    "docs/quickstart.md": "tests/e2e/test_quickstart.py",
    "docs/webhooks.md": "tests/e2e/webhooks/test_document.py",
}
"""Which test runs the blocks that are marked `<!-- test: NAME -->` on a page."""

_COMPOSE = "needs a Docker engine; tests/integration/test_compose.py starts the same services in their order"
_EXPORT = "what `make up` prints, shortened; a test of the README compares its variables with the printed ones"
_EXCEPTIONS = {
    ("README.md", "make demo    # the whole pipeline"): "tests/e2e/local runs both, by the modules they start",
    ("README.md", "export OCR_URL="): _EXPORT,
    ("README.md", "cp .env.example .env"): _COMPOSE,
    ("README.md", "make help     # what there is"): "targets of the Makefile; one of them runs this test",
    ("docs/api.md", "export OCR_URL="): _EXPORT,
    ("docs/client.md", "export OCR_URL="): _EXPORT,
    ("docs/client.md", "ocr-services process [OPTIONS] FILE..."): "a synopsis",
    ("docs/object-stores.md", "export AWS_ENDPOINT_URL="): "speaks to a Ceph cluster; a test compares its names",
    ("docs/operations.md", "cp .env.example .env"): _COMPOSE,
    ("docs/operations.md", "pip install '.[tracing]'"): (
        "installs, and names a collector of the reader's; tests/e2e/test_tracing.py sets the variables"
    ),
}
"""By page and the beginning of the block's first line."""

_PICTURES = {"mermaid", "text"}
_SHAPES = {"http", "json"}
"""What is answered or sent; `test_*` below and in tests/e2e/test_api_page.py hold it to the code."""


class Block(NamedTuple):
    """A fenced block: its page, its language, the mark above it, and its text."""

    page: str
    language: str
    mark: str
    text: str

    @property
    def first_line(self) -> str:
        return self.text.partition("\n")[0]


def _blocks(path: Path) -> Iterator[Block]:
    page = str(path.relative_to(ROOT))
    pattern = r"(?:^<!-- (?P<mark>[^>]+) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$"
    for found in re.finditer(pattern, path.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE):
        yield Block(page, found["language"], found["mark"] or "", found["text"])


BLOCKS = [block for path in documents() for block in _blocks(path)]


def _reason(block: Block) -> str | None:
    return next(
        (
            reason
            for (page, start), reason in _EXCEPTIONS.items()
            if page == block.page and block.first_line.startswith(start)
        ),
        None,
    )


def test_the_blocks_are_found() -> None:
    fences = sum(line.startswith("```") for path in documents() for line in path.read_text("utf-8").splitlines())
    assert len(BLOCKS) == fences / 2 > 40


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.page}: {block.first_line[:40]}")
def test_every_block_is_executed_or_says_why_not(block: Block) -> None:
    kind, _, name = block.mark.partition(": ")
    if kind == "test":
        source = (ROOT / _TESTS[block.page]).read_text("utf-8")
        assert Path(block.page).name in source or f"{Path(block.page).stem.upper()}" in source
        # By its name, or with all others of the kind that the name begins with.
        assert f'"{name}"' in source or f'blocks("{name.split()[0]}")' in source, f"nothing runs {name!r}"
    elif block.language in _PICTURES or (block.language in _SHAPES and kind in ("answer", "sent")):
        return
    else:
        assert _reason(block) is not None, f"{block.page}: nothing runs this, and nothing says why:\n{block.text}"


def test_every_exception_is_of_a_block_that_is_there() -> None:
    used = {(page, start) for page, start in _EXCEPTIONS for block in BLOCKS if block.page == page}
    for page, start in _EXCEPTIONS:
        assert any(block.page == page and block.first_line.startswith(start) for block in BLOCKS), start
    assert used == set(_EXCEPTIONS)


def _shape(page: str, mark: str) -> str:
    (text,) = [block.text for block in BLOCKS if block.page == page and block.mark == mark]
    return text


def test_the_error_that_is_shown_has_the_shape_of_all() -> None:
    shown = json.loads(_shape("docs/errors.md", "answer: ErrorBody"))
    assert set(shown) == {field.alias for field in ErrorBody.model_fields.values()}
    ErrorBody.model_validate(shown)


def test_the_delivery_that_is_shown_is_of_the_shape_that_is_sent() -> None:
    head, _, body = _shape("docs/webhooks.md", "sent: delivery").partition("\n\n")
    sent = json.loads(notice_of(completed()).body("w"))
    shown = json.loads(body)
    assert (shown.keys(), shown["data"].keys()) == (sent.keys(), sent["data"].keys())
    assert re.search(r"^OCR-Signature: t=\d+,v1=[0-9a-f]+\.\.\.$", head, flags=re.MULTILINE)
