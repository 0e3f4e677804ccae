"""Results whose events were lost are listed from their documents, on SQLite and PostgreSQL, from a real store."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from schemas.document import Document
from schemas.events import ErrorCode, Failure
from services.api.relisting import relist
from services.api.results import (
    ListedResult,
    PendingResult,
    ResultStatus,
    find_result,
    list_deleted,
    list_pending,
    list_replies,
)
from services.runtime.database import transaction
from services.runtime.documents import DocumentStore
from services.runtime.object_store import ObjectStore, create_client
from services.runtime.provisioning import ensure_bucket
from services.runtime.settings import ObjectStoreSettings
from tests.support.parts import ObjectStorePart
from tests.unit.api.fakes import KEY, NOW, USER, document, refused


@pytest.fixture
def objects(object_store: ObjectStorePart) -> ObjectStore:
    settings = ObjectStoreSettings(
        endpoint_url=object_store.endpoint_url,
        access_key=SecretStr(object_store.access_key),
        secret_key=SecretStr(object_store.secret_key),
        region=object_store.region,
    )
    return ObjectStore(create_client(settings))


@pytest.fixture
def bucket(objects: ObjectStore, bucket_prefix: str) -> str:
    name = f"{bucket_prefix}results"
    ensure_bucket(objects, name)
    return name


def stored(objects: ObjectStore, bucket: str, what: Document) -> Document:
    """The same with a result id of its own, in the bucket."""
    own = what.model_copy(update={"result_id": str(uuid.uuid4())})
    return DocumentStore(objects, bucket).create(own).document


def status(engine: Engine, of: Document) -> ListedResult:
    found = find_result(engine, of.result_id)
    assert found is not None
    return found


def pending(engine: Engine, of: Document, moment: datetime = NOW) -> None:
    with transaction(engine) as connection:
        list_pending(connection, [PendingResult(of.result_id, USER, KEY, moment)])


def test_what_the_list_never_heard_of_is_listed_as_its_document_says(
    engine: Engine, objects: ObjectStore, bucket: str
) -> None:
    read = stored(objects, bucket, document())
    failure = Failure(code=ErrorCode.UNREADABLE_DOCUMENT, reason="torn")
    torn = stored(objects, bucket, document(error=failure))
    deleted = stored(objects, bucket, document(deleted=True))
    assert relist(engine, objects, bucket) == 3
    row = status(engine, read)
    assert (row.status, row.user_id, row.key, row.finished_at) == (ResultStatus.COMPLETED, USER, KEY, NOW)
    assert (row.word_count, row.page_count, row.tokens_used) == (2, 1, read.usage.tokens)
    assert (status(engine, torn).status, status(engine, torn).reason) == (ResultStatus.FAILED, "torn")
    assert status(engine, deleted).status is ResultStatus.DELETED
    assert relist(engine, objects, bucket) == 0


def test_what_is_listed_as_open_comes_to_its_end_and_keeps_when_it_was_asked_for(
    engine: Engine, objects: ObjectStore, bucket: str
) -> None:
    waiting, turned_away = (stored(objects, bucket, document()) for _ in range(2))
    asked = NOW - timedelta(minutes=1)
    pending(engine, waiting, asked)
    with transaction(engine) as connection:
        reply = refused(ErrorCode.INSUFFICIENT_TOKENS).model_copy(update={"result_id": turned_away.result_id})
        list_replies(connection, [reply])
    assert relist(engine, objects, bucket) == 2
    row = status(engine, waiting)
    assert (row.status, row.requested_at, row.finished_at) == (ResultStatus.COMPLETED, asked, NOW)
    assert status(engine, turned_away).status is ResultStatus.COMPLETED


def test_what_stands_at_an_end_is_left_alone_and_so_is_what_has_no_document(
    engine: Engine, objects: ObjectStore, bucket: str
) -> None:
    deleted = stored(objects, bucket, document())
    list_deleted(engine, deleted.tombstone(NOW))
    unread = document().model_copy(update={"result_id": str(uuid.uuid4())})
    pending(engine, unread)
    assert relist(engine, objects, bucket) == 0
    assert status(engine, deleted).status is ResultStatus.DELETED
    assert status(engine, unread).status is ResultStatus.PENDING


def test_what_is_no_document_is_passed_over(engine: Engine, objects: ObjectStore, bucket: str) -> None:
    objects.put(bucket, f"ocr/{USER}/{uuid.uuid4()}.json", b"{}", "application/json")
    objects.put(bucket, "elsewhere.json", b"{}", "application/json")
    read = stored(objects, bucket, document())
    assert relist(engine, objects, bucket) == 1
    assert status(engine, read).status is ResultStatus.COMPLETED
