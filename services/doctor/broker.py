"""The broker: does it answer, does it take transactions, and do the extractors know where they were."""

import uuid
from collections.abc import Iterator

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from schemas.topics import TOPICS
from services.doctor.findings import Finding, fail, ok, warn
from services.runtime import groups
from services.runtime.kafka import (
    consumer_config,
    create_admin,
    create_consumer,
    create_producer,
    error_code,
    group_name,
    topic_name,
)
from services.runtime.settings import KafkaSettings

TIMEOUT_SECONDS = 10.0
_DENIED = {
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
}


def check_broker(settings: KafkaSettings) -> Finding:
    """Whether the broker answers under the given address and credentials."""
    address = f"{settings.bootstrap_servers} ({settings.security_protocol})"
    troubles: list[KafkaError] = []
    admin = create_admin(settings, troubles.append)
    try:
        cluster = admin.list_topics(timeout=TIMEOUT_SECONDS)
    except KafkaException as error:
        admin.poll(0)
        # "Transport failure" hides whether the port is closed, TLS fails, or the password is wrong.
        why = next((each for each in troubles if each.code() != KafkaError._ALL_BROKERS_DOWN), error.args[0])
        return fail(
            "broker",
            f"{address} does not answer: {why.str()}",
            "start it, or correct OCR_KAFKA_BOOTSTRAP_SERVERS, OCR_KAFKA_SECURITY_PROTOCOL and OCR_KAFKA_SASL_...",
        )
    count = len(cluster.brokers)
    if count > 1 and settings.replication_factor < 2:
        return warn(
            "broker",
            f"{address}: {count} brokers, and OCR_KAFKA_REPLICATION_FACTOR is {settings.replication_factor}",
            "set it to 3, so that topics made from now on outlive the loss of a broker",
        )
    return ok("broker", f"{address}, {count} broker{'s' if count > 1 else ''}")


def check_transactions(settings: KafkaSettings) -> Finding:
    """Whether the extractor may open transactions: it registers a name that is never used again."""
    producer = create_producer(settings, linger_ms=0, transactional_id=f"ocr-extractor-doctor-{uuid.uuid4()}")
    try:
        producer.init_transactions(TIMEOUT_SECONDS)
    except KafkaException as error:
        code = error_code(error)
        name = settings.topic_prefix + "ocr-extractor-"
        advice = (
            f"allow Write and Describe on transactional ids that begin with {name}"
            if code in _DENIED
            else "look at the broker's transaction coordinator: is transaction.state.log.replication.factor above "
            "the number of brokers?"
        )
        return fail("transactions", f"refused: {error.args[0].str()}", advice)
    return ok("transactions", "the broker registers transactional producers")


def check_lane_offsets(settings: KafkaSettings) -> Iterator[Finding]:
    """Whether the extractors' group has an offset, still there, on each partition of its lanes."""
    consumer = create_consumer(consumer_config(settings, group=groups.EXTRACTOR, offset_reset="error"))
    group = group_name(settings, groups.EXTRACTOR)
    lost = []
    try:
        for topic in TOPICS:
            if not topic.is_lane:
                continue
            name = topic_name(settings, topic)
            numbers = consumer.list_topics(name, timeout=TIMEOUT_SECONDS).topics[name].partitions
            asked = [TopicPartition(name, number) for number in numbers]
            for found in consumer.committed(asked, timeout=TIMEOUT_SECONDS):
                low, end = consumer.get_watermark_offsets(found, timeout=TIMEOUT_SECONDS)
                if not low <= found.offset <= end:
                    lost.append(f"{name}[{found.partition}]")
    except KafkaException as error:
        yield fail("offsets", f"cannot be read: {error.args[0].str()}", f"allow Read and Describe on group {group}")
        return
    finally:
        consumer.close()
    if lost:
        yield fail(
            "offsets",
            f"group {group} has no valid offset on {', '.join(lost)}: extractors halt",
            "with no extractor running, run `ocr-services skip-to-end`; the sweeps find what was skipped",
        )
    else:
        yield ok("offsets", f"group {group} knows where it was on every partition of its lanes")
