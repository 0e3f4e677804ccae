"""`/api/tokens`: what is left, and what was spent on what."""

from datetime import datetime

from fastapi import APIRouter
from starlette.responses import Response

from schemas.events import BalanceChanged
from services.api.documentation import COMMON, errors
from services.api.errors import unavailable
from services.api.paging import LIMIT_DEFAULT, Cursor, Limit
from services.api.parts import ReadingCaller, UsedParts
from services.api.responses import json_response
from services.api.token_models import Balance, Transaction, TransactionList
from services.api.transactions import PostedTransaction, sequence_of_cursor

router = APIRouter(prefix="/api/tokens", tags=["Tokens"])


@router.get("/balance", response_model=Balance, responses=errors(*COMMON))
async def get_balance(caller: ReadingCaller, parts: UsedParts) -> Response:
    """How many tokens are left."""
    posted_until = parts.balances.posted_until()
    if not parts.balances.complete or posted_until is None:
        raise unavailable("Balances cannot be read right now", parts.processor.settings.retry_after_seconds)
    return json_response(balance_of(parts.balances.balances.get(caller.user_id), posted_until))


@router.get("/transactions", response_model=TransactionList, responses=errors(*COMMON))
async def list_transactions(
    caller: ReadingCaller, parts: UsedParts, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT
) -> Response:
    """List what was spent on what, and what was granted, newest first."""
    before = None if cursor is None else sequence_of_cursor(cursor)
    page = await parts.results.transactions(caller.user_id, limit, before)
    found = tuple(map(transaction_of, page.transactions))
    return json_response(TransactionList(transactions=found, next_cursor=page.next_cursor))


def transaction_of(posted: PostedTransaction) -> Transaction:
    """An entry as its user sees it."""
    price = posted.payload.get("price") or {}
    return Transaction(
        id=posted.id,
        kind="grant" if posted.kind == "grant" else "usage",
        amount=posted.amount,
        posted_at=posted.posted_at,
        reference=posted.reference,
        result_id=posted.result_id,
        key=posted.payload.get("key"),
        outcome=posted.payload.get("outcome"),
        page_units=posted.payload.get("pageUnits"),
        words=posted.payload.get("words"),
        price_version=price.get("version"),
        note=posted.payload.get("note"),
    )


def balance_of(account: BalanceChanged | None, posted_until: datetime) -> Balance:
    """A balance and the moment up to which it is true: its own, or the ledger's later word."""
    if account is None:
        return Balance(balance=0, as_of=posted_until)
    return Balance(balance=account.balance, as_of=max(account.as_of, posted_until))
