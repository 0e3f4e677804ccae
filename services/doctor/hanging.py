"""Transactions that nobody ends: whoever reads committed records waits at the first record of one for ever."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, KafkaException, TopicPartition

from schemas.topics import TOPICS
from services.doctor.broker import TIMEOUT_SECONDS
from services.doctor.findings import Finding, fail, ok
from services.runtime.kafka import consumer_config, create_consumer, dead_letters_name, topic_name
from services.runtime.open_transactions import OpenTransaction, find_open_in
from services.runtime.settings import KafkaSettings

_PAUSE_SECONDS = 0.5
_MARGIN_SECONDS = 60.0
"""A broker looks for transactions that ran out every ten seconds, unless told otherwise, and may be busy."""


def check_open_transactions(settings: KafkaSettings, now: Callable[[], float] = time.time) -> Iterator[Finding]:
    """Whether a partition of ours has a transaction open that the broker should have ended; `now` is in Unix time."""
    try:
        hanging = _hanging(settings, now())
    except KafkaException as error:
        yield fail("hanging", f"cannot be looked at: {error.args[0].str()}", "allow Describe and Read on the topics")
        return
    for each, age_seconds in hanging:
        place = f"--topic {each.topic} --partition {each.partition}"
        yield fail(
            "hanging",
            f"{each.topic}[{each.partition}] has a transaction open at offset {each.offset}, begun {age_seconds:.0f} s "
            "ago: readers of committed records wait there",
            f"if kafka-transactions.sh --bootstrap-server ... find-hanging {place} --max-transaction-timeout 1 names "
            f"it, nobody will end it; do so: kafka-transactions.sh --bootstrap-server ... abort {place} "
            f"--start-offset {each.offset}",
        )
    if not hanging:
        yield ok("hanging", "no transaction is open for longer than it may be")


def _hanging(settings: KafkaSettings, now: float) -> Sequence[tuple[OpenTransaction, float]]:
    """What is open for too long, each with its age in seconds."""
    opened = _find_open(settings)
    begun = _begun_at(settings, opened)
    age_seconds_max = settings.transaction_timeout_ms / 1000 + _MARGIN_SECONDS
    aged = [(each, now - begun[each]) for each in opened if each in begun]
    hanging = [pair for pair in aged if pair[1] > age_seconds_max]
    return sorted(hanging, key=lambda pair: astuple(pair[0]))


def _find_open(settings: KafkaSettings) -> list[OpenTransaction]:
    """Asks again for a while: a broker knows a topic that was just made a moment before it leads its partitions."""
    names = {name(settings, topic) for topic in TOPICS for name in (topic_name, dead_letters_name)}
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        try:
            return find_open_in(settings, names)
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_SECONDS)


def _begun_at(settings: KafkaSettings, opened: Sequence[OpenTransaction]) -> Mapping[OpenTransaction, float]:
    """When each was begun, by the time of its first record; without those whose record nobody gave a time."""
    if not opened:
        return {}
    config = consumer_config(settings, group="doctor", offset_reset="earliest")
    consumer = create_consumer(config | {"isolation.level": "read_uncommitted"})
    wanted = {(each.topic, each.partition): each for each in opened}
    begun: dict[OpenTransaction, float] = {}
    try:
        consumer.assign([TopicPartition(each.topic, each.partition, each.offset) for each in opened])
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while wanted and (left := deadline - time.monotonic()) > 0:
            message = consumer.poll(left)
            if message is None or message.error() is not None:
                continue
            each = wanted.pop((str(message.topic()), int(message.partition() or 0)), None)
            if each is None:
                continue
            consumer.incremental_unassign([TopicPartition(each.topic, each.partition)])
            kind, milliseconds = message.timestamp()
            if kind != TIMESTAMP_NOT_AVAILABLE:
                begun[each] = milliseconds / 1000
    finally:
        consumer.close()
    return begun
