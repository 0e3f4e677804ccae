"""How long things are kept, and how they are brought back, as docs/operations.md says."""

import json
import os
import shlex
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from schemas.events import ResultCompleted, UsageRecorded
from services.webhook_registry.registry import add_webhook, list_webhooks
from tests.support.documents import ROOT, marked_block
from tests.support.parts import KafkaPart, ObjectStorePart
from tests.support.scripted_engine import picture
from tests.support.stage import Worker, raise_stage, wait_for
from tests.support.system import System
from tests.unit.api.fakes import NOW

_PAGE = ROOT / "docs/operations.md"
_GRANT = 10_000


def _command(system: System, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """`ocr-services ...` on the system's parts."""
    return subprocess.run(
        [sys.executable, "-m", "services.cli", *arguments],
        env=os.environ | system.stage.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _results(system: System) -> Mapping[str, int]:
    """How often each result was published."""
    return Counter(event.result_id for event in system.stage.read.events(ResultCompleted))


def _charges(system: System) -> Mapping[str, int]:
    return Counter(event.usage_id for event in system.stage.read.events(UsageRecorded))


def test_what_comes_before_the_services_is_safe_to_repeat(system: System) -> None:
    for _ in range(2):
        for line in marked_block(_PAGE, "prepare").splitlines():
            program, *arguments = shlex.split(line, comments=True)
            assert program == "ocr-services"
            done = _command(system, *arguments)
            assert done.returncode == 0, done.stderr


def test_a_key_has_the_scope_and_the_expiry_it_was_made_with(tmp_path: Path) -> None:
    environment = os.environ | {"OCR_DATABASE_URL": f"sqlite:///{tmp_path / 'ocr.db'}", "PYTHONPATH": str(ROOT)}
    command = f"{shlex.quote(sys.executable)} -m services.cli"
    script = f"{command} migrate\n" + marked_block(_PAGE, "keys").replace("ocr-services", command)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "key.txt").read_text().startswith("ocr_")
    assert f"acme  read, expires {datetime.now(UTC) + timedelta(days=90):%Y-%m-%d}  dashboard" in done.stdout


def test_what_expired_is_not_read_published_or_charged_again(system: System) -> None:
    key = system.account("alice", _GRANT)
    system.stage.environment |= {"OCR_API_RESULTS_KEPT_DAYS": "0.00001", "OCR_API_RETENTION_PAUSE_SECONDS": "0.5"}
    system.ledger()
    system.extractor()
    system.intake()
    api = system.api()
    keys = [f"ocr/alice/{number}.png" for number in range(3)]
    for number, name in enumerate(keys):
        system.stage.upload(name, picture(words=number + 1, seed=number))

    def statuses() -> list[str]:
        return [each["status"] for each in system.call(api, "GET", "/api/ocr/results", key).body["results"]]

    wait_for(lambda: statuses() == ["deleted"] * 3, "all results to expire", 90)
    # The ledger's sweep begins to look at documents when they are 3 s old, and comes by every second.
    system.sweep_again(6)
    assert set(_results(system).values()) == set(_charges(system).values()) == {1}
    for name in keys:
        answer = system.process(api, key, name)
        assert (answer.status, answer.body["code"]) == (410, "result_deleted")
    system.sweep_again(2)
    assert (len(_results(system)), len(_charges(system))) == (3, 3)
    assert set(_results(system).values()) == set(_charges(system).values()) == {1}
    assert system.balance(api, key) == _GRANT - (51 + 52 + 53)


def test_a_person_is_erased_and_nobody_else(system: System) -> None:
    carol, dave = system.account("carol", _GRANT), system.account("dave", _GRANT)
    system.ledger()
    system.extractor()
    system.intake()
    api = system.api()
    add_webhook(system.engine, "carol", "https://hook.example/", ["result.completed"], NOW)
    for user, key in (("carol", carol), ("dave", dave)):
        system.stage.upload(f"ocr/{user}/own.png", picture(words=3, seed=ord(user[0])))
        assert system.process(api, key, f"ocr/{user}/own.png").status == 200

    command, *arguments = shlex.split(marked_block(_PAGE, "erase"))
    assert (command, arguments[0]) == ("ocr-services", "erase")
    done = _command(system, *arguments)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()[:4]] == ["1", "1", "1", "1"], done.stdout

    stored = system.stage.store
    assert list(system.stage.objects.list(stored.uploads_bucket, "ocr/carol/")) == []
    (tombstone,) = system.stage.objects.list(stored.results_bucket, "ocr/carol/")
    body, _ = system.stage.objects.read(stored.results_bucket, tombstone.key) or (b"", "")
    assert json.loads(body)["status"] == "deleted"
    assert b"word1" not in body
    assert list_webhooks(system.engine, "carol") == []
    # A key that was seen a moment ago may be accepted for some seconds more.
    wait_for(lambda: system.call(api, "GET", "/api/ocr/results", carol).status == 401, "the key to be refused")
    assert system.process(api, dave, "ocr/dave/own.png").status == 200
    again = _command(system, *arguments)
    assert [line.split()[0] for line in again.stdout.splitlines()[:4]] == ["0", "0", "0", "0"], again.stdout


@pytest.fixture
def portable(
    kafka: KafkaPart, notifying_store: ObjectStorePart, topic_prefix: str, bucket_prefix: str, tmp_path: Path
) -> System:
    """A system whose database is a file, which SQLite's own means back up."""
    stage = raise_stage(kafka, notifying_store, topic_prefix, bucket_prefix, tmp_path)
    return System(stage, f"sqlite:///{tmp_path / 'ocr.db'}")


def test_a_restore_in_the_documents_order_loses_no_grant_and_charges_nothing_twice(
    portable: System, tmp_path: Path
) -> None:
    system = portable
    try:
        _back_up_go_on_and_restore(system, tmp_path)
    finally:
        system.strike()


def _back_up_go_on_and_restore(system: System, folder: Path) -> None:
    key = system.account("alice", _GRANT)
    services: list[Callable[[], Worker]] = [system.ledger, system.extractor, system.intake, system.api]
    *_, api = running = [start() for start in services]
    for name in ("before", "between"):
        system.stage.upload(f"ocr/alice/{name}.png", picture(words=len(name)))
        assert system.process(api, key, f"ocr/alice/{name}.png").status == 200
        wait_for(lambda: system.balance(api, key) < _GRANT - 50, "the first charge", 60)
        if name == "before":
            _copy_database(folder / "ocr.db", folder / "backup.db")
    # The database first and the bucket after it: what was read in between is in the bucket alone.
    bucket = system.stage.store.results_bucket
    documents = {
        each.key: system.stage.objects.read(bucket, each.key) for each in system.stage.objects.list(bucket, "")
    }
    system.stage.upload("ocr/alice/after.png", picture(words=5))
    assert system.process(api, key, "ocr/alice/after.png").status == 200
    system.grant("alice", 500, "after-the-backup")
    balance = _GRANT + 500 - sum(50 + words for words in (len("before"), len("between"), 5))
    wait_for(lambda: system.balance(api, key) == balance, "the balance before it all is lost", 60)
    published = dict(_results(system))

    # 1. Stop; the bucket, then the database.
    for worker in reversed(running):
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 0
    system.engine.dispose()
    for each in list(system.stage.objects.list(bucket, "")):
        system.stage.objects.delete(bucket, each.key)
    for name, found in documents.items():
        assert found is not None
        system.stage.objects.put(bucket, name, found[0], "application/json")
    _copy_database(folder / "backup.db", folder / "ocr.db")
    # 2. Migrate, and the ledger.
    assert _command(system, "migrate").returncode == 0
    system.ledger()
    # 3. Grants.
    assert _command(system, "tokens", "audit", "--repair", "--no-documents").returncode == 0
    wait_for(lambda: _told_balance(system) == balance, "the ledger to catch up", 60)
    assert _command(system, "tokens", "audit", "--no-documents").returncode == 0
    # 4. The rest.
    *_, api = [start() for start in services[1:]]
    for name in ("before", "between", "after"):
        wait_for(lambda name=name: system.process(api, key, f"ocr/alice/{name}.png").status == 200, name, 60)  # type: ignore[misc]
    system.sweep_again(3)
    wait_for(lambda: system.balance(api, key) == balance, "the same balance", 60)
    assert _told_balance(system) == balance
    again = {result_id for result_id, times in _results(system).items() if times > published[result_id]}
    assert len(again) == 1, "what is newer than the bucket's backup was read again, and nothing else"


def _copy_database(source: Path, target: Path) -> None:
    """As SQLite's own backup does it, beside whoever writes."""
    for leftover in (target, target.with_name(f"{target.name}-wal"), target.with_name(f"{target.name}-shm")):
        leftover.unlink(missing_ok=True)
    with closing(sqlite3.connect(source)) as reading, closing(sqlite3.connect(target)) as writing:
        reading.backup(writing)


def _told_balance(system: System) -> int:
    done = _command(system, "tokens", "balance", "alice")
    return int(done.stdout) if done.returncode == 0 else -1
