"""Clients of the memory's broker, with the methods of `confluent_kafka` that the services call."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, OFFSET_INVALID, TopicPartition

from schemas.cloudevents import Headers, encode
from schemas.events import Event
from schemas.topics import Topic
from services.runtime.producing import attributes_for
from tests.faults.model.broker import MemoryBroker, MemoryRecord, Place

Callback = Callable[["MemoryConsumer", list[TopicPartition]], None]
Passing = Callable[[str], None]
"""Called at points where a process may die or fall asleep, with the point's name."""


@dataclass(frozen=True)
class Membership:
    """What `consumer_group_metadata` hands out."""

    group: str
    member: str
    generation: int


class MemoryConsumer:
    """A member of a group. Callbacks run in `poll` and `close` and nowhere else."""

    def __init__(self, broker: MemoryBroker, group: str) -> None:
        self._broker = broker
        self._group = group
        self._topics: frozenset[str] = frozenset()
        self._callbacks: tuple[Callback, Callback, Callback] | None = None
        self._positions: dict[Place, int] = {}
        self._paused: set[Place] = set()
        self._held: set[Place] = set()
        self._turn = 0
        self.member = ""
        self._generation = -1

    def subscribe(self, topics: list[str], on_assign: Callback, on_revoke: Callback, on_lost: Callback) -> None:
        """Joins."""
        self._topics, self._callbacks = frozenset(topics), (on_assign, on_revoke, on_lost)
        if not self.member:
            self.member = self._broker.join(self._group, self._topics)

    def poll(self, _timeout: float = 0.0) -> MemoryRecord | None:
        """Serves the group, then hands out a record."""
        if self._callbacks is None:
            return None
        group = self._broker.group(self._group)
        if self.member not in group.members:
            self._lose()
            self.member = self._broker.join(self._group, self._topics)
        self._follow()
        return self._next()

    def pause(self, partitions: list[TopicPartition]) -> None:
        """Hands out nothing of these."""
        self._paused |= {(each.topic, each.partition) for each in partitions}

    def resume(self, partitions: list[TopicPartition]) -> None:
        """Hands them out again."""
        self._paused -= {(each.topic, each.partition) for each in partitions}

    def seek(self, partition: TopicPartition) -> None:
        """Goes on at an offset."""
        self._positions[partition.topic, partition.partition] = partition.offset

    def incremental_assign(self, partitions: list[TopicPartition]) -> None:
        """Begins to read; paused ones stay paused, as with librdkafka."""
        committed = self._broker.group(self._group).committed
        for each in partitions:
            place, offset = (each.topic, each.partition), each.offset
            if offset == OFFSET_INVALID:
                offset = committed[place].offset if place in committed else 0
            logical = {OFFSET_BEGINNING: 0, OFFSET_END: len(self._broker.log(place))}
            self._positions[place] = logical.get(offset, offset)

    def incremental_unassign(self, partitions: list[TopicPartition]) -> None:
        """Ends reading."""
        for each in partitions:
            self._positions.pop((each.topic, each.partition), None)

    def assignment(self) -> list[TopicPartition]:
        """What is read."""
        return _named(set(self._positions))

    def memberid(self) -> str:
        """The member's id; empty outside of the group."""
        return self.member

    def consumer_group_metadata(self) -> Membership:
        """The membership as this client knows it."""
        return Membership(self._group, self.member, self._generation)

    def committed(self, partitions: list[TopicPartition], timeout: float = 0.0) -> list[TopicPartition]:  # noqa: ARG002
        """How far the group is."""
        committed = self._broker.group(self._group).committed
        return [
            committed.get((each.topic, each.partition), TopicPartition(each.topic, each.partition))
            for each in partitions
        ]

    def commit(self, offsets: list[TopicPartition], asynchronous: bool = True) -> list[TopicPartition]:  # noqa: ARG002
        """Moves the group."""
        self._broker.check(self._group, self.member, self._generation)
        self._broker.commit(self._group, offsets)
        return []

    def close(self) -> None:
        """Leaves."""
        if self._callbacks is not None and self._held:
            revoked, self._held = self._held, set()
            self._callbacks[1](self, _named(revoked))
        self._broker.expel(self._group, self.member)
        self.member, self._callbacks = "", None

    def _lose(self) -> None:
        assert self._callbacks is not None
        lost, self._held = self._held, set()
        self.member, self._generation = "", -1
        if lost:
            self._callbacks[2](self, _named(lost))

    def _follow(self) -> None:
        """Takes the steps of a cooperative rebalance that are open: give up, then take what nobody else holds."""
        assert self._callbacks is not None
        group = self._broker.group(self._group)
        target = group.targets[self.member]
        joined, self._generation = self._generation != group.generation, group.generation
        if surplus := self._held - target:
            self._held -= surplus
            self._callbacks[1](self, _named(surplus))
            for place in surplus:
                group.holders.pop(place, None)
        free = {place for place in target - self._held if place not in group.holders}
        group.holders |= dict.fromkeys(free, self.member)
        self._held |= free
        if joined or free:
            self._callbacks[0](self, _named(free))

    def _next(self) -> MemoryRecord | None:
        places = sorted(self._positions.keys() - self._paused)
        for index in range(len(places)):
            place = places[(self._turn + index) % len(places)]
            log, position = self._broker.log(place), self._positions[place]
            if position < len(log):
                self._turn += 1
                self._positions[place] = position + 1
                return log[position]
        return None


class MemoryTransactions:
    """A transactional producer: what it produced and the offsets become visible together."""

    def __init__(self, broker: MemoryBroker, passing: Passing) -> None:
        self._broker = broker
        self._passing = passing
        self._records: list[tuple[str, str | bytes | None, bytes | None, Headers]] = []
        self._offsets: tuple[str, list[TopicPartition]] | None = None

    def begin_transaction(self) -> None:
        """Begins."""
        self._passing("before the transaction")
        self._records, self._offsets = [], None

    def produce(self, topic: str, key: str | bytes | None, value: bytes | None, headers: Headers) -> None:
        """Adds a record."""
        self._records.append((topic, key, value, headers))

    def flush(self, _timeout: float) -> int:
        """All is acknowledged."""
        return 0

    def send_offsets_to_transaction(self, offsets: list[TopicPartition], metadata: Membership, _timeout: float) -> None:
        """Adds offsets, if the membership is that of the present generation."""
        self._broker.check(metadata.group, metadata.member, metadata.generation)
        self._offsets = (metadata.group, offsets)

    def commit_transaction(self, _timeout: float) -> None:
        """Makes all of it visible."""
        assert self._offsets is not None
        for record in self._records:
            self._broker.append(*record)
        self._broker.commit(*self._offsets)
        self._passing("after the transaction")

    def abort_transaction(self, _timeout: float) -> None:
        """Drops all of it."""
        self._records, self._offsets = [], None


class MemoryEvents:
    """As `EventProducer`: each event is acknowledged as soon as it is sent."""

    source = "/tests"

    def __init__(self, broker: MemoryBroker, now: Callable[[], datetime]) -> None:
        self._broker = broker
        self._now = now

    def send(self, topic: Topic, key: str | None, event: Event, *, subject: str, **more: Any) -> Future[Any]:
        """Writes an event."""
        attributes = attributes_for(event, source=self.source, subject=subject, now=self._now(), **more)
        return self.send_encoded(topic, key, *encode(event, attributes))

    def send_encoded(self, topic: Topic, key: str | None, headers: Headers, body: bytes) -> Future[Any]:
        """Writes an event that was encoded before."""
        acknowledged: Future[Any] = Future()
        acknowledged.set_result(self._broker.append(topic.name, key, body, headers))
        return acknowledged

    def flush(self, _timeout: float) -> None:
        """Nothing is open."""

    def check(self) -> None:
        """It is well."""


def _named(places: set[Place]) -> list[TopicPartition]:
    return [TopicPartition(*place) for place in sorted(places)]
