"""All checks, in the order in which what they look at is needed; what stands on a broken part is left out."""

from collections.abc import Iterator
from pathlib import Path

from services.doctor.broker import check_broker, check_lane_offsets, check_transactions
from services.doctor.database import check_database
from services.doctor.findings import Finding, Level, any_failed
from services.doctor.hanging import check_open_transactions
from services.doctor.notifications import (
    check_bucket_configuration,
    check_queue,
    check_sources,
    check_topic_notifications,
)
from services.doctor.store import (
    check_buckets,
    check_conditional_writes,
    check_cors,
    check_privacy,
    endpoint_of,
)
from services.doctor.topics import check_topics
from services.doctor.weights import check_weights
from services.intake.settings import IntakeSettings
from services.intake.sqs import create_sqs_client
from services.runtime.object_store import ObjectStore, create_client
from services.runtime.settings import DatabaseSettings, KafkaSettings, ObjectStoreSettings


def examine(*, origin: str | None = None, weights_dir: Path | None = None) -> Iterator[Finding]:
    """Looks at everything the environment names; `origin` is where browsers load the console from."""
    kafka, intake = KafkaSettings(), IntakeSettings()
    broker_is_well = False
    for finding in _broker(kafka):
        broker_is_well = broker_is_well or (finding.check == "broker" and finding.level is not Level.FAIL)
        yield finding
    yield from _store(ObjectStoreSettings(), kafka, intake, origin, broker_is_well=broker_is_well)
    yield from check_database(DatabaseSettings(), embedded=kafka.embedded)
    yield check_weights(weights_dir)


def _broker(kafka: KafkaSettings) -> Iterator[Finding]:
    broker = check_broker(kafka)
    yield broker
    if broker.level is Level.FAIL:
        return
    yield check_transactions(kafka)
    topics = list(check_topics(kafka))
    yield from topics
    # The embedded broker reports the ends of partitions too low to judge offsets by.
    if not kafka.embedded and not any(finding.what.startswith("missing") for finding in topics):
        yield from check_lane_offsets(kafka)
        yield from check_open_transactions(kafka)


def _store(
    store: ObjectStoreSettings,
    kafka: KafkaSettings,
    intake: IntakeSettings,
    origin: str | None,
    *,
    broker_is_well: bool,
) -> Iterator[Finding]:
    client = create_client(store)
    try:
        buckets = list(check_buckets(client, store))
        yield from buckets
        if any_failed(buckets):
            return
        base_url = endpoint_of(client, store)
        yield check_conditional_writes(ObjectStore(client), store.results_bucket)
        yield check_privacy(store, base_url, embedded=kafka.embedded)
        yield check_cors(client, store, base_url, origin)
        yield check_sources(intake)
        if intake.sqs_queue_url:
            sqs = create_sqs_client(intake)
            yield check_queue(sqs, intake.sqs_queue_url, store.uploads_bucket)
            sqs.close()
            yield from check_bucket_configuration(client, store.uploads_bucket)
        if intake.kafka_enabled and broker_is_well:
            yield from check_topic_notifications(client, store.uploads_bucket, kafka)
    finally:
        client.close()
