"""versitygw from its Go module: an S3 server that verifies signatures and notifies Kafka, on 127.0.0.1."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from services.local.object_store import ACCESS_KEY, SECRET_KEY, EmbeddedObjectStore
from services.local.ports import LOOPBACK, free_port
from services.local.process import ManagedProcess, ProcessNotReadyError
from tests.support.downloads import VERSITYGW_VERSION, Progress, versitygw_binary
from tests.support.parts import REGION, ObjectStorePart

_READY_SECONDS_MAX = 30.0
_STARTS_MAX = 3


class VersityGateway:
    """A gateway on a free port that it keeps, with its objects below `directory`, when it is started again."""

    def __init__(
        self, directory: Path, progress: Progress, bootstrap_servers: str | None, event_topic: str | None
    ) -> None:
        self.port = free_port()
        self.access_key = "test"
        self.secret_key = secrets.token_hex(16)
        objects, sidecar = directory / "objects", directory / "sidecar"
        objects.mkdir(parents=True)
        sidecar.mkdir()
        self._process = ManagedProcess(
            name=f"versitygw {VERSITYGW_VERSION}",
            command=[
                str(versitygw_binary(progress)),
                *gateway_arguments(self.port, bootstrap_servers, event_topic),
                "posix",
                "--sidecar",
                str(sidecar),
                str(objects),
            ],
            log_path=directory / "versitygw.log",
            environment={
                "PATH": os.environ.get("PATH", os.defpath),
                "ROOT_ACCESS_KEY": self.access_key,
                "ROOT_SECRET_KEY": self.secret_key,
            },
            directory=directory,
        )

    def start(self) -> None:
        """Starts the gateway and waits until it lists buckets for its own credentials.

        It tells its topic of its start, and ends where the broker does not yet know who leads a topic that was made a
        moment ago, as on a machine with much else to do: then it is started again.
        """
        for starts_left in reversed(range(_STARTS_MAX)):
            self._process.start()
            try:
                self._process.wait_until_ready(
                    lambda: lists_buckets(self.port, self.access_key, self.secret_key), _READY_SECONDS_MAX
                )
                return
            except ProcessNotReadyError:
                self._process.stop()
                if not starts_left:
                    raise

    def stop(self) -> None:
        """Stops it in an orderly way."""
        self._process.stop(grace_seconds=5.0)

    def kill(self) -> None:
        """Kills the process at once."""
        self._process.kill()


def gateway_arguments(port: int, bootstrap_servers: str | None, event_topic: str | None) -> list[str]:
    """The gateway's global options; with a topic it notifies Kafka, where that topic must exist already."""
    arguments = ["--port", f"{LOOPBACK}:{port}", "--region", REGION, "--keep-alive", "--quiet"]
    if bootstrap_servers is not None and event_topic is not None:
        arguments += ["--event-kafka-url", bootstrap_servers, "--event-kafka-topic", event_topic]
    return arguments


def lists_buckets(port: int, access_key: str, secret_key: str) -> bool:
    """Whether an S3 server on that port answers a signed request."""
    s3 = boto3.client(
        "s3",
        endpoint_url=f"http://{LOOPBACK}:{port}",
        region_name=REGION,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(connect_timeout=1, read_timeout=5, retries={"total_max_attempts": 1}),
    )
    try:
        s3.list_buckets()
    except (BotoCoreError, ClientError):
        return False
    finally:
        s3.close()
    return True


def start_versitygw(
    directory: Path, progress: Progress, bootstrap_servers: str | None = None, event_topic: str | None = None
) -> ObjectStorePart:
    """A running gateway. Raises PartUnavailableError where its binary cannot be had."""
    gateway = VersityGateway(directory, progress, bootstrap_servers, event_topic)
    gateway.start()
    return ObjectStorePart(
        endpoint_url=f"http://{LOOPBACK}:{gateway.port}",
        access_key=gateway.access_key,
        secret_key=gateway.secret_key,
        region=REGION,
        kind="package",
        description=f"versitygw {VERSITYGW_VERSION} from its Go module",
        lifecycle=gateway,
        event_topic=event_topic,
    )


class _Embedded:
    def __init__(self, store: EmbeddedObjectStore) -> None:
        self._store = store

    def start(self) -> None:
        self._store.start()

    def stop(self) -> None:
        self._store.stop()

    def kill(self) -> None:
        self._store.process.kill()


def start_embedded_object_store(directory: Path) -> ObjectStorePart:
    """The stand-in: S3 and SQS, without signatures. Tests of SQS use it everywhere."""
    store = EmbeddedObjectStore(directory / "objects", directory / "object-store.log")
    store.start()
    return ObjectStorePart(
        endpoint_url=store.endpoint_url,
        access_key=ACCESS_KEY,
        secret_key=SECRET_KEY,
        region=REGION,
        kind="embedded",
        description="the embedded object store (ministack)",
        lifecycle=_Embedded(store),
    )
