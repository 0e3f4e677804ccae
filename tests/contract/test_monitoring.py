"""Alert rules and dashboard name only what a service exports; names follow Prometheus' conventions."""

import ast
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from deploy.grafana.generate import TARGET, dashboard
from services.runtime import metrics
from tests.support.coverage import Coverage
from tests.support.documents import ROOT
from tests.support.downloads import PartUnavailableError, Progress, promtool_binary

_ALERTS = ROOT / "deploy/prometheus/alerts.yml"
_PROMETHEUS_OWN = {"up"}
_UNITS = ("_seconds", "_total", "_records", "_rows", "_tokens", "_age_seconds", "_timestamp_seconds", "_waiters")
_COUNTED_THINGS = {"ocr_ledger_accounts", "ocr_api_waiters"}


def _metrics() -> dict[str, MetricWrapperBase]:
    """Every metric by the name of its variable."""
    return {name: value for name, value in vars(metrics).items() if isinstance(value, MetricWrapperBase)}


def _series() -> dict[str, tuple[str, ...]]:
    """Every series by its name in a query, with its labels."""
    series: dict[str, tuple[str, ...]] = {}
    for metric in _metrics().values():
        name, labels = metric._name, metric._labelnames
        if isinstance(metric, Counter):
            series[f"{name}_total"] = labels
        elif isinstance(metric, Histogram):
            series |= {f"{name}_bucket": (*labels, "le"), f"{name}_sum": labels, f"{name}_count": labels}
        else:
            series[name] = labels
    return series


def _rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(_ALERTS.read_text("utf-8"))["groups"] for rule in group["rules"]]


def _queries() -> Iterator[str]:
    yield from (rule["expr"] for rule in _rules())
    for panel in dashboard()["panels"]:
        yield from (target["expr"] for target in panel["targets"])


def test_every_query_is_promql_and_of_the_types_its_functions_take() -> None:
    queries = list(_queries())
    assert len(queries) > 30
    for query in queries:
        # Grafana puts a duration in the place of its own variables.
        promql_parser.parse(query.replace("$__rate_interval", "5m"))


@pytest.mark.parametrize("wrong", ["sum(", "rate(ocr_ledger_accounts)", 'up{job="a\\.b"}', "ocr_x >", "nonsense(up)"])
def test_the_check_of_queries_can_fail(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        promql_parser.parse(wrong)


def test_every_wait_of_a_rule_is_a_duration() -> None:
    waits = [rule["for"] for rule in _rules() if "for" in rule]
    assert waits
    assert all(re.fullmatch(r"(\d+)[smh]", wait) for wait in waits)


def test_every_label_of_a_summary_is_one_that_its_alert_has() -> None:
    for rule in _rules():
        told = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
        kept = {each for by in re.findall(r"by \(([^)]*)\)", rule["expr"]) for each in re.split(r",\s*", by)}
        # Without an aggregation the series' own labels stay, with those of its target.
        assert told <= kept or " by " not in rule["expr"], f"{rule['alert']}: {told - kept}"
        assert told <= {"job", "instance"} | kept, rule["alert"]


def test_every_metric_of_a_query_is_exported_with_the_labels_that_are_asked_for() -> None:
    series = _series()
    asked = 0
    for query in _queries():
        for name, matchers in re.findall(r"\b(ocr_\w+)(?:\{(.*?)\})?", query):
            # Inside of quotes: a group's or a topic's name.
            if f'"{name}' in query or f".*{name}" in query:
                continue
            assert name in series, f"{name} in {query}"
            labels = set(re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"', matchers))
            assert labels <= set(series[name]), f"{name} has no {labels - set(series[name])}: {query}"
            asked += 1
    assert asked > 30


def test_every_metric_is_set_by_a_service() -> None:
    used = set()
    for path in (ROOT / "services").rglob("*.py"):
        if path.name == "metrics.py" and path.parent.name == "runtime":
            continue
        tree = ast.parse(path.read_text("utf-8"))
        used |= {
            node.value.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        }
    assert set(_metrics()) - used == set()


def test_names_carry_their_unit_and_counters_end_in_total() -> None:
    for metric in _metrics().values():
        name = metric._name + ("_total" if isinstance(metric, Counter) else "")
        assert re.fullmatch(r"ocr_[a-z]+(_[a-z]+)+", name)
        assert name.endswith(_UNITS) or name in _COUNTED_THINGS, name
        assert isinstance(metric, Counter | Gauge | Histogram)
        assert metric._documentation.endswith((".", ".0", "none."))


def test_each_alert_says_how_bad_it_is_what_is_and_what_to_do() -> None:
    rules = _rules()
    assert len({rule["alert"] for rule in rules}) == len(rules) > 10
    for rule in rules:
        assert rule["labels"]["severity"] in ("page", "ticket", "notice")
        assert set(rule["annotations"]) == {"summary", "action"}
    assert any("ocr_ledger_low_balance_tokens" in rule["expr"] for rule in rules)


def test_the_committed_dashboard_is_the_generated_one() -> None:
    assert json.loads(Path(TARGET).read_text("utf-8")) == dashboard()


def test_promtool_takes_the_rules(coverage: Coverage, progress: Progress) -> None:
    try:
        promtool = promtool_binary(progress)
    except PartUnavailableError as error:
        coverage.lacked("promtool", str(error))
        pytest.skip(f"no promtool: {error}")
    for arguments in (["check", "rules", str(_ALERTS)], ["check", "config", str(_ALERTS.with_name("prometheus.yml"))]):
        done = subprocess.run([promtool, *arguments], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
