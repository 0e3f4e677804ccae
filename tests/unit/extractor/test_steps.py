"""Who publishes: each way a record can meet a document, with a store that is a dictionary."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from schemas.document import Document, DocumentStatus
from schemas.events import BalanceChanged, ErrorCode, LedgerHeartbeat
from services.extractor import steps
from services.runtime.admission import BalanceTable
from services.runtime.documents import DocumentStore
from services.runtime.errors import StoreUnavailable
from services.runtime.object_store import ObjectChanged, ObjectGone, ObjectStore, ObjectTooLarge, PreconditionFailed
from tests.unit.extractor.samples import NOW, author, draft, request


class DictionaryStore(ObjectStore):
    """An object store in memory with the conditional writes of a real one."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, str]] = {}
        self.download_error: Exception | None = None
        self.before_replace: Callable[[], None] | None = None
        self.lose_response_of_create = False
        self._etags = iter(range(1, 1000))

    def read(self, bucket: str, key: str) -> tuple[bytes, str] | None:
        return self.objects.get(f"{bucket}/{key}")

    def create(self, bucket: str, key: str, body: bytes, content_type: str) -> str:
        if f"{bucket}/{key}" in self.objects:
            raise PreconditionFailed(key)
        etag = self.put(bucket, key, body, content_type)
        if self.lose_response_of_create:
            self.lose_response_of_create = False
            raise StoreUnavailable("the response was lost")
        return etag

    def replace(self, bucket: str, key: str, body: bytes, content_type: str, etag: str) -> str:
        if self.before_replace is not None:
            self.before_replace()
            self.before_replace = None
        if self.objects[f"{bucket}/{key}"][1] != etag:
            raise PreconditionFailed(key)
        return self.put(bucket, key, body, content_type)

    def put(self, bucket: str, key: str, body: bytes, content_type: str) -> str:  # noqa: ARG002
        etag = str(next(self._etags))
        self.objects[f"{bucket}/{key}"] = (body, etag)
        return etag

    def download(self, bucket: str, key: str, etag: str, path: Path, bytes_max: int) -> int:  # noqa: ARG002
        if self.download_error is not None:
            raise self.download_error
        return path.write_bytes(b"image")


@pytest.fixture
def store() -> DictionaryStore:
    return DictionaryStore()


@pytest.fixture
def stores(store: DictionaryStore) -> steps.Stores:
    balances = BalanceTable(60.0, now=lambda: NOW)
    balances.complete = True
    balances.apply(LedgerHeartbeat(partition=0, partition_count=1, posted_until=NOW))
    balances.apply(BalanceChanged(user_id="alice", balance=100, version=1, as_of=NOW))
    balances.apply(BalanceChanged(user_id="poor", balance=0, version=1, as_of=NOW))
    return steps.Stores(store, DocumentStore(store, "results"), balances)


@pytest.fixture
def look(stores: steps.Stores, tmp_path: Path) -> Callable[..., steps.Outcome]:
    def call(asked: object, by: object, *, admission: bool = False) -> steps.Outcome:
        return steps.look(stores, asked, by, tmp_path / "1", admission=admission, bytes_max=10)  # type: ignore[arg-type]

    return call


def test_an_object_without_document_is_fetched(look: Callable[..., steps.Outcome], tmp_path: Path) -> None:
    assert look(request(), author()) == steps.Downloaded()
    assert (tmp_path / "1").read_bytes() == b"image"


def test_a_redelivered_author_publishes_its_document_as_read(
    look: Callable[..., steps.Outcome], stores: steps.Stores
) -> None:
    stores.documents.create(draft(text="read the first time"))
    outcome = look(request(), author())
    assert isinstance(outcome, steps.Publish)
    assert outcome.document.text == "read the first time"


def test_another_record_for_the_same_content_is_dropped(
    look: Callable[..., steps.Outcome], stores: steps.Stores
) -> None:
    stores.documents.create(draft(by=author(offset=5)))
    assert look(request(), author(offset=6)) == steps.Drop()


def test_the_same_offset_of_a_forgotten_broker_is_another_author(
    look: Callable[..., steps.Outcome], stores: steps.Stores
) -> None:
    stores.documents.create(draft(by=author(offset=5, event_id="before the restart")))
    assert look(request(), author(offset=5, event_id="after the restart")) == steps.Drop()


def test_a_takeover_of_the_author_publishes_under_its_own_name(
    look: Callable[..., steps.Outcome], stores: steps.Stores
) -> None:
    dead, heir = author(offset=5), author(offset=9, event_id="takeover")
    stores.documents.create(draft(by=dead))
    outcome = look(request(takeover_of=dead), heir)
    assert isinstance(outcome, steps.Publish)
    assert outcome.document.author == heir
    stored = stores.documents.read("alice", request().result_id)
    assert stored is not None
    assert stored.document.author == heir
    assert stored.document.usage == draft(by=dead).usage


def test_a_takeover_of_an_author_that_is_no_longer_one_is_dropped(
    look: Callable[..., steps.Outcome], stores: steps.Stores
) -> None:
    stores.documents.create(draft(by=author(offset=7)))
    assert look(request(takeover_of=author(offset=5)), author(offset=9)) == steps.Drop()


def test_of_two_takeovers_of_one_author_one_publishes(
    look: Callable[..., steps.Outcome], stores: steps.Stores, store: DictionaryStore
) -> None:
    dead, first, second = author(offset=5), author(offset=8, event_id="first"), author(offset=9, event_id="second")
    created = stores.documents.create(draft(by=dead))

    def the_other_is_faster() -> None:
        taken = created.document.model_copy(update={"author": first})
        key = f"results/ocr/alice/{created.document.result_id}.json"
        store.objects[key] = (taken.to_json(), "new")

    store.before_replace = the_other_is_faster
    assert look(request(takeover_of=dead), second) == steps.Drop()


def test_a_takeover_of_a_removed_document_reads_nothing_anew(look: Callable[..., steps.Outcome]) -> None:
    assert look(request(takeover_of=author(offset=5)), author(offset=9)) == steps.Drop()


def test_a_redelivered_author_of_a_deleted_document_publishes_its_usage_and_no_result(
    look: Callable[..., steps.Outcome], stores: steps.Stores
) -> None:
    tombstone = draft().model_copy(update={"status": DocumentStatus.DELETED, "text": None, "pages": ()})
    stores.documents.create(tombstone)
    outcome = look(request(), author())
    assert isinstance(outcome, steps.Publish)
    assert outcome.document.to_event("results", "key") is None


@pytest.mark.parametrize(
    ("error", "code"),
    [(ObjectGone(), ErrorCode.FILE_NOT_FOUND), (ObjectChanged(), ErrorCode.OBJECT_CHANGED)],
)
def test_an_object_that_is_gone_or_changed_is_refused(
    look: Callable[..., steps.Outcome], store: DictionaryStore, error: Exception, code: ErrorCode
) -> None:
    store.download_error = error
    outcome = look(request(), author())
    assert isinstance(outcome, steps.Refuse)
    assert outcome.failure.code is code


def test_an_object_over_the_limit_fails_for_ever(look: Callable[..., steps.Outcome], store: DictionaryStore) -> None:
    store.download_error = ObjectTooLarge("11 bytes")
    outcome = look(request(), author())
    assert isinstance(outcome, steps.Fail)
    assert outcome.failure.code is ErrorCode.FILE_TOO_LARGE


@pytest.mark.parametrize("user", ["poor", "unknown"])
def test_an_upload_without_balance_or_account_is_refused(look: Callable[..., steps.Outcome], user: str) -> None:
    outcome = look(request(user=user), author(), admission=True)
    assert isinstance(outcome, steps.Refuse)
    assert outcome.failure.code is ErrorCode.INSUFFICIENT_TOKENS


def test_an_upload_waits_while_the_ledger_is_silent(look: Callable[..., steps.Outcome], stores: steps.Stores) -> None:
    stores.balances.now = lambda: NOW + timedelta(seconds=61)
    with pytest.raises(steps.AdmissionUnknown):
        look(request(), author(), admission=True)


def test_what_was_paid_for_is_published_without_asking_for_balance(
    look: Callable[..., steps.Outcome], stores: steps.Stores
) -> None:
    asked = request(user="poor")
    stores.documents.create(draft(asked))
    assert isinstance(look(asked, author(), admission=True), steps.Publish)


def test_of_two_records_that_read_the_same_content_one_publishes(stores: steps.Stores) -> None:
    first = steps.conclude(stores.documents, draft(by=author(offset=1)))
    second = steps.conclude(stores.documents, draft(by=author(offset=2)))
    assert isinstance(first, steps.Publish)
    assert second == steps.Drop()


def test_a_create_whose_response_was_lost_is_recognised_as_our_own(
    stores: steps.Stores, store: DictionaryStore
) -> None:
    store.lose_response_of_create = True
    with pytest.raises(StoreUnavailable):
        steps.conclude(stores.documents, draft())
    outcome = steps.conclude(stores.documents, draft(text="drafted again"))
    assert isinstance(outcome, steps.Publish)
    assert outcome.document.text == "hello"


def test_a_document_removed_between_refusal_and_reading_is_created(
    stores: steps.Stores, store: DictionaryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores.documents.create(draft(by=author(offset=1)))
    read = DocumentStore.read

    def read_after_a_retry_removed_it(self: DocumentStore, user_id: str, identity: str) -> object:
        store.objects.clear()
        return read(self, user_id, identity)

    monkeypatch.setattr(DocumentStore, "read", read_after_a_retry_removed_it)
    outcome = steps.conclude(stores.documents, draft(by=author(offset=2)))
    assert isinstance(outcome, steps.Publish)
    assert outcome.document.author == author(offset=2)


def test_a_document_survives_the_way_through_the_store() -> None:
    assert Document.model_validate_json(draft().to_json()) == draft()
