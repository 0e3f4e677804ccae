"""The audit of the books against the documents: what was charged was read, and what was read was charged.

Both ways are gone through a page at a time, so that memory does not grow with the ledger; postings go on meanwhile.

1. Each entry of usage names a result whose document says the same: user, usage id, tokens, prices, all of it.
2. Each document has its entry. One that a record is still to publish, or whose usage lies before the ledger, is
   under way and no finding; one that cannot be judged, because the ledger is behind, is told as such.
"""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine

from schemas.document import Document
from services.ledger.charges import Charge, charges
from services.ledger.findings import Findings
from services.ledger.orphans import SKEW, Orphan, Orphans, ReadDocument
from services.ledger.unposted import unposted
from services.runtime.errors import Halt

_READERS = 16
"""Documents that are read at a time."""
_POLL_SECONDS = 0.2


@dataclass
class DocumentAudit(Findings):
    """What was compared, in number, and what was found."""

    entries: int = 0
    documents: int = 0
    under_way: int = 0
    """Documents whose usage is still to be published or posted."""
    undecided: int = 0
    """Documents without an entry, of which the ledger was too far behind to tell."""


def audit_documents(
    engine: Engine,
    read_document: ReadDocument,
    orphans: Orphans,
    posted_until: Callable[[], datetime | None],
    *,
    since: datetime | None = None,
    wait_seconds_max: float = 60.0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> DocumentAudit:
    """Compares entries and documents.

    Args:
        engine: the ledger's database.
        read_document: from the results bucket.
        orphans: finds documents without an entry.
        posted_until: up to which moment all usage is posted, as the ledger's heartbeats say.
        since: only entries that were posted from then on, for buckets that do not keep documents for ever.
        wait_seconds_max: for the ledger to read what a document may still have before it.
        clock: seconds; for tests.
        sleep: for tests.

    Raises:
        TransientError: database, store or broker are away.
    """
    result = DocumentAudit()
    with ThreadPoolExecutor(_READERS, thread_name_prefix="audit") as readers:
        for page in charges(engine, since):
            result.entries += len(page)
            for charge, problem in zip(page, readers.map(_comparison(read_document), page), strict=True):
                if problem is not None:
                    result.add(f"entry {charge.id}", problem)
    deadline = clock() + wait_seconds_max

    def is_posted(moment: datetime) -> bool:
        while (until := posted_until()) is None or until <= moment + SKEW:
            if clock() >= deadline:
                return False
            sleep(_POLL_SECONDS)
        return True

    for looked in orphans.pages(lambda: None):
        result.documents += looked.documents
        result.under_way += looked.under_way
        for result_id in looked.broken:
            result.add(f"result {result_id}", "what lies in the place of its document is none")
        _judge(engine, looked.orphans, is_posted, result)
    return result


def _judge(engine: Engine, found: list[Orphan], is_posted: Callable[[datetime], bool], result: DocumentAudit) -> None:
    if not found:
        return
    if not is_posted(max(orphan.seen_at for orphan in found)):
        result.undecided += len(found)
        return
    missing = unposted(engine, {orphan.document.usage.usage_id for orphan in found})
    for document in (orphan.document for orphan in found):
        if document.usage.usage_id in missing:
            what = f"it has a document of {document.usage.tokens} tokens and no entry"
            result.add(f"result {document.result_id}", f"{what}; its author is done with")


def _comparison(read_document: ReadDocument) -> Callable[[Charge], str | None]:
    def compare(charge: Charge) -> str | None:
        if charge.result_id is None:
            return None  # named by the audit of the books
        try:
            found = read_document(charge.user_id, charge.result_id)
        except Halt:
            return f"what lies in the place of the document of result {charge.result_id} is none"
        return _problem(charge, None if found is None else found.document)

    return compare


def _problem(charge: Charge, document: Document | None) -> str | None:
    """What is wrong between an entry and the document of its result; None when they agree."""
    if document is None or document.usage.usage_id != charge.reference:
        # A failure that was removed to be tried again keeps its entry of nothing, with a usage id of its own.
        if charge.tokens == 0:
            return None
        what = "has no document" if document is None else f"has a document of usage {document.usage.usage_id}"
        return f"it charges {charge.tokens} tokens for result {charge.result_id}, which {what}"
    if document.usage.tokens != charge.tokens:
        return f"it charges {charge.tokens} tokens, its document says {document.usage.tokens}"
    differing = sorted(_differing(charge.payload, document))
    return f"its document says something else of {', '.join(differing)}" if differing else None


def _differing(payload: str, document: Document) -> Iterator[str]:
    """Fields that were posted and are not as the document has them; one that is newer than the entry is none."""
    told = document.usage.model_dump(mode="json", by_alias=True, exclude_none=True)
    try:
        posted = dict(json.loads(payload))
    except (ValueError, TypeError):
        yield "everything: the entry's own payload cannot be read"
        return
    yield from (name for name, value in posted.items() if told.get(name) != value)
