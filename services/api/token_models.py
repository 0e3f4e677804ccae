"""The bodies of answers about tokens, as OpenAPI shows them."""

from typing import Literal

from pydantic import Field

from schemas.base import Timestamp, WireModel
from services.api.examples import EXAMPLE_ID, EXAMPLE_KEY, example_config


class Balance(WireModel):
    """What is left."""

    model_config = example_config({"balance": 9800, "asOf": "2023-06-15T10:30:02.000Z"})

    balance: int = Field(description="Tokens; 0 for a user without an account.")
    as_of: Timestamp = Field(description="Usage up to this moment is accounted for.")


class Transaction(WireModel):
    """What one entry of the ledger did to your balance."""

    id: str
    kind: Literal["usage", "grant"]
    amount: int = Field(description="Tokens: below zero what was spent, above it what was granted.")
    posted_at: Timestamp
    reference: str = Field(description="The result's id, for a failed one its request's; of a grant its own key.")
    result_id: str | None = None
    key: str | None = Field(default=None, description="The file that was read.")
    outcome: Literal["completed", "failed"] | None = Field(default=None, description="A failed result costs nothing.")
    page_units: int | None = None
    words: int | None = None
    price_version: str | None = None
    note: str | None = Field(default=None, description="Of a grant.")


class TransactionList(WireModel):
    """A page of transactions, newest first."""

    model_config = example_config(
        {
            "transactions": [
                {
                    "id": "7b5df0a2-2c0e-5d65-8a44-0c4c84c9c8f2",
                    "kind": "usage",
                    "amount": -200,
                    "postedAt": "2023-06-15T10:30:00.120Z",
                    "reference": EXAMPLE_ID,
                    "resultId": EXAMPLE_ID,
                    "key": EXAMPLE_KEY,
                    "outcome": "completed",
                    "pageUnits": 1,
                    "words": 150,
                    "priceVersion": "2026-11",
                }
            ],
            "nextCursor": "WzQxXQ",
        }
    )

    transactions: tuple[Transaction, ...]
    next_cursor: str | None = Field(description="For the next page; null on the last.")
