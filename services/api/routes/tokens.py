"""`/api/tokens`: what is left."""

from datetime import datetime

from fastapi import APIRouter
from starlette.responses import Response

from schemas.events import BalanceChanged
from services.api.documentation import COMMON, errors
from services.api.errors import unavailable
from services.api.models import Balance
from services.api.parts import ReadingCaller, UsedParts
from services.api.responses import json_response

router = APIRouter(prefix="/api/tokens", tags=["Tokens"])


@router.get("/balance", response_model=Balance, responses=errors(*COMMON))
async def get_balance(caller: ReadingCaller, parts: UsedParts) -> Response:
    """How many tokens are left."""
    posted_until = parts.balances.posted_until()
    if not parts.balances.complete or posted_until is None:
        raise unavailable("Balances cannot be read right now", parts.processor.settings.retry_after_seconds)
    return json_response(balance_of(parts.balances.balances.get(caller.user_id), posted_until))


def balance_of(account: BalanceChanged | None, posted_until: datetime) -> Balance:
    """A balance and the moment up to which it is true: its own, or the ledger's later word."""
    if account is None:
        return Balance(balance=0, as_of=posted_until)
    return Balance(balance=account.balance, as_of=max(account.as_of, posted_until))
