"""The same parts as containers, where a Docker engine answers.

They share the host's network, so that they listen on 127.0.0.1 alone, advertise addresses that hold on both
sides, and keep their ports when a fault test starts them again.
"""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Callable
from functools import cache

import docker
from docker.errors import DockerException
from testcontainers.core.container import DockerContainer

from services.local.broker import answers_metadata
from services.local.ports import LOOPBACK, free_port
from tests.support.downloads import KAFKA_VERSION, VERSITYGW_VERSION, PartUnavailableError
from tests.support.kafka import CLUSTER_ID, broker_settings
from tests.support.object_store import gateway_arguments, lists_buckets
from tests.support.parts import REGION, DatabasePart, KafkaPart, ObjectStorePart
from tests.support.postgres import answers_query
from tests.support.starting import Started

KAFKA_IMAGE = f"apache/kafka:{KAFKA_VERSION}"
VERSITYGW_IMAGE = f"versity/versitygw:{VERSITYGW_VERSION}"
POSTGRES_IMAGE = "postgres:18.1-alpine"

_ENGINE_SECONDS_MAX = 3
_READY_SECONDS_MAX = 120.0
_PROBE_INTERVAL_SECONDS = 0.1


@cache
def engine_answers() -> bool:
    """Whether a Docker engine really answers here, and can share this host's network (Linux)."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        client = docker.from_env(timeout=_ENGINE_SECONDS_MAX)
    except DockerException:
        return False
    try:
        return bool(client.ping())
    except (DockerException, OSError):
        return False
    finally:
        client.close()


class ContainerPart:
    """A container with the lifecycle that fault tests use; stopping keeps its data for the next start."""

    def __init__(self, container: DockerContainer, probe: Callable[[], bool]) -> None:
        self._container = container.with_kwargs(**container._kwargs, network_mode="host")
        self._probe = probe

    def run(self) -> None:
        """Pulls the image if need be, and starts the container for the first time."""
        try:
            self._container.start()
        except DockerException as error:
            raise PartUnavailableError(f"{self._container.image} did not start: {error}") from error
        self._wait_until_ready()

    def start(self) -> None:
        """Starts it again and waits until it answers."""
        self._container.get_wrapped_container().start()
        self._wait_until_ready()

    def stop(self) -> None:
        """Stops it in an orderly way; its file system stays."""
        self._container.get_wrapped_container().stop(timeout=15)

    def kill(self) -> None:
        """Kills it at once; its file system stays."""
        self._container.get_wrapped_container().kill()

    def remove(self) -> None:
        """Removes it with its data."""
        self._container.stop()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _READY_SECONDS_MAX
        while not self._probe():
            if time.monotonic() > deadline:
                out, err = self._container.get_logs()
                raise PartUnavailableError(f"{self._container.image} is not ready:\n{(out + err)[-3000:].decode()}")
            time.sleep(_PROBE_INTERVAL_SECONDS)


def run_kafka_container() -> Started[KafkaPart]:
    """Apache Kafka's own image with the settings that the broker from jars has."""
    _require_engine()
    bootstrap_servers = f"{LOOPBACK}:{free_port()}"
    container = DockerContainer(KAFKA_IMAGE).with_env("CLUSTER_ID", CLUSTER_ID)
    for name, value in broker_settings(bootstrap_servers, "/tmp/kafka-data").items():
        container.with_env(f"KAFKA_{name.upper().replace('.', '_')}", value)
    part = ContainerPart(container, lambda: answers_metadata(bootstrap_servers))
    part.run()
    return Started(KafkaPart(bootstrap_servers, "container", f"the container {KAFKA_IMAGE}", part), part.remove)


def run_versitygw_container(
    bootstrap_servers: str | None = None, event_topic: str | None = None
) -> Started[ObjectStorePart]:
    """versitygw's own image, with the arguments that the binary gets."""
    _require_engine()
    port, access_key, secret_key = free_port(), "test", secrets.token_hex(16)
    arguments = " ".join(gateway_arguments(port, bootstrap_servers, event_topic))
    container = (
        DockerContainer(VERSITYGW_IMAGE)
        .with_env("ROOT_ACCESS_KEY", access_key)
        .with_env("ROOT_SECRET_KEY", secret_key)
        .with_kwargs(entrypoint=["/bin/sh", "-c"])
        .with_command(
            [
                "mkdir -p /data/objects /data/sidecar && "
                f"exec versitygw {arguments} posix --sidecar /data/sidecar /data/objects"
            ]
        )
    )
    part = ContainerPart(container, lambda: lists_buckets(port, access_key, secret_key))
    part.run()
    store = ObjectStorePart(
        endpoint_url=f"http://{LOOPBACK}:{port}",
        access_key=access_key,
        secret_key=secret_key,
        region=REGION,
        kind="container",
        description=f"the container {VERSITYGW_IMAGE}",
        lifecycle=part,
        event_topic=event_topic,
    )
    return Started(store, part.remove)


def run_postgres_container() -> Started[DatabasePart]:
    """PostgreSQL's image, open to this machine alone."""
    _require_engine()
    port = free_port()
    url = f"postgresql+psycopg://postgres@{LOOPBACK}:{port}/postgres"
    container = (
        DockerContainer(POSTGRES_IMAGE)
        .with_env("POSTGRES_HOST_AUTH_METHOD", "trust")
        .with_command(["-c", f"listen_addresses={LOOPBACK}", "-p", str(port), "-c", "max_connections=200"])
    )
    part = ContainerPart(container, lambda: answers_query(url))
    part.run()
    return Started(DatabasePart(url, "container", f"the container {POSTGRES_IMAGE}", part), part.remove)


def _require_engine() -> None:
    if not engine_answers():
        raise PartUnavailableError("no Docker engine answers")
