"""What is old enough is found in the list and buried once, on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import Engine, insert

from schemas.document import Document
from schemas.identity import document_key
from services.api.results import ResultStatus, find_result
from services.api.retention import Retention, bury_expired, expired_results
from services.api.tables import RESULTS
from services.runtime.database import transaction
from services.runtime.documents import DocumentStore
from services.runtime.errors import Halt, StoreUnavailable
from services.runtime.metrics import RETENTION_ROUND
from tests.support.stage import wait_for
from tests.unit.api.fakes import NOW, USER, document
from tests.unit.extractor.test_steps import DictionaryStore

_DAY = timedelta(days=1)


class Documents:
    """Documents of memory; those of `gone` were removed by somebody else."""

    def __init__(self) -> None:
        self.buried: list[str] = []
        self.gone: set[str] = set()
        self.unreadable: dict[str, Exception] = {}
        self.away = 0

    def bury(self, user_id: str, result_id: str, deleted_at: Any) -> Document | None:
        if self.away:
            self.away -= 1
            raise StoreUnavailable("away")
        if result_id in self.unreadable:
            raise self.unreadable[result_id]
        if result_id in self.gone:
            return None
        self.buried.append(result_id)
        return document().tombstone(deleted_at).model_copy(update={"result_id": result_id, "user_id": user_id})

    def as_store(self) -> DocumentStore:
        return cast(DocumentStore, self)


def row(identity: str, age_days: float, status: ResultStatus = ResultStatus.COMPLETED) -> dict[str, Any]:
    moment = NOW - age_days * _DAY
    finished = None if status is ResultStatus.PENDING else moment
    values = {"id": identity, "user_id": USER, "key": "ocr/alice/a.png", "status": status.value}
    return values | {"requested_at": moment, "finished_at": finished}


def fill(engine: Engine, *rows: dict[str, Any]) -> None:
    with transaction(engine) as connection:
        connection.execute(insert(RESULTS), rows)


def test_completed_results_of_age_are_found_the_oldest_first_page_by_page(engine: Engine) -> None:
    # Many of one moment: the place of a page's end is moment and id.
    fill(engine, *[row(f"same-{number:03}", 40) for number in range(450)], row("oldest", 99), row("young", 29.9))
    fill(engine, *[row(f"{status}-old", 50, status) for status in ResultStatus if status is not ResultStatus.COMPLETED])
    found = [each.id for each in expired_results(engine, NOW - 30 * _DAY)]
    assert found == ["oldest", *(f"same-{number:03}" for number in range(450))]


def test_they_are_buried_and_listed_as_deleted_once(engine: Engine) -> None:
    fill(engine, row("old", 31), row("gone", 32), row("young", 1))
    documents = Documents()
    documents.gone.add("gone")
    for _ in range(2):
        bury_expired(engine, documents.as_store(), NOW - 30 * _DAY, NOW, lambda: False)
    assert documents.buried == ["old"]
    found = {name: find_result(engine, name) for name in ("old", "gone", "young")}
    assert {name: each.status.value for name, each in found.items() if each} == {
        "old": "deleted",
        "gone": "completed",
        "young": "completed",
    }
    assert bury_expired(engine, documents.as_store(), NOW, NOW, lambda: True) == 0


def test_a_store_that_is_away_is_waited_for(engine: Engine) -> None:
    fill(engine, row("old", 31))
    documents = Documents()
    documents.away = 2
    retention = Retention(engine, documents.as_store(), kept_days=30, pause_seconds=0.05, now=lambda: NOW)
    retention.start()
    wait_for(lambda: documents.buried == ["old"], "the burial", 60)
    retention.close()


def test_what_cannot_be_read_is_told_counted_and_left_and_the_others_are_buried(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    fill(engine, row("damaged", 34), row("odd", 33), row("old", 32))
    documents = Documents()
    documents.unreadable = {"damaged": Halt("ocr/alice/damaged.json is no document"), "odd": KeyError("odd")}
    before = sample("ocr_api_retention_faults_total", kind="document")
    assert bury_expired(engine, documents.as_store(), NOW - 30 * _DAY, NOW, lambda: False) == 1
    assert documents.buried == ["old"]
    assert sample("ocr_api_retention_faults_total", kind="document") == before + 2
    assert "damaged.json" in caplog.text
    found = find_result(engine, "damaged")
    assert found is not None
    assert found.status is ResultStatus.COMPLETED


@pytest.mark.parametrize("body", [b'{"text": "cut of', b""], ids=["cut", "empty"])
def test_a_damaged_document_is_left_where_it_is(engine: Engine, body: bytes) -> None:
    _left_where_it_is(engine, body)


def test_a_document_of_a_newer_version_is_left_where_it_is(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    newer = document("my secret").to_json()
    assert b'"schemaVersion":1' in newer
    _left_where_it_is(engine, newer.replace(b'"schemaVersion":1', b'"schemaVersion":2'))
    assert "retention passes over" in caplog.text
    assert "secret" not in caplog.text


def _left_where_it_is(engine: Engine, body: bytes) -> None:
    fill(engine, row("unreadable", 33), row("old", 32))
    store = DictionaryStore()
    store.put("results", document_key(USER, "unreadable"), body, "application/json")
    good = document().model_copy(update={"result_id": "old"})
    documents = DocumentStore(store, "results")
    documents.create(good)
    assert bury_expired(engine, documents, NOW - 30 * _DAY, NOW, lambda: False) == 1
    assert store.objects["results/" + document_key(USER, "unreadable")][0] == body
    assert documents.bury(USER, "old", NOW) == good.tombstone(NOW)


def test_a_round_that_breaks_off_is_counted_and_the_next_one_comes(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    fill(engine, row("old", 31))
    documents = Documents()
    rounds = 0

    def now() -> datetime:
        nonlocal rounds
        rounds += 1
        RETENTION_ROUND.set(rounds)
        # What a day before the first is, nobody can say.
        return NOW if rounds > 1 else datetime.min.replace(tzinfo=UTC)

    before = sample("ocr_api_retention_faults_total", kind="round")
    retention = Retention(engine, documents.as_store(), kept_days=30, pause_seconds=60, fault_seconds=0.05, now=now)
    retention.start()
    wait_for(lambda: rounds > 1, "the second round", 60)
    wait_for(lambda: sample("ocr_api_retention_round_timestamp_seconds") > 1_000, "the end of a round", 60)
    retention.close()
    assert documents.buried == ["old"]
    assert sample("ocr_api_retention_faults_total", kind="round") == before + 1
    assert "OverflowError" in caplog.text


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_for_ever_is_for_ever(engine: Engine) -> None:
    retention = Retention(engine, Documents().as_store(), kept_days=0, pause_seconds=0.05)
    retention.start()
    assert not retention._thread.is_alive()
    retention.close()
