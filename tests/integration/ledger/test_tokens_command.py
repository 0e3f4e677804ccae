"""`ocr-services tokens`, as a person and as a script use it."""

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, update
from typer.testing import CliRunner, Result

from services.cli.__main__ import app
from services.ledger.book import Batch, post_batch
from services.ledger.offsets import Span
from services.ledger.posting import debit, entry_id
from services.ledger.tables import accounts
from services.runtime.database import transaction
from services.runtime.documents import DocumentStore
from services.runtime.object_store import connect
from services.runtime.provisioning import ensure_bucket
from services.runtime.settings import KafkaSettings, ObjectStoreSettings
from tests.integration.ledger.documents import document_of
from tests.integration.ledger.running import Wire, entry_count, eventually, outbox_count, running
from tests.support.parts import ObjectStorePart
from tests.support.usage import NOON, usage

Run = Callable[..., Result]


@pytest.fixture
def run(sqlite_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `ocr-services tokens ...` against a migrated database."""
    monkeypatch.setenv("OCR_DATABASE_URL", sqlite_engine.url.render_as_string(hide_password=False))
    return lambda *arguments: CliRunner().invoke(app, ["tokens", *arguments])


def _json(result: Result) -> Any:
    return json.loads(result.stdout)


def test_a_grant_is_told_and_told_again_when_it_was_made_before(run: Run) -> None:
    first = run("grant", "alice", "500", "--key", "k1")
    again = run("grant", "alice", "500", "--key", "k1")
    assert (first.exit_code, first.stdout) == (0, "granted 500 tokens to alice; balance 500\n")
    assert (again.exit_code, again.stdout) == (0, "granted before with this key: 500 tokens to alice; balance 500\n")
    told = _json(run("grant", "alice", "500", "--key", "k1", "--json"))
    assert {name: told[name] for name in ("userId", "amount", "balance", "isNew")} == {
        "userId": "alice",
        "amount": 500,
        "balance": 500,
        "isNew": False,
    }


def test_a_key_used_for_another_grant_is_refused_with_a_sentence(run: Run) -> None:
    run("grant", "alice", "500", "--key", "k1")
    refused = run("grant", "alice", "600", "--key", "k1")
    assert refused.exit_code == 1
    assert refused.stderr == "the key k1 was used for another grant\n"
    assert run("balance", "alice").stdout == "500\n"


@pytest.mark.parametrize("arguments", [("a/b", "1", "--key", "k"), ("alice", "0", "--key", "k"), ("alice", "5")])
def test_what_is_no_grant_is_a_usage_error(run: Run, arguments: tuple[str, ...]) -> None:
    assert run("grant", *arguments).exit_code == 2


def test_balance_and_history(run: Run, sqlite_engine: Engine) -> None:
    run("grant", "alice", "500", "--key", "k1")
    post_batch(sqlite_engine, Batch({0: Span(None, 1)}, [debit(usage("r1"), 0, 0)]), NOON)
    assert _json(run("balance", "alice", "--json")) == {"userId": "alice", "balance": 300}
    lines = _json(run("history", "alice", "--json"))
    assert [(line["sequence"], line["amount"], line["resultId"]) for line in lines] == [(2, -200, "r1"), (1, 500, None)]
    assert lines[0]["postedAt"] == "2026-06-15T12:00:00.000Z"
    assert run("history", "alice").stdout.splitlines()[0].split() == [
        "2",
        "2026-06-15T12:00:00.000Z",
        "usage",
        "-200",
        "r1",
    ]


def test_a_user_without_an_account_is_a_sentence_and_a_status(run: Run) -> None:
    for command in ("balance", "history"):
        result = run(command, "nobody")
        assert (result.exit_code, result.stderr) == (1, "no account of nobody\n")


def test_an_audit_says_that_all_is_well_or_names_what_is_not(run: Run, sqlite_engine: Engine) -> None:
    run("grant", "alice", "500", "--key", "k1")
    well = run("audit", "--no-documents")
    assert well.exit_code == 0
    assert well.stdout.splitlines() == [
        "1 entries on 2 accounts; debits 500, credits 500",
        "every invariant holds",
    ]
    with transaction(sqlite_engine) as connection:
        connection.execute(update(accounts).values(balance=1).where(accounts.c.id == "user:alice"))
    result = run("audit", "--no-documents")
    assert result.exit_code == 1
    assert "WRONG: account user:alice: its balance is 1, its lines sum to 500" in result.stdout
    told = _json(run("audit", "--no-documents", "--json"))
    assert told["ok"] is False
    assert [finding["subject"] for finding in told["findings"]] == ["account user:alice"]


def test_a_repair_posts_again_what_the_entries_topic_knows(
    run: Run,
    wire: Wire,
    kafka_settings: KafkaSettings,
    postgres_engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The grants are made in one database and repaired into another, empty one."""
    monkeypatch.setenv("OCR_KAFKA_BOOTSTRAP_SERVERS", kafka_settings.bootstrap_servers)
    monkeypatch.setenv("OCR_KAFKA_TOPIC_PREFIX", kafka_settings.topic_prefix)
    with monkeypatch.context() as first:
        first.setenv("OCR_DATABASE_URL", postgres_engine.url.render_as_string(hide_password=False))
        run("grant", "alice", "500", "--key", "k1", "--note", "welcome")
        run("grant", "bob", "70", "--key", "k2")
    wire.send([usage("r1")])
    with running(kafka_settings, postgres_engine):
        eventually(lambda: outbox_count(postgres_engine) == 0)
    told = _json(run("audit", "--no-documents", "--repair", "--json"))
    assert told["repair"] == {"granted": 2, "tokens": 570, "refused": []}
    assert told["ok"] is True
    assert run("balance", "alice").stdout == "500\n"
    assert "posted again: 0 grants of 0 tokens" in run("audit", "--no-documents", "--repair").stdout


@pytest.fixture
def bucket(
    object_store: ObjectStorePart, kafka_settings: KafkaSettings, bucket_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DocumentStore]:
    """An empty results bucket that the command is pointed at, with the broker."""
    name = f"{bucket_prefix}results"
    variables = {
        "OCR_KAFKA_BOOTSTRAP_SERVERS": kafka_settings.bootstrap_servers,
        "OCR_KAFKA_TOPIC_PREFIX": kafka_settings.topic_prefix,
        "OCR_KAFKA_EMBEDDED": str(kafka_settings.embedded),
        "OCR_S3_ENDPOINT_URL": object_store.endpoint_url,
        "OCR_S3_ACCESS_KEY": object_store.access_key,
        "OCR_S3_SECRET_KEY": object_store.secret_key,
        "OCR_S3_REGION": object_store.region,
        "OCR_S3_RESULTS_BUCKET": name,
    }
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    objects = connect(ObjectStoreSettings())
    ensure_bucket(objects, name)
    yield DocumentStore(objects, name)
    objects.close()


def test_an_audit_compares_the_books_with_the_documents(
    run: Run, wire: Wire, kafka_settings: KafkaSettings, sqlite_engine: Engine, bucket: DocumentStore
) -> None:
    """On the broker and the store, with a ledger that beats; authors whose topic is gone are done with."""
    charged = [usage(str(uuid.uuid4()), "alice", 100 + number) for number in range(20)]
    for each in charged:
        bucket.create(document_of(each))
    wire.send(charged)
    with running(kafka_settings, sqlite_engine):
        eventually(lambda: entry_count(sqlite_engine) == 20, 60)
        well = run("audit", "--grace-seconds", "0")
        assert well.exit_code == 0, well.output
        assert "20 entries of usage compared with 20 documents" in well.stdout
        lost, extra = usage(str(uuid.uuid4()), "alice", 77), usage(str(uuid.uuid4()), "bob", 5)
        bucket.create(document_of(lost))
        wire.send([extra])
        eventually(lambda: entry_count(sqlite_engine) == 21, 60)
        told = _json(run("audit", "--grace-seconds", "0", "--json"))
    assert told["ok"] is False
    assert sorted(finding["subject"] for finding in told["findings"]) == sorted(
        [f"entry {entry_id('usage', extra.usage_id)}", f"result {lost.result_id}"]
    )


@pytest.mark.usefixtures("bucket")
def test_an_audit_whose_store_is_away_says_that_it_compared_nothing(
    run: Run, sqlite_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    post_batch(sqlite_engine, Batch({0: Span(None, 1)}, [debit(usage("r1"), 0, 0)]), NOON)
    monkeypatch.setenv("OCR_S3_ENDPOINT_URL", "http://127.0.0.1:1")
    result = run("audit")
    assert result.exit_code == 3
    assert "NOT COMPARED with the documents: " in result.stdout
    assert result.stdout.splitlines()[-1] == "every invariant that could be checked holds"
    told = _json(run("audit", "--json"))
    assert told["ok"] is False
    assert "problem" in told["documents"]


def test_a_database_that_is_away_is_a_sentence_and_a_status(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCR_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    result = run("balance", "alice")
    assert result.exit_code == 1
    assert result.stderr.startswith("The database cannot be reached")
