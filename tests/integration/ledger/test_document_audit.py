"""The books against the documents: what was charged was read, what was read was charged. SQLite and PostgreSQL."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, update

from schemas.document import Document
from schemas.events import UsageRecorded
from schemas.identity import document_key
from services.ledger import charges as charges_module
from services.ledger.audit import audit
from services.ledger.book import Batch, post_batch
from services.ledger.charges import charges
from services.ledger.document_audit import DocumentAudit, audit_documents
from services.ledger.findings import FINDINGS_MAX, Findings
from services.ledger.grants import grant
from services.ledger.hashing import entry_hash, text_hash, usage_payload
from services.ledger.lane_offsets import Place
from services.ledger.offsets import Span
from services.ledger.orphans import Orphans
from services.ledger.posting import debit, entry_id, user_account
from services.ledger.tables import accounts, entries, entry_lines
from services.runtime.database import reading, transaction
from services.runtime.documents import StoredDocument
from services.runtime.errors import Halt
from services.runtime.object_store import StoredObject
from tests.integration.ledger.documents import document_of
from tests.integration.ledger.tampering import without_triggers
from tests.support.usage import NOON, usage

_PLACE = Place("ocr.uploads", 2, 40)
_HOUR = timedelta(hours=1)


@dataclass
class World:
    """The results bucket, the lanes and the ledger's heartbeats, as the audit sees them an hour later."""

    engine: Engine
    documents: dict[str, Document | None] = field(default_factory=dict)
    """By key; None: what lies there is no document."""
    modified_at: datetime = NOON
    done: set[Place] = field(default_factory=lambda: {_PLACE})
    posted_until: datetime | None = NOON + 2 * _HOUR
    slept_seconds: float = 0.0
    next_offset: int = 0

    def store(self, *charged: UsageRecorded) -> None:
        for each in charged:
            self.documents[document_key(each.user_id, each.result_id)] = document_of(each)

    def post(self, *charged: UsageRecorded) -> None:
        begin = self.next_offset
        self.next_offset += len(charged)
        debits = [debit(each, 0, begin + number) for number, each in enumerate(charged)]
        post_batch(self.engine, Batch({0: Span(begin or None, self.next_offset)}, debits), NOON)

    def listing(self) -> Iterator[StoredObject]:
        for key in sorted(self.documents):
            yield StoredObject(key, "etag", 1, self.modified_at)

    def read(self, user_id: str, result_id: str) -> StoredDocument | None:
        key = document_key(user_id, result_id)
        if key not in self.documents:
            return None
        found = self.documents[key]
        if found is None:
            raise Halt("no document")
        return StoredDocument(found, "etag")

    def sleep(self, seconds: float) -> None:
        self.slept_seconds += seconds

    def audit(self, *, grace_seconds: float = 60.0, since: datetime | None = None) -> DocumentAudit:
        lanes = _Lanes(self)
        return audit_documents(
            self.engine,
            self.read,
            Orphans(
                self.engine,
                self.listing,
                self.read,
                lanes,
                grace_seconds=grace_seconds,
                now=lambda: NOON + _HOUR,
            ),
            lambda: self.posted_until,
            since=since,
            clock=lambda: self.slept_seconds,
            sleep=self.sleep,
        )


@dataclass
class _Lanes:
    world: World

    def done(self, places: list[Place]) -> set[Place]:
        return set(places) & self.world.done


@pytest.fixture
def world(engine: Engine) -> World:
    """Three results of two users, each with its document and its entry."""
    world = World(engine)
    charged = [usage("r1"), usage("r2", tokens=70), usage("b1", "bob", 5)]
    grant(engine, "alice", 1_000, "k1", now=NOON)
    world.store(*charged)
    world.post(*charged)
    return world


def _found(result: DocumentAudit) -> list[tuple[str, str]]:
    return [(finding.subject, finding.detail) for finding in result.findings]


def test_what_was_read_and_charged_is_compared_and_well(world: World) -> None:
    result = world.audit()
    assert _found(result) == []
    assert (result.entries, result.documents, result.under_way, result.undecided) == (3, 3, 0, 0)


def test_a_document_without_its_entry_is_named(world: World) -> None:
    world.store(usage("r9", tokens=90))
    assert _found(world.audit()) == [
        ("result r9", "it has a document of 90 tokens and no entry; its author is done with")
    ]


def test_an_entry_without_its_document_is_named(world: World) -> None:
    world.post(usage("extra", tokens=33))
    assert _found(world.audit()) == [
        (f"entry {entry_id('usage', 'extra')}", "it charges 33 tokens for result extra, which has no document")
    ]


def test_a_result_charged_under_a_second_usage_id_is_named(world: World) -> None:
    world.post(usage("r1-again", result_id="r1"))
    assert _found(world.audit()) == [
        (
            f"entry {entry_id('usage', 'r1-again')}",
            "it charges 200 tokens for result r1, which has a document of usage r1",
        )
    ]


def test_a_wrong_amount_is_named_though_all_hashes_were_made_anew(world: World) -> None:
    """Who may write the database can hash the chain again: the books agree then, and only the document tells."""
    _charge_anew(world.engine, usage("r2", tokens=7))
    assert audit(world.engine).findings == []
    assert _found(world.audit()) == [(f"entry {entry_id('usage', 'r2')}", "it charges 7 tokens, its document says 70")]


def test_another_price_of_the_same_amount_is_named(world: World) -> None:
    honest = usage("p1", tokens=60)
    world.store(honest)
    world.post(honest.model_copy(update={"words": 9}))
    assert _found(world.audit()) == [(f"entry {entry_id('usage', 'p1')}", "its document says something else of words")]


def test_what_is_no_document_is_named_with_and_without_its_entry(world: World) -> None:
    world.documents |= {document_key("alice", "r1"): None, document_key("alice", "r8"): None}
    assert _found(world.audit()) == [
        (f"entry {entry_id('usage', 'r1')}", "what lies in the place of the document of result r1 is none"),
        ("result r8", "what lies in the place of its document is none"),
    ]


def test_a_tombstone_is_the_document_of_its_charge(world: World) -> None:
    key = document_key("alice", "r1")
    before = world.documents[key]
    assert before is not None
    world.documents[key] = before.tombstone(NOON)
    assert _found(world.audit()) == []


def test_a_failure_that_was_removed_and_read_again_is_well(world: World) -> None:
    failure = usage("event-1", tokens=0, outcome="failed", result_id="f1")
    world.post(failure)
    assert _found(world.audit()) == [], "removed, and not read again yet"
    world.store(usage("f1", tokens=80))
    world.post(usage("f1", tokens=80))
    assert _found(world.audit()) == []


def test_a_document_completed_a_moment_ago_is_no_finding(world: World) -> None:
    world.store(usage("young"))
    world.modified_at = NOON + _HOUR - timedelta(seconds=59)
    assert _found(world.audit(grace_seconds=60)) == []
    assert [subject for subject, _ in _found(world.audit(grace_seconds=58))] == ["result young"]


def test_a_document_whose_author_is_still_to_publish_it_is_under_way(world: World) -> None:
    world.store(usage("open"))
    world.done.clear()
    result = world.audit()
    assert (_found(result), result.under_way) == ([], 1)


@pytest.mark.parametrize("posted_until", [None, NOON + _HOUR])
def test_while_the_ledger_is_behind_a_missing_entry_is_undecided(world: World, posted_until: datetime | None) -> None:
    world.store(usage("late"))
    world.posted_until = posted_until
    result = world.audit()
    assert (_found(result), result.undecided) == ([], 1)
    assert world.slept_seconds >= 60


def test_usage_that_is_posted_while_the_audit_waits_is_well(world: World) -> None:
    late = usage("late")
    world.store(late)
    world.posted_until = NOON

    def arrive(seconds: float) -> None:
        assert seconds > 0
        world.post(late)
        world.posted_until = NOON + 2 * _HOUR

    world.sleep = arrive  # type: ignore[method-assign]
    result = world.audit()
    assert (_found(result), result.undecided) == ([], 0)


def test_entries_from_before_the_documents_kept_are_left_alone(world: World) -> None:
    world.documents.clear()
    assert len(world.audit().findings) == 3
    assert _found(world.audit(since=NOON + timedelta(seconds=1))) == []


def test_every_entry_is_seen_over_many_pages(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charges_module, "_PAGE_ENTRIES", 7)
    more = [usage(f"m{number}", f"user-{number % 5}", number) for number in range(50)]
    world.post(*more)
    pages = list(charges(world.engine))
    assert max(len(page) for page in pages) == 7
    seen = [charge.reference for page in pages for charge in page]
    assert sorted(seen) == sorted(["r1", "r2", "b1", *(each.usage_id for each in more)])
    assert {charge.reference: charge.tokens for page in pages for charge in page}["m49"] == 49


def test_findings_beyond_a_bound_are_counted_and_not_kept() -> None:
    found = Findings()
    for number in range(FINDINGS_MAX + 5):
        found.add(f"entry {number}", "wrong")
    assert (len(found.findings), found.unnamed) == (FINDINGS_MAX, 5)


def _charge_anew(engine: Engine, forged: UsageRecorded) -> None:
    """Rewrites an entry, its lines, the balances and every hash behind it, as a person with all rights could."""
    without_triggers(engine)
    with transaction(engine) as connection:
        row = connection.execute(entries.select().where(entries.c.reference == forged.usage_id)).one()
        payload, user = usage_payload(forged), user_account(forged.user_id)
        before = (
            -connection.execute(
                entry_lines.select().where(entry_lines.c.entry_id == row.id, entry_lines.c.account_id == user)
            )
            .one()
            .amount
        )
        lines = [(user, -forged.tokens), ("revenue:0", forged.tokens)]
        fields: dict[str, Any] = {name: getattr(row, name) for name in ("kind", "user_id", "reference", "result_id")}
        new_hash = entry_hash(
            entry_id=row.id,
            **fields,
            lines=lines,
            payload_hash=text_hash(payload),
            sequence=row.sequence,
            previous_hash=row.previous_hash,
            posted_at="2026-06-15T12:00:00.000Z",
        )
        connection.execute(
            update(entries)
            .where(entries.c.id == row.id)
            .values(payload=payload, payload_hash=text_hash(payload), entry_hash=new_hash)
        )
        gained = before - forged.tokens
        for account, amount in lines:
            at = (entry_lines.c.entry_id == row.id) & (entry_lines.c.account_id == account)
            connection.execute(update(entry_lines).where(at).values(amount=amount))
            change = gained if account == user else -gained
            connection.execute(
                update(accounts).where(accounts.c.id == account).values(balance=accounts.c.balance + change)
            )
        connection.execute(update(accounts).where(accounts.c.id == user).values(last_hash=new_hash))
    with reading(engine) as connection:
        assert connection.execute(accounts.select().where(accounts.c.id == user)).one().sequence == row.sequence
