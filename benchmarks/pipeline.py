"""The pipeline's own cost: POST to 200 with a recogniser that returns at once. `python -m benchmarks.pipeline`.

Every service runs as a process of its own on this machine: API, ledger, one extractor, broker, object store,
PostgreSQL (SQLite on the embedded broker). Each round POSTs objects that were never asked for before.
"""

import argparse
import io
import os
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
from PIL import Image
from pydantic import SecretStr

from benchmarks.aims import Aim
from benchmarks.instant_extractor import PAGE_SECONDS_VARIABLE
from benchmarks.machine import describe_machine
from benchmarks.posting import Posted, post_keys
from benchmarks.processor_time import ProcessorTimes, Spent, describe_spending
from schemas.events import Origin
from schemas.topics import UPLOADS, upload_key
from services.api.keys import ApiKeys, Scope
from services.ledger.grants import grant
from services.runtime.database import create_database as connect
from services.runtime.migrations import migrate
from services.runtime.settings import DatabaseSettings
from tests.support.kafka import PRODUCTION_JVM_OPTIONS, start_apache_kafka, start_embedded_broker
from tests.support.object_store import start_versitygw
from tests.support.parts import KafkaPart
from tests.support.postgres import create_database, start_postgres
from tests.support.stage import Stage, Worker, raise_stage

_USER = "alice"
_MEGABYTE = 1 << 20
_IDLE_SECONDS = 10.0

SINGLE_P50 = Aim("POST to 200 at concurrency 1: p50 ms", "<=", 25)
SINGLE_P99 = Aim("POST to 200 at concurrency 1: p99 ms", "<=", 80)
MANY = Aim("POST to 200 at concurrency 50: requests/s", ">=", 150)
BESIDE_UPLOADS = Aim("POST while uploads wait: pages more", "<=", 1)
AT_REST = {service: Aim(f"memory at rest, {service}: MB", "<=", 120) for service in ("api", "intake", "ledger")} | {
    "extractor": Aim("memory at rest, extractor and child, onnx: MB", "<=", 600)
}


@dataclass
class Running:
    """The services under measurement."""

    stage: Stage
    port: int
    api_key: str
    services: dict[str, Worker]
    uploaded: int = 0

    def upload(self, count: int) -> list[str]:
        """Puts so many objects, each of its own content, and returns their keys."""
        first, self.uploaded = self.uploaded, self.uploaded + count
        keys = [f"ocr/{_USER}/{number}.png" for number in range(first, first + count)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: self.stage.upload(key, _image(key)), keys))
        return keys

    def post(self, count: int, concurrency: int) -> Posted:
        """POSTs so many new objects."""
        return self.post_uploaded(self.upload(count), concurrency)

    def post_uploaded(self, keys: list[str], concurrency: int) -> Posted:
        """POSTs these keys."""
        return post_keys("127.0.0.1", self.port, self.api_key, keys, concurrency)


def _image(key: str) -> bytes:
    """A small PNG of its own content."""
    image = Image.new("RGB", (60, 20), "white")
    number = hash(key)
    image.putpixel((1, 1), (number & 255, number >> 8 & 255, number >> 16 & 255))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@contextmanager
def running(*, embedded_broker: bool, page_seconds: float = 0.0, production_jvm: bool = False) -> Iterator[Running]:
    """Starts the parts and the services, and ends them."""
    with ExitStack() as ending:
        directory = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="ocr-benchmark-")))
        directory.chmod(0o755)
        (directory / "kafka").mkdir()
        if embedded_broker:
            kafka = start_embedded_broker(directory / "kafka")
        else:
            kafka = _apache_kafka(directory / "kafka", production_jvm)
        ending.callback(kafka.kill)
        (directory / "store").mkdir()
        store = start_versitygw(directory / "store", print)
        ending.callback(store.kill)
        if embedded_broker:
            url = f"sqlite:///{directory / 'ocr.db'}"
        else:
            (directory / "postgres").mkdir(mode=0o755)
            database = start_postgres(directory / "postgres")
            ending.callback(database.kill)
            url = create_database(database.url)
        (directory / "logs").mkdir()
        stage = raise_stage(kafka, store, "", "", directory / "logs", partitions=12)
        ending.callback(stage.strike)
        # Made for tests, a stage follows two topics: a consumer that is no part of what is measured.
        stage.read.close()
        stage.environment |= {"OCR_DATABASE_URL": url, "OCR_KAFKA_PARTITIONS": str(stage.kafka.partitions)}
        yield _start_services(stage, url, page_seconds)


def _apache_kafka(directory: Path, production_jvm: bool) -> KafkaPart:
    if not production_jvm:
        return start_apache_kafka(directory, print)
    return start_apache_kafka(directory, print, jvm_options=PRODUCTION_JVM_OPTIONS)


def _start_services(stage: Stage, url: str, page_seconds: float) -> Running:
    migrate(url)
    engine = connect(DatabaseSettings(url=SecretStr(url)))
    _, key = ApiKeys(engine).create(_USER, list(Scope), now=datetime.now(UTC), label="benchmark")
    grant(engine, _USER, 10**9, "benchmark", now=datetime.now(UTC))
    engine.dispose()
    services = {"ledger": stage.start_ready("services.ledger")}
    services["api"] = stage.start_ready("services.api", port_variable="OCR_API_PORT")
    services["extractor"] = stage.start_ready(
        "benchmarks.instant_extractor", **{PAGE_SECONDS_VARIABLE: str(page_seconds)}
    )
    return Running(stage, services["api"].port, key, services)


def own_cost(rounds: int, *, embedded_broker: bool, production_jvm: bool = False, warm_up: int = 300) -> None:
    """Latency at concurrency 1, throughput at 50, and what the processes take for it."""
    name = "embedded broker, SQLite" if embedded_broker else "Apache Kafka, PostgreSQL"
    with running(embedded_broker=embedded_broker, production_jvm=production_jvm) as system:
        times = ProcessorTimes({worker.process.pid: service for service, worker in system.services.items()})
        system.post(warm_up, 20)
        if not embedded_broker:
            java = f"Java with {' '.join(PRODUCTION_JVM_OPTIONS)}" if production_jvm else "Java that compiles little"
            print(f"broker: {java}; {warm_up} POSTs before the first that counts", flush=True)
        with times.spending() as idle:
            time.sleep(_IDLE_SECONDS)
        single, spent_single = _rounds(system, times, rounds, 100, 1)
        p50, p99 = (_median(r.percentile_ms(percent) for r in single) for percent in (50, 99))
        print(
            f"POST to 200, {name}, concurrency 1: p50 {p50:.1f} ms, p99 {p99:.1f} ms (medians of {rounds} x 100)",
            flush=True,
        )
        many, spent_many = _rounds(system, times, rounds, 600, 50)
        per_second = _median(r.per_second for r in many)
        print(
            f"POST to 200, {name}, concurrency 50: {per_second:.0f} requests/s, "
            f"p50 {_median(r.percentile_ms(50) for r in many):.0f} ms (medians of {rounds} x 600)",
            flush=True,
        )
        # The aims are those of a real broker.
        for aim, figure in () if embedded_broker else ((SINGLE_P50, p50), (SINGLE_P99, p99), (MANY, per_second)):
            print(aim.verdict(figure), flush=True)
        print(describe_spending(idle[0], {1: (spent_single, 100), 50: (spent_many, 600)}), flush=True)
        memory = ", ".join(
            f"{service} {_memory_mb(worker.process.pid):.0f} MB" for service, worker in system.services.items()
        )
        print(f"memory after that: {memory}", flush=True)


def _rounds(
    system: Running, times: ProcessorTimes, rounds: int, posts: int, concurrency: int
) -> tuple[list[Posted], Spent]:
    """Each round's latencies, and the processor time of the round that took the median of it."""
    seen, spent = [], []
    for _ in range(rounds):
        keys = system.upload(posts)
        with times.spending() as outcome:
            seen.append(system.post_uploaded(keys, concurrency))
        spent.append(outcome[0])
    spent.sort(key=lambda one: sum(one.by_process.values()))
    return seen, spent[len(spent) // 2]


def beside_uploads(uploads: int, page_seconds: float) -> None:
    """A POST alone, and while a flood of uploads waits, with pages of a given time."""
    with running(embedded_broker=False, page_seconds=page_seconds) as system:
        system.post(10, 1)
        alone = system.post(20, 1)
        _flood(system, uploads)
        beside = system.post(20, 1)
        difference = beside.percentile_ms(50) - alone.percentile_ms(50)
        pages_more = difference / page_seconds / 1000
        print(
            f"POST of a page of {page_seconds * 1000:.0f} ms, p50: alone {alone.percentile_ms(50):.0f} ms, while "
            f"{uploads} uploads wait {beside.percentile_ms(50):.0f} ms: {pages_more:.2f} pages more",
            flush=True,
        )
        print(BESIDE_UPLOADS.verdict(pages_more), flush=True)


def _flood(system: Running, uploads: int) -> None:
    stage = system.stage
    keys = system.upload(uploads)
    etags = {found.key: found.etag for found in stage.objects.list(stage.store.uploads_bucket, f"ocr/{_USER}/")}
    for key in keys:
        request = stage.request(key, etags[key], origin=Origin.NOTIFICATION)
        stage.queue(UPLOADS, upload_key(_USER, key), request)
    stage.flush()


def at_rest(seconds: float = 5.0) -> None:
    """Memory of each service before its first work, the extractor with the models that ship."""
    with running(embedded_broker=False) as system:
        workers = {name: worker for name, worker in system.services.items() if name != "extractor"}
        workers["intake"] = system.stage.start_ready("services.intake", OCR_INTAKE_KAFKA_ENABLED="true")
        workers["extractor"] = system.stage.start_ready("services.extractor")
        time.sleep(seconds)
        for service, worker in workers.items():
            print(AT_REST[service].verdict(_memory_mb(worker.process.pid)), flush=True)


def _memory_mb(pid: int) -> float:
    """Resident memory of a process and its children, shared pages once. As root: extractor and API show it no other."""
    parent = psutil.Process(pid)
    return sum(process.memory_full_info().pss for process in [parent, *parent.children(recursive=True)]) / _MEGABYTE


def _median(values: Iterable[float]) -> float:
    return statistics.median(values)


def main() -> None:
    """Runs all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--uploads", type=int, default=10_000)
    parser.add_argument("--page-seconds", type=float, default=0.3)
    parser.add_argument("--only", choices=["kafka", "embedded", "uploads", "memory"])
    parser.add_argument("--production-jvm", action="store_true", help="start Kafka as its own script does")
    parser.add_argument("--warm-up", type=int, default=300, help="POSTs before the first that counts")
    options = parser.parse_args()
    os.environ.setdefault("OCR_LOG_LEVEL", "WARNING")
    print(describe_machine(), flush=True)
    if options.only in (None, "kafka"):
        own_cost(options.rounds, embedded_broker=False, production_jvm=options.production_jvm, warm_up=options.warm_up)
    if options.only in (None, "embedded"):
        own_cost(options.rounds, embedded_broker=True)
    if options.only in (None, "uploads"):
        beside_uploads(options.uploads, options.page_seconds)
    if options.only in (None, "memory"):
        at_rest()


if __name__ == "__main__":
    main()
