"""One user's uploads against that user's documents: what is old enough and has no document is requested."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Protocol

from schemas.events import OcrRequest, Origin
from schemas.identity import document_prefix, result_id
from services.intake.known_documents import KnownDocuments
from services.intake.pace import GoOn, Pace
from services.intake.recent import RecentRequests
from services.intake.worker import request_for, upload_of
from services.runtime.admission import BalanceTable
from services.runtime.metrics import SWEEP_OBJECTS, UPLOADS_REQUESTED
from services.runtime.object_store import StoredObject

CHUNK_OBJECTS = 20_000
"""Objects compared with one listing of the documents; bounds the memory that one user's uploads can take.

What a listing shows is remembered for the objects that follow, so that only as many more that it does not show are
worth another one.
"""
_UNACKNOWLEDGED_MAX = 200
_ACKNOWLEDGE_POLL_SECONDS = 0.5
_DOCUMENT_SUFFIX = ".json"


class Listing(Protocol):
    """The part of the object store that a sweep needs."""

    def list(self, bucket: str, prefix: str) -> Iterator[StoredObject]:
        """The objects under `prefix`."""


@dataclass
class Tally:
    """What a sweep saw and did; `fates` has one count for each object."""

    users: int = 0
    fates: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Tally") -> None:
        """Takes in the tally of a part."""
        self.users += other.users
        self.fates.update(other.fates)


@dataclass(frozen=True)
class Buckets:
    """Where uploads and where documents lie."""

    uploads: str
    results: str


class UserSweep:
    """Sweeps one user at a time. Of accounts without balance it only counts the objects."""

    def __init__(
        self,
        store: Listing,
        buckets: Buckets,
        table: BalanceTable,
        recent: RecentRequests,
        pace: Pace,
        send: Callable[[OcrRequest], "Future[Any]"],
        *,
        age_seconds_min: float,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        chunk_objects: int = CHUNK_OBJECTS,
    ) -> None:
        self._store = store
        self._buckets = buckets
        self._table = table
        self._recent = recent
        self._pace = pace
        self._send = send
        self._age = timedelta(seconds=age_seconds_min)
        self._now = now
        self._chunk_objects = chunk_objects

    def __call__(self, user_id: str, go_on: GoOn, *, topped_up: bool = False) -> Tally:
        """Requests what is missing of one user.

        For a user just topped up neither age nor memory counts: what was requested before was refused.

        Raises:
            TransientError: the store or the broker is away; what was acknowledged stays requested.
            CalledOff: by `go_on`.
        """
        tally = Tally(users=1)
        funded = (self._table.balance(user_id) or 0) > 0
        if funded:
            # Before listing: what now waits in the lane will have its document by the time it is looked for.
            self._pace.wait_for_lane(go_on)
        known = KnownDocuments()
        uploads = self._uploads(user_id, known, tally, go_on, topped_up=topped_up, funded=funded)
        while chunk := dict(islice(uploads, self._chunk_objects)):
            self._drop_documented(user_id, chunk, known, tally, go_on)
            self._request(chunk.values(), tally, go_on)
        for fate, count in tally.fates.items():
            SWEEP_OBJECTS.labels(fate=fate).inc(count)
        return tally

    def _uploads(
        self, user_id: str, known: KnownDocuments, tally: Tally, go_on: GoOn, *, topped_up: bool, funded: bool
    ) -> Iterator[tuple[str, OcrRequest]]:
        """What may have to be requested, by result id: a listing has the etags, hence the ids."""
        now = self._now()
        for found in self._store.list(self._buckets.uploads, document_prefix(user_id)):
            go_on()
            key = upload_of(found.key)
            if key is None:
                tally.fates["not_an_upload"] += 1
            elif not funded:
                tally.fates["no_balance"] += 1
            elif not topped_up and found.modified_at > now - self._age:
                tally.fates["too_young"] += 1
            elif (identity := result_id(self._buckets.uploads, found.key, found.etag)) in known:
                tally.fates["has_document"] += 1
            elif not topped_up and identity in self._recent:
                tally.fates["requested_before"] += 1
            else:
                yield identity, request_for(found, key, self._buckets.uploads, Origin.RECONCILER, now)

    def _drop_documented(
        self, user_id: str, chunk: dict[str, OcrRequest], known: KnownDocuments, tally: Tally, go_on: GoOn
    ) -> None:
        prefix = document_prefix(user_id)
        more_may_come = len(chunk) == self._chunk_objects
        known.clear()
        for document in self._store.list(self._buckets.results, prefix):
            go_on()
            identity = document.key.removeprefix(prefix).removesuffix(_DOCUMENT_SUFFIX)
            if chunk.pop(identity, None) is not None:
                tally.fates["has_document"] += 1
            if more_may_come:
                known.add(identity)

    def _request(self, requests: Iterable[OcrRequest], tally: Tally, go_on: GoOn) -> None:
        """Sends at the permitted rate; an object counts as requested once the broker has acknowledged it."""
        remaining = iter(requests)
        while batch := list(islice(remaining, _UNACKNOWLEDGED_MAX)):
            sent = []
            for request in batch:
                self._pace.wait_for_turn(go_on)
                sent.append(self._send(request))
            _await(sent, go_on)
            for request in batch:
                self._recent.add(request.result_id)
            tally.fates["requested"] += len(batch)
            UPLOADS_REQUESTED.labels(origin=Origin.RECONCILER.value).inc(len(batch))


def _await(sent: list["Future[Any]"], go_on: GoOn) -> None:
    pending = set(sent)
    while pending:
        done, pending = wait(pending, timeout=_ACKNOWLEDGE_POLL_SECONDS)
        for acknowledged in done:
            acknowledged.result()
        go_on()
