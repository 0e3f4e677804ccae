"""The order of the worker's steps: it is what keeps anything from being lost."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event
from typing import Any, cast

import pytest

from schemas.cloudevents import Headers, encode
from schemas.events import UsageRecorded
from services.ledger.book import Batch
from services.ledger.consumer import UsageConsumer
from services.ledger.heartbeat import Heartbeats
from services.ledger.offsets import Rewound, Span
from services.ledger.posting import Outcome
from services.ledger.progress import Progress
from services.ledger.worker import Worker
from services.runtime.dead_letters import DeadLetters
from services.runtime.errors import BrokerUnavailable, DatabaseUnavailable, Halt
from services.runtime.producing import attributes_for
from tests.support.usage import NOON, usage

_NOTHING = Outcome([], {}, [], 0)


@dataclass(frozen=True)
class _Message:
    """The part of a Kafka message that the worker looks at; without an event it is undecodable."""

    number: int
    event: UsageRecorded | None
    at: int

    def headers(self) -> Headers:
        return self._encoded()[0]

    def value(self) -> bytes:
        return self._encoded()[1]

    def partition(self) -> int:
        return self.number

    def offset(self) -> int:
        return self.at

    def timestamp(self) -> tuple[int, int]:
        return 1, int(NOON.timestamp() * 1000)

    def _encoded(self) -> tuple[Headers, bytes]:
        if self.event is None:
            return [], b"not an event"
        return encode(self.event, attributes_for(self.event, source="/tests", subject="tests", now=NOON))


@dataclass
class World:
    """Everything around the worker, and the order in which it was touched."""

    gathered: list[_Message] = field(default_factory=list)
    owned: dict[int, Progress] = field(default_factory=lambda: {0: Progress(4), 1: Progress(None)})
    steps: list[str] = field(default_factory=list)
    posted: list[Batch] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    flush_failures: list[Exception] = field(default_factory=list)
    bury_failures: list[Exception] = field(default_factory=list)
    lost_while_held: set[int] = field(default_factory=set)
    adrift: list[int] = field(default_factory=list)
    rewound: int = 0

    def settle(self) -> None:
        self.steps.append("settle")

    def gather(self, _records_max: int, _wait_seconds: float) -> list[_Message]:
        self.steps.append("gather")
        gathered, self.gathered = self.gathered, []
        return gathered

    def hold(self, _seconds: float) -> None:
        self.steps.append("hold")
        for number in self.lost_while_held:
            self.owned.pop(number, None)

    def release(self) -> None:
        """Reads on."""

    def set_adrift(self, partitions: Collection[int]) -> None:
        self.adrift += partitions
        for number in list(partitions):
            self.owned.pop(number, None)

    def add(self, _message: object, _reason: str) -> None:
        self.steps.append("dead letter")
        if self.bury_failures:
            raise self.bury_failures.pop(0)

    def decoded(self) -> None:
        """A record was fine."""

    def flush(self) -> None:
        self.steps.append("flush")
        if self.flush_failures:
            raise self.flush_failures.pop(0)

    def post(self, batch: Batch, _now: datetime) -> Outcome:
        self.steps.append("post")
        self.posted.append(batch)
        if self.failures:
            raise self.failures.pop(0)
        return _NOTHING

    def beat(self, _owned: object) -> None:
        self.steps.append("beat")

    def note_rewound(self) -> None:
        self.rewound += 1

    def round(self) -> Worker:
        anything = cast(Any, self)
        worker = Worker(
            cast(UsageConsumer, anything),
            self.post,
            cast(DeadLetters, anything),
            self.flush,
            cast(Heartbeats, anything),
            batch_records_max=100,
            batch_wait_seconds=0.01,
            on_rewound=self.note_rewound,
            now=lambda: NOON,
        )
        worker.round(Event())
        return worker


def test_dead_letters_are_kept_before_any_offset_passes_them() -> None:
    world = World([_Message(0, None, 4), _Message(0, usage("r1"), 5)])
    world.round()
    assert world.steps == ["settle", "gather", "dead letter", "flush", "post", "beat"]
    assert world.posted[0].spans == {0: Span(4, 6, NOON)}


def test_nothing_is_posted_while_dead_letters_are_not_kept() -> None:
    world = World([_Message(0, None, 4)], flush_failures=[BrokerUnavailable("away")])
    world.round()
    assert world.steps[2:] == ["dead letter", "flush", "hold", "beat", "flush", "post", "beat"]


def test_a_dead_letter_that_cannot_be_queued_lets_all_be_read_again() -> None:
    world = World([_Message(1, usage("r1"), 0), _Message(0, None, 4)], bury_failures=[BrokerUnavailable("full")])
    assert world.round().trouble == "full"
    assert world.posted == []
    assert sorted(world.adrift) == [0, 1]


def test_a_halt_is_not_swallowed() -> None:
    world = World([_Message(0, None, 4)], bury_failures=[Halt("a run of them")])
    with pytest.raises(Halt):
        world.round()
    assert world.posted == []


def test_what_was_posted_is_the_place_to_go_on_from() -> None:
    world = World([_Message(0, usage("r1"), 4), _Message(0, usage("r2"), 7)])
    world.round()
    assert (world.owned[0].next_offset, world.owned[0].posted_until, world.owned[0].pending) == (8, NOON, False)


def test_a_batch_is_posted_again_until_it_stands_less_what_was_lost_meanwhile() -> None:
    world = World(
        [_Message(0, usage("r1"), 4), _Message(1, usage("r2"), 0)],
        failures=[DatabaseUnavailable("away"), DatabaseUnavailable("still")],
        lost_while_held={1},
    )
    assert world.round().trouble is None
    assert [set(batch.spans) for batch in world.posted] == [{0, 1}, {0}, {0}]
    assert [posting.reference for posting in world.posted[-1].postings] == ["r1"]
    assert world.steps.count("beat") == 3


def test_a_partition_whose_stored_offset_went_back_is_read_again_and_the_others_are_posted() -> None:
    world = World([_Message(0, usage("r1"), 4), _Message(1, usage("r2"), 0)], failures=[Rewound({0: 2})])
    world.round()
    assert world.adrift == [0]
    assert world.rewound == 1
    assert [set(batch.spans) for batch in world.posted] == [{0, 1}, {1}]


def test_nothing_gathered_is_no_transaction() -> None:
    world = World()
    world.round()
    assert world.steps == ["settle", "gather", "beat"]
