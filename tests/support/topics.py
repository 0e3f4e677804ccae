"""Topics for tests that do not go through the project's own provisioning."""

from __future__ import annotations

from collections.abc import Mapping

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

_SECONDS_MAX = 15.0


def _admin(bootstrap_servers: str) -> AdminClient:
    # Without librdkafka's own log: a broker that stops before its client is no trouble here.
    return AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})


def create_topics(
    bootstrap_servers: str, partitions: Mapping[str, int], settings: Mapping[str, str] | None = None
) -> None:
    """Creates each topic with so many partitions, and returns once the broker has made them; one that exists stays."""
    admin = _admin(bootstrap_servers)
    topics = [
        NewTopic(name, num_partitions=count, replication_factor=1, config=dict(settings or {}))
        for name, count in partitions.items()
    ]
    for future in admin.create_topics(topics, operation_timeout=_SECONDS_MAX).values():
        try:
            future.result(_SECONDS_MAX)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise


def delete_topics(bootstrap_servers: str, prefix: str) -> None:
    """Deletes every topic whose name begins with `prefix`; the broker does it when it finds the time."""
    admin = _admin(bootstrap_servers)
    names = [name for name in admin.list_topics(timeout=_SECONDS_MAX).topics if name.startswith(prefix)]
    if names:
        for future in admin.delete_topics(names, operation_timeout=_SECONDS_MAX).values():
            future.exception(_SECONDS_MAX)
