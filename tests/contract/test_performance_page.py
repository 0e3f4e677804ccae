"""The page of speed names the aims that the benchmarks judge by, commands that there are, and figures."""

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import intake, ledger, pipeline
from benchmarks.aims import Aim
from benchmarks.recognition.report import aims
from tests.support.documents import README, ROOT, documents

PAGE = (ROOT / "docs/performance.md").read_text("utf-8")
_VERDICT = re.compile(r"not measured  (?P<what>.+): aim (?P<aim>[<>]=? [\d.,]+)")
_ROW = re.compile(r"^\| (?P<what>[^|]+) \| (?P<aim>[<>]=? [\d.,]+) \| (?P<measured>[^|]+) \|$", flags=re.MULTILINE)


def _judged() -> Iterator[tuple[str, str]]:
    """What the benchmarks print a verdict of, and its bound, as they print them."""
    pipelines = [pipeline.SINGLE_P50, pipeline.SINGLE_P99, pipeline.MANY, pipeline.BESIDE_UPLOADS]
    every: list[Aim] = [*pipelines, *pipeline.AT_REST.values(), ledger.POSTING, ledger.PROCESS]
    verdicts = [aim.verdict(None) for aim in [*every, intake.PLAIN, intake.SPACED]]
    for line in [*verdicts, *aims({})[0].splitlines()]:
        verdict = _VERDICT.fullmatch(line)
        assert verdict is not None, line
        yield verdict["what"], verdict["aim"]


def test_the_aims_are_those_that_the_benchmarks_judge_by() -> None:
    rows = [(row["what"], row["aim"]) for row in _ROW.finditer(PAGE)]
    # The demo has no verdict: it prints its seconds.
    demo = [what for what, _ in rows if what.startswith(("`make demo`", "from its start"))]
    assert len(demo) == 3
    assert {row for row in rows if row[0] not in demo} == set(_judged())
    assert len(rows) == len(set(rows)) > 20


def test_every_benchmark_named_exists() -> None:
    named = set(re.findall(r"`python -m ([\w.]+)", PAGE))
    assert {"benchmarks.pipeline", "benchmarks.ledger", "benchmarks.intake", "benchmarks.capacity"} <= named
    assert all(importlib.util.find_spec(name) is not None for name in named)


@pytest.mark.parametrize("index", [README, ROOT / "docs/README.md"], ids=["README", "index"])
def test_the_indexes_lead_to_it(index: Path) -> None:
    assert re.search(r"\]\((docs/)?performance\.md\)", index.read_text("utf-8"))


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_figure_is_still_to_be_filled_in(document: Path) -> None:
    assert re.findall(r"@@[\w-]+@@", document.read_text("utf-8")) == []
