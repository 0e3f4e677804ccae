"""Notifications: does what is uploaded under `ocr/` reach intake, and nothing else."""

import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from botocore.exceptions import BotoCoreError, ClientError
from confluent_kafka import Consumer, KafkaException, TopicPartition

from schemas.cloudevents import Undecodable
from schemas.topics import OBJECT_STORE_EVENTS
from services.doctor.broker import TIMEOUT_SECONDS
from services.doctor.findings import Finding, fail, ok, warn
from services.intake.notifications import parse
from services.intake.settings import IntakeSettings
from services.runtime.kafka import consumer_config, create_consumer, topic_name
from services.runtime.settings import KafkaSettings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

PREFIX = "ocr/"
_CHECK = "notifications"
_TARGETS = ("QueueConfigurations", "TopicConfigurations", "LambdaFunctionConfigurations")
_ARRIVAL_SECONDS_MAX = 5.0
_PROVISION = "run `ocr-services provision --no-topics --no-buckets --queue NAME`, or see docs/object-stores.md"

Configuration = Mapping[str, Any]


def check_sources(settings: IntakeSettings) -> Finding:
    """Whether intake listens to anything."""
    sources = [
        name
        for name, is_on in (
            ("the topic", settings.kafka_enabled),
            ("SQS", settings.sqs_queue_url),
            ("HTTP", settings.http_port is not None),
        )
        if is_on
    ]
    if sources:
        return ok("sources", f"intake listens to {', '.join(sources)}")
    found = f"uploads are found by listing alone, every {settings.sweep_interval_seconds:g} s"
    if settings.reconciler_enabled:
        return warn("sources", found, "set one of OCR_INTAKE_KAFKA_ENABLED, _SQS_QUEUE_URL and _HTTP_PORT")
    return fail("sources", "intake listens to nothing, and its reconciler is off", "set OCR_INTAKE_RECONCILER_ENABLED")


def check_bucket_configuration(client: "S3Client", bucket: str) -> Iterator[Finding]:
    """What the bucket says it notifies, where the store tells; a gateway with one topic for all does not."""
    try:
        configuration = client.get_bucket_notification_configuration(Bucket=bucket)
    except (ClientError, BotoCoreError) as error:
        if "AccessDenied" in str(error):
            yield warn(_CHECK, f"{bucket} does not say what it notifies of", "allow s3:GetBucketNotification")
        return
    yield from judge(dict(configuration), bucket)


def judge(configuration: Configuration, bucket: str) -> Iterator[Finding]:
    """Whether uploads under `ocr/` are told of, all of them and nothing else."""
    if "EventBridgeConfiguration" in configuration:
        yield ok(_CHECK, f"{bucket} sends to EventBridge; its rule has to match Object Created and the prefix {PREFIX}")
    entries = [entry for kind in _TARGETS for entry in configuration.get(kind, ()) if _tells_of_uploads(entry)]
    covering = [entry for entry in entries if PREFIX.startswith(_filter(entry, "prefix"))]
    if not covering:
        if "EventBridgeConfiguration" not in configuration:
            seen = ", ".join(_filter(entry, "prefix") or "everything" for entry in entries) or "nothing"
            yield warn(_CHECK, f"{bucket} notifies of {seen}, not of {PREFIX}", _PROVISION)
        return
    for entry in covering:
        name, prefix, suffix = entry.get("Id", "?"), _filter(entry, "prefix"), _filter(entry, "suffix")
        if suffix:
            yield warn(
                _CHECK,
                f"{bucket}: {name} tells only of keys that end with {suffix}",
                "remove the suffix from its filter: the content of a file decides, not its name",
            )
        elif prefix != PREFIX:
            yield warn(
                _CHECK,
                f"{bucket}: {name} tells of keys outside of {PREFIX}, too",
                f"set its filter to the prefix {PREFIX}: intake drops the others after paying for them",
            )
        else:
            yield ok(_CHECK, f"{bucket} notifies of {PREFIX} ({name})")


def _tells_of_uploads(entry: Configuration) -> bool:
    # A single upload, and one in parts: a store that tells of only one of them loses the other.
    events = entry.get("Events", ())
    return any(event in ("s3:ObjectCreated:*", "s3:ObjectCreated:Put") for event in events)


def _filter(entry: Configuration, name: str) -> str:
    rules: Sequence[Mapping[str, str]] = entry.get("Filter", {}).get("Key", {}).get("FilterRules", ())
    return next((rule["Value"] for rule in rules if rule["Name"].lower() == name), "")


def check_queue(sqs: "SQSClient", queue_url: str, bucket: str) -> Finding:
    """Whether the queue is there and the bucket may send to it."""
    try:
        attributes = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["All"])["Attributes"]
    except (ClientError, BotoCoreError) as error:
        return fail("queue", f"{queue_url}: {error}", "correct OCR_INTAKE_SQS_..., or " + _PROVISION)
    waiting = int(attributes.get("ApproximateNumberOfMessages", 0))
    policy = json.loads(attributes.get("Policy") or "{}")
    if not any(statement.get("Effect") == "Allow" for statement in policy.get("Statement", ())):
        return warn("queue", f"{queue_url} lets nobody send to it but its owner", _PROVISION)
    return ok("queue", f"{queue_url} takes what {bucket} tells; {waiting} messages wait")


def check_topic_notifications(client: "S3Client", bucket: str, kafka: KafkaSettings) -> Iterator[Finding]:
    """Stores two small objects that are nobody's upload, and looks which of them the store tells the topic of."""
    topic = topic_name(kafka, OBJECT_STORE_EVENTS)
    name = f"doctor-probe-{uuid.uuid4()}"
    # An upload's key has three parts: intake passes over both of these.
    inside, outside = f"{PREFIX}{name}", name
    consumer = create_consumer(consumer_config(kafka, group="ocr-doctor", offset_reset="latest"))
    try:
        _assign_ends(consumer, topic)
        for key in (inside, outside):
            client.put_object(Bucket=bucket, Key=key, Body=b"ocr-services doctor")
        told = _told(consumer, {inside, outside})
    except (ClientError, BotoCoreError, KafkaException) as error:
        yield fail(_CHECK, f"cannot be tried: {error}", "mend the bucket and the topic first")
        return
    finally:
        consumer.close()
        _tidy(client, bucket, (inside, outside))
    if inside not in told:
        yield fail(
            _CHECK,
            f"an object stored in {bucket} was not told on {topic} within {_ARRIVAL_SECONDS_MAX:g} s",
            "set the store's notifications up: docs/object-stores.md; until then the reconciler finds uploads",
        )
    elif outside in told:
        yield warn(
            _CHECK,
            f"{bucket} tells {topic} of uploads, and of keys outside of {PREFIX}, too",
            f"filter on the prefix {PREFIX} where the store can; intake passes over the others",
        )
    else:
        yield ok(_CHECK, f"{bucket} tells {topic} of {PREFIX}")


def _assign_ends(consumer: Consumer, topic: str) -> None:
    metadata = consumer.list_topics(topic, timeout=TIMEOUT_SECONDS).topics[topic]
    if metadata.error is not None:
        raise KafkaException(metadata.error)
    partitions = [TopicPartition(topic, number) for number in metadata.partitions]
    for partition in partitions:
        partition.offset = consumer.get_watermark_offsets(partition, timeout=TIMEOUT_SECONDS)[1]
    consumer.assign(partitions)


def _told(consumer: Consumer, keys: set[str]) -> set[str]:
    told: set[str] = set()
    deadline = time.monotonic() + _ARRIVAL_SECONDS_MAX
    while told != keys and time.monotonic() < deadline:
        for message in consumer.consume(100, 0.2):
            if message.error() is None:
                told |= _keys_of(message.value() or b"") & keys
        if told:
            # The second was stored right after the first: it comes at once or not at all.
            deadline = min(deadline, time.monotonic() + 1.5)
    return told


def _keys_of(body: bytes) -> set[str]:
    try:
        return {unquote_plus(key) for hint in parse(body) for key in hint.candidate_keys}
    except Undecodable:
        return set()


def _tidy(client: "S3Client", bucket: str, keys: Sequence[str]) -> None:
    for key in keys:
        try:
            client.delete_object(Bucket=bucket, Key=key)
        except (ClientError, BotoCoreError):
            # What was reported says more than that a probe of some bytes was left.
            return
