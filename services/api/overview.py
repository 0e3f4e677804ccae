"""The operator's view: lag, throughput, failures, dead letters, of all users and all replicas."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict
from sqlalchemy import Engine

from schemas.base import Timestamp, WireModel
from schemas.topics import RESULTS
from services.api.result_figures import Finished, ResultFigures, count_results
from services.api.result_list import read_offsets
from services.api.results import ResultStatus
from services.api.stores import in_thread
from services.api.topic_lag import BrokerFigures, BrokerWatch
from services.runtime.kafka import topic_name
from services.runtime.settings import KafkaSettings

WINDOW_MINUTES = 60
_MINUTE = timedelta(minutes=1)
_AGE_SECONDS_MAX = 2.0


_EXAMPLE: JsonDict = {
    "asOf": "2023-06-15T10:30:02.000Z",
    "windowMinutes": WINDOW_MINUTES,
    "completed": 240,
    "pages": 310,
    "tokens": 52100,
    "pending": 3,
    "oldestPendingAt": "2023-06-15T10:30:01.000Z",
    "usagePostedUntil": "2023-06-15T10:30:00.500Z",
    "lag": [
        {
            "topic": "ocr.uploads",
            "group": "ocr-extractor",
            "lag": 3,
            "partitions": [{"partition": 0, "lag": 3}, {"partition": 1, "lag": 0}],
        }
    ],
    "minutes": [{"minute": "2023-06-15T10:29:00.000Z", "completed": 4, "failed": 0, "refused": 0}],
    "failures": [{"code": "unreadable_document", "status": "failed", "count": 2}],
    "deadLetters": [{"topic": "ocr.uploads", "records": 1}],
}


class PartitionOverview(WireModel):
    """One partition of a topic."""

    partition: int
    lag: int = Field(description="Records that the group has not finished.")


class TopicOverview(WireModel):
    """One consumer group on one topic."""

    topic: str
    group: str
    lag: int = Field(description="Of all partitions.")
    partitions: tuple[PartitionOverview, ...]


class MinuteOverview(WireModel):
    """What ended within one minute."""

    minute: Timestamp = Field(description="When it began.")
    completed: int
    failed: int
    refused: int


class CodeOverview(WireModel):
    """How often requests ended for one reason."""

    code: str
    status: str = Field(description="`failed` (for good) or `refused` (may be asked for again).")
    count: int


class DeadLetterOverview(WireModel):
    """Undecodable records of one topic."""

    topic: str
    records: int


class Overview(WireModel):
    """How the installation does."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        frozen=True,
        extra="ignore",
        json_schema_extra={"examples": [_EXAMPLE]},
    )

    as_of: Timestamp
    window_minutes: int = Field(description="How far back completed, pages, tokens, minutes and failures go.")
    completed: int
    pages: int
    tokens: int
    pending: int = Field(description="Requests that the API took on and that have not ended.")
    oldest_pending_at: Timestamp | None
    usage_posted_until: Timestamp | None = Field(description="Up to when the ledger has debited; null: not heard of.")
    lag: tuple[TopicOverview, ...]
    minutes: tuple[MinuteOverview, ...] = Field(description="Every minute of the window, oldest first.")
    failures: tuple[CodeOverview, ...] = Field(description="Most frequent first.")
    dead_letters: tuple[DeadLetterOverview, ...] = Field(description="Of topics that have any.")


class Overviews:
    """Makes the overview; however many ask, broker and database are asked once in two seconds."""

    def __init__(
        self,
        engine: Engine,
        executor: Executor,
        kafka: KafkaSettings,
        usage_posted_until: Callable[[], datetime | None],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._executor = executor
        self._broker = BrokerWatch(kafka)
        self._results_topic = topic_name(kafka, RESULTS)
        self._usage_posted_until = usage_posted_until
        self._now = now
        self._clock = clock
        self._asking = asyncio.Lock()
        self._last: tuple[float, Overview] | None = None

    async def __call__(self) -> Overview:
        """The overview, at most two seconds old.

        Raises:
            TransientError: the broker or the database is away.
        """
        async with self._asking:
            if self._last is None or self._clock() - self._last[0] > _AGE_SECONDS_MAX:
                self._last = (self._clock(), await in_thread(self._executor, self._make))
            return self._last[1]

    def _make(self) -> Overview:
        now = self._now()
        figures = count_results(self._engine, first_minute(now))
        broker = self._broker.figures(read_offsets(self._engine, self._results_topic))
        return overview_of(now, figures, broker, self._usage_posted_until())


def first_minute(now: datetime) -> datetime:
    """When the window begins: with the first of the minutes that are shown."""
    return now.replace(second=0, microsecond=0) - (WINDOW_MINUTES - 1) * _MINUTE


def overview_of(
    now: datetime, figures: ResultFigures, broker: BrokerFigures, usage_posted_until: datetime | None
) -> Overview:
    """The overview that these figures make."""
    completed = [each for each in figures.finished if each.status is ResultStatus.COMPLETED]
    return Overview(
        as_of=now,
        window_minutes=WINDOW_MINUTES,
        completed=sum(each.count for each in completed),
        pages=sum(each.pages for each in completed),
        tokens=sum(each.tokens for each in completed),
        pending=figures.pending,
        oldest_pending_at=figures.oldest_pending_at,
        usage_posted_until=usage_posted_until,
        lag=tuple(
            TopicOverview(
                topic=each.topic,
                group=each.group,
                lag=sum(partition.lag for partition in each.partitions),
                partitions=tuple(
                    PartitionOverview(partition=partition.partition, lag=partition.lag) for partition in each.partitions
                ),
            )
            for each in broker.lag
        ),
        minutes=tuple(_minutes(first_minute(now), figures.finished)),
        failures=tuple(_failures(figures.finished)),
        dead_letters=tuple(
            DeadLetterOverview(topic=topic, records=records) for topic, records in broker.dead_letters.items()
        ),
    )


def _minutes(first: datetime, finished: Iterable[Finished]) -> Iterable[MinuteOverview]:
    counts: Counter[tuple[datetime, ResultStatus]] = Counter()
    for each in finished:
        counts[each.minute, each.status] += each.count
    for number in range(WINDOW_MINUTES):
        minute = first + number * _MINUTE
        yield MinuteOverview(
            minute=minute,
            completed=counts[minute, ResultStatus.COMPLETED],
            failed=counts[minute, ResultStatus.FAILED],
            refused=counts[minute, ResultStatus.REFUSED],
        )


def _failures(finished: Iterable[Finished]) -> Iterable[CodeOverview]:
    counts: Counter[tuple[str, ResultStatus]] = Counter()
    for each in finished:
        if each.code is not None:
            counts[each.code, each.status] += each.count
    for (code, status), count in counts.most_common():
        yield CodeOverview(code=code, status=status.value, count=count)
