"""Pages of the open records through the one child: whose turn it is, and what an answer means for its record."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection

from confluent_kafka import KafkaException

from schemas.events import ErrorCode, Failure
from services.extractor.child import (
    Answer,
    Broken,
    Judge,
    Judged,
    Open,
    Opened,
    PageRead,
    ReadAtOnce,
    ReadPage,
    Task,
    Unreadable,
)
from services.extractor.jobs import DEATHS_MAX, Job
from services.extractor.lanes import Lane, Lanes
from services.extractor.recogniser import Died, Recogniser
from services.extractor.starts import StartCounter
from services.runtime.errors import Halt
from services.runtime.metrics import PAGE_SECONDS, PAGES

_log = logging.getLogger(__name__)

_BROKEN_RUN_MAX = 10


@dataclass(frozen=True)
class ReadThrough:
    """Every page was read."""

    job: Job
    language: str
    words: int


@dataclass(frozen=True)
class CannotRead:
    """The input cannot be read, for certain."""

    job: Job
    failure: Failure


@dataclass(frozen=True)
class GaveUp:
    """It was not read, and that says nothing about the input."""

    job: Job
    failure: Failure


@dataclass(frozen=True)
class TooLong:
    """It has more pages than somebody can be let wait for."""

    job: Job


Verdict = ReadThrough | CannotRead | GaveUp | TooLong


class Reading:
    """The records that take turns at the child. Belongs to the loop."""

    def __init__(
        self,
        recogniser: Recogniser,
        lanes: Lanes,
        starts: StartCounter,
        waiting_pages_max: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._recogniser = recogniser
        self._lanes = lanes
        self._starts = starts
        self._waiting_pages_max = waiting_pages_max
        self._clock = clock
        self._ready: dict[int, Job] = {}
        self._current: Job | None = None
        self._since = 0.0
        self._broken_run = 0
        self.draining = False
        """While the process is being stopped, whatever ends the child says nothing about the document."""

    @property
    def is_busy(self) -> bool:
        """Whether the child works, or is being started."""
        return not self._recogniser.idle

    def waitables(self) -> list[Connection]:
        """Readable when there is something to collect."""
        return self._recogniser.waitables()

    def enter(self, job: Job, *, suspect: bool) -> None:
        """A record takes part in the turns from its arrival on; a suspect will run alone."""
        self._lanes.add(job.number, job.lane, suspect=suspect)

    def ready(self, job: Job) -> None:
        """Its file lies in the spool, or its page was read: it waits for its next turn."""
        self._ready[job.number] = job

    def leave(self, job: Job) -> None:
        """It takes no more turns; an answer that is still to come is for nobody."""
        self._lanes.discard(job.number)
        self._ready.pop(job.number, None)
        self._recogniser.forget(job.path)
        if self._current is job:
            self._current = None

    def next(self) -> Verdict | None:
        """Gives the idle child the next task; a verdict if a suspect has had its last start."""
        if not self._recogniser.idle:
            return None
        if not self._ready:
            self._recogniser.recycle_if_grown()
            return None
        alone_before = self._lanes.alone
        number = self._lanes.next(set(self._ready))
        if number is None:
            return None
        job = self._ready[number]
        if self._lanes.alone == number != alone_before:
            try:
                starts_alone = self._starts.alone(job.partition)
            except KafkaException as error:
                # Uncounted it may not run; it goes to the end of its lane and is asked for again.
                _log.warning("a start alone could not be counted", extra={"reason": str(error)})
                self._lanes.discard(number)
                self._lanes.add(number, job.lane, suspect=True)
                return None
            if starts_alone >= DEATHS_MAX:
                return CannotRead(job, took_along())
        del self._ready[number]
        self._current, self._since = job, self._clock()
        self._recogniser.submit(_next_task(job))
        return None

    def collect(self) -> Verdict | None:
        """Takes the child's answer, if there is one, and says if it decides the record.

        Raises:
            Halt: the child cannot be started, or its engine fails on one document after the other.
        """
        answer = self._recogniser.collect()
        if answer is None:
            return None
        job, self._current = self._current, None
        if job is None:
            return None  # Its record was abandoned meanwhile.
        if not isinstance(answer, Broken | Died):
            self._broken_run = 0
        return self._judged(job, answer)

    def _judged(self, job: Job, answer: Answer | Died) -> Verdict | None:
        match answer:
            case Opened(media_type, page_units):
                return self._opened(job, media_type, page_units)
            case PageRead():
                self._page_read(job, answer)
                self.ready(job)
                return None
            case ReadAtOnce(opened, page, judged):
                job.opened, job.media_type, job.page_units = True, opened.media_type, opened.page_units
                self._page_read(job, page)
                return ReadThrough(job, judged.language, judged.words)
            case Judged(language, words):
                return ReadThrough(job, language, words)
            case Unreadable(code, reason):
                return CannotRead(job, Failure(code=ErrorCode(code), reason=reason))
            case Broken():
                return self._broken(job)
            case Died(reason):
                return self._died(job, reason)

    def _page_read(self, job: Job, page: PageRead) -> None:
        PAGES.labels(lane=job.lane).inc()
        PAGE_SECONDS.observe(self._clock() - self._since)
        job.pages.append(page.layout)
        job.texts.append(page.text)

    def _opened(self, job: Job, media_type: str, page_units: tuple[int, ...]) -> Verdict | None:
        job.opened, job.media_type, job.page_units = True, media_type, page_units
        if job.lane is Lane.WAITING and len(page_units) > self._waiting_pages_max:
            return TooLong(job)
        self.ready(job)
        return None

    def _died(self, job: Job, reason: str) -> Verdict | None:
        job.deaths += 0 if self.draining else 1
        if job.deaths < DEATHS_MAX:
            self.ready(job)
            return None
        text = f"Reading it ended the recogniser {job.deaths} times; the last time: {reason}."
        return CannotRead(job, Failure(code=ErrorCode.UNREADABLE_DOCUMENT, reason=text))

    def _broken(self, job: Job) -> Verdict | None:
        job.attempts += 1
        if job.attempts < DEATHS_MAX:
            self.ready(job)
            return None
        self._broken_run += 1
        if self._broken_run >= _BROKEN_RUN_MAX:
            raise Halt(f"the engine failed on {self._broken_run} documents in a row; see the log for its reason")
        return GaveUp(job, Failure(code=ErrorCode.UNAVAILABLE, reason="The engine failed; ask again."))


def took_along() -> Failure:
    """The failure of a document that ended the whole process again and again."""
    return Failure(
        code=ErrorCode.UNREADABLE_DOCUMENT, reason=f"Reading it ended the whole extractor {DEATHS_MAX} times."
    )


def _next_task(job: Job) -> Task:
    if not job.opened:
        return Open(job.path)
    if not job.complete:
        return ReadPage(job.path, len(job.pages))
    return Judge(job.path, job.text)
