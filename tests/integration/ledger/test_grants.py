"""Grants, balance and history: on SQLite and PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from services.ledger.audit import audit
from services.ledger.book import Batch, post_batch
from services.ledger.grants import AMOUNT_MAX, GrantConflict, InvalidGrant, grant
from services.ledger.history import NoAccount, read_balance, read_history
from services.ledger.offsets import Span
from services.ledger.posting import debit
from tests.integration.ledger.running import entry_count
from tests.support.usage import NOON, usage


def test_a_grant_opens_the_account(engine: Engine) -> None:
    with pytest.raises(NoAccount):
        read_balance(engine, "alice")
    assert grant(engine, "alice", 500, "k1", now=NOON).balance == 500
    assert read_balance(engine, "alice") == 500


def test_the_same_key_again_is_the_same_grant(engine: Engine) -> None:
    first = grant(engine, "alice", 500, "k1", now=NOON, note="welcome")
    again = grant(engine, "alice", 500, "k1", now=NOON + timedelta(days=1), note="welcome")
    assert (again.entry_id, again.is_new, again.balance) == (first.entry_id, False, 500)
    assert entry_count(engine) == 1


@pytest.mark.parametrize(
    ("user_id", "amount", "note"), [("bob", 500, None), ("alice", 501, None), ("alice", 500, "other")]
)
def test_the_same_key_for_another_grant_is_refused(engine: Engine, user_id: str, amount: int, note: str | None) -> None:
    grant(engine, "alice", 500, "k1", now=NOON)
    with pytest.raises(GrantConflict):
        grant(engine, user_id, amount, "k1", now=NOON, note=note)
    assert read_balance(engine, "alice") == 500
    assert entry_count(engine) == 1


def test_one_key_from_many_hands_at_once_is_one_grant(engine: Engine) -> None:
    with ThreadPoolExecutor(8) as pool:
        granted = list(pool.map(lambda _: grant(engine, "alice", 500, "k1", now=NOON), range(8)))
    assert sum(each.is_new for each in granted) == 1
    assert read_balance(engine, "alice") == 500


def test_many_grants_at_once_all_count(engine: Engine) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: grant(engine, "alice", 10, f"k{number}", now=NOON), range(40)))
    assert read_balance(engine, "alice") == 400
    assert audit(engine).findings == []


@pytest.mark.parametrize(
    ("user_id", "amount", "key", "note"),
    [
        ("a/b", 1, "k", None),
        ("", 1, "k", None),
        ("alice", 0, "k", None),
        ("alice", -5, "k", None),
        ("alice", AMOUNT_MAX + 1, "k", None),
        ("alice", 1, "", None),
        ("alice", 1, "with space", None),
        ("alice", 1, "k", "null\x00"),
        ("alice", 1, "k", "x" * 501),
    ],
)
def test_what_is_no_grant_is_refused(engine: Engine, user_id: str, amount: int, key: str, note: str | None) -> None:
    with pytest.raises(InvalidGrant):
        grant(engine, user_id, amount, key, now=NOON, note=note)
    assert entry_count(engine) == 0


def test_history_tells_what_came_and_went_newest_first(engine: Engine) -> None:
    grant(engine, "alice", 500, "k1", now=NOON)
    post_batch(engine, Batch({1: Span(None, 1)}, [debit(usage("r1"), 1, 0)]), NOON + timedelta(hours=1))
    grant(engine, "bob", 5, "k2", now=NOON)
    lines = read_history(engine, "alice", entries_max=10)
    assert [(line.sequence, line.kind, line.amount, line.reference, line.result_id) for line in lines] == [
        (2, "usage", -200, "r1", "r1"),
        (1, "grant", 500, "k1", None),
    ]
    assert lines[0].posted_at == NOON + timedelta(hours=1)
    assert [line.sequence for line in read_history(engine, "alice", entries_max=1)] == [2]
    assert [line.sequence for line in read_history(engine, "alice", entries_max=10, before=2)] == [1]
