"""Finds documents whose author died for good, and asks for them to be published by another record.

A document without an entry is no proof by itself: its author may be about to publish it. It is one when, in this
order, (1) it is older than a grace time and its usage id is not in the ledger; (2) its author's record will never
be worked on any more; (3) the ledger has read `ocr.usage` to an end that lies after (2), and the usage id is still
not there. Then a request goes out that may take the document over from that very author, and from no other.
"""

import logging
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from sqlalchemy import Engine

from schemas.document import Document
from schemas.events import Author, OcrRequest, Origin
from services.ledger.lane_offsets import Place
from services.ledger.unposted import suspects, unposted
from services.runtime.documents import StoredDocument
from services.runtime.errors import Halt
from services.runtime.metrics import TAKEOVERS
from services.runtime.object_store import StoredObject

_log = logging.getLogger(__name__)

PAGE_DOCUMENTS = 1_000
SKEW = timedelta(seconds=2)
"""How far the clocks of two replicas may lie apart."""
_POLL_SECONDS = 0.2
_KEY = re.compile(r"ocr/(?P<user_id>[^/]+)/(?P<result_id>[^/]+)\.json")

GoOn = Callable[[], None]
"""Called at every step and while waiting; raises `CalledOff` when this replica is to stop sweeping."""


class CalledOff(Exception):
    """Another replica sweeps now, or the process ends."""


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


class Sweep:
    """One pass after the other over all documents. One thread."""

    def __init__(
        self,
        engine: Engine,
        listing: Listing,
        read_document: ReadDocument,
        lanes: Lanes,
        posted_until: Callable[[], datetime | None],
        request: Callable[[OcrRequest], Place],
        *,
        grace_seconds: float,
        takeovers_per_second_max: float,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`request` produces a takeover and returns its place; `posted_until` is that of all usage."""
        self._engine = engine
        self._listing = listing
        self._read_document = read_document
        self._lanes = lanes
        self._posted_until = posted_until
        self._request = request
        self._grace = timedelta(seconds=grace_seconds)
        self._interval_seconds = 1.0 / takeovers_per_second_max
        self._now = now
        self._sleep = sleep
        # Takeovers requested in earlier passes, by result and author: asked for again only once they are done with.
        self._requested: dict[tuple[str, Author], Place] = {}

    def once(self, go_on: GoOn) -> int:
        """One pass; returns how many takeovers it requested.

        Raises:
            TransientError: a dependency is away; the next pass begins at the beginning.
            CalledOff: from `go_on`.
        """
        seen: dict[tuple[str, Author], Place] = {}
        count = 0
        for page in self._pages(go_on):
            orphans = self._orphans(page, go_on)
            for key in ((orphan.document.result_id, orphan.document.author) for orphan in orphans):
                if key in self._requested:
                    seen[key] = self._requested[key]
            wanted = self._without_pending(orphans)
            if wanted:
                count += self._take_over(wanted, seen, go_on)
        self._requested = seen
        return count

    def _pages(self, go_on: GoOn) -> Iterator[list[tuple[str, str, StoredObject]]]:
        """User, result and listing of documents past the grace time, a page at a time."""
        page: list[tuple[str, str, StoredObject]] = []
        youngest = self._now() - self._grace
        for found in self._listing():
            match = _KEY.fullmatch(found.key)
            if match is None or found.modified_at > youngest:
                continue
            page.append((match["user_id"], match["result_id"], found))
            if len(page) == PAGE_DOCUMENTS:
                go_on()
                yield page
                page = []
        if page:
            yield page

    def _orphans(self, page: list[tuple[str, str, StoredObject]], go_on: GoOn) -> list[Orphan]:
        """Steps 1 and 2."""
        suspected = set(suspects(self._engine, [(result_id, found) for _, result_id, found in page]))
        documents = []
        for user_id, result_id, _ in page:
            if result_id in suspected:
                go_on()
                documents += self._read(user_id, result_id)
        missing = unposted(self._engine, {document.usage.usage_id for document in documents})
        without = [document for document in documents if document.usage.usage_id in missing]
        done = self._lanes.done([_place(document.author) for document in without])
        seen_at = self._now()
        return [Orphan(document, seen_at) for document in without if _place(document.author) in done]

    def _read(self, user_id: str, result_id: str) -> list[Document]:
        try:
            found = self._read_document(user_id, result_id)
        except Halt as error:
            # The extractor halts on it when it is asked for; the sweep has others to look after.
            _log.error("passed over: %s", error)
            return []
        return [found.document] if found is not None else []

    def _without_pending(self, orphans: list[Orphan]) -> list[Orphan]:
        """Less those whose takeover is requested and still under way."""
        places = {
            orphan.document.result_id: self._requested[orphan.document.result_id, orphan.document.author]
            for orphan in orphans
            if (orphan.document.result_id, orphan.document.author) in self._requested
        }
        done = self._lanes.done(list(places.values()))
        under_way = {result_id for result_id, place in places.items() if place not in done}
        return [orphan for orphan in orphans if orphan.document.result_id not in under_way]

    def _take_over(self, orphans: list[Orphan], seen: dict[tuple[str, Author], Place], go_on: GoOn) -> int:
        """Step 3, then the requests."""
        self._wait_until_posted(max(orphan.seen_at for orphan in orphans), go_on)
        missing = unposted(self._engine, {orphan.document.usage.usage_id for orphan in orphans})
        count = 0
        for document in (orphan.document for orphan in orphans):
            if document.usage.usage_id not in missing:
                continue
            go_on()
            seen[document.result_id, document.author] = self._request(takeover(document, self._now()))
            TAKEOVERS.inc()
            count += 1
            _log.warning(
                "a document's author never published it; it is requested anew",
                extra={"result_id": document.result_id, "author": document.author.event_id},
            )
            self._sleep(self._interval_seconds)
        return count

    def _wait_until_posted(self, moment: datetime, go_on: GoOn) -> None:
        while (until := self._posted_until()) is None or until <= moment + SKEW:
            go_on()
            self._sleep(_POLL_SECONDS)


def takeover(document: Document, now: datetime) -> OcrRequest:
    """The request that may take a document over from its author, and from nobody else."""
    return OcrRequest(
        result_id=document.result_id,
        user_id=document.user_id,
        bucket=document.bucket,
        key=document.key,
        etag=document.etag,
        origin=Origin.TAKEOVER,
        requested_at=now,
        takeover_of=document.author,
    )


def _place(author: Author) -> Place:
    return Place(author.topic, author.partition, author.offset)
