"""Results that are kept long enough are deleted, as their users delete them: by a tombstone that nothing brings back.

Every replica goes through the list by itself. That two do the same is harmless: a document is buried once.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Engine, and_, or_, select

from services.api.results import ResultStatus, list_deleted
from services.api.tables import RESULTS
from services.runtime.backoff import Backoff
from services.runtime.database import reading
from services.runtime.documents import DocumentStore
from services.runtime.errors import Halt, TransientError
from services.runtime.metrics import RESULTS_EXPIRED, RETENTION_FAULTS, RETENTION_ROUND

_log = logging.getLogger(__name__)

_PAGE_ROWS = 200
_FAULT_SECONDS = 60.0
_CLOSE_SECONDS_MAX = 10.0


class Expired(NamedTuple):
    """A result whose time is over."""

    finished_at: datetime
    id: str
    user_id: str


def expired_results(engine: Engine, before: datetime) -> Iterator[Expired]:
    """Completed results that were made before a moment, the oldest first. Raises `DatabaseUnavailable`."""
    columns = (RESULTS.c.finished_at, RESULTS.c.id, RESULTS.c.user_id)
    query = select(*columns).where(RESULTS.c.status == ResultStatus.COMPLETED.value, RESULTS.c.finished_at < before)
    query = query.order_by(RESULTS.c.finished_at, RESULTS.c.id).limit(_PAGE_ROWS)
    after: Expired | None = None
    while True:
        page = query
        if after is not None:
            # Onwards by place: a row whose document is gone stays as it is, and must not be met again and again.
            same_moment = and_(RESULTS.c.finished_at == after.finished_at, RESULTS.c.id > after.id)
            page = query.where(or_(RESULTS.c.finished_at > after.finished_at, same_moment))
        with reading(engine) as connection:
            rows = [Expired(*row) for row in connection.execute(page)]
        yield from rows
        if len(rows) < _PAGE_ROWS:
            return
        after = rows[-1]


def bury_expired(
    engine: Engine, documents: DocumentStore, before: datetime, now: datetime, stopping: Callable[[], bool]
) -> int:
    """Replaces the documents of expired results by tombstones, and lists them as deleted; returns how many.

    1. The tombstone takes the document's place, by its etag, with author and usage: from here on nobody reads the
       object again, whoever asks, and a charge that is still to come is made.
    2. The list says so. After a crash between 1 and 2 the next pass finds the tombstone, and says it.

    What cannot be buried, as what is no document of this version, is told, counted and left.

    Raises:
        TransientError: a dependency is away; the next pass goes on.
    """
    count = 0
    for each in expired_results(engine, before):
        if stopping():
            break
        if _bury(engine, documents, each, now):
            RESULTS_EXPIRED.inc()
            count += 1
    return count


def _bury(engine: Engine, documents: DocumentStore, expired: Expired, now: datetime) -> bool:
    try:
        tombstone = documents.bury(expired.user_id, expired.id, now)
        if tombstone is not None:
            list_deleted(engine, tombstone)
    except TransientError:
        raise
    except Exception as error:
        # Whatever is wrong with one must not keep the others. The cause of a `Halt` may quote the text: no traceback.
        RETENTION_FAULTS.labels("document").inc()
        told = not isinstance(error, Halt)
        _log.error("retention passes over a document: %s", error, exc_info=told, extra={"result_id": expired.id})
        return False
    return tombstone is not None


class Retention:
    """Passes over the list, one after the other, in a thread of its own."""

    def __init__(
        self,
        engine: Engine,
        documents: DocumentStore,
        *,
        kept_days: float,
        pause_seconds: float,
        fault_seconds: float = _FAULT_SECONDS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._engine = engine
        self._documents = documents
        self._kept = timedelta(days=kept_days)
        self._pause_seconds = pause_seconds
        self._fault_seconds = fault_seconds
        self._now = now
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)

    def start(self) -> None:
        """Begins; where results are kept for ever there is nothing to begin."""
        if self._kept:
            RETENTION_ROUND.set_to_current_time()
            self._thread.start()

    def close(self) -> None:
        """Ends after the result in hand."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_SECONDS_MAX)

    def _run(self) -> None:
        backoff = Backoff(seconds_max=60.0)
        while not self._stopping.is_set():
            now = self._now()
            try:
                count = bury_expired(self._engine, self._documents, now - self._kept, now, self._stopping.is_set)
            except TransientError as error:
                _log.warning("retention goes on later: %s", error)
                self._stopping.wait(backoff.failed())
                continue
            except Exception:
                RETENTION_FAULTS.labels("round").inc()
                _log.exception("retention met an unexpected error and starts over")
                self._stopping.wait(self._fault_seconds)
                continue
            backoff.succeeded()
            RETENTION_ROUND.set_to_current_time()
            if count:
                _log.info("results expired", extra={"count": count})
            self._stopping.wait(self._pause_seconds)
