"""What doctor makes of a bucket's notifications and of topics, without a store or a broker."""

from typing import Any

import pytest
from confluent_kafka.cimpl import NewTopic

from services.doctor.findings import Finding, Level, any_failed, as_json, as_lines, fail, ok, warn
from services.doctor.notifications import check_sources, judge
from services.doctor.topics import SeenTopic, compare
from services.intake.settings import IntakeSettings


def _queue(prefix: str | None = None, suffix: str | None = None, event: str = "s3:ObjectCreated:*") -> dict[str, Any]:
    # AWS answers `Prefix` where `prefix` was put.
    rules = [{"Name": name, "Value": value} for name, value in (("Prefix", prefix), ("Suffix", suffix)) if value]
    return {"Id": "ours", "QueueArn": "arn:q", "Events": [event], "Filter": {"Key": {"FilterRules": rules}}}


@pytest.mark.parametrize(
    ("configuration", "level", "says"),
    [
        ({"QueueConfigurations": [_queue("ocr/")]}, Level.OK, "notifies of ocr/"),
        ({"TopicConfigurations": [_queue("ocr/")]}, Level.OK, "notifies of ocr/"),
        ({"EventBridgeConfiguration": {}}, Level.OK, "EventBridge"),
        ({"QueueConfigurations": [_queue()]}, Level.WARN, "outside of ocr/"),
        ({"QueueConfigurations": [_queue("o")]}, Level.WARN, "outside of ocr/"),
        ({"QueueConfigurations": [_queue("ocr/", ".jpg")]}, Level.WARN, "end with .jpg"),
        ({"QueueConfigurations": [_queue("photos/")]}, Level.WARN, "notifies of photos/, not of ocr/"),
        ({"QueueConfigurations": [_queue("ocr/alice/")]}, Level.WARN, "notifies of ocr/alice/, not of ocr/"),
        ({"QueueConfigurations": [_queue("ocr/", event="s3:ObjectRemoved:*")]}, Level.WARN, "notifies of nothing"),
        ({}, Level.WARN, "notifies of nothing"),
    ],
)
def test_each_filter_is_judged_by_what_it_lets_through(configuration: dict[str, Any], level: Level, says: str) -> None:
    (finding,) = judge(configuration, "uploads")
    assert finding.level is level
    assert says in finding.what


def _spec(**config: str) -> NewTopic:
    return NewTopic("t", 4, 3, config=config)


@pytest.mark.parametrize(
    ("seen", "level", "says"),
    [
        (SeenTopic(2, 3, {}), Level.FAIL, "has 2 partitions, not 4"),
        (SeenTopic(4, 1, {}), Level.WARN, "has 1 replicas, not 3"),
        (SeenTopic(4, 3, {"cleanup.policy": "delete"}), Level.FAIL, "would be forgotten"),
        (SeenTopic(4, 3, {"retention.ms": "10"}), Level.WARN, "gone earlier"),
        (SeenTopic(4, 3, {"max.message.bytes": "10"}), Level.FAIL, "long results would be refused"),
    ],
)
def test_each_difference_of_a_topic_is_told(seen: SeenTopic, level: Level, says: str) -> None:
    spec = _spec(**{"cleanup.policy": "compact", "retention.ms": "1000", "max.message.bytes": "1048576"})
    (finding,) = compare([spec], {"t": seen})
    assert finding.level is level
    assert says in finding.what


def test_a_topic_that_keeps_more_than_wanted_is_fine() -> None:
    spec = _spec(**{"cleanup.policy": "delete", "retention.ms": "1000", "max.message.bytes": "100"})
    kept_for_ever = {"cleanup.policy": "delete", "retention.ms": "-1", "max.message.bytes": "200"}
    assert list(compare([spec], {"t": SeenTopic(8, 3, kept_for_ever)})) == []


def test_a_missing_topic_is_one_finding_with_its_name() -> None:
    (finding,) = compare([_spec()], {})
    assert (finding.level, finding.what) == (Level.FAIL, "missing: t")


def test_a_topic_of_one_partition_by_design_may_not_have_more() -> None:
    (finding,) = compare([NewTopic("t", 1, 1)], {"t": SeenTopic(2, 1, {})})
    assert finding.level is Level.FAIL


def test_no_source_is_a_warning_with_the_reconciler_and_a_failure_without() -> None:
    assert check_sources(IntakeSettings(kafka_enabled=True)).level is Level.OK
    assert check_sources(IntakeSettings()).level is Level.WARN
    assert check_sources(IntakeSettings(reconciler_enabled=False)).level is Level.FAIL


def test_the_report_has_a_line_for_each_finding_and_one_for_each_advice() -> None:
    findings = [ok("a", "fine"), warn("b", "meh", "do this"), fail("c", "bad", "do that")]
    lines = as_lines(findings)
    assert [line.split()[0] for line in lines] == ["ok", "warn", "->", "fail", "->"]
    report = as_json(findings)
    assert report["ok"] is False
    assert any_failed(findings)
    assert not any_failed(findings[:2])


def test_advice_belongs_to_every_problem_and_to_nothing_else() -> None:
    with pytest.raises(ValueError, match="advice"):
        Finding("a", Level.FAIL, "bad")
    with pytest.raises(ValueError, match="advice"):
        Finding("a", Level.OK, "fine", "do this")
