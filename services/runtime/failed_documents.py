"""Failures that are to be tried again, as after an upgrade of the recogniser: their documents are removed."""

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from schemas.document import Document, DocumentStatus
from schemas.events import ErrorCode
from schemas.identity import document_key, document_prefix
from services.runtime.documents import DocumentStore, StoredDocument
from services.runtime.errors import Halt
from services.runtime.object_store import ObjectStore, PreconditionFailed

_KEY = re.compile(r"ocr/(?P<user_id>[^/]+)/(?P<result_id>[^/]+)\.json")
_ALL = "ocr/"


@dataclass(frozen=True)
class Choice:
    """Which failures: of these codes (none: any), of this user, made from `since` on and before `until`."""

    codes: Collection[ErrorCode] = ()
    user_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def includes(self, document: Document) -> bool:
        """Whether a document is a failure of this choice; a result or a tombstone never is."""
        return (
            document.status is DocumentStatus.FAILED
            and document.error is not None
            and (not self.codes or document.error.code in self.codes)
            and (self.since is None or document.created_at >= self.since)
            and (self.until is None or document.created_at < self.until)
        )


def failures(
    objects: ObjectStore, documents: DocumentStore, choice: Choice, pass_over: Callable[[Halt], None]
) -> Iterator[StoredDocument]:
    """The chosen failures, in the order of their users; `pass_over` is told of each document that cannot be read.

    Raises:
        StoreUnavailable: while iterating.
    """
    prefix = _ALL if choice.user_id is None else document_prefix(choice.user_id)
    for listed in objects.list(documents.bucket, prefix):
        match = _KEY.fullmatch(listed.key)
        if match is None or (choice.since is not None and listed.modified_at < choice.since):
            continue
        try:
            found = documents.read(match["user_id"], match["result_id"])
        except Halt as error:
            pass_over(error)
            continue
        if found is not None and choice.includes(found.document):
            yield found


def remove(objects: ObjectStore, documents: DocumentStore, failure: StoredDocument) -> bool:
    """Removes a failure's document: the object counts as not read, and the reconciler requests it again.

    Only the version that was looked at is removed; False where another stands there by now: a tombstone, without
    which what its owner deleted would be read again, or a document that was taken over and has its usage to come.
    Nothing was charged for a failure, and its entry of 0 tokens stays: the next failure has another usage id.
    """
    document = failure.document
    try:
        objects.delete_version(documents.bucket, document_key(document.user_id, document.result_id), failure.etag)
    except PreconditionFailed:
        return False
    return True
