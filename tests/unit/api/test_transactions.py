"""What was spent on what, in memory; and that its tables are the ledger's."""

from __future__ import annotations

import pytest

from services.api.cursors import encode_cursor
from services.api.keys import Scope
from services.api.transactions import LEDGER, PostedTransaction, user_account
from services.ledger import posting, tables
from tests.unit.api.fakes import KEY, NOW, RESULT_ID, USER, FakeWorld, api_key, app, usage
from tests.unit.api.test_app import assert_error, call

PATH = "/api/tokens/transactions"


def test_a_debit_says_what_was_read_and_a_grant_what_for() -> None:
    paid = usage().model_dump(mode="json", by_alias=True)
    world = FakeWorld(
        posted=[
            PostedTransaction("e2", "usage", -52, RESULT_ID, RESULT_ID, NOW, 2, paid),
            PostedTransaction("e1", "grant", 1000, "top-up-1", None, NOW, 1, {"userId": USER, "note": "welcome"}),
        ]
    )
    answer = call(app(world), "GET", PATH, params={"limit": 2, "cursor": encode_cursor(3)}).json()
    assert answer["nextCursor"] is None
    debit, grant = answer["transactions"]
    assert debit == {
        "id": "e2",
        "kind": "usage",
        "amount": -52,
        "postedAt": "2026-06-15T10:30:00.000Z",
        "reference": RESULT_ID,
        "resultId": RESULT_ID,
        "key": KEY,
        "outcome": "completed",
        "pageUnits": 1,
        "words": 2,
        "priceVersion": "1",
        "note": None,
    }
    assert (grant["kind"], grant["amount"], grant["reference"]) == ("grant", 1000, "top-up-1")
    assert (grant["note"], grant["key"], grant["resultId"]) == ("welcome", None, None)
    assert world.asked_transactions == (USER, 2, 3)


@pytest.mark.parametrize(
    "cursor", ["", "x", encode_cursor("3"), encode_cursor(-1), encode_cursor(2**63), encode_cursor(3, 3)]
)
def test_a_cursor_of_another_kind_is_refused(cursor: str) -> None:
    assert_error(call(app(FakeWorld()), "GET", PATH, params={"cursor": cursor}), 400, "invalid_request")


def test_a_key_that_may_only_process_sees_no_transactions() -> None:
    assert_error(call(app(FakeWorld(), key=api_key(Scope.PROCESS)), "GET", PATH), 403, "forbidden")


def test_what_is_read_of_the_ledger_is_there() -> None:
    for table in LEDGER.sorted_tables:
        theirs = tables.metadata.tables[table.name]
        for column in table.columns:
            assert str(theirs.c[column.name].type) == str(column.type)
            assert theirs.c[column.name].nullable == column.nullable
    assert user_account(USER) == posting.user_account(USER)
