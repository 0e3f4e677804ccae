"""The topics: each with its dead letters, partitions and settings, as `ocr-services provision` makes them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.cimpl import NewTopic

from schemas.topics import TOPICS
from services.doctor.broker import TIMEOUT_SECONDS
from services.doctor.findings import Finding, fail, ok, warn
from services.runtime.kafka import create_admin
from services.runtime.provisioning import topic_specs
from services.runtime.settings import KafkaSettings

_PROVISION = "run `ocr-services provision`"


@dataclass(frozen=True)
class SeenTopic:
    """A topic as the broker has it; `settings` is empty where the broker does not tell."""

    partitions: int
    replicas_min: int
    settings: Mapping[str, str]


def check_topics(settings: KafkaSettings) -> Iterator[Finding]:
    """Compares every topic with what it should be."""
    wanted = [spec for topic in TOPICS for spec in topic_specs(settings, topic)]
    try:
        seen = _seen(settings, wanted)
    except KafkaException as error:
        yield fail("topics", f"cannot be looked at: {error.args[0].str()}", "allow Describe and DescribeConfigs")
        return
    problems = list(compare(wanted, seen))
    yield from problems
    if not problems:
        told = "" if any(topic.settings for topic in seen.values()) else "; the broker does not tell their settings"
        yield ok("topics", f"{len(wanted)} topics, dead letters included, as they should be{told}")


def compare(wanted: Sequence[NewTopic], seen: Mapping[str, SeenTopic]) -> Iterator[Finding]:
    """What is missing or other than wanted."""
    missing = [spec.topic for spec in wanted if spec.topic not in seen]
    if missing:
        yield fail("topics", f"missing: {', '.join(missing)}", _PROVISION)
    for spec in wanted:
        topic = seen.get(spec.topic)
        if topic is not None:
            yield from _differences(spec, topic)


def _differences(spec: NewTopic, seen: SeenTopic) -> Iterator[Finding]:
    if seen.partitions < spec.num_partitions:
        yield fail("topics", f"{spec.topic} has {seen.partitions} partitions, not {spec.num_partitions}", _PROVISION)
    if seen.partitions > spec.num_partitions == 1:
        yield fail(
            "topics",
            f"{spec.topic} has {seen.partitions} partitions and is to have one",
            "with the services stopped, delete it and run `ocr-services provision`",
        )
    if seen.replicas_min < spec.replication_factor:
        yield warn(
            "topics",
            f"{spec.topic} has {seen.replicas_min} replicas, not {spec.replication_factor}",
            "raise it with kafka-reassign-partitions; provisioning only sets it on new topics",
        )
    for name, value in (spec.config or {}).items():
        if name in seen.settings:
            yield from _setting(spec.topic, name, str(value), seen.settings[name])


def _setting(topic: str, name: str, wanted: str, seen: str) -> Iterator[Finding]:
    alter = (
        f"kafka-configs --bootstrap-server ... --alter --entity-type topics --entity-name {topic} "
        f"--add-config {name}={wanted}"
    )
    if name == "cleanup.policy":
        if seen != wanted:
            lost = "balances that do not move would be forgotten" if wanted == "compact" else "records would be lost"
            yield fail("topics", f"{topic}: {name} is {seen}, not {wanted}: {lost}", alter)
        return
    # Minus one: for ever.
    if 0 <= int(seen) < int(wanted):
        what = f"{topic}: {name} is {seen}, below {wanted}"
        if name == "max.message.bytes":
            yield fail("topics", f"{what}: long results would be refused", alter)
        else:
            yield warn("topics", f"{what}: events are gone earlier than documented", alter)


def _seen(settings: KafkaSettings, wanted: Sequence[NewTopic]) -> dict[str, SeenTopic]:
    admin = create_admin(settings)
    existing = admin.list_topics(timeout=TIMEOUT_SECONDS).topics
    names = [spec.topic for spec in wanted if spec.topic in existing]
    # The embedded broker does not keep what it was told.
    told = {} if settings.embedded else _settings_of(admin, names)
    return {
        name: SeenTopic(
            partitions=len(existing[name].partitions),
            replicas_min=min((len(each.replicas) for each in existing[name].partitions.values()), default=0),
            settings=told.get(name, {}),
        )
        for name in names
    }


def _settings_of(admin: AdminClient, names: Sequence[str]) -> dict[str, dict[str, str]]:
    resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in names]
    if not resources:
        return {}
    asked = admin.describe_configs(resources, request_timeout=TIMEOUT_SECONDS)
    return {
        resource.name: {entry.name: str(entry.value) for entry in future.result(TIMEOUT_SECONDS).values()}
        for resource, future in asked.items()
    }
