"""What became of requests lately, counted from the list of results: the same whichever replica is asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Engine, Integer, case, cast, extract, func, or_, select

from services.api.results import ResultStatus
from services.api.tables import RESULTS
from services.runtime.database import reading

_MINUTE_SECONDS = 60

_ENDED_AS: ColumnElement[str] = case(
    (RESULTS.c.status != ResultStatus.DELETED.value, RESULTS.c.status),
    (RESULTS.c.code.is_not(None), ResultStatus.FAILED.value),
    # Words are counted only where something was read; rows that were deleted before 0009 kept their price alone.
    (or_(RESULTS.c.word_count.is_not(None), RESULTS.c.tokens_used > 0), ResultStatus.COMPLETED.value),
    (RESULTS.c.tokens_used == 0, ResultStatus.FAILED.value),
    else_=ResultStatus.REFUSED.value,
)
"""How a result ended: one that was deleted since counts as what it was."""


@dataclass(frozen=True)
class Finished:
    """How many results ended in one way within one minute, and what they held."""

    minute: datetime
    status: ResultStatus
    code: str | None
    count: int
    pages: int
    tokens: int


@dataclass(frozen=True)
class ResultFigures:
    """Since some moment."""

    finished: Sequence[Finished]
    pending: int
    oldest_pending_at: datetime | None


def count_results(engine: Engine, since: datetime) -> ResultFigures:
    """What ended after `since`, and what is pending now, of all users. Raises `DatabaseUnavailable`."""
    columns = RESULTS.c
    second = extract("epoch", columns.finished_at)
    minute = cast(second - second % _MINUTE_SECONDS, Integer)
    ended = (
        select(
            minute.label("minute"),
            _ENDED_AS.label("status"),
            columns.code,
            func.count().label("count"),
            func.coalesce(func.sum(columns.page_count), 0).label("pages"),
            func.coalesce(func.sum(columns.tokens_used), 0).label("tokens"),
        )
        .where(columns.finished_at > since)
        .group_by(minute, _ENDED_AS, columns.code)
        .order_by(minute)
    )
    asked_at = func.coalesce(columns.asked_at, columns.requested_at)
    waiting = select(func.count(), func.min(asked_at)).where(columns.status == ResultStatus.PENDING)
    with reading(engine) as connection:
        rows = connection.execute(ended).all()
        pending, oldest = connection.execute(waiting).one()
    finished = [
        Finished(
            datetime.fromtimestamp(row.minute, UTC),
            ResultStatus(row.status),
            row.code,
            int(row[3]),
            int(row.pages),
            int(row.tokens),
        )
        for row in rows
    ]
    return ResultFigures(finished, int(pending), oldest)
