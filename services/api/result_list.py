"""Keeps the list of results: a consumer in a group, whose offsets stand in SQL beside the rows they gave.

A batch is one SQL transaction: rows and offsets, all or nothing. So a database restored from yesterday catches up
by itself, and a replica that lost a partition without noticing finds its offset moved and writes nothing.
"""

import logging
import threading
from collections.abc import Mapping, Sequence

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition
from sqlalchemy import Connection, Engine, and_, case, delete, insert, or_, select, update

from schemas.cloudevents import Undecodable, decode
from schemas.events import ResultCompleted, ResultFailed, ResultRefused
from schemas.topics import RESULTS
from services.api.results import list_replies
from services.api.tables import RESULT_OFFSETS
from services.api.waiters import Reply
from services.runtime import groups
from services.runtime.database import reading, transaction
from services.runtime.dead_letters import DeadLetters
from services.runtime.errors import Halt, TransientError
from services.runtime.kafka import Fetching, consumer_config, create_consumer, topic_name
from services.runtime.settings import KafkaSettings

_log = logging.getLogger(__name__)

_BATCH_MAX = 500
_BATCH_SECONDS = 0.25
_FLUSH_SECONDS = 10.0
_RESTART_SECONDS = 1.0
_FAULT_SECONDS = 10.0


class OffsetMoved(TransientError):
    """Another replica lists this partition by now."""


def clear_offsets(engine: Engine) -> None:
    """Forgets how far the list has come: for a broker that was started empty. Rows stay. Safe to repeat."""
    with transaction(engine) as connection:
        connection.execute(delete(RESULT_OFFSETS))


def read_offsets(engine: Engine, topic: str) -> Mapping[int, int]:
    """The next offset of each partition that was ever listed."""
    columns = RESULT_OFFSETS.c
    with reading(engine) as connection:
        rows = connection.execute(select(columns.partition, columns.next_offset).where(columns.topic == topic))
        return {int(partition): int(offset) for partition, offset in rows}


def advance_offsets(connection: Connection, topic: str, was: Mapping[int, int | None], now: Mapping[int, int]) -> None:
    """Moves offsets of partitions from those this replica knows. Raises `OffsetMoved` if one of them is another."""
    columns = RESULT_OFFSETS.c
    new = [number for number in now if was[number] is None]
    known = {number: was[number] for number in now if was[number] is not None}
    if new:
        found = select(columns.partition).where(columns.topic == topic, columns.partition.in_(new))
        if connection.execute(found).first() is not None:
            raise OffsetMoved(topic)
        rows = [{"topic": topic, "partition": number, "next_offset": now[number]} for number in sorted(new)]
        connection.execute(insert(RESULT_OFFSETS), rows)
    if known:
        # In one statement: a partition that stands elsewhere is not changed, and is missed in the count.
        stands = or_(*(and_(columns.partition == number, columns.next_offset == at) for number, at in known.items()))
        moves = case({number: now[number] for number in known}, value=columns.partition)
        moved = connection.execute(
            update(RESULT_OFFSETS).where(columns.topic == topic, stands).values(next_offset=moves)
        )
        if moved.rowcount != len(known):
            raise OffsetMoved(topic)


class ResultLister:
    """Runs the consumer in a thread of its own; starts over after whatever may pass."""

    def __init__(self, settings: KafkaSettings, engine: Engine, dead_letters: DeadLetters) -> None:
        self._settings = settings
        self._engine = engine
        self._dead_letters = dead_letters
        self._topic = topic_name(settings, RESULTS)
        self._known: dict[int, int | None] = {}
        self._problem: TransientError | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="result-list", daemon=True)

    def start(self) -> None:
        """Begins to list."""
        self._thread.start()

    def close(self) -> None:
        """Finishes the batch under way and leaves the group."""
        self._stopping.set()
        self._thread.join(10.0)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._follow()
            except (KafkaException, TransientError) as error:
                _log.warning("the list of results starts over: %s", error, extra={"reason": type(error).__name__})
                self._stopping.wait(_RESTART_SECONDS)
            except Halt:
                # Answers do not depend on the list: the process goes on without it, loudly.
                _log.critical("the list of results stands still until a person has looked", exc_info=True)
                return
            except Exception:
                # Nothing of this batch was committed; a fault of ours is told each time, and never passed over.
                _log.exception("the list of results met an unexpected error and starts over")
                self._stopping.wait(_FAULT_SECONDS)

    def _follow(self) -> None:
        config = consumer_config(
            self._settings, group=groups.RESULT_LIST, offset_reset="earliest", fetching=Fetching.GATHERED
        )
        consumer = create_consumer(config)
        try:
            consumer.subscribe([self._topic], on_assign=self._assigned, on_revoke=self._dropped, on_lost=self._dropped)
            while not self._stopping.is_set():
                messages = consumer.consume(_BATCH_MAX, _BATCH_SECONDS)
                if self._problem is not None:
                    problem, self._problem = self._problem, None
                    raise problem
                if messages:
                    self._list(messages)
        finally:
            consumer.close()
            self._known.clear()

    def _assigned(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        try:
            stored = read_offsets(self._engine, self._topic)
        except TransientError as error:
            self._problem = error  # raised by the loop, before it looks at any record
            stored = {}
        for partition in partitions:
            offset = stored.get(partition.partition)
            self._known[partition.partition] = offset
            partition.offset = OFFSET_BEGINNING if offset is None else offset
        consumer.incremental_assign(list(partitions))

    def _dropped(self, _consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        for partition in partitions:
            self._known.pop(partition.partition, None)

    def _list(self, messages: Sequence[Message]) -> None:
        replies: list[Reply] = []
        ends: dict[int, int] = {}
        for message in messages:
            error = message.error()
            if error is not None:
                raise KafkaException(error)
            partition = int(message.partition() or 0)
            offset = int(message.offset() or 0)
            if partition not in self._known or offset < (self._known[partition] or 0):
                continue  # revoked, or assigned anew, while this batch was gathered
            ends[partition] = offset + 1
            reply = self._decoded(message)
            if reply is not None:
                replies.append(reply)
        # Dead letters are on the broker before the offset that skips them moves.
        self._dead_letters.keep(_FLUSH_SECONDS)
        with transaction(self._engine) as connection:
            advance_offsets(connection, self._topic, self._known, ends)
            list_replies(connection, replies)
        self._known |= ends

    def _decoded(self, message: Message) -> Reply | None:
        try:
            event = decode(message.headers(), message.value()).data
            if not isinstance(event, ResultCompleted | ResultFailed | ResultRefused):
                raise Undecodable(f"an event of another kind on {self._topic}")
        except Undecodable as problem:
            self._dead_letters.add(message, str(problem))
            return None
        self._dead_letters.decoded()
        return event
