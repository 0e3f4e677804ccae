"""Documents in the results bucket: created once, replaced only by whoever saw the last version."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from schemas.document import Document, DocumentStatus
from schemas.identity import document_key
from services.runtime.errors import Halt, StoreUnavailable
from services.runtime.object_store import ObjectStore, PreconditionFailed

_BURY_ATTEMPTS_MAX = 20
"""Takeovers and other deletions come once or twice in a document's life; more is a store that keeps no etag."""
_CONTENT_TYPE = "application/json"


@dataclass(frozen=True)
class StoredDocument:
    """A document as read, with the etag that a replacement has to name."""

    document: Document
    etag: str


class DocumentStore:
    """The results bucket, by user and result id. See `ObjectStore` for what each call raises."""

    def __init__(self, store: ObjectStore, bucket: str) -> None:
        self._store = store
        self.bucket = bucket

    def read(self, user_id: str, result_id: str) -> StoredDocument | None:
        """The document of a result, None if there is none.

        Raises:
            Halt: what lies there is no document; overwriting it could charge twice.
        """
        key = document_key(user_id, result_id)
        found = self._store.read(self.bucket, key)
        if found is None:
            return None
        body, etag = found
        try:
            document = Document.model_validate_json(body)
        except ValidationError as error:
            raise Halt(f"{self.bucket}/{key} is not a document of this version") from error
        if (document.user_id, document.result_id) != (user_id, result_id):
            raise Halt(f"{self.bucket}/{key} is the document of another result")
        return StoredDocument(document, etag)

    def create(self, document: Document) -> StoredDocument:
        """Creates the document if there is none. Raises `PreconditionFailed` if there is one."""
        key = document_key(document.user_id, document.result_id)
        etag = self._store.create(self.bucket, key, document.to_json(), _CONTENT_TYPE)
        return StoredDocument(document, etag)

    def replace(self, document: Document, etag: str) -> StoredDocument:
        """Replaces the version of `etag`. Raises `PreconditionFailed` if another stands there."""
        key = document_key(document.user_id, document.result_id)
        new = self._store.replace(self.bucket, key, document.to_json(), _CONTENT_TYPE, etag)
        return StoredDocument(document, new)

    def bury(self, user_id: str, result_id: str, deleted_at: datetime) -> Document | None:
        """Replaces a document by its tombstone, whatever it holds, and returns that; None if there is no document.

        A document that is a tombstone already stays as it is. One that is taken over by another record meanwhile is
        read again, so that the tombstone names the author who will publish its usage.

        Raises:
            StoreUnavailable: it may be deleted or not; to be repeated.
            Halt: see `read`.
        """
        for _ in range(_BURY_ATTEMPTS_MAX):
            found = self.read(user_id, result_id)
            if found is None or found.document.status is DocumentStatus.DELETED:
                return None if found is None else found.document
            with suppress(PreconditionFailed):
                return self.replace(found.document.tombstone(deleted_at), found.etag).document
        raise StoreUnavailable("bury: the document changes without end")
