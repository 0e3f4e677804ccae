"""Notifications from the topic `object-store.events`."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

from schemas.cloudevents import Undecodable
from schemas.events import Origin
from schemas.identity import ObjectKey
from schemas.topics import OBJECT_STORE_EVENTS
from services.intake.requesting import GaveUp, UploadRequester
from services.intake.trouble import Trouble
from services.intake.worker import Fate, sort_out
from services.runtime import groups
from services.runtime.dead_letters import DeadLetters
from services.runtime.kafka import Config, consumer_config, create_consumer, is_fatal, topic_name
from services.runtime.metrics import NOTIFICATIONS
from services.runtime.settings import KafkaSettings

_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.5
_GATHER_SECONDS = 0.01
_UNPAUSED_SECONDS = 5.0
_DEAD_LETTER_SECONDS = 10.0
_SOURCE = "kafka"
_PREFETCH: Config = {"queued.min.messages": 1_000, "queued.max.messages.kbytes": 8 * 1024}
"""A backlog of millions of notifications must not fill the memory."""

Place = tuple[str, int]


class KafkaTopicSource:
    """Reads batches, requests what they hint at, commits. One thread; a second one works on the open batch."""

    def __init__(self, settings: KafkaSettings, requester: UploadRequester, producer: Producer, batch_max: int) -> None:
        self._topic = topic_name(settings, OBJECT_STORE_EVENTS)
        self._settings = settings
        self._requester = requester
        self._dead_letters = DeadLetters(producer)
        self._batch_max = batch_max
        self._held: dict[Place, int] = {}
        """The offset after the open batch, for each partition that is still ours."""
        self.problem = Trouble("the topic of notifications is not assigned yet")

    def run(self, stopping: Callable[[], bool], tick: Callable[[], None]) -> None:
        """Works until `stopping`.

        Raises:
            Halt: a run of undecodable notifications.
            KafkaException: the client cannot go on.
        """
        config = consumer_config(self._settings, group=groups.INTAKE_EVENTS, offset_reset="earliest")
        consumer = create_consumer(config | _PREFETCH)
        with ThreadPoolExecutor(1, thread_name_prefix="kafka-batch") as worker:
            try:
                consumer.subscribe(
                    [self._topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked
                )
                while not stopping():
                    tick()
                    messages = self._good(self._next_batch(consumer))
                    if messages:
                        self._work(consumer, worker, messages, stopping, tick)
            finally:
                consumer.close()

    def _next_batch(self, consumer: Consumer) -> list[Message]:
        """What is there, as soon as something is: a whole batch under load, a single record at rest."""
        first = consumer.poll(_POLL_SECONDS)
        if first is None:
            return []
        return [first, *consumer.consume(self._batch_max - 1, _GATHER_SECONDS)] if self._batch_max > 1 else [first]

    def _work(
        self,
        consumer: Consumer,
        worker: ThreadPoolExecutor,
        messages: list[Message],
        stopping: Callable[[], bool],
        tick: Callable[[], None],
    ) -> None:
        """Takes one batch through, while rebalances and the poll interval are looked after.

        1. The batch's requests are acknowledged by the broker, its undecodable records are in the dead letters.
        2. Its offsets are committed, of the partitions that were not revoked meanwhile.
        A crash in between repeats the batch: the same requests again, which the extractor recognises.
        """
        self._held = {_place(message): int(message.offset() or 0) + 1 for message in messages}
        done = worker.submit(self._take_in, messages, lambda: stopping() or not self._held)
        if not wait((done,), timeout=_UNPAUSED_SECONDS).done:
            _poll_paused(consumer, done.done, tick)
        try:
            done.result()
        except GaveUp:
            return
        offsets = [TopicPartition(topic, partition, offset) for (topic, partition), offset in self._held.items()]
        self._held = {}
        if offsets:
            _commit(consumer, offsets)

    def _take_in(self, messages: list[Message], give_up: Callable[[], bool]) -> None:
        keys: dict[str, ObjectKey] = {}
        undecodable = False
        for message in messages:
            try:
                body = message.value()
                if body is None:
                    raise Undecodable("a notification with a null value")
                sorted_out = sort_out(body, self._requester.bucket)
            except Undecodable as reason:
                undecodable = True
                NOTIFICATIONS.labels(source=_SOURCE, fate=Fate.UNDECODABLE).inc()
                self._dead_letters.add(message, str(reason))
                continue
            self._dead_letters.decoded()
            NOTIFICATIONS.labels(source=_SOURCE, fate=sorted_out.fate).inc()
            keys |= sorted_out.keys
        if keys:
            self._requester.request(keys, Origin.NOTIFICATION, give_up)
        while undecodable and self._dead_letters.flush(_DEAD_LETTER_SECONDS):
            if give_up():
                raise GaveUp("the broker has not acknowledged the dead letters yet")

    def _good(self, messages: list[Message]) -> list[Message]:
        errors = [error for message in messages if (error := message.error()) is not None]
        for error in errors:
            if error.fatal():
                raise KafkaException(error)
            # A topic that is not there yet, a broker that is away: the client asks again by itself.
            _log.warning(self.problem.met(f"the topic of notifications cannot be read: {error.str()}"))
        good = [message for message in messages if message.error() is None]
        if good:
            self.problem.over()
        return good

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.problem.over()
        consumer.incremental_assign(partitions)

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        for partition in partitions:
            self._held.pop((partition.topic, partition.partition), None)
        # Paused stays paused across an assignment: a partition that comes back would stand still.
        consumer.resume(partitions)
        consumer.incremental_unassign(partitions)


def _place(message: Message) -> Place:
    return str(message.topic()), int(message.partition() or 0)


def _poll_paused(consumer: Consumer, done: Callable[[], bool], tick: Callable[[], None]) -> None:
    """Serves the group while a slow batch is worked on: an idle poll keeps the membership."""
    while not done():
        tick()
        # Again in each round: a rebalance may have brought partitions that are not paused yet.
        consumer.pause(consumer.assignment())
        stray = consumer.poll(0.1)
        if stray is not None and stray.error() is None:
            _put_back(consumer, stray)
    consumer.resume(consumer.assignment())


def _put_back(consumer: Consumer, stray: Message) -> None:
    """Has a record that came before its partition was paused read again."""
    topic, partition = _place(stray)
    try:
        consumer.seek(TopicPartition(topic, partition, int(stray.offset() or 0)))
    except KafkaException:
        # Another replica owns the partition now and reads the record; if not, only a new start reads it again.
        if TopicPartition(topic, partition) in consumer.assignment():
            raise


def _commit(consumer: Consumer, offsets: list[TopicPartition]) -> None:
    try:
        consumer.commit(offsets=offsets, asynchronous=False)
    except KafkaException as error:
        if is_fatal(error):
            raise
        # Not ours any more, or the broker is away: the records come again and are requested again, which is harmless.
        _log.warning("offsets were not committed", extra={"reason": str(error)})
