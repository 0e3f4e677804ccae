"""Which failures `ocr-services retry` chooses, and that it removes nothing else."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from schemas.document import Document, DocumentStatus
from schemas.events import ErrorCode, Failure
from schemas.identity import document_key
from services.extractor import drafting
from services.runtime.documents import DocumentStore
from services.runtime.errors import Halt
from services.runtime.failed_documents import Choice, failures, remove
from services.runtime.object_store import PreconditionFailed, StoredObject
from tests.unit.extractor.samples import NOW, PRICE, author, draft, request
from tests.unit.extractor.test_steps import DictionaryStore


class ListingStore(DictionaryStore):
    """One that lists and deletes, too."""

    def list(self, bucket: str, prefix: str, start_after: str = "") -> Iterator[StoredObject]:  # noqa: ARG002
        for name, (body, etag) in sorted(self.objects.items()):
            key = name.removeprefix(f"{bucket}/")
            if key.startswith(prefix):
                yield StoredObject(key, etag, len(body), NOW)

    def delete_version(self, bucket: str, key: str, etag: str) -> None:
        _, stored = self.objects.get(f"{bucket}/{key}", (b"", etag))
        if stored != etag:
            raise PreconditionFailed(key)
        self.objects.pop(f"{bucket}/{key}", None)


def _failed(name: str, code: ErrorCode = ErrorCode.UNREADABLE_DOCUMENT, user: str = "alice") -> Document:
    asked = request(user=user, name=name)
    return drafting.failed(asked, author(), PRICE, Failure(code=code, reason="It is torn."), url="u", at=NOW)


@pytest.fixture
def store() -> ListingStore:
    return ListingStore()


@pytest.fixture
def documents(store: ListingStore) -> DocumentStore:
    """A failure of each kind, a result, and a tombstone."""
    made = DocumentStore(store, "results")
    tombstone = _failed("deleted.png").model_copy(update={"status": DocumentStatus.DELETED})
    torn, foreign = _failed("torn.png"), _failed("gif.png", ErrorCode.UNSUPPORTED_MEDIA_TYPE, user="bob")
    for document in (torn, foreign, draft(request(name="fine.png")), tombstone):
        made.create(document)
    return made


def _nothing_is_passed_over(problem: Halt) -> None:
    raise AssertionError(problem)


def test_what_is_no_document_of_this_version_and_place_is_told_and_passed_over(
    store: ListingStore, documents: DocumentStore
) -> None:
    newer = _failed("newer.png").to_json().replace(b'"schemaVersion":1', b'"schemaVersion":2')
    moved = _failed("moved.png").to_json()
    for name, body in (("0-damaged", b'{"text": "cut of'), ("0-moved", moved), ("0-newer", newer)):
        store.put("results", document_key("alice", name), body, "application/json")
    told: list[Halt] = []
    chosen = [found.document.key for found in failures(store, documents, Choice(), told.append)]
    assert {key.rsplit("/", 1)[1] for key in chosen} == {"torn.png", "gif.png"}
    assert [str(problem).partition(" is ")[::2] for problem in told] == [
        (f"results/{document_key('alice', '0-damaged')}", "not a document of this version"),
        (f"results/{document_key('alice', '0-moved')}", "the document of another result"),
        (f"results/{document_key('alice', '0-newer')}", "not a document of this version"),
    ]


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        (Choice(), {"torn.png", "gif.png"}),
        (Choice(codes=[ErrorCode.UNREADABLE_DOCUMENT]), {"torn.png"}),
        (Choice(user_id="bob"), {"gif.png"}),
        (Choice(user_id="bo"), set()),
        (Choice(since=NOW), {"torn.png", "gif.png"}),
        (Choice(since=NOW + timedelta(seconds=1)), set()),
        (Choice(until=NOW), set()),
        (Choice(until=NOW + timedelta(seconds=1)), {"torn.png", "gif.png"}),
    ],
)
def test_failures_are_chosen_by_code_user_and_time(
    store: ListingStore, documents: DocumentStore, choice: Choice, names: set[str]
) -> None:
    chosen = [found.document.key for found in failures(store, documents, choice, _nothing_is_passed_over)]
    assert {key.rsplit("/", 1)[1] for key in chosen} == names


def test_a_removed_failure_is_gone_and_all_else_stays(store: ListingStore, documents: DocumentStore) -> None:
    for failure in list(failures(store, documents, Choice(), _nothing_is_passed_over)):
        assert remove(store, documents, failure)
    assert list(failures(store, documents, Choice(), _nothing_is_passed_over)) == []
    assert len(store.objects) == 2


def test_a_failure_that_its_owner_deletes_meanwhile_keeps_its_tombstone(
    store: ListingStore, documents: DocumentStore
) -> None:
    (failure,) = failures(store, documents, Choice(user_id="bob"), _nothing_is_passed_over)
    tombstone = documents.bury("bob", failure.document.result_id, NOW)
    assert not remove(store, documents, failure)
    found = documents.read("bob", failure.document.result_id)
    assert found is not None
    assert found.document == tombstone
