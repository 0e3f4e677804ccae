"""Pages of the list of results: newest first, each after the place where the one before ended."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Engine, literal, select, tuple_

from services.api.cursors import decode_cursor, encode_cursor, invalid_cursor
from services.api.results import ListedResult, ResultStatus, listed_result
from services.api.tables import RESULTS
from services.runtime.database import UtcDateTime, reading

_ID = re.compile(r"[A-Za-z0-9_\-]{1,64}")


@dataclass(frozen=True)
class ListQuery:
    """Which of a user's results are asked for; `after` is the place of the last one seen."""

    user_id: str
    limit: int
    after: tuple[datetime, str] | None = None
    key: str | None = None
    status: ResultStatus | None = None


@dataclass(frozen=True)
class ListPage:
    """At most `limit` results; `next_cursor` is None at the end of the list."""

    results: Sequence[ListedResult]
    next_cursor: str | None


def place_of_cursor(cursor: str) -> tuple[datetime, str]:
    """Time and id of the last result that was seen. Raises `ApiError`: `invalid_request`."""
    requested_at, identity = decode_cursor(cursor, str, str)
    if _ID.fullmatch(identity) is None:
        raise invalid_cursor()
    try:
        return datetime.fromisoformat(requested_at).astimezone(UTC), identity
    except (ValueError, OverflowError) as error:
        raise invalid_cursor() from error


def list_results(engine: Engine, query: ListQuery) -> ListPage:
    """One page. What is requested meanwhile is newer than any cursor, so pages neither repeat nor skip.

    Raises:
        DatabaseUnavailable: the database is away.
    """
    columns = [RESULTS.c[name] for name in ListedResult.__dataclass_fields__]
    statement = (
        select(*columns)
        .where(RESULTS.c.user_id == query.user_id)
        .order_by(RESULTS.c.requested_at.desc(), RESULTS.c.id.desc())
        # One more than asked for tells whether there is a next page.
        .limit(query.limit + 1)
    )
    if query.key is not None:
        statement = statement.where(RESULTS.c.key == query.key)
    if query.status is not None:
        statement = statement.where(RESULTS.c.status == query.status.value)
    if query.after is not None:
        moment, identity = query.after
        here = tuple_(literal(moment, UtcDateTime()), literal(identity))
        statement = statement.where(tuple_(RESULTS.c.requested_at, RESULTS.c.id) < here)
    with reading(engine) as connection:
        rows = [listed_result(row) for row in connection.execute(statement).mappings()]
    page, more = rows[: query.limit], len(rows) > query.limit
    return ListPage(page, encode_cursor(page[-1].requested_at.isoformat(), page[-1].id) if more else None)
