"""What docs/api.md says of endpoints and answers is what OpenAPI says."""

from __future__ import annotations

import json
import re
from typing import Any

from services.api.keys import Scope
from services.api.layout.formats import LayoutFormat
from tests.support.documents import ROOT
from tests.unit.api.fakes import FakeWorld, app

PAGE = (ROOT / "docs/api.md").read_text("utf-8")
DOCUMENT: dict[str, Any] = app(FakeWorld()).openapi()


def test_every_endpoint_has_its_line() -> None:
    listed = re.findall(
        r"^\| \[`(\w+) ([^`]+)`\]\((?:webhooks\.md|#[\w-]+)\) \|.*\| `(\w+)` \|$", PAGE, flags=re.MULTILINE
    )
    documented = {
        (method.upper(), path)
        for path, methods in DOCUMENT["paths"].items()
        for method in methods
        if path.startswith("/api/") and not path.startswith("/api/operator/")
    }
    assert {(method, path) for method, path, _ in listed} == documented
    assert {scope for *_, scope in listed} <= {scope.value for scope in Scope}


def test_every_answer_shown_is_the_example_of_its_model() -> None:
    shown = re.findall(r"<!-- answer: (\w+) -->\n```json\n(.*?)```", PAGE, flags=re.DOTALL)
    assert len(shown) == PAGE.count("```json")
    for name, body in shown:
        assert json.loads(body) == DOCUMENT["components"]["schemas"][name]["examples"][0], name


def test_every_format_has_its_line() -> None:
    table = PAGE[PAGE.index("`format` is one of") :]
    assert re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE)[: len(LayoutFormat)] == [
        format_.value for format_ in LayoutFormat
    ]
