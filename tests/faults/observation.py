"""What is there at the end, read past the proxies; and when results came, while faults go on."""

from __future__ import annotations

import json
import time
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event, Thread

from confluent_kafka import OFFSET_BEGINNING, Message, TopicPartition
from sqlalchemy import Engine, select

from schemas.cloudevents import decode
from schemas.events import ResultCompleted, ResultFailed, UsageRecorded
from schemas.topics import RESULTS, TOPICS, USAGE
from services.ledger.audit import audit
from services.ledger.posting import user_account, user_of
from services.ledger.tables import accounts, entries, entry_lines
from services.local.ports import LOOPBACK
from services.runtime import groups
from services.runtime.database import reading
from services.runtime.kafka import consumer_config, create_consumer, topic_name
from services.webhook_registry.tables import DELIVERIES
from tests.faults.checker import Debit, Observed, Result
from tests.faults.history import Upload
from tests.faults.installation import Installation
from tests.faults.receiver import Receiver
from tests.support.unread import unread_records


@dataclass
class Downstream:
    """A read_committed consumer of results and usage, from their beginning, beside the proxies; and a webhook's."""

    where: Installation
    receiver: Receiver
    results: list[ResultCompleted | ResultFailed] = field(default_factory=list)
    usage: list[UsageRecorded] = field(default_factory=list)
    arrived: dict[str, float] = field(default_factory=dict)
    """When each terminal result came, on the monotonic clock, by its id."""
    _stopping: Event = field(default_factory=Event)

    @contextmanager
    def reading(self) -> Iterator[Downstream]:
        """Reads while the block runs."""
        thread = Thread(target=self._run, name="downstream")
        thread.start()
        try:
            yield self
        finally:
            self._stopping.set()
            thread.join(10.0)

    def _run(self) -> None:
        settings = self.where.kafka_settings
        consumer = create_consumer(consumer_config(settings, group=f"check-{uuid.uuid4()}", offset_reset="earliest"))
        names = [topic_name(settings, topic) for topic in (RESULTS, USAGE)]
        consumer.assign(
            [TopicPartition(name, number, OFFSET_BEGINNING) for name in names for number in range(settings.partitions)]
        )
        while not self._stopping.is_set():
            for message in consumer.consume(200, 0.1):
                if message.error() is None:
                    self._take(message)
        consumer.close()

    def _take(self, message: Message) -> None:
        event = decode(message.headers(), message.value()).data
        if isinstance(event, ResultCompleted | ResultFailed):
            self.results.append(event)
            self.arrived[event.result_id] = time.monotonic()
        elif isinstance(event, UsageRecorded):
            self.usage.append(event)


def observe(where: Installation, downstream: Downstream, keys: Mapping[str, str]) -> Observed:
    """Everything that the checker looks at. Raises what a part raises that is away."""
    observed = Observed(bucket=where.uploads_bucket)
    observed.stored = {found.key: found.etag for found in where.objects.list(where.uploads_bucket, "ocr/")}
    observed.results = [
        Result(result.result_id, isinstance(result, ResultCompleted), getattr(result, "tokens_used", 0))
        for result in list(downstream.results)
    ]
    observed.usage_ids = [usage.usage_id for usage in list(downstream.usage)]
    _read_ledger(where, observed)
    observed.told_balances = [_told(each.port, keys) for each in where.replicas.of("api")]
    observed.unread = {
        groups.EXTRACTOR: unread_records(
            where.kafka_settings, groups.EXTRACTOR, (topic for topic in TOPICS if topic.is_lane)
        )
    }
    # In this order: what is delivered between the two is in both.
    observed.to_be_told = to_be_told(where.engine, datetime.now(UTC))
    observed.told = {downstream.receiver.user_id: frozenset(downstream.receiver.told)}
    observed.unsigned = downstream.receiver.unsigned
    observed.audit_findings = [f"{finding.subject}: {finding.detail}" for finding in audit(where.engine).findings]
    return observed


def is_settled(observed: Observed, owed: Mapping[str, Upload]) -> bool:
    """Whether nothing is under way any more: a cheap look before the whole check."""
    done = {result.result_id for result in observed.results}
    charged = {debit.result_id for debit in observed.debits}
    return owed.keys() <= done and done <= charged and not any(observed.unread.values())


def _read_ledger(where: Installation, observed: Observed) -> None:
    columns = (entries.c.kind, entries.c.reference, entries.c.result_id, entries.c.user_id, entry_lines.c.amount)
    statement = select(*columns, entry_lines.c.account_id).join(entry_lines, entry_lines.c.entry_id == entries.c.id)
    with reading(where.engine) as connection:
        rows = [row for row in connection.execute(statement) if row.account_id == user_account(row.user_id)]
        balances = connection.execute(select(accounts.c.id, accounts.c.balance)).all()
    observed.debits = [
        Debit(row.reference, row.result_id, row.user_id, -row.amount) for row in rows if row.kind == "usage"
    ]
    observed.grants = {row.reference: (row.user_id, row.amount) for row in rows if row.kind == "grant"}
    observed.balances = {user: row.balance for row in balances if (user := user_of(row.id)) is not None}


def to_be_told(engine: Engine, now: datetime) -> frozenset[str]:
    """Ids of results whose delivery was tried, and whose next attempt lies ahead.

    One that was never tried, or that nobody takes up although it is due, is not among them.
    """
    tried = (DELIVERIES.c.status == "pending") & (DELIVERIES.c.attempts > 0)
    statement = select(DELIVERIES.c.result_id).where(tried, DELIVERIES.c.next_attempt_at > now)
    with reading(engine) as connection:
        return frozenset(connection.execute(statement).scalars())


def _told(port: int, keys: Mapping[str, str]) -> dict[str, int]:
    told = {}
    for user_id, key in keys.items():
        request = urllib.request.Request(f"http://{LOOPBACK}:{port}/api/tokens/balance", headers={"X-API-Key": key})
        with urllib.request.urlopen(request, timeout=10) as answer:
            told[user_id] = int(json.loads(answer.read())["balance"])
    return told
