"""The extractor's loop: from a request to its document and its events.

For each record, in this order, each step with what it gives:

1. decode it                 undecodable: a dead letter, in the transaction that passes its offset: once.
2. count its start           if it takes this process along, three starts alone end it.
3. look for its document     found: its author alone publishes it; nothing is read or charged twice.
4. fetch the object          pinned to its etag: what is read is what was asked for.
5. read it page by page      in a child that may die; those who wait first.
6. create the document       if there is none: of all who try, one becomes author.
7. publish as the document   result, usage and offset in one transaction: all of it once, or none of it.

A partition that is revoked takes its open record along, whatever the step: the next owner begins anew.
"""

import logging
import select
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from socket import socket

from confluent_kafka import KafkaException, Message

from schemas.cloudevents import Undecodable
from schemas.document import Document
from schemas.events import ErrorCode, Failure, Price
from schemas.topics import REQUESTS, UPLOADS
from services.extractor import drafting, steps
from services.extractor.jobs import DEATHS_MAX, Job, Partition, decode_request
from services.extractor.lane_consumer import LaneConsumer
from services.extractor.lanes import Lane, Lanes
from services.extractor.outgoing import Outgoing
from services.extractor.publication import Finished, Publication
from services.extractor.reading import CannotRead, GaveUp, Reading, ReadThrough, TooLong, Verdict, took_along
from services.extractor.recogniser import Recogniser
from services.extractor.retrying import Retries
from services.extractor.settings import ExtractorSettings
from services.extractor.store_threads import StoreThreads
from services.extractor.trail import DOWNLOAD, PUBLISH, RECOGNISE, STORE, Trail
from services.runtime.dead_letters import UndecodableRun, dead_letter
from services.runtime.errors import TransientError
from services.runtime.metrics import ABANDONED_RECORDS, DROPPED_REQUESTS, LOOP_TICK, OPEN_RECORDS, RESULTS
from services.runtime.settings import KafkaSettings
from services.runtime.transactions import ProducerLost, Record, TransactionalPublisher

_log = logging.getLogger(__name__)

_IDLE_SECONDS = 0.1
_BUSY_SECONDS = 0.005
_BROKER_PAUSE_SECONDS = 0.2
_ADMISSION_PAUSE_SECONDS = 1.0
_LANE_TOPICS = {Lane.WAITING: REQUESTS.name, Lane.UPLOAD: UPLOADS.name}


@dataclass(frozen=True)
class Facts:
    """What the documents say beyond what was read."""

    price: Price
    file_url_base: str
    bytes_max: int
    uploads_bucket: str
    spool: Path


class Worker:
    """One membership in the extractor's group, from joining to leaving. Runs in one thread."""

    def __init__(
        self,
        *,
        kafka: KafkaSettings,
        settings: ExtractorSettings,
        publisher: TransactionalPublisher,
        recogniser: Recogniser,
        stores: steps.Stores,
        outgoing: Outgoing,
        facts: Facts,
        now: Callable[[], datetime],
        tick: Callable[[], None],
        numbers: Iterator[int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._recogniser = recogniser
        self._stores = stores
        self._outgoing = outgoing
        self._facts = facts
        self._now = now
        self._tick = tick
        self._clock = clock
        self._consumer = LaneConsumer(kafka, self._dropped)
        self._threads: StoreThreads[steps.Outcome] = StoreThreads(settings.store_threads)
        self._reading = Reading(
            recogniser, Lanes(settings.uploads_every), self._consumer.starts, settings.waiting_pages_max, clock
        )
        self._publication = Publication(publisher, clock)
        self._retries = Retries(settings.refuse_after_seconds)
        self._undecodable = UndecodableRun()
        # They go on over memberships: the recogniser may still be at work on a file of the last one.
        self._numbers = numbers
        self._jobs: dict[int, Job] = {}
        self._open: dict[Partition, Job] = {}
        self._broker_problem: str | None = "the consumer group is not joined yet"
        self._store_problem: str | None = None

    @property
    def problem(self) -> str | None:
        """What keeps records waiting: the broker, or the object store while a record fails on it; None when well."""
        broker = self._broker_problem or self._publication.problem
        if broker is not None:
            return f"the broker: {broker}"
        return None if self._store_problem is None else f"the object store: {self._store_problem}"

    def run(self, stop: threading.Event) -> None:
        """Works until `stop`, then finishes what ends in time and leaves the group.

        Raises:
            Halt: going on would lose or double something.
            ProducerLost: the last transaction's fate is unknown; a new membership finds it out.
        """
        try:
            self.join()
            while not stop.is_set():
                self.turn()
            self._drain()
        finally:
            self.leave()

    def leave(self) -> None:
        """Leaves the group; what is open is another's."""
        self._consumer.close()
        for partition in list(self._open):
            self._dropped(partition)
        # A download that was under way has written its file after its record was dropped.
        for number, _outcome in self._threads.close():
            self._spooled(number).unlink(missing_ok=True)
        for job in self._jobs.values():
            job.trail.end("abandoned")

    def join(self) -> None:
        """Joins the group."""
        self._consumer.subscribe()

    def _drain(self) -> None:
        self._reading.draining = True
        self._consumer.stop_accepting()
        deadline = self._clock() + self._settings.drain_seconds_max
        while (self._jobs or not self._publication.is_empty) and self._clock() < deadline:
            self.turn()
        _log.info("drained", extra={"abandoned": len(self._jobs)})

    def turn(self) -> None:
        """Once round the loop. Raises as `run`."""
        self._tick()
        LOOP_TICK.set_to_current_time()
        busy = bool(self._jobs) or not self._publication.is_empty or self._reading.is_busy
        self._receive(0.0 if busy else _IDLE_SECONDS)
        if busy or self._jobs:
            _wait([*self._reading.waitables(), self._threads.waitable], _BUSY_SECONDS)
        for number, outcome in self._threads.collect():
            self._stepped(number, outcome)
        self._decide(self._reading.collect())
        for again in self._retries.take_due(self._clock()):
            again()
        self._decide(self._reading.next())
        self._publish()

    # 1, 2: arrival

    def _receive(self, timeout_seconds: float) -> None:
        try:
            messages = self._consumer.receive(timeout_seconds)
        except TransientError as error:
            self._broker_problem = str(error)
            _log.warning("the broker: %s", error)
            time.sleep(_BROKER_PAUSE_SECONDS)
            return
        for message in messages:
            self._arrived(message)
        if self._consumer.joined:
            self._broker_problem = None

    def _arrived(self, message: Message) -> None:
        lane = self._consumer.lane(str(message.topic()))
        try:
            request, attributes, author = decode_request(message, self._facts.uploads_bucket)
        except Undecodable as error:
            self._undecodable.add(message, str(error))
            partition = (str(message.topic()), int(message.partition() or 0))
            letter = dead_letter(message, str(error))
            self._publication.add(partition, Finished(int(message.offset() or 0), [letter], None))
            return
        self._undecodable.end()
        number = next(self._numbers)
        trail = Trail(_LANE_TOPICS[lane], attributes)
        job = Job(number, lane, request, author, self._spooled(number), trail)
        try:
            starts = self._consumer.starts.begin(job.partition, author.offset)
        except KafkaException as error:
            _log.warning("a start could not be counted", extra={"reason": str(error)})
            self._consumer.rewind(job.partition, author.offset)
            trail.end("read again")
            return
        self._jobs[number] = self._open[job.partition] = job
        OPEN_RECORDS.labels(lane=lane).inc()
        self._reading.enter(job, suspect=starts.suspect)
        if starts.alone >= DEATHS_MAX:
            self._fail(job, took_along())
        else:
            self._look(job)

    # 3, 4: the document, the object

    def _look(self, job: Job) -> None:
        def look() -> steps.Outcome:
            return steps.look(
                self._stores,
                job.request,
                job.author,
                job.path,
                admission=job.lane is Lane.UPLOAD,
                bytes_max=self._facts.bytes_max,
            )

        job.trail.enter(DOWNLOAD)
        self._step(job, look)

    def _step(self, job: Job, step: Callable[[], steps.Outcome]) -> None:
        """Runs a step in a thread, and again later when it meets a passing trouble."""

        def guarded() -> steps.Outcome:
            with logged:
                try:
                    return step()
                except TransientError as error:
                    raise _StepFailed(error, step) from error

        logged = job.trail.current()

        self._threads.submit(job.number, guarded)

    def _spooled(self, number: int) -> Path:
        return self._facts.spool / str(number)

    def _stepped(self, number: int, outcome: steps.Outcome | Exception) -> None:
        job = self._jobs.get(number)
        if job is None:
            self._spooled(number).unlink(missing_ok=True)
        elif isinstance(outcome, _StepFailed):
            self._step_failed(job, outcome)
        elif isinstance(outcome, Exception):
            raise outcome
        else:
            self._step_passed(job, outcome)

    def _step_failed(self, job: Job, failed: "_StepFailed") -> None:
        def again() -> None:
            self._step(job, failed.step)

        now = self._clock()
        if isinstance(failed.error, steps.AdmissionUnknown):
            self._retries.wait(job, again, now, _ADMISSION_PAUSE_SECONDS)
            return
        self._store_problem = str(failed.error)
        ids = {"result_id": job.request.result_id, "attempt": job.attempts + 1}
        _log.warning("the object store: %s", failed.error, extra=ids)
        if not self._retries.later(job, again, now):
            self._store_problem = None  # It is this object's trouble: others passed.
            self._refuse(job, Failure(code=ErrorCode.UNAVAILABLE, reason="The object could not be read; ask again."))

    def _step_passed(self, job: Job, outcome: steps.Outcome) -> None:
        job.failing_since, job.attempts = None, 0
        self._store_problem = None
        for other in self._jobs.values():
            other.others_passed += 1
        match outcome:
            case steps.Downloaded():
                job.trail.enter(RECOGNISE)
                self._reading.ready(job)
            case steps.Publish(document):
                self._publishable(job, document)
            case steps.Drop():
                DROPPED_REQUESTS.inc()
                job.trail.set("ocr.outcome", "dropped")
                self._finish(job, [])
            case steps.Refuse(failure):
                self._refuse(job, failure)
            case steps.Fail(failure):
                self._fail(job, failure)

    # 5, 6: what was read, and its document

    def _decide(self, verdict: Verdict | None) -> None:
        match verdict:
            case ReadThrough(job, language, words):
                self._conclude(job, language, words)
            case CannotRead(job, failure):
                self._fail(job, failure)
            case GaveUp(job, failure):
                self._refuse(job, failure)
            case TooLong(job):
                self._leave_with(job, "passed_on")
                self._finish(job, self._outgoing.passed_on(job.request, job.trail.asked()))

    def _conclude(self, job: Job, language: str, words: int) -> None:
        engine = self._recogniser.engine
        assert engine is not None, "a page was read, so the models are loaded"
        at = self._now()

        def conclude() -> steps.Outcome:
            draft = drafting.completed(
                job.request,
                job.author,
                self._facts.price,
                pages=job.pages,
                text=job.text,
                language=language,
                words=words,
                media_type=job.media_type,
                engine=engine.engine,
                model_version=engine.model_version,
                url=drafting.file_url(self._facts.file_url_base, job.request.key),
                at=at,
            )
            return steps.conclude(self._stores.documents, draft)

        self._reading.leave(job)
        job.trail.set("ocr.pages", len(job.pages))
        job.trail.enter(STORE)
        self._step(job, conclude)

    def _fail(self, job: Job, failure: Failure) -> None:
        url = drafting.file_url(self._facts.file_url_base, job.request.key)
        draft = drafting.failed(job.request, job.author, self._facts.price, failure, url=url, at=self._now())
        self._reading.leave(job)
        job.trail.enter(STORE)
        self._step(job, lambda: steps.conclude(self._stores.documents, draft))

    # 7: publication

    def _publishable(self, job: Job, document: Document) -> None:
        code = document.error.code.value if document.error else ""
        RESULTS.labels(outcome=document.status.value, code=code, lane=job.lane).inc()
        self._leave_with(job, document.status.value, code)
        self._finish(job, self._outgoing.of_document(document, job.trail.asked()))

    def _refuse(self, job: Job, failure: Failure) -> None:
        RESULTS.labels(outcome="refused", code=failure.code.value, lane=job.lane).inc()
        self._leave_with(job, "refused", failure.code.value)
        self._finish(job, self._outgoing.of_refusal(job.request, failure, job.trail.asked()))

    def _leave_with(self, job: Job, outcome: str, code: str = "") -> None:
        job.trail.set("ocr.outcome", outcome)
        if code:
            job.trail.set("ocr.code", code)
        job.trail.enter(PUBLISH)

    def _finish(self, job: Job, records: list[Record]) -> None:
        self._reading.leave(job)
        self._publication.add(job.partition, Finished(job.author.offset, records, job))

    def _publish(self) -> None:
        try:
            published = self._publication.publish(self._consumer.group_metadata, len(self._jobs))
        except ProducerLost:
            # Their offsets may be committed. A start that were taken back now would set them back, and the records
            # would be published again.
            for partition in self._publication.partitions:
                self._consumer.starts.finished(partition)
            raise
        for partition, finished in published.items():
            self._consumer.starts.finished(partition)
            if finished.job is not None:
                self._close(finished.job)
            self._consumer.finished(partition)

    def _close(self, job: Job) -> None:
        del self._jobs[job.number]
        self._open.pop(job.partition, None)
        self._retries.discard(job.number)
        OPEN_RECORDS.labels(lane=job.lane).dec()
        job.path.unlink(missing_ok=True)
        job.trail.end()

    def _dropped(self, partition: Partition) -> None:
        """The partition is no longer ours: its record is abandoned where it stands."""
        self._publication.drop(partition)
        job = self._open.get(partition)
        if job is not None:
            ABANDONED_RECORDS.inc()
            job.trail.end("abandoned")
            self._reading.leave(job)
            self._close(job)


def _wait(waitables: Sequence[Connection | socket], seconds: float) -> None:
    """Until one of them is readable. Every turn of the loop begins with it, so no selector is built for it."""
    poll = select.poll()
    for waitable in waitables:
        poll.register(waitable.fileno(), select.POLLIN)
    poll.poll(seconds * 1000)


class _StepFailed(Exception):
    """A step met a passing trouble; it comes along so that it can be tried again."""

    def __init__(self, error: TransientError, step: Callable[[], steps.Outcome]) -> None:
        super().__init__(str(error))
        self.error = error
        self.step = step
