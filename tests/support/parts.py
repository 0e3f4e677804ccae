"""The parts that tests talk to, whatever provides them: packages, containers, or an embedded stand-in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

PartKind = Literal["package", "container", "embedded"]
PartName = Literal["kafka", "object_store", "postgres", "specifications", "helm", "promtool", "browser", "tensorflow"]

REGION = "us-east-1"


class Lifecycle(Protocol):
    """What a fault test does to the process or container behind a part."""

    def start(self) -> None:
        """Starts it again under the same address, with the data it had, and waits until it answers."""

    def stop(self) -> None:
        """Stops it in an orderly way."""

    def kill(self) -> None:
        """Kills it at once, as a power cut does."""


@dataclass(frozen=True)
class KafkaPart:
    """A broker. `kind` "embedded" is no Apache Kafka: it forgets everything when it stops."""

    bootstrap_servers: str
    kind: PartKind
    description: str
    lifecycle: Lifecycle

    def start(self) -> None:
        """Starts it again, at the same address, with its data (an embedded one: empty)."""
        self.lifecycle.start()

    def stop(self) -> None:
        """Stops it in an orderly way."""
        self.lifecycle.stop()

    def kill(self) -> None:
        """Kills it at once."""
        self.lifecycle.kill()


@dataclass(frozen=True)
class ObjectStorePart:
    """An S3 server. With an `event_topic` it publishes a notification for each write there."""

    endpoint_url: str
    access_key: str
    secret_key: str
    region: str
    kind: PartKind
    description: str
    lifecycle: Lifecycle
    event_topic: str | None = None

    def start(self) -> None:
        """Starts it again, at the same address, with its objects."""
        self.lifecycle.start()

    def stop(self) -> None:
        """Stops it in an orderly way."""
        self.lifecycle.stop()

    def kill(self) -> None:
        """Kills it at once."""
        self.lifecycle.kill()

    def s3(self) -> S3Client:
        """A client signing with V4 and addressing buckets by path."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path"},
                connect_timeout=2,
                read_timeout=20,
                retries={"total_max_attempts": 2, "mode": "standard"},
            ),
        )

    def sqs(self) -> SQSClient:
        """A client of the queue service beside it; only the embedded stand-in has one."""
        if self.kind != "embedded":
            raise RuntimeError(f"{self.description} has no queues")
        return boto3.client(
            "sqs",
            endpoint_url=self.endpoint_url,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
        )


@dataclass(frozen=True)
class DatabasePart:
    """A PostgreSQL server; `url` names its maintenance database, tests get databases of their own."""

    url: str
    kind: PartKind
    description: str
    lifecycle: Lifecycle

    def start(self) -> None:
        """Starts it again, at the same address, with its data."""
        self.lifecycle.start()

    def stop(self) -> None:
        """Stops it in an orderly way."""
        self.lifecycle.stop()

    def kill(self) -> None:
        """Kills it at once."""
        self.lifecycle.kill()
