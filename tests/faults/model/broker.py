"""A broker of memory: topics, transactions, and groups that rebalance cooperatively and fence by generation.

As much of Kafka's behaviour as the services rest on, including what is unkind in it: it checks that a commit comes
from a member of the present generation, and not whether that member owns the partition.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from schemas.cloudevents import Headers

Place = tuple[str, int]


@dataclass(frozen=True)
class MemoryRecord:
    """A record as a consumer gets it; the part of `confluent_kafka.Message` that is used."""

    at: Place
    number: int
    stored_key: bytes | None
    body: bytes | None
    stored_headers: Headers

    def topic(self) -> str:
        """Its topic."""
        return self.at[0]

    def partition(self) -> int:
        """Its partition."""
        return self.at[1]

    def offset(self) -> int:
        """Its offset."""
        return self.number

    def key(self) -> bytes | None:
        """Its key."""
        return self.stored_key

    def value(self) -> bytes | None:
        """Its body."""
        return self.body

    def headers(self) -> Headers:
        """Its headers, as the client hands them out."""
        return [(name, value.encode() if isinstance(value, str) else value) for name, value in self.stored_headers]

    def error(self) -> KafkaError | None:
        """Never an error."""
        return None

    def timestamp(self) -> tuple[int, int]:
        """None that is known."""
        return 0, 0


@dataclass
class Group:
    """Who is in it, who is to own what, who still holds what, and how far it is."""

    generation: int = 0
    members: dict[str, frozenset[str]] = field(default_factory=dict)
    """Topics by member id."""
    targets: dict[str, set[Place]] = field(default_factory=dict)
    holders: dict[Place, str] = field(default_factory=dict)
    committed: dict[Place, TopicPartition] = field(default_factory=dict)


@dataclass
class MemoryBroker:
    """One broker."""

    partitions: int
    logs: dict[Place, list[MemoryRecord]] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    _joined: int = 0

    def append(self, topic: str, key: str | bytes | None, value: bytes | None, headers: Headers) -> MemoryRecord:
        """Writes a record to the partition of its key."""
        stored = key.encode() if isinstance(key, str) else key
        return self.append_at((topic, zlib.crc32(stored or b"") % self.partitions), stored, value, headers)

    def append_at(self, place: Place, key: bytes | None, value: bytes | None, headers: Headers) -> MemoryRecord:
        """Writes a record to a partition."""
        log = self.log(place)
        log.append(MemoryRecord(place, len(log), key, value, headers))
        return log[-1]

    def log(self, place: Place) -> list[MemoryRecord]:
        """The records of a partition."""
        return self.logs.setdefault(place, [])

    def records(self, topic: str) -> list[MemoryRecord]:
        """All records of a topic."""
        return [record for number in range(self.partitions) for record in self.log((topic, number))]

    def group(self, name: str) -> Group:
        """A group; it comes to be by being asked for."""
        return self.groups.setdefault(name, Group())

    def join(self, name: str, topics: frozenset[str]) -> str:
        """Adds a member and begins a generation; returns the member's id."""
        self._joined += 1
        member = f"member-{self._joined}"
        group = self.group(name)
        group.members[member] = topics
        self._rebalance(group)
        return member

    def expel(self, name: str, member: str) -> None:
        """The member left, or its session ended: what it held is free."""
        group = self.group(name)
        if group.members.pop(member, None) is None:
            return
        group.holders = {place: holder for place, holder in group.holders.items() if holder != member}
        self._rebalance(group)

    def check(self, name: str, member: str, generation: int) -> None:
        """Fences as the broker does.

        Raises:
            KafkaException: not a member, or one of a former generation.
        """
        group = self.group(name)
        if member not in group.members:
            raise KafkaException(KafkaError(KafkaError.UNKNOWN_MEMBER_ID, "unknown member"))
        if generation != group.generation:
            raise KafkaException(KafkaError(KafkaError.ILLEGAL_GENERATION, "illegal generation"))

    def commit(self, name: str, offsets: list[TopicPartition]) -> None:
        """Moves the group."""
        committed = self.group(name).committed
        committed.update({(each.topic, each.partition): each for each in offsets})

    def lag(self, name: str, topics: frozenset[str]) -> int:
        """Records of these topics that the group has not finished."""
        committed: Mapping[Place, TopicPartition] = self.group(name).committed
        places = [(topic, number) for topic in topics for number in range(self.partitions)]
        return sum(len(self.log(at)) - (committed[at].offset if at in committed else 0) for at in places)

    def _rebalance(self, group: Group) -> None:
        group.generation += 1
        group.targets = {member: set() for member in group.members}
        members = sorted(group.members)
        topics = sorted(set().union(*group.members.values()))
        for index, place in enumerate((topic, number) for topic in topics for number in range(self.partitions)):
            # Sticky where it can be: who holds it keeps it, as long as nobody has too little.
            share = -(-len(topics) * self.partitions // len(members)) if members else 0
            holder = group.holders.get(place)
            if holder in group.targets and len(group.targets[holder]) < share:
                group.targets[holder].add(place)
            elif members:
                free = [member for member in members if len(group.targets[member]) < share]
                group.targets[free[index % len(free)]].add(place)
