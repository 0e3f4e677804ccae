"""Topics, the extractor's first offsets, and buckets: created where missing, never shrunk, safe to repeat."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

from botocore.exceptions import ClientError
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions, NewTopic

from schemas.topics import TOPICS, Topic
from services.runtime import groups
from services.runtime.backoff import Backoff
from services.runtime.kafka import (
    consumer_config,
    create_admin,
    create_consumer,
    dead_letters_name,
    error_code,
    group_name,
    topic_name,
)
from services.runtime.object_store import ObjectStore
from services.runtime.settings import KafkaSettings

T = TypeVar("T")

_log = logging.getLogger(__name__)
_TIMEOUT_SECONDS = 30.0
_PATIENCE_SECONDS = 2.5 * _TIMEOUT_SECONDS
"""How long one step is tried again while the broker comes up: three times, if each try times out."""
_PAUSE_SECONDS_MAX = 2.0


def provision_topics(settings: KafkaSettings, topics: Iterable[Topic] = TOPICS) -> list[str]:
    """Creates missing topics and partitions, with their dead letters, and returns the names it created.

    A lane's new partition gets offset 0 committed for the extractor's group, because that group refuses to
    guess where to begin (`auto.offset.reset=error`): a missing offset means lost history there, not a new topic.

    A broker that is not up yet, or whose parts do not know of each other yet, is waited for, within bounds.

    Raises:
        KafkaException: the broker refused, or did not answer for some `_PATIENCE_SECONDS`.
    """
    admin = create_admin(settings)
    wanted = list(topics)
    existing = _patiently("the topics to be listed", lambda: admin.list_topics(timeout=_TIMEOUT_SECONDS)).topics
    new = [spec for topic in wanted for spec in topic_specs(settings, topic) if spec.topic not in existing]
    _patiently("the topics to be created", lambda: _create(admin, new))
    grown = _patiently("the partitions to be created", lambda: _grow(admin, settings, wanted))
    for topic in wanted:
        if topic.is_lane:
            _commit_first_offsets(settings, topic)
    created = [spec.topic for spec in new] + grown
    if created:
        _log.info("provisioned", extra={"topics": created})
    return created


def ensure_bucket(store: ObjectStore, bucket: str) -> bool:
    """Creates a bucket if there is none; True if it did."""
    client = store.client
    try:
        client.head_bucket(Bucket=bucket)
        return False
    except ClientError as error:
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") != 404:
            raise
    try:
        if client.meta.region_name in (None, "us-east-1"):
            client.create_bucket(Bucket=bucket)
        else:
            region = client.meta.region_name
            client.create_bucket(
                Bucket=bucket,
                CreateBucketConfiguration={"LocationConstraint": region},  # type: ignore[typeddict-item]
            )
    except (client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists):
        return False
    return True


def _partitions(settings: KafkaSettings, topic: Topic) -> int:
    return 1 if topic.partitions == 1 else settings.partitions


def topic_specs(settings: KafkaSettings, topic: Topic) -> list[NewTopic]:
    """A topic and its dead letters as they are to be on the broker."""
    retention_ms = str(int(topic.retention_ms * settings.retention_factor))
    config = {
        "max.message.bytes": str(topic.message_bytes_max),
        "cleanup.policy": "compact" if topic.compacted else "delete",
    }
    if not topic.compacted:
        config["retention.ms"] = retention_ms
    dead_config = {
        "max.message.bytes": str(2 * topic.message_bytes_max),
        "cleanup.policy": "delete",
        "retention.ms": retention_ms,
    }
    replication = settings.replication_factor
    return [
        NewTopic(topic_name(settings, topic), _partitions(settings, topic), replication, config=config),
        NewTopic(dead_letters_name(settings, topic), 1, replication, config=dead_config),
    ]


def _create(admin: AdminClient, new: list[NewTopic]) -> None:
    if new:
        _await(admin.create_topics(new, operation_timeout=_TIMEOUT_SECONDS, request_timeout=_TIMEOUT_SECONDS))


def _grow(admin: AdminClient, settings: KafkaSettings, topics: Iterable[Topic]) -> list[str]:
    existing = admin.list_topics(timeout=_TIMEOUT_SECONDS).topics
    short = {}
    for topic in topics:
        name, count = topic_name(settings, topic), _partitions(settings, topic)
        if name in existing and 0 < len(existing[name].partitions) < count:
            short[name] = NewPartitions(name, count)
    if short:
        _await(admin.create_partitions(list(short.values()), request_timeout=_TIMEOUT_SECONDS))
    return list(short)


def _commit_first_offsets(settings: KafkaSettings, topic: Topic) -> None:
    """Commits offset 0 where nothing was ever written and nothing is committed: there 0 is the truth."""
    name = topic_name(settings, topic)
    consumer = create_consumer(consumer_config(settings, group=groups.EXTRACTOR, offset_reset="error"))
    try:
        written = _patiently(f"the first offsets of {name}", lambda: _commit_where_fresh(consumer, name))
        if written:
            _log.error(
                "the group %s has no offset on %d partitions of %s that hold records; "
                "`ocr-services skip-to-end` sets them",
                group_name(settings, groups.EXTRACTOR),
                written,
                name,
            )
    finally:
        consumer.close()


def _commit_where_fresh(consumer: Consumer, name: str) -> int:
    """One try; returns the number of partitions without offset that hold records."""
    metadata = consumer.list_topics(name, timeout=_TIMEOUT_SECONDS).topics[name]
    if metadata.error is not None:
        raise KafkaException(metadata.error)
    asked = [TopicPartition(name, number) for number in metadata.partitions]
    missing = [found for found in consumer.committed(asked, timeout=_TIMEOUT_SECONDS) if found.offset < 0]
    fresh = [
        TopicPartition(name, partition.partition, 0)
        for partition in missing
        if consumer.get_watermark_offsets(partition, timeout=_TIMEOUT_SECONDS)[1] == 0
    ]
    if fresh:
        for committed in consumer.commit(offsets=fresh, asynchronous=False) or ():
            if committed.error is not None:
                raise KafkaException(committed.error)
    return len(missing) - len(fresh)


_PASSING = {
    # A broker that is not up yet, or hangs.
    KafkaError._TIMED_OUT,
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.BROKER_NOT_AVAILABLE,
    KafkaError.NETWORK_EXCEPTION,
    KafkaError.NOT_CONTROLLER,
    # A broker knows a topic it has just created a moment before all of its parts know it.
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError._UNKNOWN_PARTITION,
}


def _patiently(what: str, attempt: Callable[[], T]) -> T:
    """Repeats one step, which has to be safe to repeat, while what it meets may pass."""
    deadline, backoff = time.monotonic() + _PATIENCE_SECONDS, Backoff(seconds_max=_PAUSE_SECONDS_MAX)
    while True:
        try:
            return attempt()
        except KafkaException as error:
            if error_code(error) not in _PASSING or time.monotonic() > deadline:
                raise
            _log.info("waiting for %s: %s", what, error)
            time.sleep(backoff.failed())


def _await(futures: Mapping[str, Future[Any]]) -> None:
    for name, future in futures.items():
        try:
            future.result()
        except KafkaException as error:
            # Another process of ours provisions at the same time.
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise KafkaException(KafkaError(error.args[0].code(), f"{name}: {error.args[0].str()}")) from error
