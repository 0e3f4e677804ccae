"""What the API stands on, in memory."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

from schemas.document import BlockLayout, Document, DocumentStatus, LineLayout, PageLayout, WordLayout
from schemas.events import (
    Author,
    BalanceChanged,
    ErrorCode,
    Failure,
    LedgerHeartbeat,
    OcrRequest,
    Price,
    ResultCompleted,
    ResultFailed,
    ResultRefused,
    UsageRecorded,
)
from schemas.identity import document_key, result_id
from services.api.app import create_app
from services.api.authentication import Authenticator
from services.api.keys import ApiKey, Scope
from services.api.listing import ListPage, ListQuery
from services.api.overview import Overview, overview_of
from services.api.parts import Parts
from services.api.processing import Processor
from services.api.rate_limit import RateLimiter
from services.api.result_figures import ResultFigures
from services.api.results import ListedResult, PendingResult
from services.api.searchable_pdf import PdfLimits, PdfMaker
from services.api.settings import ApiSettings
from services.api.storing import FileStorer
from services.api.topic_lag import BrokerFigures
from services.api.transactions import PostedTransaction, TransactionPage
from services.api.uploads import Uploads
from services.api.waiters import InFlight, Reply, Waiters
from services.api.webhooks import Webhooks
from services.runtime.admission import BalanceTable
from services.runtime.object_store import ObjectGone, StoredObject
from services.webhook_registry.addresses import AddressPolicy
from services.webhook_registry.tables import METADATA

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import FastAPI

NOW = datetime(2026, 6, 15, 10, 30, tzinfo=UTC)
BUCKET = "uploads"
USER = "alice"
KEY = "ocr/alice/scan.jpg"
ETAG = "etag-1"
RESULT_ID = result_id(BUCKET, KEY, ETAG)
API_KEY = "ocr_" + "k" * 43


def usage(outcome: str = "completed", tokens: int = 52) -> UsageRecorded:
    return UsageRecorded.model_validate(
        {
            "usage_id": RESULT_ID,
            "result_id": RESULT_ID,
            "user_id": USER,
            "key": KEY,
            "outcome": outcome,
            "page_units": 1,
            "words": 2,
            "tokens": tokens,
            "price": Price(version="1", tokens_per_page_unit=50, tokens_per_word=1),
            "occurred_at": NOW,
        }
    )


def page(*words: str, orientation: Literal[0, 90, 180, 270] = 0, skew_degrees: float = 0.0) -> PageLayout:
    """A page of 1000 x 2000 pixels with one line of words, each 100 x 20 pixels, 150 pixels apart."""
    laid = tuple(
        WordLayout(text=word, confidence=0.9, box=(0.1 + 0.15 * number, 0.1, 0.2 + 0.15 * number, 0.11))
        for number, word in enumerate(words)
    )
    box = (0.1, 0.1, laid[-1].box[2], 0.11) if laid else (0.0, 0.0, 1.0, 1.0)
    line = LineLayout(box=box, words=laid)
    return PageLayout(
        number=1,
        width=1000,
        height=2000,
        orientation=orientation,
        skew_degrees=skew_degrees,
        page_units=1,
        blocks=(BlockLayout(box=box, lines=(line,)),) if laid else (),
    )


def document(text: str | None = "two words", error: Failure | None = None, *, deleted: bool = False) -> Document:
    status = DocumentStatus.FAILED if error else DocumentStatus.COMPLETED
    return Document(
        result_id=RESULT_ID,
        user_id=USER,
        bucket=BUCKET,
        key=KEY,
        etag=ETAG,
        status=DocumentStatus.DELETED if deleted else status,
        author=Author(event_id="e", topic="ocr.requests", partition=0, offset=0),
        created_at=NOW,
        usage=usage("failed" if error else "completed"),
        file_url=f"https://files.example.com/{KEY}",
        text=None if error or deleted else text,
        language=None if error or deleted else "en",
        word_count=None if error or deleted else 2,
        pages=() if error or deleted or text is None else (page(*text.split()),),
        error=error,
        deleted_at=NOW if deleted else None,
    )


def completed(text: str | None = "two words") -> ResultCompleted:
    return ResultCompleted(
        result_id=RESULT_ID,
        user_id=USER,
        bucket=BUCKET,
        key=KEY,
        etag=ETAG,
        created_at=NOW,
        text=text,
        language="en",
        word_count=2,
        page_count=1,
        tokens_used=52,
        file_url=f"https://files.example.com/{KEY}",
        document_bucket="results",
        document_key=document_key(USER, RESULT_ID),
    )


def failed(code: ErrorCode, reason: str = "because") -> ResultFailed:
    return ResultFailed(
        result_id=RESULT_ID,
        user_id=USER,
        bucket=BUCKET,
        key=KEY,
        etag=ETAG,
        created_at=NOW,
        error=Failure(code=code, reason=reason),
        document_bucket="results",
        document_key=document_key(USER, RESULT_ID),
    )


def refused(code: ErrorCode, reason: str = "because") -> ResultRefused:
    return ResultRefused(
        result_id=RESULT_ID,
        user_id=USER,
        bucket=BUCKET,
        key=KEY,
        etag=ETAG,
        refused_at=NOW,
        error=Failure(code=code, reason=reason),
    )


def balances(balance: int | None = 1000) -> BalanceTable:
    table = BalanceTable(60.0, now=lambda: NOW)
    table.apply(LedgerHeartbeat(partition=0, partition_count=1, posted_until=NOW))
    if balance is not None:
        table.apply(BalanceChanged(user_id=USER, balance=balance, version=1, as_of=NOW))
    table.complete = True
    return table


@dataclass
class FakeWorld:
    """Store, list and lanes; `on_send` plays the extractor. What happened stands in `log`, in order."""

    uploads_bucket: str = BUCKET
    objects: dict[str, StoredObject] = field(
        default_factory=lambda: {KEY: StoredObject(KEY, ETAG, 100, NOW, "image/jpeg")}
    )
    documents: dict[tuple[str, str], Document] = field(default_factory=dict)
    rows: dict[str, ListedResult] = field(default_factory=dict)
    sent: list[tuple[OcrRequest, bool, str | None]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    on_send: Callable[[OcrRequest], None] = lambda _: None
    queries: list[ListQuery] = field(default_factory=list)
    next_cursor: str | None = None
    stored: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    contents: dict[str, bytes | Exception] = field(default_factory=dict)
    deleted: list[Document] = field(default_factory=list)
    posted: list[PostedTransaction] = field(default_factory=list)
    asked_transactions: tuple[str, int, int | None] | None = None
    broken: Exception | None = None
    waiters: Waiters = field(default_factory=Waiters)

    async def head(self, key: str) -> StoredObject | None:
        self.log.append("head")
        if self.broken:
            raise self.broken
        return self.objects.get(key)

    async def document(self, user_id: str, identity: str) -> Document | None:
        self.log.append(f"document, {'awaited' if self.waiters.is_awaited(identity) else 'not awaited'}")
        return self.documents.get((user_id, identity))

    async def listed(self, identity: str) -> ListedResult | None:
        return self.rows.get(identity)

    async def list(self, query: ListQuery) -> ListPage:
        self.queries.append(query)
        return ListPage(list(self.rows.values()), self.next_cursor)

    async def bury(self, user_id: str, result_id: str, deleted_at: datetime) -> Document | None:
        self.log.append("bury")
        found = self.documents.get((user_id, result_id))
        if found is not None and found.status is not DocumentStatus.DELETED:
            found = self.documents[user_id, result_id] = found.tombstone(deleted_at)
        return found

    async def list_deleted(self, tombstone: Document) -> None:
        self.log.append("list deleted")
        if self.broken:
            raise self.broken
        self.deleted.append(tombstone)

    async def transactions(self, user_id: str, limit: int, before: int | None) -> TransactionPage:
        self.asked_transactions = (user_id, limit, before)
        return TransactionPage(self.posted, self.next_cursor)

    def download(self, document: Document, path: Path) -> None:
        found = self.contents.get(document.key)
        if isinstance(found, bytes):
            path.write_bytes(found)
        else:
            raise found or ObjectGone(document.key)

    def put_file(self, key: str, file: IO[bytes], media_type: str) -> None:
        if self.broken:
            raise self.broken
        self.stored[key] = (file.read(), media_type)

    async def write(self, pending: PendingResult) -> None:
        self.log.append(f"pending {pending.id == RESULT_ID}")

    async def send(self, request: OcrRequest, *, somebody_waits: bool, traceparent: str | None = None) -> None:
        self.log.append("send")
        self.sent.append((request, somebody_waits, traceparent))
        self.on_send(request)

    def answer_with(self, reply: Reply) -> None:
        """From now on requests are answered with this."""
        self.on_send = lambda _: self.waiters.resolve(reply)


class FakeKeys:
    """One key."""

    def __init__(self, key: ApiKey | None) -> None:
        self.key = key
        self.looked_up = 0

    def find(self, text: str) -> ApiKey | None:
        self.looked_up += 1
        return self.key if text == API_KEY else None


def api_key(*scopes: Scope, user_id: str = USER, expires_at: datetime | None = None) -> ApiKey:
    return ApiKey("k1", user_id, frozenset(scopes or Scope), "", "ocr_kkkkkk", NOW, expires_at, None)


def processor(world: FakeWorld, *, table: BalanceTable | None = None, settings: ApiSettings | None = None) -> Processor:
    chosen = settings or ApiSettings()
    return Processor(
        lookups=world,
        admission=table or balances(),
        pending=world,
        sender=world,
        waiters=world.waiters,
        in_flight=InFlight(chosen.waiters_max, chosen.waiters_per_user_max),
        settings=chosen,
        now=lambda: NOW,
    )


def webhooks_in_memory(
    world: FakeWorld, check_url: Callable[[str], None] | None = None, lookup_threads: int = 1
) -> Webhooks:
    """Webhooks over a database of their own; names are not looked up, whatever is encrypted is public."""
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    METADATA.create_all(engine)

    def check(url: str) -> None:
        AddressPolicy().check_url(url, lambda *_: ["93.184.215.14"])

    return Webhooks(
        engine,
        ThreadPoolExecutor(1),
        ThreadPoolExecutor(lookup_threads),
        check_url or check,
        world.document,
        secret_overlap=timedelta(hours=24),
        lookups_in_flight=InFlight(lookup_threads, 1),
        lookup_seconds_max=0.5,
        now=lambda: NOW,
    )


def app(
    world: FakeWorld,
    *,
    table: BalanceTable | None = None,
    key: ApiKey | None = None,
    settings: ApiSettings | None = None,
    problem: str | None = None,
    pdf_limits: PdfLimits | None = None,
    limiter: RateLimiter | None = None,
    webhooks: Webhooks | None = None,
) -> FastAPI:
    """The web application on these parts; its lifespan need not run."""
    chosen = settings or ApiSettings()
    keys = FakeKeys(key or api_key())

    async def ready() -> str | None:
        return problem

    async def overview() -> Overview:
        return overview_of(NOW, ResultFigures([], 0, None), BrokerFigures((), {}), NOW)

    parts = Parts(
        authenticator=Authenticator(keys, ThreadPoolExecutor(1), 0.0, now=lambda: NOW),
        limiter=limiter or RateLimiter(0, 60.0),
        processor=processor(world, table=table, settings=chosen),
        results=world,
        uploads=Uploads(
            lambda key, *_: f"https://store.example.com/{key}", bytes_max=1000, presign_seconds=900, now=lambda: NOW
        ),
        storer=FileStorer(
            world.put_file,
            ThreadPoolExecutor(1),
            InFlight(2, 1),
            bytes_max=5_000,
            idle_seconds_max=0.2,
            bytes_per_second_min=20_000,
            random_part=lambda: "r",
        ),
        pdfs=PdfMaker(
            world.download, ThreadPoolExecutor(1), InFlight(2, 2), pdf_limits or PdfLimits(1_500_000_000, 30.0)
        ),
        balances=table or balances(),
        ready=ready,
        live=lambda: problem,
        overview=overview,
        webhooks=webhooks or webhooks_in_memory(world),
    )

    @asynccontextmanager
    async def open_parts() -> AsyncIterator[Parts]:
        yield parts

    made = create_app(chosen, open_parts)
    made.state.parts = parts
    return made


def at() -> datetime:
    """The clock of these tests."""
    return NOW
