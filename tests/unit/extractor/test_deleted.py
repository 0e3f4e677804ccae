"""A deleted result stays deleted: each way a deletion can meet those who work on the same document."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from schemas.document import Document, DocumentStatus
from schemas.events import OcrRequest
from services.extractor import steps
from services.extractor.outgoing import Outgoing
from services.runtime.admission import BalanceTable
from services.runtime.documents import DocumentStore
from services.runtime.errors import StoreUnavailable
from services.runtime.object_store import ObjectStore, PreconditionFailed
from services.runtime.settings import KafkaSettings
from tests.unit.extractor.samples import NOW, attributes, author, draft, request
from tests.unit.extractor.test_steps import DictionaryStore

LATER = NOW + timedelta(hours=1)
DEAD, HEIR = author(offset=5), author(offset=9, event_id="takeover")


@pytest.fixture
def store() -> DictionaryStore:
    return DictionaryStore()


@pytest.fixture
def documents(store: DictionaryStore) -> DocumentStore:
    return DocumentStore(store, "results")


@pytest.fixture
def look(store: DictionaryStore, documents: DocumentStore, tmp_path: Path) -> Callable[..., steps.Outcome]:
    stores = steps.Stores(store, documents, BalanceTable(60.0, now=lambda: NOW))

    def call(asked: OcrRequest, by: object) -> steps.Outcome:
        return steps.look(stores, asked, by, tmp_path / "1", admission=False, bytes_max=10)  # type: ignore[arg-type]

    return call


def bury(documents: DocumentStore) -> Document:
    tombstone = documents.bury("alice", request().result_id, LATER)
    assert tombstone is not None
    return tombstone


def stored(documents: DocumentStore) -> Document:
    found = documents.read("alice", request().result_id)
    assert found is not None
    return found.document


def topics_of(document: Document) -> list[str]:
    outgoing = Outgoing(KafkaSettings(), "results", lambda: NOW)
    return [record.topic for record in outgoing.of_document(document, attributes())]


def test_a_tombstone_keeps_author_and_usage_and_nothing_of_what_was_read(
    store: DictionaryStore, documents: DocumentStore
) -> None:
    documents.create(draft(text="a secret"))
    tombstone = bury(documents)
    assert (tombstone.status, tombstone.deleted_at) == (DocumentStatus.DELETED, LATER)
    assert (tombstone.author, tombstone.usage) == (draft().author, draft(text="a secret").usage)
    ((body, _etag),) = store.objects.values()
    assert b"secret" not in body
    assert b"hello" not in body, "the words of the layout"
    assert stored(documents) == tombstone


def test_deleted_twice_is_deleted_once(documents: DocumentStore, store: DictionaryStore) -> None:
    documents.create(draft())
    first = bury(documents)
    before = dict(store.objects)
    assert documents.bury("alice", request().result_id, LATER + timedelta(hours=1)) == first
    assert store.objects == before


def test_what_was_never_read_has_nothing_to_delete(documents: DocumentStore, store: DictionaryStore) -> None:
    assert documents.bury("alice", request().result_id, LATER) is None
    assert store.objects == {}


def test_deleted_before_its_author_published_it_is_charged_and_no_result(
    look: Callable[..., steps.Outcome], documents: DocumentStore
) -> None:
    documents.create(draft(by=DEAD))
    bury(documents)
    redelivered = look(request(), DEAD)
    assert isinstance(redelivered, steps.Publish)
    assert topics_of(redelivered.document) == ["ocr.usage"]


def test_asked_for_again_after_it_was_deleted_is_not_read_again(
    look: Callable[..., steps.Outcome], documents: DocumentStore
) -> None:
    documents.create(draft(by=DEAD))
    bury(documents)
    assert look(request(), author(offset=6, event_id="another upload event")) == steps.Drop()
    # A record that read the object while it was deleted finds the tombstone where it would create its document.
    assert steps.conclude(documents, draft(by=author(offset=7, event_id="slow"))) == steps.Drop()
    assert stored(documents).status is DocumentStatus.DELETED


def test_a_takeover_of_a_deleted_document_makes_its_charge_and_no_result(
    look: Callable[..., steps.Outcome], documents: DocumentStore
) -> None:
    documents.create(draft(by=DEAD))
    bury(documents)
    taken = look(request(takeover_of=DEAD), HEIR)
    assert isinstance(taken, steps.Publish)
    assert topics_of(taken.document) == ["ocr.usage"]
    assert (stored(documents).status, stored(documents).author) == (DocumentStatus.DELETED, HEIR)


def test_deleted_between_a_takeovers_look_and_its_replacement_stays_deleted(
    look: Callable[..., steps.Outcome], documents: DocumentStore, store: DictionaryStore
) -> None:
    documents.create(draft(by=DEAD))

    def delete() -> None:
        store.before_replace = None
        bury(documents)

    store.before_replace = delete
    taken = look(request(takeover_of=DEAD), HEIR)
    assert isinstance(taken, steps.Publish)
    assert topics_of(taken.document) == ["ocr.usage"]
    assert stored(documents).status is DocumentStatus.DELETED


def test_taken_over_between_the_deletions_look_and_its_replacement_is_deleted_under_the_new_author(
    look: Callable[..., steps.Outcome], documents: DocumentStore, store: DictionaryStore
) -> None:
    documents.create(draft(by=DEAD))

    def take_over() -> None:
        store.before_replace = None
        assert isinstance(look(request(takeover_of=DEAD), HEIR), steps.Publish)

    store.before_replace = take_over
    assert bury(documents).author == HEIR
    assert stored(documents).status is DocumentStatus.DELETED


def test_two_deletions_at_once_leave_one_tombstone(documents: DocumentStore, store: DictionaryStore) -> None:
    documents.create(draft())

    def the_other_is_faster() -> None:
        store.before_replace = None
        assert documents.bury("alice", request().result_id, NOW) is not None

    store.before_replace = the_other_is_faster
    assert bury(documents).deleted_at == NOW


def test_a_deletion_whose_response_was_lost_is_found_done(
    documents: DocumentStore, store: DictionaryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents.create(draft())
    replace = DictionaryStore.replace

    def replace_and_lose_the_response(self: ObjectStore, *arguments: str | bytes) -> str:
        replace(self, *arguments)  # type: ignore[arg-type]
        raise StoreUnavailable("the response was lost")

    with monkeypatch.context() as patched:
        patched.setattr(DictionaryStore, "replace", replace_and_lose_the_response)
        with pytest.raises(StoreUnavailable):
            bury(documents)
    assert documents.bury("alice", request().result_id, LATER + timedelta(hours=1)) == stored(documents)
    assert stored(documents).deleted_at == LATER
    assert len(store.objects) == 1


def test_removed_between_the_deletions_look_and_its_replacement_there_is_nothing_to_delete(
    documents: DocumentStore, store: DictionaryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents.create(draft())

    def replace_of_what_is_gone(self: DictionaryStore, *_: object) -> str:
        self.objects.clear()
        raise PreconditionFailed("gone")

    monkeypatch.setattr(DictionaryStore, "replace", replace_of_what_is_gone)
    assert documents.bury("alice", request().result_id, LATER) is None
    assert store.objects == {}


def test_a_store_that_keeps_no_etag_does_not_keep_a_deletion_busy_for_ever(
    documents: DocumentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents.create(draft())

    def never(*_: object) -> str:
        raise PreconditionFailed("always another")

    monkeypatch.setattr(DictionaryStore, "replace", never)
    with pytest.raises(StoreUnavailable):
        bury(documents)
