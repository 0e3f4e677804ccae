"""`ocr-services erase` and `retry` where a document cannot be read, as a shell calls them, on a real store."""

from __future__ import annotations

import uuid

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine
from typer.testing import CliRunner, Result

from schemas.document import DocumentStatus
from schemas.events import ErrorCode, Failure, ResultCompleted
from schemas.identity import document_key
from services.api.keys import ApiKeys, Scope
from services.api.results import ResultStatus, find_result, list_replies
from services.cli.__main__ import app
from services.ledger.grants import grant
from services.runtime.database import create_database, transaction
from services.runtime.documents import DocumentStore
from services.runtime.errors import StoreUnavailable
from services.runtime.migrations import migrate_engine
from services.runtime.object_store import ObjectStore, connect
from services.runtime.provisioning import ensure_bucket
from services.runtime.settings import DatabaseSettings, ObjectStoreSettings
from services.webhook_registry.registry import add_webhook, remove_webhook
from tests.support.parts import ObjectStorePart
from tests.unit.api.fakes import KEY, NOW, USER, completed, document

_NEWER = document().to_json().replace(b'"schemaVersion":1', b'"schemaVersion":2')
_UNREADABLE = {
    "00000000-0000-4000-8000-000000000001": b'{"text": "cut of',
    "00000000-0000-4000-8000-000000000002": _NEWER,
}
"""By result id: what stands before all others in a listing."""


@pytest.fixture
def engine(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setenv("OCR_DATABASE_URL", sqlite_url)
    made = create_database(DatabaseSettings(url=SecretStr(sqlite_url)))
    migrate_engine(made)
    return made


@pytest.fixture
def documents(
    engine: Engine, object_store: ObjectStorePart, bucket_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> DocumentStore:
    """A bucket that holds what cannot be read, and after it a result and a failure; all of them are listed."""
    monkeypatch.setenv("OCR_S3_ENDPOINT_URL", object_store.endpoint_url)
    monkeypatch.setenv("OCR_S3_ACCESS_KEY", object_store.access_key)
    monkeypatch.setenv("OCR_S3_SECRET_KEY", object_store.secret_key)
    monkeypatch.setenv("OCR_S3_REGION", object_store.region)
    monkeypatch.setenv("OCR_S3_UPLOADS_BUCKET", f"{bucket_prefix}uploads")
    monkeypatch.setenv("OCR_S3_RESULTS_BUCKET", f"{bucket_prefix}results")
    settings = ObjectStoreSettings()
    objects = connect(settings)
    for bucket in (settings.uploads_bucket, settings.results_bucket):
        ensure_bucket(objects, bucket)
    objects.put(settings.uploads_bucket, KEY, b"image", "image/png")
    made = DocumentStore(objects, settings.results_bucket)
    for result_id, body in _UNREADABLE.items():
        objects.put(made.bucket, document_key(USER, result_id), body, "application/json")
    torn = Failure(code=ErrorCode.UNREADABLE_DOCUMENT, reason="torn")
    for each in (document(), document(error=torn)):
        made.create(each.model_copy(update={"result_id": str(uuid.uuid4())}))
    with transaction(engine) as connection:
        list_replies(connection, [_listed(result_id) for result_id in _ids(objects, made.bucket)])
    return made


def _listed(result_id: str) -> ResultCompleted:
    return completed().model_copy(update={"result_id": result_id})


def _ids(objects: ObjectStore, bucket: str) -> list[str]:
    return [each.key.rsplit("/", 1)[1].removesuffix(".json") for each in objects.list(bucket, "")]


def _objects() -> ObjectStore:
    return connect(ObjectStoreSettings())


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_erasing_removes_what_cannot_be_read_by_its_key_and_goes_on(engine: Engine, documents: DocumentStore) -> None:
    before = _ids(_objects(), documents.bucket)
    done = run("erase", USER, "--yes")
    assert done.exit_code == 0, done.output
    assert "4 results deleted" in done.stdout
    after = _ids(_objects(), documents.bucket)
    assert set(before) - set(after) == set(_UNREADABLE)
    for result_id in _UNREADABLE:
        assert f"removed without a tombstone: {documents.bucket}/{document_key(USER, result_id)}" in done.stdout
    for result_id in after:
        found = documents.read(USER, result_id)
        assert found is not None
        assert found.document.status is DocumentStatus.DELETED
    for result_id in before:
        row = find_result(engine, result_id)
        assert row is not None
        assert (row.status, row.file_url, row.language, row.reason) == (ResultStatus.DELETED, None, None, None)
        assert row.deleted_at is not None
    tokens = {find_result(engine, result_id).tokens_used for result_id in _UNREADABLE}  # type: ignore[union-attr]
    assert tokens == {completed().tokens_used}, "what it cost stays"
    assert "0 results deleted" in run("erase", USER, "--yes").stdout


@pytest.mark.parametrize("trace", [None, "revoked key", "account", "upload", "webhook", "row", "tombstone"])
def test_erasing_whom_nothing_is_known_of_says_to_check_the_id(
    engine: Engine, documents: DocumentStore, trace: str | None
) -> None:
    user = "frank"
    if trace == "revoked key":
        keys = ApiKeys(engine)
        keys.revoke(keys.create(user, [Scope.READ], now=NOW)[0].id, NOW)
    elif trace == "account":
        grant(engine, user, 5, "a-grant", now=NOW)
    elif trace == "upload":
        _objects().put(ObjectStoreSettings().uploads_bucket, f"ocr/{user}/a.png", b"image", "image/png")
    elif trace == "webhook":
        remove_webhook(engine, add_webhook(engine, user, "https://hook.example/", ["result.failed"], NOW).id, NOW)
    elif trace == "row":
        row = completed().model_copy(update={"result_id": str(uuid.uuid4()), "user_id": user})
        with transaction(engine) as connection:
            list_replies(connection, [row])
    elif trace == "tombstone":
        theirs = document().model_copy(update={"user_id": user, "key": f"ocr/{user}/a.png"})
        documents.create(theirs)
        documents.bury(user, theirs.result_id, NOW)
    done = run("erase", user, "--yes")
    assert (done.exit_code, "What remains" in done.stdout) == ((1, False) if trace is None else (0, True))
    assert ("nothing is known of frank: check the id" in done.stderr) == (trace is None)
    assert len(_ids(_objects(), documents.bucket)) == (5 if trace == "tombstone" else 4), "nobody else is erased"


def test_erasing_tells_what_the_store_does_not_give_and_goes_on(
    documents: DocumentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, *others = [each for each in _ids(_objects(), documents.bucket) if each not in _UNREADABLE]
    read = DocumentStore.read

    def read_most(self: DocumentStore, user_id: str, result_id: str) -> object:
        if result_id == stuck:
            raise StoreUnavailable("get: InternalError (500)")
        return read(self, user_id, result_id)

    with monkeypatch.context() as patch:
        patch.setattr(DocumentStore, "read", read_most)
        done = run("erase", USER, "--yes")
    assert done.exit_code == 1
    assert f"{document_key(USER, stuck)}: get: InternalError (500)" in done.stderr
    assert "3 results deleted" in done.stdout
    assert "What remains" not in done.stdout
    for result_id in others:
        found = documents.read(USER, result_id)
        assert found is not None
        assert found.document.status is DocumentStatus.DELETED
    again = run("erase", USER, "--yes")
    assert (again.exit_code, "1 results deleted" in again.stdout) == (0, True)


def test_erasing_does_not_ask_for_all_where_the_store_is_away(
    documents: DocumentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def away(_self: DocumentStore, _user_id: str, result_id: str) -> object:
        asked.append(result_id)
        raise StoreUnavailable("get: ConnectTimeoutError")

    monkeypatch.setattr(DocumentStore, "read", away)
    done = run("erase", USER, "--yes")
    assert (done.exit_code, len(asked)) == (1, 3)
    assert "run it again" in done.stderr
    assert len(_ids(_objects(), documents.bucket)) == 4


def test_retrying_tells_and_leaves_what_cannot_be_read(documents: DocumentStore) -> None:
    for arguments, told in ((["--dry-run"], "1 failures found"), ([], "1 failures removed")):
        done = run("retry", *arguments)
        assert done.exit_code == 1, done.output
        assert told in done.stdout
        for result_id in _UNREADABLE:
            assert f"{document_key(USER, result_id)} is not a document of this version" in done.stderr
    left = _ids(_objects(), documents.bucket)
    assert len(left) == 3
    assert set(_UNREADABLE) < set(left)
    assert run("retry", "--user", "nobody").exit_code == 0


def test_nothing_of_the_text_is_told(documents: DocumentStore) -> None:
    assert documents.bucket
    for command in (["retry"], ["erase", USER, "--yes"]):
        assert "two words" not in run(*command).output
