"""Documents without an entry in the ledger, whose author will not publish them any more.

A document without an entry is no proof by itself: its author may be about to publish it. So, in this order,

1. it is older than a grace time, and its usage id is not in the ledger;
2. its author's record will never be worked on any more.

What is left is an orphan once the ledger has read `ocr.usage` to an end that lies after 2, and the usage id is still
not there. The sweep waits for that and asks for it anew; the audit waits for that and names it.
"""

import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from sqlalchemy import Engine

from schemas.document import Document
from schemas.events import Author
from services.ledger.lane_offsets import Place
from services.ledger.unposted import suspects, unposted
from services.runtime.documents import StoredDocument
from services.runtime.errors import Halt
from services.runtime.object_store import StoredObject

_log = logging.getLogger(__name__)

_PAGE_DOCUMENTS = 1_000
_KEY = re.compile(r"ocr/(?P<user_id>[^/]+)/(?P<result_id>[^/]+)\.json")

SKEW = timedelta(seconds=2)
"""How far the clocks of two replicas may lie apart."""

GoOn = Callable[[], None]
"""Called at every step; raises what ends the search early."""


class Listing(Protocol):
    """Every document as the store lists it."""

    def __call__(self) -> Iterator[StoredObject]:
        """In the order of their keys. Raises StoreUnavailable while iterating."""


class ReadDocument(Protocol):
    """Reads one document."""

    def __call__(self, user_id: str, result_id: str) -> StoredDocument | None:
        """None if there is none. Raises StoreUnavailable, and Halt for what is no document."""


class Lanes(Protocol):
    """Knows which requests are done with."""

    def done(self, places: list[Place]) -> set[Place]:
        """Those whose record will never be worked on any more. Raises BrokerUnavailable."""


@dataclass(frozen=True)
class Orphan:
    """A document without an entry, whose author is done with; and when that was seen."""

    document: Document
    seen_at: datetime


@dataclass(frozen=True)
class Looked:
    """What one page of the listing came to."""

    documents: int
    """Past the grace time."""
    orphans: list[Orphan]
    under_way: int
    """Without an entry, but with an author that is still to publish them."""
    broken: list[str]
    """Results under whose keys lies what is no document."""


class Orphans:
    """Looks through all documents, a page of the listing at a time."""

    def __init__(
        self,
        engine: Engine,
        listing: Listing,
        read_document: ReadDocument,
        lanes: Lanes,
        *,
        grace_seconds: float,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._engine = engine
        self._listing = listing
        self._read_document = read_document
        self._lanes = lanes
        self._grace = timedelta(seconds=grace_seconds)
        self._now = now

    def pages(self, go_on: GoOn) -> Iterator[Looked]:
        """Steps 1 and 2 for each page.

        Raises:
            TransientError: a dependency is away.
        """
        for page in self._listed(go_on):
            yield self._look(page, go_on)

    def _listed(self, go_on: GoOn) -> Iterator[list[tuple[str, str, StoredObject]]]:
        """User, result and listing of documents past the grace time, a page at a time."""
        page: list[tuple[str, str, StoredObject]] = []
        youngest = self._now() - self._grace
        for found in self._listing():
            match = _KEY.fullmatch(found.key)
            if match is None or found.modified_at > youngest:
                continue
            page.append((match["user_id"], match["result_id"], found))
            if len(page) == _PAGE_DOCUMENTS:
                go_on()
                yield page
                page = []
        if page:
            yield page

    def _look(self, page: list[tuple[str, str, StoredObject]], go_on: GoOn) -> Looked:
        suspected = set(suspects(self._engine, [(result_id, found) for _, result_id, found in page]))
        documents, broken = list[Document](), list[str]()
        for user_id, result_id, _ in page:
            if result_id not in suspected:
                continue
            go_on()
            try:
                found = self._read_document(user_id, result_id)
            except Halt as error:
                # The extractor halts on it when it is asked for; there are others to look after.
                _log.error("passed over: %s", error)
                broken.append(result_id)
                continue
            if found is not None:
                documents.append(found.document)
        missing = unposted(self._engine, {document.usage.usage_id for document in documents})
        without = [document for document in documents if document.usage.usage_id in missing]
        done = self._lanes.done([place_of(document.author) for document in without])
        seen_at = self._now()
        orphans = [Orphan(document, seen_at) for document in without if place_of(document.author) in done]
        return Looked(len(page), orphans, len(without) - len(orphans), broken)


def place_of(author: Author) -> Place:
    """Where the author's request stands, or stood."""
    return Place(author.topic, author.partition, author.offset)
