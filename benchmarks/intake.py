"""Intake's speed: notifications a second from the Kafka topic, each with its HEADs. `python -m benchmarks.intake`.

One intake process reads from Apache Kafka, looks the objects up on versitygw, which verifies each signature, and
has its requests acknowledged. A round is over when the last request can be read.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote_plus

import psutil

from benchmarks.aims import Aim
from benchmarks.machine import describe_machine
from schemas.topics import OBJECT_STORE_EVENTS, UPLOADS
from services.runtime.kafka import topic_name
from tests.support.kafka import start_apache_kafka
from tests.support.object_store import start_versitygw
from tests.support.stage import Stage, Topics, Worker, raise_stage

_ROUND_SECONDS_MAX = 300.0

PLAIN = Aim("intake, one process, plain keys, one HEAD each: notifications/s", ">=", 700)
SPACED = Aim("intake, one process, keys with a space, two HEADs each: notifications/s", ">=", 700)


@dataclass(frozen=True)
class Round:
    """What one round took."""

    seconds: float
    cpu_seconds: float


@contextmanager
def raised_stage() -> Iterator[Stage]:
    """Starts broker and store, and ends them."""
    with ExitStack() as ending:
        directory = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="ocr-benchmark-")))
        for name in ("kafka", "store", "logs"):
            (directory / name).mkdir()
        kafka = start_apache_kafka(directory / "kafka", print)
        ending.callback(kafka.kill)
        store = start_versitygw(directory / "store", print)
        ending.callback(store.kill)
        stage = raise_stage(kafka, store, "", "", directory / "logs", partitions=12)
        ending.callback(stage.strike)
        yield stage


def upload(stage: Stage, keys: list[str]) -> None:
    """Puts a small object under each key."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: stage.upload(key, key.encode()), keys))


def notification(bucket: str, key: str) -> bytes:
    """A notification of about the size that AWS sends, with its form-encoded key."""
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "eu-central-1",
        "eventTime": "2026-11-23T06:40:00.123Z",
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "AWS:AIDAEXAMPLE"},
        "requestParameters": {"sourceIPAddress": "192.0.2.7"},
        "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810", "x-amz-id-2": "F" * 76},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "ocr-services-uploads",
            "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
            "object": {"key": quote_plus(key, safe="/"), "size": 1024, "eTag": "d" * 32, "sequencer": "0055AED6DC"},
        },
    }
    return json.dumps({"Records": [record]}).encode()


def one_round(stage: Stage, intake: Worker, requests: Topics, bodies: list[bytes]) -> Round:
    """Sends all notifications at once, and waits for as many requests as there are objects."""
    expected = len(requests.messages) + len(bodies)
    process = psutil.Process(intake.process.pid)
    cpu_before, started = _cpu_seconds(process), time.perf_counter()
    for body in bodies:
        stage.producer.produce(topic_name(stage.kafka, OBJECT_STORE_EVENTS), value=body)
    stage.flush()
    while len(requests.messages) < expected:
        if time.perf_counter() - started > _ROUND_SECONDS_MAX:
            raise RuntimeError(f"{expected - len(requests.messages)} requests did not come:\n{intake.output()[-2000:]}")
        time.sleep(0.01)
    return Round(time.perf_counter() - started, _cpu_seconds(process) - cpu_before)


def measure(stage: Stage, intake: Worker, requests: Topics, aim: Aim, keys: list[str], rounds: int) -> None:
    """The median of several rounds over the same objects."""
    upload(stage, keys)
    bodies = [notification(stage.store.uploads_bucket, key) for key in keys]
    one_round(stage, intake, requests, bodies[: len(bodies) // 4])
    seen = [one_round(stage, intake, requests, bodies) for _ in range(rounds)]
    rate = statistics.median(len(bodies) / seen_round.seconds for seen_round in seen)
    cpu_ms = statistics.median(1000 * seen_round.cpu_seconds / len(bodies) for seen_round in seen)
    print(
        f"{aim.what}: {rate:.0f}, {cpu_ms:.2f} ms of CPU each (median of {rounds} x {len(bodies)})",
        flush=True,
    )
    print(aim.verdict(rate), flush=True)


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def main() -> None:
    """Runs all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--notifications", type=int, default=3000)
    options = parser.parse_args()
    os.environ.setdefault("OCR_LOG_LEVEL", "WARNING")
    print(describe_machine(), flush=True)
    with raised_stage() as stage:
        intake = stage.start_ready("services.intake", OCR_INTAKE_KAFKA_ENABLED="true")
        requests = Topics(stage.kafka, (UPLOADS,))
        requests.start()
        count = options.notifications
        plain = [f"ocr/alice/{number}.png" for number in range(count)]
        measure(stage, intake, requests, PLAIN, plain, options.rounds)
        spaced = [f"ocr/alice/page {number}.png" for number in range(count)]
        measure(stage, intake, requests, SPACED, spaced, options.rounds)
        requests.close()


if __name__ == "__main__":
    main()
