"""The sweep takes over what its author never published, and nothing else: on SQLite and PostgreSQL."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine

from schemas.document import Document, DocumentStatus
from schemas.events import Author, ErrorCode, Failure, OcrRequest, Origin
from schemas.identity import document_key
from services.ledger.book import Batch, post_batch
from services.ledger.lane_offsets import Place
from services.ledger.offsets import Span
from services.ledger.posting import debit
from services.ledger.sweep import CalledOff, Sweep
from services.runtime.documents import StoredDocument
from services.runtime.errors import Halt
from services.runtime.object_store import StoredObject
from tests.support.usage import NOON, usage

_AUTHOR = Author(event_id="event-1", topic="ocr.uploads", partition=2, offset=40)
_HOUR = timedelta(hours=1)


def _document(result_id: str, author: Author = _AUTHOR, *, failed: bool = False) -> Document:
    charge = usage(
        author.event_id if failed else result_id,
        tokens=0 if failed else 200,
        outcome="failed" if failed else "completed",
        result_id=result_id,
    )
    return Document(
        result_id=result_id,
        user_id="alice",
        bucket="uploads",
        key=charge.key,
        etag="e1",
        status=DocumentStatus.FAILED if failed else DocumentStatus.COMPLETED,
        author=author,
        created_at=NOON,
        usage=charge,
        file_url="http://files/x",
        text=None if failed else "a",
        language=None if failed else "en",
        word_count=None if failed else 1,
        error=Failure(code=ErrorCode.UNREADABLE_DOCUMENT, reason="corrupt") if failed else None,
    )


@dataclass
class World:
    """What the sweep sees besides the ledger; time passes only while it sleeps."""

    now: datetime = NOON + _HOUR
    documents: dict[str, tuple[Document | None, datetime]] = field(default_factory=dict)
    done: set[Place] = field(default_factory=set)
    posted_until: datetime | None = NOON + 2 * _HOUR
    requested: list[OcrRequest] = field(default_factory=list)
    reads: int = 0
    slept_seconds: float = 0.0
    while_sleeping: Callable[[], None] = lambda: None

    def store(self, document: Document, modified_at: datetime = NOON) -> None:
        self.documents[document_key(document.user_id, document.result_id)] = (document, modified_at)

    def listing(self) -> Iterator[StoredObject]:
        for key, (_, modified_at) in sorted(self.documents.items()):
            yield StoredObject(key, "etag", 1, modified_at)

    def read(self, user_id: str, result_id: str) -> StoredDocument | None:
        self.reads += 1
        found = self.documents.get(document_key(user_id, result_id))
        if found is None:
            return None
        if found[0] is None:
            raise Halt("no document")
        return StoredDocument(found[0], "etag")

    def sleep(self, seconds: float) -> None:
        self.slept_seconds += seconds
        self.now += timedelta(seconds=seconds)
        self.while_sleeping()

    def request(self, event: OcrRequest) -> Place:
        self.requested.append(event)
        return Place("ocr.uploads", 0, 100 + len(self.requested))

    def sweep(self, engine: Engine, rate: float = 20.0) -> Sweep:
        lanes = _Lanes(self)
        return Sweep(
            engine,
            self.listing,
            self.read,
            lanes,
            lambda: self.posted_until,
            self.request,
            grace_seconds=600,
            takeovers_per_second_max=rate,
            now=lambda: self.now,
            sleep=self.sleep,
        )


@dataclass
class _Lanes:
    world: World

    def done(self, places: list[Place]) -> set[Place]:
        return set(places) & self.world.done


@pytest.fixture
def world() -> World:
    """An orphan: an hour old, its author's record passed, usage read to its end."""
    world = World(done={Place("ocr.uploads", 2, 40)})
    world.store(_document("r1"))
    return world


def _go_on() -> None:
    """Nothing calls the sweep off."""


def _post(engine: Engine, document: Document, at: datetime = NOON) -> None:
    post_batch(engine, Batch({0: Span(None, 1)}, [debit(document.usage, 0, 0)]), at)


def test_a_document_whose_author_died_is_requested_anew_as_a_takeover_of_that_author(
    engine: Engine, world: World
) -> None:
    assert world.sweep(engine).once(_go_on) == 1
    request = world.requested[0]
    assert (request.origin, request.takeover_of, request.result_id) == (Origin.TAKEOVER, _AUTHOR, "r1")
    assert (request.bucket, request.key, request.etag, request.user_id) == (
        "uploads",
        "ocr/alice/r1.png",
        "e1",
        "alice",
    )


def test_a_document_with_an_entry_is_left_alone_and_not_even_read(engine: Engine, world: World) -> None:
    _post(engine, _document("r1"))
    assert world.sweep(engine).once(_go_on) == 0
    assert world.reads == 0


def test_a_document_within_the_grace_time_is_left_alone(engine: Engine, world: World) -> None:
    world.now = NOON + timedelta(seconds=599)
    assert world.sweep(engine).once(_go_on) == 0
    world.now = NOON + timedelta(seconds=601)
    assert world.sweep(engine).once(_go_on) == 1


def test_an_author_whose_record_is_still_to_be_worked_on_publishes_by_itself(engine: Engine, world: World) -> None:
    world.done.clear()
    assert world.sweep(engine).once(_go_on) == 0


def test_usage_that_arrives_while_the_ledger_reads_to_the_end_is_not_taken_over(engine: Engine, world: World) -> None:
    world.posted_until = NOON

    def arrive() -> None:
        _post(engine, _document("r1"))
        world.posted_until = world.now + timedelta(seconds=10)
        world.while_sleeping = lambda: None

    world.while_sleeping = arrive
    assert world.sweep(engine).once(_go_on) == 0
    assert world.slept_seconds > 0


@pytest.mark.parametrize("posted_until", [None, NOON, NOON + _HOUR])
def test_nothing_is_taken_over_before_usage_is_read_to_an_end_that_lies_after_the_authors(
    engine: Engine, world: World, posted_until: datetime | None
) -> None:
    world.posted_until = posted_until

    def go_on() -> None:
        if world.slept_seconds > 30:
            raise CalledOff

    with pytest.raises(CalledOff):
        world.sweep(engine).once(go_on)
    assert world.requested == []


def test_a_failure_without_its_entry_is_taken_over(engine: Engine, world: World) -> None:
    world.documents.clear()
    world.store(_document("r2", failed=True))
    assert world.sweep(engine).once(_go_on) == 1


def test_a_failure_with_its_entry_is_left_alone(engine: Engine, world: World) -> None:
    world.documents.clear()
    failed = _document("r2", failed=True)
    world.store(failed)
    _post(engine, failed, NOON + timedelta(seconds=1))
    assert world.sweep(engine).once(_go_on) == 0
    assert world.reads == 0


def test_a_second_failure_of_a_result_is_seen_behind_the_entry_of_the_first(engine: Engine, world: World) -> None:
    world.documents.clear()
    _post(engine, _document("r2", _AUTHOR.model_copy(update={"event_id": "event-0"}), failed=True), NOON)
    world.store(_document("r2", failed=True), NOON + timedelta(seconds=30))
    assert world.sweep(engine).once(_go_on) == 1


def test_a_takeover_under_way_is_not_requested_again(engine: Engine, world: World) -> None:
    sweep = world.sweep(engine)
    assert [sweep.once(_go_on) for _ in range(3)] == [1, 0, 0]


def test_a_takeover_that_came_to_nothing_is_requested_again(engine: Engine, world: World) -> None:
    sweep = world.sweep(engine)
    assert sweep.once(_go_on) == 1
    world.done.add(Place("ocr.uploads", 0, 101))
    assert sweep.once(_go_on) == 1
    assert sweep.once(_go_on) == 0


def test_a_document_taken_over_by_a_record_that_died_too_is_taken_over_from_that_one(
    engine: Engine, world: World
) -> None:
    sweep = world.sweep(engine)
    assert sweep.once(_go_on) == 1
    second = Author(event_id="event-2", topic="ocr.uploads", partition=0, offset=101)
    world.store(_document("r1", second))
    assert sweep.once(_go_on) == 0
    world.done.add(Place("ocr.uploads", 0, 101))
    assert sweep.once(_go_on) == 1
    assert world.requested[-1].takeover_of == second


def test_takeovers_go_out_at_a_bounded_rate(engine: Engine, world: World) -> None:
    for number in range(30):
        world.store(_document(f"many-{number}"))
    assert world.sweep(engine, rate=10).once(_go_on) == 31
    assert world.slept_seconds == pytest.approx(3.1, abs=0.3)


def test_what_is_no_document_stops_nobody(engine: Engine, world: World) -> None:
    world.documents["ocr/alice/broken.json"] = (None, NOON)
    world.documents["ocr/alice/notes.txt"] = (None, NOON)
    world.documents[".probe/x"] = (None, NOON)
    assert world.sweep(engine).once(_go_on) == 1


def test_a_sweep_that_is_called_off_requests_nothing_more(engine: Engine, world: World) -> None:
    for number in range(5):
        world.store(_document(f"many-{number}"))

    def go_on() -> None:
        if len(world.requested) == 2:
            raise CalledOff

    with pytest.raises(CalledOff):
        world.sweep(engine).once(go_on)
    assert len(world.requested) == 2
