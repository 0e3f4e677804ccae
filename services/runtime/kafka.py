"""Clients of the broker, with the settings that matter, each with its reason."""

import logging
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Literal

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from schemas.topics import OBJECT_STORE_EVENTS, Topic
from services.runtime.client_logs import OnceInAWhile
from services.runtime.settings import KafkaSettings

Config = dict[str, str | int | float | bool]

MESSAGE_BYTES_MAX = 1024 * 1024
"""What a producer sends at most as one message, before compression."""

_log = logging.getLogger(__name__)
_log.addFilter(OnceInAWhile())


def common_config(settings: KafkaSettings) -> Config:
    """Address and credentials."""
    config: Config = {
        "bootstrap.servers": settings.bootstrap_servers,
        "security.protocol": settings.security_protocol,
        "socket.keepalive.enable": True,
        "reconnect.backoff.max.ms": 2_000,
        # A topic created a moment ago is seen within this time.
        "topic.metadata.refresh.interval.ms": 30_000,
    }
    optional: Mapping[str, str | None] = {
        "sasl.mechanism": settings.sasl_mechanism,
        "sasl.username": settings.sasl_username,
        "sasl.password": settings.sasl_password.get_secret_value() if settings.sasl_password else None,
        "ssl.ca.location": settings.ssl_ca_location,
    }
    return config | {name: value for name, value in optional.items() if value is not None}


def topic_name(settings: KafkaSettings, topic: Topic) -> str:
    """The topic's name on the broker."""
    if topic is OBJECT_STORE_EVENTS and settings.object_store_topic:
        return settings.object_store_topic
    return settings.topic_prefix + topic.name


def dead_letters_name(settings: KafkaSettings, topic: Topic) -> str:
    """The name of the topic's dead letters on the broker."""
    return f"{topic_name(settings, topic)}.dlq"


def group_name(settings: KafkaSettings, group: str) -> str:
    """The consumer group's id on the broker."""
    return settings.topic_prefix + group


def producer_config(settings: KafkaSettings, *, linger_ms: int, transactional_id: str | None = None) -> Config:
    """A producer that writes each record once, in order, to every in-sync replica."""
    config = common_config(settings) | {
        "enable.idempotence": True,
        "acks": "all",
        "linger.ms": linger_ms,
        "compression.type": "lz4",
        # Java clients' partitioner, so that a key meets the same partition whoever writes it.
        "partitioner": "murmur2_random",
        "message.max.bytes": MESSAGE_BYTES_MAX,
    }
    if transactional_id is not None:
        config["transactional.id"] = settings.topic_prefix + transactional_id
        config["transaction.timeout.ms"] = settings.transaction_timeout_ms
    return config


def create_producer(
    settings: KafkaSettings,
    *,
    linger_ms: int,
    transactional_id: str | None = None,
    delivery_timeout_ms: int | None = None,
) -> Producer:
    """A producer; nothing is sent before the first record, nor after `delivery_timeout_ms` without an answer."""
    config = producer_config(settings, linger_ms=linger_ms, transactional_id=transactional_id)
    if delivery_timeout_ms is not None:
        config["delivery.timeout.ms"] = delivery_timeout_ms
    return Producer(config | {"error_cb": _log_client_error}, logger=_log)


class Fetching(Enum):
    """How long the broker holds back its answer to a fetch that finds too little. Each answer costs both sides."""

    AT_ONCE = "at_once"
    """The first byte is answered at once; as long as there is none, a fetch waits."""
    PAUSING = "pausing"
    """For the embedded broker, which notices late what arrives while a fetch waits: fetches are short."""
    AHEAD = "ahead"
    """For consumers that read ahead and pause partitions now and then: a resumed one waits for the fetch under way,
    beside records that it still has. What a pause throws away is little."""
    GATHERED = "gathered"
    """Nobody waits for the single record: what arrives within a quarter of a second is fetched together."""


_FETCHES: Mapping[Fetching, Config] = {
    Fetching.AT_ONCE: {"fetch.wait.max.ms": 500, "fetch.error.backoff.ms": 50},
    Fetching.PAUSING: {"fetch.wait.max.ms": 10, "fetch.error.backoff.ms": 50},
    Fetching.AHEAD: {"fetch.wait.max.ms": 100, "max.partition.fetch.bytes": 64 * 1024, "fetch.error.backoff.ms": 50},
    Fetching.GATHERED: {"fetch.wait.max.ms": 250, "fetch.min.bytes": 64 * 1024, "fetch.error.backoff.ms": 50},
}


def consumer_config(
    settings: KafkaSettings,
    *,
    group: str,
    offset_reset: Literal["earliest", "latest", "error"],
    fetching: Fetching = Fetching.AT_ONCE,
) -> Config:
    """A consumer that commits only what it is told to and sees only committed transactions."""
    # The embedded broker notices late what arrives while a fetch waits: after 120 ms of 500, after 3 of 10.
    fetch = _FETCHES[Fetching.PAUSING if settings.embedded else fetching]
    return common_config(settings) | {
        "group.id": group_name(settings, group),
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "isolation.level": "read_committed",
        "auto.offset.reset": offset_reset,
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": settings.session_timeout_ms,
        "heartbeat.interval.ms": settings.heartbeat_interval_ms,
        "max.poll.interval.ms": max(settings.max_poll_interval_ms, settings.session_timeout_ms),
        **fetch,
    }


def create_consumer(config: Config) -> Consumer:
    """A consumer of the given configuration; joins nothing before it subscribes or assigns."""
    return Consumer(config | {"error_cb": _log_client_error}, logger=_log)


def create_admin(settings: KafkaSettings, on_error: Callable[[KafkaError], object] | None = None) -> AdminClient:
    """A client that asks about topics and offsets. `on_error` gets what troubles it, when it is polled."""
    # Its own log would go straight to standard error, past ours, twenty lines a second while the broker is away.
    # What fails is raised from the call.
    config: dict[str, Any] = {**common_config(settings), "log_level": 0}
    return AdminClient(config if on_error is None else config | {"error_cb": on_error})


def is_fatal(error: KafkaException) -> bool:
    """Whether the client that raised this can only be thrown away."""
    return bool(_kafka_error(error).fatal())


def error_code(error: KafkaException) -> int:
    """The librdkafka or broker code of an exception."""
    return int(_kafka_error(error).code())


def _kafka_error(error: KafkaException) -> KafkaError:
    inner = error.args[0] if error.args else None
    return inner if isinstance(inner, KafkaError) else KafkaError(KafkaError._FAIL, str(error))


def _log_client_error(error: KafkaError) -> None:
    # librdkafka reconnects by itself; what it cannot mend is raised from the call that needed it.
    _log.warning("broker client: %s", error.str(), extra={"kafka_code": error.name()})
