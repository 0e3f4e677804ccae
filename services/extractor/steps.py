"""The steps of a record that need the object store. Plain functions that run in threads and return an outcome.

The document is the decision: whoever created it is author of its result, for ever.

1. `look`      finds the document, or fetches the object.     No model runs for what is already decided.
2. (pages are read elsewhere)
3. `conclude`  creates the document, or finds another's.       Of all who try, one becomes author.
"""

from dataclasses import dataclass
from pathlib import Path

from schemas.document import Document
from schemas.events import Author, ErrorCode, Failure, OcrRequest
from services.runtime.admission import BalanceTable, Verdict
from services.runtime.documents import DocumentStore, StoredDocument
from services.runtime.errors import TransientError
from services.runtime.object_store import (
    ObjectChanged,
    ObjectGone,
    ObjectStore,
    ObjectTooLarge,
    PreconditionFailed,
)


@dataclass(frozen=True)
class Downloaded:
    """The object lies in the spool and can be read."""


@dataclass(frozen=True)
class Publish:
    """This record is author of the document: its events are published as the document has them."""

    document: Document


@dataclass(frozen=True)
class Drop:
    """Another record is author; it publishes."""


@dataclass(frozen=True)
class Refuse:
    """No document, no charge; the object may be asked for again."""

    failure: Failure


@dataclass(frozen=True)
class Fail:
    """The input itself cannot be read: a failed document is to be created."""

    failure: Failure


class AdmissionUnknown(TransientError):
    """Whether the account may have work done cannot be told now; it is asked again later."""


Outcome = Downloaded | Publish | Drop | Refuse | Fail


@dataclass(frozen=True)
class Stores:
    """What the steps work with."""

    objects: ObjectStore
    documents: DocumentStore
    balances: BalanceTable


def look(
    stores: Stores, request: OcrRequest, author: Author, path: Path, *, admission: bool, bytes_max: int
) -> Outcome:
    """Finds the document, or fetches the object to `path`; `admission` says whether the balance is asked.

    Raises:
        TransientError: to be tried again.
    """
    found = stores.documents.read(request.user_id, request.result_id)
    if found is not None:
        return _settle(stores.documents, found, request, author)
    if request.takeover_of is not None:
        return Drop()
    if admission:
        refusal = _refusal(stores.balances, request.user_id)
        if refusal is not None:
            return refusal
    return _fetch(stores.objects, request, path, bytes_max)


def conclude(documents: DocumentStore, draft: Document) -> Publish | Drop:
    """Creates the document unless there is one, and says who its author is.

    After a lost response, or a crash, the document found is our own: it is published as read, not as drafted.

    Raises:
        TransientError: to be tried again.
    """
    while True:
        try:
            return Publish(documents.create(draft).document)
        except PreconditionFailed:
            found = documents.read(draft.user_id, draft.result_id)
        if found is not None:
            return Publish(found.document) if found.document.author == draft.author else Drop()


def _settle(documents: DocumentStore, found: StoredDocument, request: OcrRequest, author: Author) -> Publish | Drop:
    while True:
        if found.document.author == author:
            return Publish(found.document)
        if request.takeover_of is None or found.document.author != request.takeover_of:
            return Drop()
        taken_over = found.document.model_copy(update={"author": author})
        try:
            return Publish(documents.replace(taken_over, found.etag).document)
        except PreconditionFailed:
            again = documents.read(request.user_id, request.result_id)
            if again is None:
                return Drop()
            found = again


def _refusal(balances: BalanceTable, user_id: str) -> Refuse | None:
    verdict = balances.verdict(user_id)
    if verdict is Verdict.STALE:
        raise AdmissionUnknown("the ledger has not been heard of for too long")
    if verdict is Verdict.ADMITTED:
        return None
    balance = balances.balance(user_id)
    reason = "there is no account for this user" if balance is None else f"the balance is {balance} tokens"
    kept = "The file is kept and is read by itself after a top-up."
    return Refuse(Failure(code=ErrorCode.INSUFFICIENT_TOKENS, reason=f"Not read: {reason}. {kept}"))


def _fetch(objects: ObjectStore, request: OcrRequest, path: Path, bytes_max: int) -> Outcome:
    try:
        objects.download(request.bucket, request.key, request.etag, path, bytes_max)
    except ObjectGone:
        return Refuse(Failure(code=ErrorCode.FILE_NOT_FOUND, reason="The object was deleted before it was read."))
    except ObjectChanged:
        return Refuse(Failure(code=ErrorCode.OBJECT_CHANGED, reason="The object was overwritten before it was read."))
    except ObjectTooLarge as error:
        return Fail(Failure(code=ErrorCode.FILE_TOO_LARGE, reason=f"The file is too large: {error}."))
    return Downloaded()
