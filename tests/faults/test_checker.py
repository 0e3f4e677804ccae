"""The checker sees each kind of broken promise: a checker that cannot fail proves nothing."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from schemas.identity import result_id
from tests.faults.checker import Debit, Observed, Result, check
from tests.faults.history import Grant, History, Outcome, Post, Upload

BUCKET = "uploads"
KEY = "ocr/alice/a.png"
ID = result_id(BUCKET, KEY, "e1")
BODY = {"id": ID, "key": KEY, "text": "word1 word2", "tokensUsed": 52}


def _history() -> History:
    return History(
        uploads=[Upload("alice", KEY, "e1", 2, True, Outcome.OK)],
        posts=[Post("alice", KEY, 200, dict(BODY), Outcome.OK)],
        grants=[Grant("alice", "g1", 100, Outcome.OK)],
    )


def _observed() -> Observed:
    return Observed(
        bucket=BUCKET,
        stored={KEY: "e1"},
        results=[Result(ID, True, 52)],
        usage_ids=[ID],
        debits=[Debit(ID, ID, "alice", 52)],
        grants={"g1": ("alice", 100)},
        balances={"alice": 48},
        told_balances=[{"alice": 48}, {"alice": 48}],
        unread={"ocr-extractor": 0},
        told={"alice": {ID}},
    )


def test_a_history_that_kept_every_promise_has_no_violation() -> None:
    assert check(_history(), _observed()) == []


@pytest.mark.parametrize(
    ("promise", "damage"),
    [
        ("every upload has a result", lambda seen: replace(seen, results=[], debits=[], balances={"alice": 100})),
        ("no result is seen twice", lambda seen: replace(seen, results=[*seen.results, *seen.results])),
        ("no usage is seen twice", lambda seen: replace(seen, usage_ids=[ID, ID])),
        ("results say what was uploaded", lambda seen: replace(seen, results=[Result(ID, False, 0)])),
        ("results say what was uploaded", lambda seen: replace(seen, results=[Result(ID, True, 53)])),
        ("results are of uploads", lambda seen: replace(seen, results=[*seen.results, Result("other", True, 1)])),
        ("a result is charged once", lambda seen: replace(seen, debits=[])),
        ("a result is charged once", lambda seen: replace(seen, debits=[*seen.debits, Debit("x", ID, "alice", 52)])),
        ("a result is charged once", lambda seen: replace(seen, debits=[Debit(ID, ID, "alice", 51)])),
        ("a charge has a result", lambda seen: replace(seen, debits=[*seen.debits, Debit("x", "x", "alice", 1)])),
        ("an acknowledged upload is stored", lambda seen: replace(seen, stored={})),
        ("an acknowledged grant stands", lambda seen: replace(seen, grants={})),
        ("an acknowledged grant stands", lambda seen: replace(seen, grants={"g1": ("alice", 99)})),
        ("a balance is the sum of entries", lambda seen: replace(seen, balances={"alice": 49})),
        ("a balance is the sum of entries", lambda seen: replace(seen, told_balances=[{"alice": 100}])),
        ("nothing is stuck", lambda seen: replace(seen, unread={"ocr-extractor": 1})),
        ("a webhook is told of every result", lambda seen: replace(seen, told={"alice": set()})),
        ("a webhook is told of its user's results alone", lambda seen: replace(seen, told={"alice": {ID, "other"}})),
        ("a webhook is told of its user's results alone", lambda seen: replace(seen, told={"bob": {ID}})),
        ("what a webhook is told is signed", lambda seen: replace(seen, unsigned=1)),
        ("the audit finds nothing", lambda seen: replace(seen, audit_findings=["entry 1: changed"])),
    ],
)
def test_each_damage_is_seen(promise: str, damage: Callable[[Observed], Observed]) -> None:
    assert promise in {violation.promise for violation in check(_history(), damage(_observed()))}


@pytest.mark.parametrize(
    "answer", [{"id": result_id(BUCKET, KEY, "e2")}, {"key": "ocr/alice/b.png"}, {"text": "word1"}, {"tokensUsed": 51}]
)
def test_an_answer_of_another_is_seen(answer: dict[str, object]) -> None:
    history = _history()
    history.posts = [Post("alice", KEY, 200, BODY | answer, Outcome.OK)]
    assert {violation.promise for violation in check(history, _observed())} == {
        "a POST is answered with its own result"
    }


@pytest.mark.parametrize("status", [401, 402, 404, 422, 500])
def test_a_fault_told_as_the_clients_is_seen(status: int) -> None:
    history = _history()
    history.posts = [Post("alice", KEY, status, {}, Outcome.FAILED)]
    assert {violation.promise for violation in check(history, _observed())} == {"a fault is told as one"}


@pytest.mark.parametrize("status", [None, 503, 504])
def test_a_post_whose_fate_is_not_known_breaks_nothing(status: int | None) -> None:
    history = _history()
    history.posts = [Post("alice", KEY, status, {}, Outcome.UNKNOWN)]
    assert check(history, _observed()) == []


def test_a_result_that_is_still_to_be_told_breaks_nothing() -> None:
    assert check(_history(), replace(_observed(), told={"alice": set()}, to_be_told={ID})) == []


def test_an_upload_of_unknown_fate_is_owed_a_result_only_if_it_is_stored() -> None:
    history, lost = _history(), Upload("alice", "ocr/alice/b.png", "e2", 1, True, Outcome.UNKNOWN)
    history.uploads.append(lost)
    assert check(history, _observed()) == []
    stored = replace(_observed(), stored={KEY: "e1", lost.key: "e2"})
    assert {violation.promise for violation in check(history, stored)} == {"every upload has a result"}


def test_an_overwritten_upload_is_owed_nothing_but_may_have_one_result() -> None:
    history = _history()
    history.uploads.insert(0, Upload("alice", KEY, "e0", 1, True, Outcome.OK))
    assert check(history, _observed()) == []
