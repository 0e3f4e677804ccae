"""The audit finds what was tampered with, and names it: on SQLite and PostgreSQL."""

from typing import Any

import pytest
from sqlalchemy import Engine, delete, select, update

from services.ledger.audit import audit
from services.ledger.book import Batch, post_batch
from services.ledger.grants import grant
from services.ledger.offsets import Span
from services.ledger.posting import debit, entry_id
from services.ledger.tables import accounts, entries, entry_lines
from services.runtime.database import transaction
from tests.integration.ledger.tampering import without_triggers
from tests.support.usage import NOON, usage

_R2 = f"entry {entry_id('usage', 'r2')}"
_R3 = f"entry {entry_id('usage', 'r3')}"
_GRANT = f"entry {entry_id('grant', 'k1')}"


@pytest.fixture
def posted(engine: Engine) -> Engine:
    """A ledger with some entries, whose triggers a person with the rights to do so has removed."""
    grant(engine, "alice", 1_000, "k1", now=NOON)
    events = [usage("r1"), usage("r2", tokens=70), usage("r3"), usage("b1", "bob", 5)]
    post_batch(engine, Batch({0: Span(None, 4)}, [debit(event, 0, at) for at, event in enumerate(events)]), NOON)
    without_triggers(engine)
    return engine


def _tamper(engine: Engine, *statements: Any) -> dict[str, list[str]]:
    with transaction(engine) as connection:
        for statement in statements:
            connection.execute(statement)
    found: dict[str, list[str]] = {}
    for finding in audit(engine).findings:
        found.setdefault(finding.subject, []).append(finding.detail)
    return found


def test_an_untouched_ledger_adds_up(posted: Engine) -> None:
    result = audit(posted)
    assert result.findings == []
    assert (result.entries, result.accounts) == (5, 4)
    assert result.debits == result.credits == 1_475


def test_an_empty_ledger_adds_up(engine: Engine) -> None:
    assert audit(engine).findings == []


def _lines_of(reference: str) -> Any:
    return entry_lines.c.entry_id == select(entries.c.id).where(entries.c.reference == reference).scalar_subquery()


def test_a_changed_line_names_its_entry(posted: Engine) -> None:
    change = update(entry_lines).values(amount=-1).where(_lines_of("r2"), entry_lines.c.account_id == "user:alice")
    found = _tamper(posted, change)
    assert any("sum to 69" in detail for detail in found[_R2])
    assert any("was hashed" in detail for detail in found[_R2])
    assert "account user:alice" in found


def test_a_charge_halved_on_both_sides_and_in_the_balances_is_found(posted: Engine) -> None:
    found = _tamper(
        posted,
        update(entry_lines).values(amount=entry_lines.c.amount / 2).where(_lines_of("r2")),
        update(accounts).values(balance=accounts.c.balance + 35).where(accounts.c.id == "user:alice"),
        update(accounts).values(balance=accounts.c.balance - 35).where(accounts.c.id == "revenue:0"),
    )
    assert list(found) == [_R2]
    assert len(found[_R2]) == 2


def test_a_changed_field_names_its_entry(posted: Engine) -> None:
    found = _tamper(posted, update(entries).values(result_id="other").where(entries.c.reference == "r2"))
    assert list(found) == [_R2]


def test_a_changed_payload_names_its_entry(posted: Engine) -> None:
    found = _tamper(posted, update(entries).values(payload="{}").where(entries.c.reference == "r2"))
    assert list(found) == [_R2]


def test_an_entry_rehashed_after_the_change_breaks_the_chain_behind_it(posted: Engine) -> None:
    found = _tamper(posted, update(entries).values(entry_hash="f" * 64).where(entries.c.reference == "r2"))
    assert set(found) == {_R2, _R3}


def test_a_deleted_entry_is_missed(posted: Engine) -> None:
    found = _tamper(
        posted, delete(entry_lines).where(_lines_of("r2")), delete(entries).where(entries.c.reference == "r2")
    )
    assert "entry 3 of user alice is missing before it" in found[_R3]


def test_a_deleted_newest_entry_is_missed(posted: Engine) -> None:
    found = _tamper(
        posted,
        delete(entry_lines).where(_lines_of("b1")),
        delete(entries).where(entries.c.reference == "b1"),
        update(accounts).values(balance=0).where(accounts.c.id == "user:bob"),
        update(accounts).values(balance=accounts.c.balance - 5).where(accounts.c.id == "revenue:0"),
    )
    assert set(found) == {"account user:bob"}


def test_a_changed_balance_names_its_account(posted: Engine) -> None:
    found = _tamper(posted, update(accounts).values(balance=10**6).where(accounts.c.id == "user:bob"))
    assert set(found) == {"account user:bob"}


def test_an_entry_moved_to_another_user_is_found(posted: Engine) -> None:
    found = _tamper(posted, update(entries).values(user_id="bob", sequence=2).where(entries.c.reference == "k1"))
    assert _GRANT in found


def test_a_result_charged_twice_is_found(posted: Engine) -> None:
    again = usage("r1-again", result_id="r1")
    post_batch(posted, Batch({0: Span(4, 5)}, [debit(again, 0, 4)]), NOON)
    assert [finding.subject for finding in audit(posted).findings] == ["result r1"]
