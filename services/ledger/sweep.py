"""Finds documents whose author died for good, and asks for them to be published by another record.

`services.ledger.orphans` finds documents without an entry whose author is done with. Only once the ledger has read
`ocr.usage` to an end that lies after that, and the usage id is still not there, a request goes out that may take the
document over from that very author, and from no other.
"""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import Engine

from schemas.document import Document
from schemas.events import Author, OcrRequest, Origin
from services.ledger.lane_offsets import Place
from services.ledger.orphans import SKEW, GoOn, Lanes, Listing, Orphan, Orphans, ReadDocument
from services.ledger.unposted import unposted
from services.runtime.metrics import TAKEOVERS

_log = logging.getLogger(__name__)

_POLL_SECONDS = 0.2


class CalledOff(Exception):
    """Another replica sweeps now, or the process ends."""


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
        self._lanes = lanes
        self._orphans = Orphans(engine, listing, read_document, lanes, grace_seconds=grace_seconds, now=now)
        self._posted_until = posted_until
        self._request = request
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
        for page in self._orphans.pages(go_on):
            orphans = page.orphans
            for key in ((orphan.document.result_id, orphan.document.author) for orphan in orphans):
                if key in self._requested:
                    seen[key] = self._requested[key]
            wanted = self._without_pending(orphans)
            if wanted:
                count += self._take_over(wanted, seen, go_on)
        self._requested = seen
        return count

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
        """Waits for what proves them orphans, then the requests."""
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
