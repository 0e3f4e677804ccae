"""The embedded object store and queue: S3 and SQS of `ministack`, from PyPI, on disk.

Objects survive a `kill -9`; queues and notification settings live in memory and are wired anew at each start. It
verifies the signatures of presigned URLs and of nothing else: what they must enforce everywhere is tested against a
store that does.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from services.local.broker import EmbeddedPartMissingError
from services.local.ports import LOOPBACK, free_port
from services.local.process import ManagedProcess

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REGION = "us-east-1"
ACCESS_KEY = "local"
SECRET_KEY = "local-secret"  # no secret: the store answers anyone on this machine, and nobody else

_READY_SECONDS_MAX = 60.0


class EmbeddedObjectStore:
    """S3 and SQS on one free port of 127.0.0.1; objects below `directory`."""

    def __init__(self, directory: Path, log_path: Path, port: int | None = None) -> None:
        if importlib.util.find_spec("ministack") is None:
            raise EmbeddedPartMissingError(
                "the embedded object store is not installed; install it with `make install`, or in a clone with"
                " `pip install '.[local]'`"
            )
        self.port = free_port() if port is None else port
        self.process = ManagedProcess(
            name="object-store",
            command=[
                sys.executable,
                "-m",
                "hypercorn",
                "ministack.app:app",
                f"--bind={LOOPBACK}:{self.port}",
                "--workers=0",  # serve in this very process: a worker of its own would outlive a killed parent
                "--keep-alive=75",
                "--log-level=WARNING",
            ],
            log_path=log_path,
            environment=_environment(directory, self.port),
        )

    @property
    def endpoint_url(self) -> str:
        """The base URL of both services."""
        return f"http://{LOOPBACK}:{self.port}"

    def start(self) -> None:
        """Starts it with the objects on disk, and waits until it lists buckets."""
        self.process.start()
        s3 = self.s3()
        try:
            self.process.wait_until_ready(lambda: _lists_buckets(s3), _READY_SECONDS_MAX)
        finally:
            s3.close()

    def stop(self) -> None:
        """Stops it; objects stay on disk, queues and notification settings do not."""
        self.process.stop(grace_seconds=3.0)

    def s3(self) -> S3Client:
        """A client for readiness and wiring, which does not wait long."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path"},
                connect_timeout=1,
                read_timeout=10,
                retries={"total_max_attempts": 1},
            ),
        )


def _lists_buckets(s3: S3Client) -> bool:
    try:
        s3.list_buckets()
    except (BotoCoreError, ClientError):
        return False
    return True


def _environment(directory: Path, port: int) -> dict[str, str]:
    """Only what it needs: credentials and settings of the caller's own cloud must not reach it."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG", "PYTHONPATH") if name in os.environ}
    return kept | {
        # The one key whose presigned URLs it takes.
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": LOOPBACK,
        "MINISTACK_REGION": REGION,
        "SERVICES": "s3,sqs,sts",
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(directory),
        "PERSIST_STATE": "0",
        "LOG_LEVEL": "WARNING",
    }
