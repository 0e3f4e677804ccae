"""Lists results of which only the documents tell: a broker was lost with their events before the list had read them."""

import logging
import re
from collections.abc import Iterator

from sqlalchemy import Engine, select

from schemas.document import Document
from schemas.identity import document_key
from services.api.results import ResultStatus, list_deleted, list_replies
from services.api.tables import RESULTS
from services.runtime.database import reading, transaction
from services.runtime.documents import DocumentStore
from services.runtime.errors import Halt
from services.runtime.object_store import ObjectStore

_log = logging.getLogger(__name__)

_PAGE_DOCUMENTS = 500
_DOCUMENT_KEY = re.compile(r"ocr/(?P<user_id>[^/]+)/(?P<result_id>[^/]+)\.json")
_OPEN = (ResultStatus.PENDING.value, ResultStatus.REFUSED.value)


def relist(engine: Engine, objects: ObjectStore, bucket: str) -> int:
    """Brings the list up to every document of the results bucket; returns how many rows that took. Safe to repeat.

    Rows that stand at an end are left alone and their documents not read, so that it costs a listing where nothing
    is missing.

    Raises:
        TransientError: store or database are away; what was listed until then stays.
    """
    documents = DocumentStore(objects, bucket)
    count = 0
    for page in _pages(objects, bucket):
        ended = _ended(engine, list(page))
        for result_id in page.keys() - ended:
            document = _read(documents, page[result_id], result_id)
            if document is not None:
                _list(engine, bucket, document)
                count += 1
    return count


def _pages(objects: ObjectStore, bucket: str) -> Iterator[dict[str, str]]:
    """Users by result id."""
    page: dict[str, str] = {}
    for found in objects.list(bucket, "ocr/"):
        if match := _DOCUMENT_KEY.fullmatch(found.key):
            page[match["result_id"]] = match["user_id"]
        if len(page) == _PAGE_DOCUMENTS:
            yield page
            page = {}
    if page:
        yield page


def _ended(engine: Engine, result_ids: list[str]) -> set[str]:
    columns = RESULTS.c
    query = select(columns.id).where(columns.id.in_(result_ids), columns.status.not_in(_OPEN))
    with reading(engine) as connection:
        return set(connection.execute(query).scalars())


def _read(documents: DocumentStore, user_id: str, result_id: str) -> Document | None:
    try:
        found = documents.read(user_id, result_id)
    except Halt as error:
        # The extractor halts on it when it is asked for; there are others to list.
        _log.error("passed over: %s", error)
        return None
    return None if found is None else found.document


def _list(engine: Engine, bucket: str, document: Document) -> None:
    event = document.to_event(bucket, document_key(document.user_id, document.result_id))
    if event is None:
        list_deleted(engine, document)
        return
    with transaction(engine) as connection:
        list_replies(connection, [event])
