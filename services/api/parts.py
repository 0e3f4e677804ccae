"""What the routes stand on; made once, when the process starts."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Protocol

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader

from schemas.document import Document
from services.api.authentication import Authenticator, Caller
from services.api.console_files import content_security_policy
from services.api.errors import ApiError
from services.api.keys import Scope
from services.api.listing import ListPage, ListQuery
from services.api.overview import Overview
from services.api.processing import Processor
from services.api.rate_limit import RateLimited, RateLimiter, remember
from services.api.results import ListedResult
from services.api.searchable_pdf import PdfMaker
from services.api.storing import FileStorer
from services.api.transactions import TransactionPage
from services.api.uploads import Uploads
from services.api.webhooks import Webhooks
from services.runtime.admission import BalanceTable


class Results(Protocol):
    """Where results are found and deleted: see `services.api.stores.Stores`."""

    async def document(self, user_id: str, result_id: str) -> Document | None:
        """A document."""

    async def listed(self, result_id: str) -> ListedResult | None:
        """A row."""

    async def list(self, query: ListQuery) -> ListPage:
        """A page of rows."""

    async def bury(self, user_id: str, result_id: str, deleted_at: datetime) -> Document | None:
        """A tombstone in place of a document."""

    async def list_deleted(self, tombstone: Document) -> None:
        """A row that says so."""

    async def transactions(self, user_id: str, limit: int, before: int | None) -> TransactionPage:
        """A page of entries."""


@dataclass(frozen=True)
class Parts:
    """All of it."""

    authenticator: Authenticator
    limiter: RateLimiter
    processor: Processor
    results: Results
    uploads: Uploads
    storer: FileStorer
    pdfs: PdfMaker
    balances: BalanceTable
    ready: Callable[[], Awaitable[str | None]]
    live: Callable[[], str | None]
    overview: Callable[[], Awaitable[Overview]]
    webhooks: Webhooks
    console_policy: str = content_security_policy()
    """What the console's page may load and call."""


_header = APIKeyHeader(
    name="X-API-Key",
    scheme_name="ApiKey",
    auto_error=False,
    description="Made by `ocr-services keys create USER`; shown once.",
)


async def parts_of(request: Request) -> Parts:
    """A dependency: the parts of the application that serves this request."""
    # Asynchronous although it awaits nothing: the framework runs plain functions in threads.
    parts: Parts = request.app.state.parts
    return parts


def _caller_with(scope: Scope) -> Callable[[Request, str | None], Awaitable[Caller]]:
    # One dependency, not one that stands on others: each costs the framework as much as all that is done in here.
    async def caller(request: Request, key: Annotated[str | None, Security(_header)]) -> Caller:
        parts = await parts_of(request)
        found = await parts.authenticator.authenticate(key)
        _count(request, parts.limiter, found)
        if scope not in found.scopes:
            raise ApiError("forbidden", f"This API key lacks the scope '{scope}'")
        return found

    return caller


def _count(request: Request, limiter: RateLimiter, caller: Caller) -> None:
    try:
        remember(request.scope, limiter.take(caller.key_id))
    except RateLimited as refused:
        remember(request.scope, refused.allowance)
        raise


UsedParts = Annotated[Parts, Depends(parts_of)]
ProcessingCaller = Annotated[Caller, Depends(_caller_with(Scope.PROCESS))]
OperatingCaller = Annotated[Caller, Depends(_caller_with(Scope.OPERATE))]
WebhookCaller = Annotated[Caller, Depends(_caller_with(Scope.WEBHOOKS))]
ReadingCaller = Annotated[Caller, Depends(_caller_with(Scope.READ))]
