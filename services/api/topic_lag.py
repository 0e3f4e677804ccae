"""How far behind each consumer group is, per topic and partition; dead letters; transactions that stay open."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from confluent_kafka import ConsumerGroupTopicPartitions, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from schemas.topics import OBJECT_STORE_EVENTS, REQUESTS, RESULTS, TOPICS, UPLOADS, Topic
from services.api.dead_letter_counts import DeadLetterCounts
from services.runtime import groups
from services.runtime.errors import BrokerUnavailable
from services.runtime.kafka import create_admin, dead_letters_name, group_name, topic_name
from services.runtime.open_transactions import Place, Standing, offsets_at, open_between
from services.runtime.settings import KafkaSettings

_TIMEOUT_SECONDS = 5.0

_WATCHED = ((REQUESTS, groups.EXTRACTOR), (UPLOADS, groups.EXTRACTOR), (OBJECT_STORE_EVENTS, groups.INTAKE_EVENTS))
"""Topics whose readers commit to the broker. The list of results and the ledger keep their offsets in SQL."""

Offsets = Mapping[Place, int]


@dataclass(frozen=True)
class PartitionLag:
    """Records of one partition that a group has not finished."""

    partition: int
    lag: int


@dataclass(frozen=True)
class TopicLag:
    """How far behind a group is on a topic."""

    topic: str
    group: str
    partitions: tuple[PartitionLag, ...]


@dataclass(frozen=True)
class BrokerFigures:
    """What the broker says."""

    lag: tuple[TopicLag, ...]
    dead_letters: Mapping[str, int]
    """Records by topic, of every topic that has any."""
    open_seconds: Mapping[Place, float] = field(default_factory=dict)
    """How long the oldest open transaction has been seen, of every partition that ever had one; 0: it is over."""


class BrokerWatch:
    """Asks the broker; joins no group. Blocking, one thread at a time."""

    def __init__(self, settings: KafkaSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._admin: AdminClient | None = None
        self._standing = Standing()
        self._dead_letters = DeadLetterCounts(settings, _TIMEOUT_SECONDS)

    def figures(self, listed: Mapping[int, int]) -> BrokerFigures:
        """The figures now; `listed` is the next offset of each partition of `ocr.results` that the list keeps in SQL.

        Raises:
            BrokerUnavailable: it did not answer.
        """
        try:
            return self._ask(listed)
        except KafkaException as error:
            raise BrokerUnavailable(f"the broker's figures are unknown: {error}") from error

    def _ask(self, listed: Mapping[int, int]) -> BrokerFigures:
        if self._admin is None:
            self._admin = create_admin(self._settings)
        known = self._admin.list_topics(timeout=_TIMEOUT_SECONDS).topics
        partitions = [TopicPartition(name, number) for name, topic in known.items() for number in topic.partitions]
        ours = [each for each in partitions if each.topic in self._names()]
        earliest, latest = OffsetSpec.earliest(), OffsetSpec.latest()  # type: ignore[no-untyped-call]
        begins = self._offsets(ours, earliest, IsolationLevel.READ_COMMITTED)
        highs = self._offsets(ours, latest, IsolationLevel.READ_UNCOMMITTED)
        ends = self._offsets(ours, latest, IsolationLevel.READ_COMMITTED)
        lag = [
            _lag(topic_name(self._settings, topic), group, self._committed(group, topic, ends), begins, ends)
            for topic, group in _WATCHED
        ]
        results = topic_name(self._settings, RESULTS)
        listed_offsets = {(results, partition): offset for partition, offset in listed.items()}
        told_offsets = self._committed(groups.WEBHOOKS, RESULTS, ends)
        for group, offsets in ((groups.RESULT_LIST, listed_offsets), (groups.WEBHOOKS, told_offsets)):
            # The end of a transaction takes an offset of its own, which nobody waits for.
            reached = {place: offset + 1 for place, offset in offsets.items()}
            lag.append(_lag(results, group, reached, begins, ends))
        # The embedded broker reports ends too low to judge by.
        opened = [] if self._settings.embedded else open_between(ends, highs)
        return BrokerFigures(
            tuple(each for each in lag if each is not None),
            self._dead_letters.count(begins, ends),
            self._standing.seconds(opened, self._clock()),
        )

    def _names(self) -> set[str]:
        names = {topic_name(self._settings, topic) for topic in TOPICS}
        return names | {dead_letters_name(self._settings, topic) for topic in TOPICS}

    def _offsets(self, partitions: list[TopicPartition], which: OffsetSpec, isolation: IsolationLevel) -> Offsets:
        assert self._admin is not None
        return offsets_at(self._admin, partitions, which, isolation, _TIMEOUT_SECONDS)

    def _committed(self, group: str, topic: Topic, ends: Offsets) -> Offsets:
        assert self._admin is not None
        name, identity = topic_name(self._settings, topic), group_name(self._settings, group)
        partitions = [TopicPartition(*place) for place in ends if place[0] == name]
        if not partitions:
            return {}
        asked = self._admin.list_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(identity, partitions)], request_timeout=_TIMEOUT_SECONDS
        )
        found = asked[identity].result().topic_partitions
        # A negative offset: nothing is committed.
        return {(each.topic, each.partition): each.offset for each in found if each.offset >= 0}


def _lag(name: str, group: str, reached: Offsets, begins: Offsets, ends: Offsets) -> TopicLag | None:
    """The lag of one group on one topic; None where it never reached anything, so that it is not in use."""
    if not reached:
        return None
    places = sorted(place for place in ends if place[0] == name)
    behind = (
        PartitionLag(place[1], max(0, ends[place] - max(begins[place], reached.get(place, begins[place]))))
        for place in places
    )
    return TopicLag(name, group, tuple(behind))
