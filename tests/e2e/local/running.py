"""`ocr-services up` as a script runs it: a process with one line of JSON, and whatever it started."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
import psutil
from botocore.config import Config

READY_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 60.0


@dataclass(frozen=True)
class RunningStack:
    """A stack that said it is ready."""

    process: subprocess.Popen[str]
    facts: dict[str, str]
    ready_seconds: float

    def family(self) -> list[psutil.Process]:
        """The supervisor and every process below it."""
        supervisor = psutil.Process(self.process.pid)
        return [supervisor, *supervisor.children(recursive=True)]

    def children(self, command_part: str) -> list[psutil.Process]:
        """The direct children, alive, whose command line holds this."""
        return [
            child
            for child in psutil.Process(self.process.pid).children()
            if not gone(child) and command_part in " ".join(_command_line(child))
        ]

    def child(self, command_part: str) -> psutil.Process:
        """The one of them."""
        (found,) = self.children(command_part)
        return found

    def kill_child(self, command_part: str) -> None:
        """Kills it, and waits until another has taken its place."""
        victim = self.child(command_part)
        victim.kill()
        assert eventually(lambda: gone(victim))
        assert eventually(lambda: len(self.children(command_part)) == 1)

    def put(self, filename: str, body: bytes, content_type: str = "image/jpeg") -> str:
        """Puts an object into the uploads bucket as an uploader does who knows only S3; returns its key."""
        s3 = boto3.client(
            "s3",
            endpoint_url=self.facts["s3Endpoint"],
            region_name="us-east-1",
            aws_access_key_id=self.facts["accessKey"],
            aws_secret_access_key=self.facts["secretKey"],
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )
        key = f"ocr/{self.facts['userId']}/{filename}"
        s3.put_object(Bucket=self.facts["bucket"], Key=key, Body=body, ContentType=content_type)
        s3.close()
        return key

    def post(self, key: str) -> httpx.Response:
        """`POST /api/ocr/process`."""
        return httpx.post(
            f"{self.facts['url']}/api/ocr/process",
            json={"key": key},
            headers={"X-API-Key": self.facts["apiKey"]},
            timeout=60,
            trust_env=False,
        )

    def results(self, key: str) -> list[dict[str, Any]]:
        """What `GET /api/ocr/results` lists of a file."""
        answer = httpx.get(
            f"{self.facts['url']}/api/ocr/results",
            params={"key": key},
            headers={"X-API-Key": self.facts["apiKey"]},
            timeout=30,
            trust_env=False,
        )
        return list(answer.raise_for_status().json()["results"])

    def balance(self) -> int | None:
        """`GET /api/tokens/balance`; None while the API is away or does not know it."""
        try:
            answer = httpx.get(
                f"{self.facts['url']}/api/tokens/balance",
                headers={"X-API-Key": self.facts["apiKey"]},
                timeout=10,
                trust_env=False,
            )
        except httpx.TransportError:
            return None
        return int(answer.json()["balance"]) if answer.status_code == 200 else None

    def balance_below(self, tokens: int, seconds_max: float = READY_SECONDS_MAX) -> bool:
        """Whether the balance falls below so many tokens in time."""
        return eventually(lambda: (now := self.balance()) is not None and now < tokens, seconds_max)

    def stop(self) -> int:
        """Ends it as Ctrl-C does; returns its exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(STOP_SECONDS_MAX)


@contextmanager
def running_stack(data: Path) -> Iterator[RunningStack]:
    """`ocr-services up --json` on a data directory, until the block ends."""
    started = time.monotonic()
    log = (data.parent / f"{data.name}.up.log").open("a")
    process = subprocess.Popen(
        [sys.executable, "-m", "services.cli", "up", "--json", "--data", str(data)],
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("OCR_")}
        | {"OCR_INTAKE_SWEEP_AGE_SECONDS_MIN": "1", "OCR_INTAKE_SWEEP_INTERVAL_SECONDS": "2"},
    )
    timer = threading.Timer(READY_SECONDS_MAX, process.kill)
    timer.start()
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        timer.cancel()
        assert line, f"it never got ready: {Path(log.name).read_text()[-3000:]}"
        yield RunningStack(process, json.loads(line), time.monotonic() - started)
    finally:
        timer.cancel()
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process.stdout is not None:
            process.stdout.close()
        log.close()


def gone(process: psutil.Process) -> bool:
    """Whether a process has ended; one that nobody has reaped yet counts as ended."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def eventually(holds: Callable[[], bool], seconds_max: float = 30.0) -> bool:
    """Whether it becomes true within the time."""
    deadline = time.monotonic() + seconds_max
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []
