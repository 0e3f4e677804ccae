"""The list of results in SQL: what was asked for, and what became of it."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, and_, case, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from schemas.document import Document
from schemas.events import ResultCompleted, ResultFailed, ResultRefused
from services.api.tables import RESULTS
from services.api.waiters import Reply
from services.runtime.database import arrays_as_table, arrays_of, reading, single_statement, transaction

_Insert = postgresql.Insert | sqlite.Insert

_KEPT = {"id", "user_id", "key", "requested_at", "asked_at"}
"""What an upsert leaves as it is."""

_CODE_OF_A_FAILURE = case((RESULTS.c.status == "failed", RESULTS.c.code))


class ResultStatus(StrEnum):
    """Where a result stands."""

    PENDING = "pending"
    COMPLETED = "completed"
    FAILED = "failed"
    REFUSED = "refused"
    DELETED = "deleted"


@dataclass(frozen=True)
class PendingResult:
    """A request that is about to be produced."""

    id: str
    user_id: str
    key: str
    requested_at: datetime


@dataclass(frozen=True)
class ListedResult:
    """A row of the list, as far as answers need it."""

    id: str
    user_id: str
    key: str
    status: ResultStatus
    requested_at: datetime
    finished_at: datetime | None
    code: str | None
    reason: str | None
    file_url: str | None = None
    language: str | None = None
    word_count: int | None = None
    page_count: int | None = None
    tokens_used: int | None = None
    deleted_at: datetime | None = None


def listed_result(row: RowMapping) -> ListedResult:
    """A row as it was read."""
    return ListedResult(**dict(row) | {"status": ResultStatus(row["status"])})


def find_result(engine: Engine, result_id: str) -> ListedResult | None:
    """The row of a result, None if it was never heard of. Raises `DatabaseUnavailable`."""
    columns = [RESULTS.c[name] for name in ListedResult.__dataclass_fields__]
    with reading(engine) as connection:
        row = connection.execute(select(*columns).where(RESULTS.c.id == result_id)).mappings().first()
    return None if row is None else listed_result(row)


def list_pending(connection: Connection, pending: Iterable[PendingResult]) -> None:
    """Lists requests; one that was refused before is pending again, one that is done stays done.

    A failure from before the request is pending again, too: who asks has found no document, so it was removed to have
    the object read anew. A failure from after it is of another request for the same object, and stands.
    """
    rows = {
        one.id: {
            "id": one.id,
            "user_id": one.user_id,
            "key": one.key,
            "status": ResultStatus.PENDING,
            "requested_at": one.requested_at,
            "asked_at": _to_the_millisecond(one.requested_at),
        }
        for one in pending
    }
    _execute(connection, _upsert_of_pending(connection.dialect.name), list(rows.values()))


def list_replies(connection: Connection, replies: Iterable[Reply]) -> None:
    """Lists what became of requests, in the order it was published.

    A refusal ends only what is open: it may come late, beside a result that was made after all. Nor does it end a later
    request than its own. Nothing brings a deleted result back.
    """
    rows: dict[str, dict[str, Any]] = {}
    for reply in replies:
        row = _row_of(reply)
        if reply.result_id not in rows or _outdoes(row, rows[reply.result_id]):
            rows[reply.result_id] = row
    _execute(connection, _upsert_of_replies(connection.dialect.name), list(rows.values()))


def list_deleted(engine: Engine, tombstone: Document) -> None:
    """Lists a result as deleted, also where the list has not heard of it yet. Raises `DatabaseUnavailable`.

    When it was made, what it cost and how much it held stays: what was done is not undone by deleting its text.
    """
    failed = tombstone.usage.outcome == "failed"
    row: dict[str, Any] = dict.fromkeys(column.name for column in RESULTS.columns)
    row |= {
        "id": tombstone.result_id,
        "user_id": tombstone.user_id,
        "key": tombstone.key,
        "status": ResultStatus.DELETED,
        "requested_at": tombstone.created_at,
        "finished_at": tombstone.created_at,
        "deleted_at": tombstone.deleted_at,
        "word_count": None if failed else tombstone.usage.words,
        "tokens_used": tombstone.usage.tokens,
    }
    changed = {name: value for name, value in row.items() if name not in _KEPT | {"page_count"}}
    changed["code"] = _CODE_OF_A_FAILURE if failed else None
    with transaction(engine) as connection:
        statement = _upsert(connection.dialect.name, list(row), changed, RESULTS.c.status != ResultStatus.DELETED)
        _execute(connection, statement, [row])


def list_removed(engine: Engine, user_id: str, result_id: str, removed_at: datetime) -> None:
    """Lists a result as deleted of which no document tells anything. Raises `DatabaseUnavailable`."""
    values = {
        "status": ResultStatus.DELETED,
        "deleted_at": removed_at,
        "code": _CODE_OF_A_FAILURE,
        **dict.fromkeys(("reason", "file_url", "language")),
    }
    own = and_(RESULTS.c.id == result_id, RESULTS.c.user_id == user_id, RESULTS.c.status != ResultStatus.DELETED)
    with transaction(engine) as connection:
        connection.execute(update(RESULTS).where(own).values(values))


class PendingWriter:
    """Writes pending rows; those that come while one transaction runs share the next one.

    A commit costs a disk's flush, and on SQLite the one writer's place, whether it holds one row or fifty.
    """

    def __init__(self, engine: Engine, executor: Executor) -> None:
        self._engine = engine
        self._executor = executor
        self._waiting: list[tuple[PendingResult, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def write(self, pending: PendingResult) -> None:
        """Returns when the row is committed. Raises `DatabaseUnavailable`."""
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((pending, written))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all())
        await written

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                await self._write_batch(batch)
        finally:
            self._writing = None

    async def _write_batch(self, batch: Sequence[tuple[PendingResult, asyncio.Future[None]]]) -> None:
        rows = [pending for pending, _ in batch]
        problem: BaseException | None = None
        try:
            await asyncio.get_running_loop().run_in_executor(self._executor, self._commit, rows)
        except Exception as error:  # each of those who wait gets it
            problem = error
        for _, written in batch:
            if written.done():
                continue
            if problem is None:
                written.set_result(None)
            else:
                written.set_exception(problem)

    def _commit(self, rows: Sequence[PendingResult]) -> None:
        with single_statement(self._engine) as connection:
            list_pending(connection, rows)


def _to_the_millisecond(moment: datetime) -> datetime:
    """A moment as it comes back from the wire."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _outdoes(row: Mapping[str, Any], earlier: Mapping[str, Any]) -> bool:
    """Whether a reply takes the place of one that was published before: no refusal that of a later request's."""
    if row["status"] != ResultStatus.REFUSED:
        return True
    if earlier["status"] != ResultStatus.REFUSED:
        return False
    return row["asked_at"] is None or earlier["asked_at"] is None or row["asked_at"] >= earlier["asked_at"]


def _row_of(reply: Reply) -> dict[str, Any]:
    moment = reply.created_at if isinstance(reply, ResultCompleted | ResultFailed) else reply.refused_at
    row: dict[str, Any] = dict.fromkeys(column.name for column in RESULTS.columns)
    row |= {
        "id": reply.result_id,
        "user_id": reply.user_id,
        "key": reply.key,
        "requested_at": moment,
        "finished_at": moment,
        "asked_at": reply.requested_at if isinstance(reply, ResultRefused) else None,
    }
    if isinstance(reply, ResultCompleted):
        return row | {
            "status": ResultStatus.COMPLETED,
            "file_url": reply.file_url.replace("\x00", ""),
            "language": reply.language.replace("\x00", ""),
            "word_count": reply.word_count,
            "page_count": reply.page_count,
            "tokens_used": reply.tokens_used,
        }
    status = ResultStatus.FAILED if isinstance(reply, ResultFailed) else ResultStatus.REFUSED
    # PostgreSQL cannot store a NUL; one in a reason must not keep the list from going on.
    reason = reply.error.reason.replace("\x00", "")
    return row | {"status": status, "code": reply.error.code.value, "reason": reason}


@cache
def _upsert_of_pending(dialect: str) -> _Insert:
    # Kept, as the next one is: to build it takes twice as long as to run it.
    asked_at = _insert(dialect).excluded["asked_at"]
    changed = {
        "status": ResultStatus.PENDING.value,
        "finished_at": None,
        "code": None,
        "reason": None,
        # Of the last that is written, not the latest: its own outcome is still to come, and must count.
        "asked_at": asked_at,
    }
    columns = ["id", "user_id", "key", "status", "requested_at", "asked_at"]
    open_now = or_(RESULTS.c.status == ResultStatus.PENDING, RESULTS.c.status == ResultStatus.REFUSED)
    outlived = and_(RESULTS.c.status == ResultStatus.FAILED, RESULTS.c.finished_at < asked_at)
    return _upsert(dialect, columns, changed, or_(open_now, outlived))


@cache
def _upsert_of_replies(dialect: str) -> _Insert:
    incoming = _insert(dialect).excluded
    # Results do not tell their request, nor does a refusal of an extractor from before 0008.
    told, known = incoming["asked_at"], RESULTS.c.asked_at
    not_overtaken = or_(told.is_(None), known.is_(None), told >= known)
    open_now = or_(RESULTS.c.status == ResultStatus.PENDING, RESULTS.c.status == ResultStatus.REFUSED)
    final = and_(incoming["status"] != ResultStatus.REFUSED, RESULTS.c.status != ResultStatus.DELETED)
    changed = {column.name: incoming[column.name] for column in RESULTS.columns if column.name not in _KEPT}
    where = or_(and_(open_now, not_overtaken), final)
    return _upsert(dialect, [column.name for column in RESULTS.columns], changed, where)


def _upsert(dialect: str, columns: list[str], changed: Mapping[str, Any], where: Any) -> _Insert:
    index = [RESULTS.c.id]
    if dialect == "postgresql":
        # One statement however many rows.
        new = arrays_as_table(RESULTS, columns)
        insert = postgresql.insert(RESULTS).from_select(columns, select(*(new.c[name] for name in columns)))
        return insert.on_conflict_do_update(index_elements=index, set_=dict(changed), where=where)
    return sqlite.insert(RESULTS).on_conflict_do_update(index_elements=index, set_=dict(changed), where=where)


def _insert(dialect: str) -> _Insert:
    return postgresql.insert(RESULTS) if dialect == "postgresql" else sqlite.insert(RESULTS)


def _execute(connection: Connection, upsert: _Insert, rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    # Every writer of several rows locks them in the same order, so that none waits for the other in a circle.
    rows.sort(key=lambda row: str(row["id"]))
    connection.execute(upsert, arrays_of(rows) if connection.dialect.name == "postgresql" else rows)
