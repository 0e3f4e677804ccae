"""Everything that runs: Kafka, PostgreSQL and an S3 gateway behind proxies, and several replicas of each service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import Engine, make_url

from services.local.ports import LOOPBACK, free_port
from services.runtime.database import create_database as connect_database
from services.runtime.migrations import migrate
from services.runtime.object_store import ObjectStore, connect, create_client
from services.runtime.provisioning import ensure_bucket, provision_topics
from services.runtime.settings import DatabaseSettings, KafkaSettings, ObjectStoreSettings
from tests.faults.proxy import Proxies, Proxy
from tests.faults.replicas import Replicas, replica
from tests.support.downloads import Progress
from tests.support.kafka import ProxiedListener, start_apache_kafka
from tests.support.object_store import start_versitygw
from tests.support.parts import DatabasePart, KafkaPart, ObjectStorePart
from tests.support.postgres import create_database, start_postgres
from tests.support.topics import create_topics

_PARTITIONS = 6
_MODULES = {
    "api": "services.api",
    "intake": "services.intake",
    "ledger": "services.ledger",
    "extractor": "tests.support.scripted_engine",
    "webhooks": "services.webhooks",
}
"""Which module runs a service."""

REPLICAS = {"api": 2, "intake": 2, "ledger": 2, "extractor": 3, "webhooks": 2}
TWO_OF_EACH = dict.fromkeys(_MODULES, 2)

SHORT_SESSIONS = {
    "OCR_KAFKA_SESSION_TIMEOUT_MS": "6000",
    "OCR_KAFKA_HEARTBEAT_INTERVAL_MS": "1000",
    "OCR_KAFKA_MAX_POLL_INTERVAL_MS": "8000",
    "OCR_KAFKA_TRANSACTION_TIMEOUT_MS": "6000",
}
"""So that a freeze of seconds outlasts sessions and poll intervals."""

# Seconds where production has minutes, so that a run of minutes meets sweeps that end.
_QUICK = {
    "OCR_S3_TIMEOUT_SECONDS": "5",
    "OCR_INTAKE_KAFKA_ENABLED": "true",
    "OCR_INTAKE_SWEEP_INTERVAL_SECONDS": "5",
    "OCR_INTAKE_SWEEP_AGE_SECONDS_MIN": "5",
    "OCR_INTAKE_SWEEP_REPEAT_SECONDS": "10",
    "OCR_LEDGER_HEARTBEAT_SECONDS": "1",
    "OCR_LEDGER_SWEEP_CYCLE_SECONDS": "10",
    "OCR_LEDGER_SWEEP_GRACE_SECONDS": "10",
    "OCR_ADMISSION_STALENESS_SECONDS_MAX": "30",
    "OCR_EXTRACTOR_THREADS": "1",
    "OCR_WEBHOOKS_ALLOWED_NETWORKS": f"{LOOPBACK}/32",
    "OCR_WEBHOOKS_ATTEMPT_SECONDS_MAX": "5",
    "OCR_WEBHOOKS_BACKOFF_SECONDS_FIRST": "1",
}


@dataclass(frozen=True)
class Installation:
    """The parts, the proxies in front of them, the services, and direct ways past the proxies for who observes."""

    kafka: KafkaPart
    store: ObjectStorePart
    database: DatabasePart
    kafka_proxy: Proxy
    store_proxy: Proxy
    database_proxy: Proxy
    replicas: Replicas
    kafka_settings: KafkaSettings
    uploads_bucket: str
    results_bucket: str
    objects: ObjectStore
    """Direct."""
    client_objects: ObjectStore
    """As an uploader reaches it: through the proxy."""
    engine: Engine
    """Direct."""
    client_engine: Engine
    """As an operator reaches it: through the proxy."""


@contextmanager
def installation(
    directory: Path,
    say: Progress,
    environment: Mapping[str, str] = SHORT_SESSIONS,
    replicas: Mapping[str, int] = REPLICAS,
) -> Iterator[Installation]:
    """A running installation on free ports of the loopback; nothing of it outlives the block.

    The services run with `environment`, in so many `replicas` each, beside what every installation of the suite has.

    Raises:
        PartUnavailableError: Kafka's jars, Java, the gateway or PostgreSQL cannot be had on this machine.
    """
    with ExitStack() as stack:
        proxies = Proxies()
        stack.callback(proxies.close)
        listener_port = free_port()
        kafka_proxy = proxies.to(listener_port)
        kafka = start_apache_kafka(_made(directory / "kafka"), say, ProxiedListener(listener_port, kafka_proxy.port))
        stack.callback(kafka.kill)
        create_topics(kafka.bootstrap_servers, {"object-store.events": 1})
        store = start_versitygw(_made(directory / "store"), say, kafka.bootstrap_servers, "object-store.events")
        stack.callback(store.kill)
        database = start_postgres(_made(directory / "postgres"))
        stack.callback(database.kill)
        url = create_database(database.url)
        migrate(url)
        store_proxy = proxies.to(int(store.endpoint_url.rsplit(":", 1)[1]))
        database_proxy = proxies.to(make_url(url).port or 0)
        variables = _environment(store, kafka_proxy, store_proxy, database_proxy, url) | dict(environment)
        variables["OCR_EXTRACTOR_SPOOL_DIR"] = str(_made(directory / "spool"))
        kafka_settings = KafkaSettings.model_validate(
            {"bootstrap_servers": kafka.bootstrap_servers, "partitions": _PARTITIONS}
        )
        provision_topics(kafka_settings)
        objects = connect(_store_settings(store, store.endpoint_url))
        client = ObjectStore(create_client(_store_settings(store, f"http://{LOOPBACK}:{store_proxy.port}")))
        settings = ObjectStoreSettings()
        for bucket in (settings.uploads_bucket, settings.results_bucket):
            ensure_bucket(objects, bucket)
        running = Replicas(
            [
                replica(service, number, module, variables, _made(directory / "logs"))
                for service, module in _MODULES.items()
                for number in range(replicas[service])
            ]
        )
        stack.callback(running.close)
        engine = connect_database(DatabaseSettings(url=SecretStr(url)))
        stack.callback(engine.dispose)
        client_engine = connect_database(DatabaseSettings(url=SecretStr(variables["OCR_DATABASE_URL"])))
        stack.callback(client_engine.dispose)
        yield Installation(
            kafka=kafka,
            store=store,
            database=database,
            kafka_proxy=kafka_proxy,
            store_proxy=store_proxy,
            database_proxy=database_proxy,
            replicas=running,
            kafka_settings=kafka_settings,
            uploads_bucket=settings.uploads_bucket,
            results_bucket=settings.results_bucket,
            objects=objects,
            client_objects=client,
            engine=engine,
            client_engine=client_engine,
        )


def _environment(store: ObjectStorePart, kafka: Proxy, objects: Proxy, database: Proxy, url: str) -> dict[str, str]:
    through = make_url(url).set(host=LOOPBACK, port=database.port)
    return {
        "OCR_KAFKA_BOOTSTRAP_SERVERS": f"{LOOPBACK}:{kafka.port}",
        "OCR_KAFKA_PARTITIONS": str(_PARTITIONS),
        "OCR_S3_ENDPOINT_URL": f"http://{LOOPBACK}:{objects.port}",
        "OCR_S3_REGION": store.region,
        "OCR_S3_ACCESS_KEY": store.access_key,
        "OCR_S3_SECRET_KEY": store.secret_key,
        "OCR_DATABASE_URL": through.render_as_string(hide_password=False),
    } | _QUICK


def _store_settings(store: ObjectStorePart, endpoint_url: str) -> ObjectStoreSettings:
    return ObjectStoreSettings(
        endpoint_url=endpoint_url,
        region=store.region,
        access_key=SecretStr(store.access_key),
        secret_key=SecretStr(store.secret_key),
        timeout_seconds=5,
    )


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o755)
    return directory
