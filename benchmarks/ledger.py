"""Usage events a second in one ledger process. `python -m benchmarks.ledger`.

Two figures for each database. *Posting*: encoded events in memory, decoded, posted in batches of one SQL
transaction each. *Process*: `python -m services.ledger` works off a backlog on real Kafka, publishing entries and
balances meanwhile; counted from its first batch to its last, and to the last entry published.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import Engine, Table, func, select

from benchmarks.aims import Aim
from benchmarks.machine import describe_machine
from schemas.cloudevents import Headers, encode
from schemas.events import Price, UsageRecorded
from schemas.topics import BALANCES, ENTRIES, USAGE
from services.ledger.book import Batch, post_batch
from services.ledger.decoding import decode_usage
from services.ledger.offsets import Span
from services.ledger.tables import entries, outbox
from services.runtime.database import create_database as connect
from services.runtime.database import reading
from services.runtime.kafka import create_producer, topic_name
from services.runtime.migrations import migrate_engine
from services.runtime.producing import attributes_for
from services.runtime.provisioning import provision_topics
from services.runtime.settings import DatabaseSettings, KafkaSettings
from tests.support.kafka import start_apache_kafka
from tests.support.parts import DatabasePart, KafkaPart
from tests.support.postgres import create_database, start_postgres

_USERS = 1_000
_PARTITIONS = 4
_BATCH = 2_000
_SECONDS_MAX = 300.0

POSTING = Aim("PostgreSQL: posting, events/s", ">=", 5_000)
PROCESS = Aim("PostgreSQL: the process, from Kafka, events/s", ">=", 5_000)


@dataclass(frozen=True)
class _Record:
    """A record as the consumer hands it over."""

    record_headers: Headers
    body: bytes
    number: int

    def headers(self) -> Headers:
        return self.record_headers

    def value(self) -> bytes:
        return self.body

    def partition(self) -> int:
        return self.number % _PARTITIONS

    def offset(self) -> int:
        return self.number // _PARTITIONS


def usage_records(count: int, run: int) -> list[_Record]:
    now = datetime.now(UTC)
    price = Price(version="2026-11", tokens_per_page_unit=50, tokens_per_word=1)
    records = []
    for number in range(count):
        user, identity = f"user-{number % _USERS}", f"{run:08d}-0000-5000-8000-{number:012d}"
        usage = UsageRecorded(
            usage_id=identity,
            result_id=identity,
            user_id=user,
            key=f"ocr/{user}/scan-{number}.png",
            outcome="completed",
            page_units=1,
            words=150,
            tokens=200,
            price=price,
            occurred_at=now,
        )
        attributes = attributes_for(usage, source="/benchmarks", subject=usage.key, now=now)
        records.append(_Record(*encode(usage, attributes), number))
    return records


def post_all(engine: Engine, records: Sequence[_Record]) -> float:
    """Posts the records and returns the seconds that it took."""
    started = time.perf_counter()
    begins: dict[int, int | None] = dict.fromkeys(range(_PARTITIONS))
    for at in range(0, len(records), _BATCH):
        batch = Batch()
        for record in records[at : at + _BATCH]:
            batch.postings.append(decode_usage(record))  # type: ignore[arg-type]
            span = Span(begins[record.partition()], record.offset() + 1, None)
            batch.spans[record.partition()] = span
        post_batch(engine, batch, datetime.now(UTC))
        begins |= {partition: span.end for partition, span in batch.spans.items()}
    return time.perf_counter() - started


@contextmanager
def empty_database(postgres: DatabasePart | None, directory: Path) -> Iterator[Engine]:
    """An empty, migrated database: on PostgreSQL if there is one, else on SQLite."""
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        url = create_database(postgres.url) if postgres else f"sqlite:///{folder}/ledger.db"
        engine = connect(DatabaseSettings(url=SecretStr(url)))
        migrate_engine(engine)
        yield engine
        engine.dispose()


def _fill(kafka: KafkaSettings, records: Sequence[_Record]) -> None:
    provision_topics(kafka, [USAGE, ENTRIES, BALANCES])
    producer = create_producer(kafka, linger_ms=20)
    for record in records:
        while True:
            try:
                producer.produce(
                    topic_name(kafka, USAGE),
                    value=record.body,
                    headers=record.record_headers,
                    partition=record.partition(),
                )
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush(60)


def _count(engine: Engine, table: Table) -> int:
    with reading(engine) as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


def _work_off(kafka: KafkaSettings, engine: Engine, count: int) -> tuple[float, float]:
    """Starts the process; returns events posted a second, and events posted and published a second."""
    environment = {
        "OCR_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "OCR_KAFKA_TOPIC_PREFIX": kafka.topic_prefix,
        "OCR_DATABASE_URL": engine.url.render_as_string(hide_password=False),
        "OCR_LEDGER_SWEEP": "false",
        "OCR_LOG_LEVEL": "WARNING",
    }
    with subprocess.Popen([sys.executable, "-m", "services.ledger"], env=os.environ | environment) as process:
        try:
            deadline = time.monotonic() + _SECONDS_MAX
            while (first := _count(engine, entries)) == 0:
                _check(process, deadline)
            started = time.perf_counter()
            while _count(engine, entries) < count:
                _check(process, deadline)
            posted = time.perf_counter()
            while _count(engine, outbox) > 0:
                _check(process, deadline)
            published = time.perf_counter()
        finally:
            process.terminate()
    return (count - first) / (posted - started), count / (published - started)


def _check(process: "subprocess.Popen[bytes]", deadline: float) -> None:
    if process.poll() is not None or time.monotonic() > deadline:
        raise RuntimeError("the ledger did not work the backlog off")
    time.sleep(0.1)


def _settings(kafka: KafkaPart, name: str, run: int) -> KafkaSettings:
    return KafkaSettings(
        bootstrap_servers=kafka.bootstrap_servers, topic_prefix=f"{name}{run}.", partitions=_PARTITIONS
    )


def _report(what: str, figures: Sequence[float], aim: Aim | None = None) -> None:
    runs = ", ".join(f"{figure:,.0f}" for figure in figures)
    print(f"{what:<44} {statistics.median(figures):>8,.0f} events/s   (runs: {runs})", flush=True)
    if aim is not None:
        # Too few events are all posted before they are first counted: nothing was measured then.
        print(aim.verdict(statistics.median(figures) or None), flush=True)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--events", type=int, default=40_000, help="usage events of a run")
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    print(describe_machine())
    print(
        f"{arguments.events:,} events of {_USERS:,} users on {_PARTITIONS} partitions; medians of {arguments.runs} runs"
    )
    with ExitStack() as ending:
        directory = Path(ending.enter_context(tempfile.TemporaryDirectory()))
        directory.chmod(0o755)
        (directory / "postgres").mkdir()
        (directory / "kafka").mkdir()
        postgres = start_postgres(directory / "postgres")
        ending.callback(postgres.kill)
        kafka = start_apache_kafka(directory / "kafka", print)
        ending.callback(kafka.kill)
        for name, part in (("PostgreSQL", postgres), ("SQLite", None)):
            posting, process, whole = [], [], []
            for run in range(arguments.runs):
                records = usage_records(arguments.events, run)
                with empty_database(part, directory) as engine:
                    posting.append(len(records) / post_all(engine, records))
                with empty_database(part, directory) as engine:
                    settings = _settings(kafka, name.lower(), run)
                    _fill(settings, records)
                    posted, published = _work_off(settings, engine, len(records))
                    process.append(posted)
                    whole.append(published)
            _report(f"{name}: posting", posting, POSTING if part else None)
            _report(f"{name}: the process, from Kafka", process, PROCESS if part else None)
            _report(f"{name}: until all entries are published", whole)


if __name__ == "__main__":
    main()
