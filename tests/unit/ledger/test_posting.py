"""Postings are a pure function of what came and of how the accounts stand."""

import json
import random
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from pydantic.alias_generators import to_camel

from schemas.events import EntryPosted
from services.ledger.hashing import GENESIS, entry_hash, event_hash
from services.ledger.posting import ISSUED, Account, Outcome, Posting, accounts_of, credit, debit, post
from tests.support.usage import NOON, usage


def _open(postings: list[Posting]) -> dict[str, Account]:
    return {name: Account(name) for name in accounts_of(postings)}


def _post(postings: list[Posting]) -> Outcome:
    return post(postings, _open(postings), {}, NOON)


def test_usage_moves_tokens_from_the_user_to_the_revenue_of_its_partition() -> None:
    outcome = _post([debit(usage("r1", "alice", 200), partition=3, offset=0)])
    assert {name: account.balance for name, account in outcome.accounts.items()} == {
        "user:alice": -200,
        "revenue:3": 200,
    }


def test_a_grant_moves_tokens_from_what_is_issued_to_the_user() -> None:
    outcome = _post([credit("alice", 500, "k1", None)])
    assert outcome.accounts["user:alice"].balance == 500
    assert outcome.accounts[ISSUED].balance == -500


def test_same_usage_event_twice_is_charged_once() -> None:
    event = usage("r1")
    outcome = _post([debit(event, 0, 0), debit(event, 0, 1), debit(event, 2, 7)])
    assert len(outcome.entries) == 1
    assert outcome.duplicates == 2
    assert outcome.accounts["user:alice"].balance == -200
    assert "revenue:2" not in outcome.accounts


def test_a_usage_event_that_is_in_the_ledger_is_not_charged_again() -> None:
    posting = debit(usage("r1"), 0, 0)
    outcome = post([posting], _open([posting]), {"r1": posting.payload_hash}, NOON)
    assert outcome == Outcome([], {}, [], 1)


def test_the_same_usage_id_with_another_payload_is_a_conflict_and_not_applied() -> None:
    first, second = debit(usage("r1", tokens=200), 0, 0), debit(usage("r1", tokens=201), 0, 1)
    outcome = _post([first, second])
    assert [entry.posting for entry in outcome.entries] == [first]
    assert [(conflict.posting, conflict.posted_hash) for conflict in outcome.conflicts] == [
        (second, first.payload_hash)
    ]
    assert outcome.accounts["user:alice"].balance == -200


def test_a_payload_is_the_same_however_its_zone_is_written() -> None:
    one = usage("r1")
    same = one.model_copy(update={"occurred_at": one.occurred_at.astimezone(tz=None)})
    assert debit(one, 0, 0).payload_hash == debit(same, 1, 9).payload_hash


def test_entries_of_a_user_form_one_chain() -> None:
    postings = [debit(usage(f"r{number}"), 0, number) for number in range(3)]
    before = _open(postings)
    first = post(postings[:2], before, {}, NOON)
    second = post(postings[2:], before | first.accounts, {}, NOON + timedelta(seconds=1))
    chain = first.entries + second.entries
    assert [entry.sequence for entry in chain] == [1, 2, 3]
    assert [entry.previous_hash for entry in chain] == [GENESIS, chain[0].entry_hash, chain[1].entry_hash]
    assert second.accounts["user:alice"].last_hash == chain[2].entry_hash


def test_the_version_of_a_balance_rises_with_each_batch_that_changes_it() -> None:
    postings = [debit(usage("r1"), 0, 0), debit(usage("r2"), 0, 1)]
    outcome = _post(postings)
    assert outcome.accounts["user:alice"].version == 1
    assert post([debit(usage("r3"), 0, 2)], outcome.accounts, {}, NOON).accounts["user:alice"].version == 2


def test_a_failure_is_an_entry_that_costs_nothing() -> None:
    outcome = _post([debit(usage("event-1", outcome="failed", tokens=0, result_id="r1"), 0, 0)])
    assert outcome.entries[0].posting.lines == (("user:alice", 0), ("revenue:0", 0))
    assert outcome.entries[0].posting.result_id == "r1"


def test_an_entry_has_the_same_id_when_it_is_posted_again_after_a_restore() -> None:
    event = usage("r1")
    assert _post([debit(event, 0, 0)]).entries[0].id == _post([debit(event, 3, 9)]).entries[0].id


def test_the_published_entry_carries_all_that_its_hash_covers() -> None:
    for posting in (debit(usage("r1"), 0, 0), credit("bob", 10, "k", "a note")):
        entry = _post([posting]).entries[0]
        event = EntryPosted.model_validate_json(entry.event_json(), strict=True)
        assert set(json.loads(entry.event_json())) == {to_camel(name) for name in EntryPosted.model_fields}
        assert (event.entry_id, event.sequence, event.posted_at) == (entry.id, 1, NOON)
        assert event_hash(event) == entry.entry_hash
        assert event.usage == posting.usage
        assert event.note == posting.note


def test_the_hash_covers_every_field() -> None:
    fields = {
        "entry_id": "e",
        "kind": "usage",
        "user_id": "u",
        "reference": "r",
        "result_id": "x",
        "lines": [("a", 1), ("b", -1)],
        "payload_hash": "p",
        "sequence": 1,
        "previous_hash": GENESIS,
        "posted_at": "t",
    }
    others = fields | {"sequence": 2, "lines": [("a", 2), ("b", -2)], "result_id": None}
    hashes = {entry_hash(**fields)}  # type: ignore[arg-type]
    for name in fields:
        changed = others[name] if others[name] != fields[name] else f"other {name}"
        hashes.add(entry_hash(**(fields | {name: changed})))  # type: ignore[arg-type]
    assert len(hashes) == len(fields) + 1


@given(
    st.lists(
        st.tuples(st.integers(0, 20), st.sampled_from("abc"), st.integers(0, 500), st.integers(0, 3)), max_size=60
    ),
    st.integers(1, 7),
    st.randoms(use_true_random=False),
)
def test_however_usage_is_ordered_split_and_repeated_balances_are_the_sum_of_what_was_posted_once(
    sent: list[tuple[int, str, int, int]], batch_size: int, order: random.Random
) -> None:
    events = {number: usage(f"r{number}", user, tokens) for number, user, tokens, _ in reversed(sent)}
    postings = [debit(events[number], partition, 0) for number, _, _, partition in sent * 2]
    order.shuffle(postings)
    accounts, posted = _open(postings), dict[str, str]()
    for begin in range(0, len(postings), batch_size):
        outcome = post(postings[begin : begin + batch_size], accounts, posted, NOON)
        accounts |= outcome.accounts
        posted |= {entry.posting.reference: entry.posting.payload_hash for entry in outcome.entries}
        assert outcome.conflicts == []
    assert sum(account.balance for account in accounts.values()) == 0
    for user in "abc":
        owed = sum(event.tokens for event in events.values() if event.user_id == user)
        assert accounts.get(f"user:{user}", Account("")).balance == -owed
