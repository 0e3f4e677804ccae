"""A store, a broker and a clock of memory, written by hand."""

from collections.abc import Iterator
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from hashlib import md5
from typing import Any

from schemas.events import BalanceChanged, Event, OcrRequest, SweepReported
from schemas.topics import UPLOADS, Topic
from services.runtime.admission import BalanceTable
from services.runtime.errors import StoreUnavailable
from services.runtime.object_store import StoredObject

START = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)


class FakeClock:
    """Time that passes when told to, or when something sleeps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        """Monotonic seconds."""
        return self.seconds

    def now(self) -> datetime:
        """The same as a moment."""
        return START + timedelta(seconds=self.seconds)

    def sleep(self, seconds: float) -> None:
        """Lets time pass."""
        self.seconds += seconds


class FakeStore:
    """Objects by bucket and key; fails for the prefixes and keys in `away`."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.objects: dict[tuple[str, str], StoredObject] = {}
        self.away: set[str] = set()
        self.listed: list[tuple[str, str]] = []
        self.headed: list[str] = []

    def put(self, bucket: str, key: str, body: bytes = b"pixels") -> StoredObject:
        """Stores an object now."""
        etag = md5(body, usedforsecurity=False).hexdigest()
        stored = StoredObject(key, etag, len(body), self.clock.now())
        self.objects[bucket, key] = stored
        return stored

    def head(self, key: str) -> StoredObject | None:
        """What lies under `key` of the bucket `uploads`."""
        self.headed.append(key)
        if key in self.away or "*" in self.away:
            raise StoreUnavailable(f"head: {key}")
        return self.objects.get(("uploads", key))

    def list(self, bucket: str, prefix: str) -> Iterator[StoredObject]:
        """As `ObjectStore.list`."""
        self.listed.append((bucket, prefix))
        if prefix in self.away or "*" in self.away:
            raise StoreUnavailable(f"list: {prefix}")
        for (in_bucket, key), stored in sorted(self.objects.items(), key=lambda item: item[0]):
            if in_bucket == bucket and key.startswith(prefix):
                yield stored

    def list_folders(self, bucket: str, prefix: str) -> Iterator[str]:
        """As `ObjectStore.list_folders`."""
        if "*" in self.away:
            raise StoreUnavailable("list")
        folders = {key[: key.index("/", len(prefix)) + 1] for in_bucket, key in self.objects if in_bucket == bucket}
        yield from sorted(folders)


class FakeProducer:
    """Keeps what is sent; acknowledges at once unless told otherwise."""

    def __init__(self) -> None:
        self.sent: list[Event] = []
        self.traceparents: list[str | None] = []
        self.failures: list[Exception] = []
        """Raised by the next acknowledgements, in order."""
        self.silent = False
        """Keep acknowledgements back until `acknowledge`."""
        self._kept_back: list[Future[Any]] = []

    def acknowledge(self) -> None:
        """All that was kept back."""
        for acknowledged in self._kept_back:
            acknowledged.set_result(None)

    def send(
        self,
        topic: Topic,
        key: str | None,
        event: Event,
        *,
        subject: str,
        correlation_id: str | None = None,
        traceparent: str | None = None,
    ) -> "Future[Any]":
        """As `EventProducer.send`."""
        assert topic.events
        assert subject
        assert key is None or correlation_id
        self.sent.append(event)
        self.traceparents.append(traceparent)
        acknowledged: Future[Any] = Future()
        if self.silent:
            self._kept_back.append(acknowledged)
        elif self.failures:
            acknowledged.set_exception(self.failures.pop(0))
        else:
            acknowledged.set_result(None)
        return acknowledged

    def send_request(self, request: OcrRequest) -> "Future[Any]":
        """As `UploadRequester.send`."""
        return self.send(UPLOADS, request.key, request, subject=request.result_id, correlation_id=request.result_id)

    def requests(self) -> list[OcrRequest]:
        """The requests among what was sent."""
        return [event for event in self.sent if isinstance(event, OcrRequest)]

    def requested_keys(self) -> list[str]:
        """Their object keys, in order."""
        return [request.key for request in self.requests()]

    def reports(self) -> list[SweepReported]:
        """The reports among what was sent."""
        return [event for event in self.sent if isinstance(event, SweepReported)]


def balance(user_id: str, tokens: int, version: int = 1) -> BalanceChanged:
    """A balance as the ledger publishes it."""
    return BalanceChanged(user_id=user_id, balance=tokens, version=version, as_of=START)


def table_of(**tokens: int) -> BalanceTable:
    """A table that was read to its end, with the given balances."""
    table = BalanceTable(60.0)
    for user_id, amount in tokens.items():
        table.apply(balance(user_id, amount))
    table.complete = True
    return table
