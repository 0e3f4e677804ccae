"""What the ledger posted, as the API lists it: on SQLite and PostgreSQL, and through a running API."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Engine

from services.api.transactions import list_transactions, sequence_of_cursor
from services.ledger.book import Batch, post_batch
from services.ledger.grants import grant
from services.ledger.offsets import Span
from services.ledger.posting import debit
from tests.integration.api.stack import Replica, Stack
from tests.support.usage import NOON, usage


def spend(engine: Engine, name: str, offset: int, user_id: str = "alice") -> None:
    span = Span(offset or None, offset + 1)
    post_batch(engine, Batch({0: span}, [debit(usage(name, user_id), 0, offset)]), NOON + timedelta(seconds=offset))


def test_pages_go_back_from_the_newest_to_the_first_grant(engine: Engine) -> None:
    grant(engine, "alice", 1000, "k1", now=NOON, note="welcome")
    for number in range(4):
        spend(engine, f"r{number}", number)
    references, before = [], None
    while True:
        page = list_transactions(engine, "alice", 2, before)
        references += [posted.reference for posted in page.transactions]
        if page.next_cursor is None:
            break
        before = sequence_of_cursor(page.next_cursor)
    assert references == ["r3", "r2", "r1", "r0", "k1"]
    newest, first = list_transactions(engine, "alice", 1).transactions[0], page.transactions[-1]
    assert (newest.amount, newest.payload["key"]) == (-newest.payload["tokens"], "ocr/alice/r3.png")
    assert (first.kind, first.amount, first.payload["note"]) == ("grant", 1000, "welcome")


def test_nobody_sees_what_others_spend(engine: Engine) -> None:
    grant(engine, "bob", 1000, "k1", now=NOON)
    spend(engine, "r0", 0, user_id="bob")
    assert list_transactions(engine, "alice", 10).transactions == []
    assert [posted.reference for posted in list_transactions(engine, "bob", 10).transactions] == ["r0", "k1"]


def test_transactions_over_http(stack: Stack, api: Replica) -> None:
    user, other = stack.user(), stack.user()
    grant(stack.engine, user.id, 500, f"k-{user.id}", now=NOON, note="welcome")
    answer = api.client.get("/api/tokens/transactions", headers=user.headers)
    assert answer.status_code == 200
    (granted,) = answer.json()["transactions"]
    assert (granted["kind"], granted["amount"], granted["note"]) == ("grant", 500, "welcome")
    assert api.client.get("/api/tokens/transactions", headers=other.headers).json() == {
        "transactions": [],
        "nextCursor": None,
    }
