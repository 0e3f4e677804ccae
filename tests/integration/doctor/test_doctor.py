"""`ocr-services doctor` on the real parts: well, and with each kind of trouble."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from typer.testing import CliRunner

from schemas.topics import BALANCES, ENTRIES, RESULTS
from services.cli.__main__ import app
from services.doctor.store import check_conditional_writes
from services.runtime import groups
from services.runtime.kafka import common_config
from services.runtime.migrations import migrate
from services.runtime.object_store import ObjectStore, create_client
from services.runtime.provisioning import provision_topics
from tests.support.misbehaving_store import misbehaving_store
from tests.support.parts import KafkaPart, ObjectStorePart
from tests.support.stage import Stage, raise_stage

Report = dict[str, list[dict[str, Any]]]
Run = Callable[..., tuple[int, Report]]

pytestmark = pytest.mark.needs_real("kafka")


@pytest.fixture
def stage(
    kafka: KafkaPart, notifying_store: ObjectStorePart, topic_prefix: str, bucket_prefix: str, tmp_path: Path
) -> Stage:
    """Topics and buckets as provisioned, a store that notifies the topic; no service runs."""
    raised = raise_stage(kafka, notifying_store, topic_prefix, bucket_prefix, tmp_path)
    raised.read.close()
    return raised


@pytest.fixture
def run(stage: Stage, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs doctor with the stage's settings, changed by `changes`; returns the exit status and findings by check."""
    migrate(postgres_url)
    given = stage.environment | {"OCR_DATABASE_URL": postgres_url, "OCR_INTAKE_KAFKA_ENABLED": "true"}

    def run(**changes: str) -> tuple[int, Report]:
        for name, value in (given | changes).items():
            monkeypatch.setenv(name, value)
        done = CliRunner().invoke(app, ["doctor", "--json"])
        report = json.loads(done.stdout)
        assert report["ok"] == (done.exit_code == 0), done.stdout
        found: Report = {}
        for finding in report["checks"]:
            assert (finding["advice"] is None) == (finding["level"] == "ok")
            found.setdefault(finding["check"], []).append(finding)
        return done.exit_code, found

    return run


def _only(report: Report, check: str) -> dict[str, Any]:
    (finding,) = report[check]
    return finding


def _alter(stage: Stage, topic: str, name: str, value: str) -> None:
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient(common_config(stage.kafka))
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(10)


def test_a_whole_installation_passes_and_every_part_was_looked_at(run: Run, stage: Stage) -> None:
    status, report = run()
    assert status == 0
    assert set(report) == {
        "broker", "transactions", "topics", "offsets", "hanging", "buckets", "conditional", "privacy", "cors",
        "sources", "notifications", "database", "weights",
    }  # fmt: skip
    levels = {check: {finding["level"] for finding in findings} for check, findings in report.items()}
    assert all(levels[check] == {"ok"} for check in set(report) - {"notifications", "cors"}), report
    # The gateway has one topic for all its buckets and keys: that is worth a word.
    assert "outside of ocr/" in _only(report, "notifications")["what"]
    left = stage.objects.client.list_objects_v2(Bucket=stage.store.uploads_bucket)
    assert left.get("KeyCount", 0) == 0


def test_a_broker_that_is_away_is_told_and_the_rest_is_still_looked_at(run: Run) -> None:
    status, report = run(OCR_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert status == 1
    assert _only(report, "broker")["level"] == "fail"
    assert _only(report, "database")["level"] == "ok"
    assert "topics" not in report


def test_missing_topics_are_named_with_the_command_that_makes_them(run: Run, stage: Stage) -> None:
    status, report = run(OCR_KAFKA_TOPIC_PREFIX=stage.kafka.topic_prefix + "other.")
    assert status == 1
    finding = next(each for each in report["topics"] if each["what"].startswith("missing"))
    assert f"{stage.kafka.topic_prefix}other.{RESULTS.name}" in finding["what"]
    assert "provision" in finding["advice"]


def test_settings_that_somebody_changed_are_told_each_with_its_command(run: Run, stage: Stage) -> None:
    prefix = stage.kafka.topic_prefix
    _alter(stage, prefix + RESULTS.name, "max.message.bytes", "1000")
    _alter(stage, prefix + ENTRIES.name, "retention.ms", "1000")
    _alter(stage, prefix + BALANCES.name, "cleanup.policy", "delete")
    status, report = run()
    assert status == 1
    told = {finding["what"].split(":")[0]: finding for finding in report["topics"]}
    assert told[prefix + RESULTS.name]["level"] == "fail"
    assert told[prefix + ENTRIES.name]["level"] == "warn"
    assert told[prefix + BALANCES.name]["level"] == "fail"
    assert all("--add-config" in finding["advice"] for finding in told.values())


def test_too_few_partitions_are_told(run: Run) -> None:
    status, report = run(OCR_KAFKA_PARTITIONS="64")
    assert status == 1
    assert any("partitions, not 64" in finding["what"] for finding in report["topics"])


def test_a_group_that_lost_its_offsets_is_told(run: Run, stage: Stage) -> None:
    group = stage.kafka.topic_prefix + groups.EXTRACTOR
    admin = AdminClient(common_config(stage.kafka))
    admin.delete_consumer_groups([group])[group].result(10)
    status, report = run()
    assert status == 1
    assert "skip-to-end" in _only(report, "offsets")["advice"]


def test_a_missing_bucket_and_a_wrong_secret_are_two_different_troubles(run: Run) -> None:
    status, report = run(OCR_S3_RESULTS_BUCKET="nothing-here")
    assert status == 1
    assert "provision" in report["buckets"][-1]["advice"]
    status, report = run(OCR_S3_SECRET_KEY="wrong")
    assert status == 1
    assert "refused" in report["buckets"][0]["what"]
    assert "OCR_S3_SECRET_KEY" in report["buckets"][0]["advice"]


def test_a_store_that_is_away_and_one_bucket_for_both_are_told(run: Run, stage: Stage) -> None:
    status, report = run(OCR_S3_ENDPOINT_URL="http://127.0.0.1:1")
    assert status == 1
    assert "does not answer" in report["buckets"][0]["what"]
    status, report = run(OCR_S3_RESULTS_BUCKET=stage.store.uploads_bucket)
    assert status == 1
    assert "one bucket" in report["buckets"][0]["what"]


def test_a_store_that_notifies_another_topic_is_found_out_by_trying(run: Run, stage: Stage) -> None:
    # Provisioned like ours, but the store knows nothing of it.
    other = stage.kafka.topic_prefix + "other."
    provision_topics(stage.kafka.model_copy(update={"topic_prefix": other}))
    status, report = run(OCR_KAFKA_TOPIC_PREFIX=other)
    assert status == 1
    assert "was not told" in _only(report, "notifications")["what"]


def test_a_database_that_is_away_unmigrated_or_of_another_kind_is_told(run: Run, tmp_path: Path) -> None:
    status, report = run(OCR_DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    assert (status, _only(report, "database")["level"]) == (1, "fail")
    status, report = run(OCR_DATABASE_URL=f"sqlite:///{tmp_path / 'empty.db'}")
    assert status == 1
    assert "ocr-services migrate" in _only(report, "migrations")["advice"]
    assert _only(report, "database")["level"] == "warn"
    status, report = run(OCR_DATABASE_URL="mysql://localhost/ocr")
    assert (status, _only(report, "database")["level"]) == (1, "fail")


def test_missing_and_broken_weights_are_told(run: Run, tmp_path: Path) -> None:
    status, report = run(OCR_EXTRACTOR_WEIGHTS_DIR=str(tmp_path))
    assert (status, _only(report, "weights")["level"]) == (1, "fail")
    for name in ("db_broken.onnx", "crnn_broken.onnx"):
        (tmp_path / name).write_bytes(b"no model")
    status, report = run(OCR_EXTRACTOR_WEIGHTS_DIR=str(tmp_path))
    assert status == 1
    assert "do not load" in _only(report, "weights")["what"]


def test_a_setting_that_is_no_setting_is_a_finding_and_no_traceback(run: Run) -> None:
    status, report = run(OCR_KAFKA_PARTITIONS="many")
    assert status == 1
    assert "PARTITIONS" in _only(report, "settings")["what"]


def test_a_store_that_ignores_conditions_fails() -> None:
    with misbehaving_store() as (settings, behaviour):
        behaviour.ignores_conditions = True
        finding = check_conditional_writes(ObjectStore(create_client(settings)), "results")
    assert finding.level == "fail"
    assert "If-None-Match" in finding.what
