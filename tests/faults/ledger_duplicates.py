"""`python -m tests.faults.ledger_duplicates`: usage with duplicates, shuffled, over replicas that are killed.

Usage events of many users, a tenth of them twice, shuffled and spread over all partitions without regard to their
user, so that the two of a pair are posted by different replicas at the same time. Three ledgers post them, and each
time a further share is posted one or two of them are killed, to be started again. At the end every balance has to be
what a dictionary says, to the token.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import Engine, func, select

from schemas.events import UsageRecorded
from schemas.topics import USAGE
from services.ledger.audit import audit
from services.ledger.tables import accounts, entries, outbox, usage_conflicts, usage_offsets
from services.runtime.database import create_database as connect_database
from services.runtime.database import reading
from services.runtime.kafka import topic_name
from services.runtime.migrations import migrate
from services.runtime.settings import DatabaseSettings, KafkaSettings
from tests.faults.replicas import Replica, Replicas, replica
from tests.integration.ledger.running import Wire
from tests.support.downloads import Progress
from tests.support.kafka import start_apache_kafka
from tests.support.postgres import create_database, start_postgres
from tests.support.usage import usage

_REPLICAS = 3
_PARTITIONS = 6
_USERS = 500
_DUPLICATES = 0.10
_CHUNK_EVENTS = 2_000
_POLL_SECONDS = 0.1
_READY_SECONDS_MAX = 120.0
_STANDSTILL_SECONDS_MAX = 120.0
"""Without one more entry; a kill costs a session and a start of a process."""


@dataclass(frozen=True)
class Storm:
    """What is sent, and what is to come of it."""

    events: list[UsageRecorded]
    """In the order sent, duplicates included."""
    unique: int
    balances: dict[str, int]

    @classmethod
    def draw(cls, events: int, seed: int) -> Storm:
        """So many usage events, of which a tenth are duplicates."""
        chance = random.Random(seed)
        unique = round(events / (1 + _DUPLICATES))
        once = [
            usage(f"usage-{number}", f"user-{chance.randrange(_USERS)}", chance.randint(1, 10_000))
            for number in range(unique)
        ]
        balances: Counter[str] = Counter()
        for each in once:
            balances[each.user_id] -= each.tokens
        sent = once + chance.sample(once, events - unique)
        chance.shuffle(sent)
        return cls(sent, unique, dict(balances))


@dataclass
class Counts:
    """What came of it; `problems` is empty when every promise was kept."""

    sent: int
    unique: int
    kills: int = 0
    entries: int = 0
    tokens: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """For people."""
        return [
            f"machine: {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
            f"{self.sent:,} usage events of {_USERS:,} users, {self.sent - self.unique:,} of them duplicates, shuffled",
            f"{_REPLICAS} replicas on {_PARTITIONS} partitions, {self.kills} kills, {self.seconds:.0f} s",
            f"{self.entries:,} entries of {self.tokens:,} tokens",
            f"violations: {len(self.problems)}",
            *self.problems[:40],
        ]


def run(wire: Wire, database_url: str, directory: Path, *, events: int, kills: int, seed: int) -> Counts:
    """Sends, kills and checks. The database is migrated, and empty."""
    storm, chance = Storm.draw(events, seed), random.Random(seed + 1)
    counts = Counts(len(storm.events), storm.unique)
    engine = connect_database(DatabaseSettings(url=SecretStr(database_url)))
    replicas = _replicas(wire.kafka, database_url, directory)
    started = time.monotonic()
    try:
        replicas.start()
        late = replicas.wait_until_ready(_READY_SECONDS_MAX)
        if late:
            raise RuntimeError(f"not ready: {late}")
        started = time.monotonic()
        with ThreadPoolExecutor(1) as sender:
            sending = sender.submit(_send, wire, storm.events, random.Random(seed + 2))
            counts.kills = _kill_along_the_way(engine, replicas, storm.unique, kills, chance)
            sending.result()
        _wait_until_all_is_posted(engine, wire, storm.unique)
        counts.seconds = time.monotonic() - started
        counts.problems += problems_of(engine, wire, storm)
        counts.problems += [f"halted: {halt}" for halt in replicas.halts]
        counts.entries = _count(engine)
        counts.tokens = sum(each.tokens for each in {each.usage_id: each for each in storm.events}.values())
    finally:
        replicas.close()
        engine.dispose()
    return counts


def _replicas(kafka: KafkaSettings, database_url: str, directory: Path) -> Replicas:
    environment = {
        "OCR_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "OCR_KAFKA_TOPIC_PREFIX": kafka.topic_prefix,
        "OCR_KAFKA_PARTITIONS": str(kafka.partitions),
        "OCR_KAFKA_SESSION_TIMEOUT_MS": "3000",
        "OCR_KAFKA_HEARTBEAT_INTERVAL_MS": "500",
        "OCR_DATABASE_URL": database_url,
        "OCR_LEDGER_SWEEP": "false",
        # Small, so that a kill meets transactions of every age.
        "OCR_LEDGER_BATCH_RECORDS_MAX": "200",
    }
    return Replicas(
        [replica("ledger", number, "services.ledger", environment, directory) for number in range(_REPLICAS)]
    )


def _send(wire: Wire, events: Sequence[UsageRecorded], chance: random.Random) -> None:
    for begin in range(0, len(events), _CHUNK_EVENTS):
        by_partition: dict[int, list[UsageRecorded]] = {}
        for each in events[begin : begin + _CHUNK_EVENTS]:
            by_partition.setdefault(chance.randrange(wire.kafka.partitions), []).append(each)
        for partition, of_partition in by_partition.items():
            wire.send(of_partition, partition=partition)


def _kill_along_the_way(engine: Engine, replicas: Replicas, total: int, kills: int, chance: random.Random) -> int:
    """One or two replicas at each further share of the entries, so that kills do not depend on the machine's pace."""
    killed = 0
    for share in range(1, kills + 1):
        _wait_for_entries(engine, total * share // (kills + 1))
        wanted, running = chance.choice((1, 1, 2)), list[Replica]()
        while len(running) < wanted:  # Those killed a moment ago are being started again.
            running = [each for each in replicas.all if each.process.is_running()]
        killed += sum(victim.signal(signal.SIGKILL) for victim in chance.sample(running, wanted))
    return killed


def _wait_for_entries(engine: Engine, count: int) -> None:
    seen, moved_at = -1, time.monotonic()
    while (now := _count(engine)) < count:
        if now > seen:
            seen, moved_at = now, time.monotonic()
        if time.monotonic() > moved_at + _STANDSTILL_SECONDS_MAX:
            raise RuntimeError(f"stands still at {now} of {count} entries")
        time.sleep(_POLL_SECONDS)


def _wait_until_all_is_posted(engine: Engine, wire: Wire, unique: int) -> None:
    _wait_for_entries(engine, unique)
    ends = wire.ends(USAGE)
    deadline = time.monotonic() + _STANDSTILL_SECONDS_MAX
    while _offsets(engine) != ends or _count(engine, outbox.c.id):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{topic_name(wire.kafka, USAGE)} is not posted to its end, or not published")
        time.sleep(_POLL_SECONDS)


def problems_of(engine: Engine, wire: Wire, storm: Storm) -> list[str]:
    """Every way in which ledger, balances and topics are not what the storm comes to."""
    found = [f"audit: {finding.subject}: {finding.detail}" for finding in audit(engine).findings]
    with reading(engine) as connection:
        balances = {
            row.id.removeprefix("user:"): row.balance
            for row in connection.execute(select(accounts.c.id, accounts.c.balance))
            if row.id.startswith("user:")
        }
        conflicts = connection.scalar(select(func.count()).select_from(usage_conflicts))
    if conflicts:
        found.append(f"{conflicts} conflicts, where every duplicate was the same")
    if (posted := _count(engine)) != storm.unique:
        found.append(f"{posted} entries, not {storm.unique}")
    for name, told in (("in SQL", balances), ("on ledger.balances", wire.balances())):
        wrong = {user for user in told.keys() | storm.balances.keys() if told.get(user) != storm.balances.get(user)}
        found += [f"{user} {name}: {told.get(user)}, not {storm.balances.get(user)}" for user in sorted(wrong)]
    return found


def _count(engine: Engine, column: object = entries.c.id) -> int:
    with reading(engine) as connection:
        return connection.scalar(select(func.count(column))) or 0  # type: ignore[arg-type]


def _offsets(engine: Engine) -> dict[int, int]:
    with reading(engine) as connection:
        return {row.partition: row.next_offset for row in connection.execute(select(usage_offsets))}


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def settings_of(bootstrap_servers: str, topic_prefix: str) -> KafkaSettings:
    """The broker as this storm uses it."""
    return KafkaSettings(bootstrap_servers=bootstrap_servers, topic_prefix=topic_prefix, partitions=_PARTITIONS)


def on_parts_of_its_own(directory: Path, events: int, kills: int, seed: int, say: Progress) -> Counts:
    """On a broker and a database that live as long as this runs."""
    with ExitStack() as ending:
        for name in ("kafka", "postgres", "logs"):
            (directory / name).mkdir(mode=0o755)
        kafka = start_apache_kafka(directory / "kafka", say)
        ending.callback(kafka.kill)
        postgres = start_postgres(directory / "postgres")
        ending.callback(postgres.kill)
        url = create_database(postgres.url)
        migrate(url)
        wire = Wire(settings_of(kafka.bootstrap_servers, ""))
        ending.callback(wire.close)
        return run(wire, url, directory / "logs", events=events, kills=kills, seed=seed)


def main() -> int:
    """Runs as the arguments say; status 1 when a balance is off by a token."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=20, help="times at which one or two replicas are killed")
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = random.randrange(1_000_000) if options.seed is None else options.seed
    _say(f"seed {seed}")
    with tempfile.TemporaryDirectory(prefix="ocr-ledger-") as folder:
        directory = Path(folder)
        directory.chmod(0o755)
        counts = on_parts_of_its_own(directory, options.events, options.kills, seed, _say)
    for line in counts.lines():
        _say(line)
    return int(bool(counts.problems))


if __name__ == "__main__":
    sys.exit(main())
