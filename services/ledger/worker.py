"""The ledger's loop: usage in, entries and balances out, heartbeats beside it."""

import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from threading import Event

from confluent_kafka import Message

from schemas.cloudevents import Undecodable
from services.ledger.book import Batch
from services.ledger.consumer import UsageConsumer
from services.ledger.debit_spans import DebitSpans, NoDebitSpans
from services.ledger.decoding import decode_usage
from services.ledger.heartbeat import Heartbeats
from services.ledger.offsets import Rewound, Span
from services.ledger.posting import Outcome
from services.runtime.backoff import Backoff
from services.runtime.dead_letters import DeadLetters
from services.runtime.errors import TransientError
from services.runtime.health import Liveness
from services.runtime.metrics import LEDGER_BATCH, LOOP_TICK, TOKENS_DEBITED, USAGE_POSTED

_log = logging.getLogger(__name__)

Post = Callable[[Batch, datetime], Outcome]
Flush = Callable[[], None]


class Worker:
    """Posts usage, batch by batch.

    1. Gather records, from the offsets that SQL has.
    2. Decode; undecodable ones are queued as dead letters.
    3. Flush the dead letters: no offset may pass one that is not kept.
    4. Post entries, balances, outbox and offsets in one SQL transaction; until it stands, nothing else is read.
    5. Beat.
    """

    def __init__(
        self,
        consumer: UsageConsumer,
        post: Post,
        dead_letters: DeadLetters,
        flush: Flush,
        heartbeats: Heartbeats,
        *,
        batch_records_max: int,
        batch_wait_seconds: float,
        on_posted: Callable[[], None] = lambda: None,
        on_rewound: Callable[[], None] = lambda: None,
        spans: DebitSpans | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._consumer = consumer
        self._post = post
        self._dead_letters = dead_letters
        self._flush = flush
        self._heartbeats = heartbeats
        self._batch_records_max = batch_records_max
        self._batch_wait_seconds = batch_wait_seconds
        self._on_posted = on_posted
        self._on_rewound = on_rewound
        self._spans = spans or NoDebitSpans()
        self._now = now
        self._backoff = Backoff()
        self.liveness = Liveness()
        self.trouble: str | None = None
        """Why nothing is posted at the moment."""

    def run(self, stop: Event) -> None:
        """Works until `stop` is set; what is gathered and not posted then is read again by the next owner.

        Raises:
            Halt: a run of undecodable records.
        """
        self._consumer.start()
        while not stop.is_set():
            self.round(stop)

    def round(self, stop: Event) -> None:
        """Once round the loop."""
        self._tick()
        try:
            self._consumer.settle()
            self._go_on()
            messages = self._consumer.gather(self._batch_records_max, self._batch_wait_seconds)
            self._spans.gathered(messages)
            batch, any_dead = self._decode(messages)
        except TransientError as error:
            self._wait(error)
        else:
            self._post_all(batch, stop, flush=any_dead)
        self._heartbeats.beat(self._consumer.owned)

    def _tick(self) -> None:
        self.liveness.tick()
        LOOP_TICK.set_to_current_time()

    def _decode(self, messages: Sequence[Message]) -> tuple[Batch, bool]:
        batch, any_dead = Batch(), False
        for message in messages:
            partition, offset = int(message.partition() or 0), int(message.offset() or 0)
            try:
                batch.postings.append(decode_usage(message))
                self._dead_letters.decoded()
            except Undecodable as error:
                any_dead = True
                self._bury(message, str(error))
            begin = batch.spans[partition].begin if partition in batch.spans else self._begin(partition)
            batch.spans[partition] = Span(begin, offset + 1, _broker_time(message))
        return batch, any_dead

    def _bury(self, message: Message, reason: str) -> None:
        USAGE_POSTED.labels(fate="undecodable").inc()
        try:
            self._dead_letters.add(message, reason)
        except TransientError:
            # Nothing of what was gathered is posted yet: all of it is read again.
            self._consumer.set_adrift(list(self._consumer.owned))
            raise

    def _begin(self, partition: int) -> int | None:
        return self._consumer.owned[partition].next_offset

    def _post_all(self, batch: Batch, stop: Event, *, flush: bool) -> None:
        """Posts the batch, however long it takes, less the partitions that are lost meanwhile."""
        while batch.spans and not stop.is_set():
            try:
                if flush:
                    self._flush()
                with self._spans.posting() as attempt:
                    outcome = self._timed_post(batch)
            except Rewound as rewound:
                _log.error("%s; they are read again from there", rewound)
                self._consumer.set_adrift(rewound.stored)
                self._on_rewound()
            except TransientError as error:
                self._wait(error)
                self._heartbeats.beat(self._consumer.owned)
            else:
                self._posted(batch, outcome)
                self._spans.posted(batch, outcome, attempt)
                return
            batch = batch.without(batch.spans.keys() - self._consumer.owned.keys())

    def _timed_post(self, batch: Batch) -> Outcome:
        started = time.perf_counter()
        outcome = self._post(batch, self._now())
        LEDGER_BATCH.observe(time.perf_counter() - started)
        return outcome

    def _wait(self, error: TransientError) -> None:
        self.trouble = str(error)
        seconds = self._backoff.failed()
        _log.warning("nothing is posted for now: %s", error, extra={"retry_seconds": round(seconds, 2)})
        self._tick()
        self._consumer.hold(seconds)

    def _go_on(self) -> None:
        self.trouble = None
        self._consumer.release()

    def _posted(self, batch: Batch, outcome: Outcome) -> None:
        self._backoff.succeeded()
        self._go_on()
        for partition, span in batch.spans.items():
            self._consumer.owned[partition].posted(span.end, span.posted_until)
        _count(outcome)
        if outcome.entries:
            self._on_posted()


def _broker_time(message: Message) -> datetime | None:
    _kind, milliseconds = message.timestamp()
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds > 0 else None


def _count(outcome: Outcome) -> None:
    USAGE_POSTED.labels(fate="posted").inc(len(outcome.entries))
    USAGE_POSTED.labels(fate="duplicate").inc(outcome.duplicates)
    TOKENS_DEBITED.inc(-sum(entry.posting.amount for entry in outcome.entries))
    for conflict in outcome.conflicts:
        USAGE_POSTED.labels(fate="conflict").inc()
        _log.error(
            "a usage id came again with another payload; it is not applied",
            extra={
                "usage_id": conflict.posting.reference,
                "posted_hash": conflict.posted_hash,
                "payload_hash": conflict.posting.payload_hash,
                "partition": conflict.posting.partition,
                "offset": conflict.posting.offset,
            },
        )
