"""Keys and the list of results in SQL, on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, inspect, select

from schemas.events import ErrorCode, ResultRefused
from services.api.keys import ApiKeys, Scope, UnknownKey, hash_key, looks_like_key
from services.api.result_list import OffsetMoved, advance_offsets, clear_offsets, read_offsets
from services.api.results import (
    ListedResult,
    PendingResult,
    PendingWriter,
    ResultStatus,
    find_result,
    list_deleted,
    list_pending,
    list_replies,
)
from services.api.tables import API_KEYS, METADATA, RESULTS
from services.api.waiters import Reply
from services.runtime.database import create_database, reading, transaction
from services.runtime.errors import DatabaseUnavailable
from services.runtime.migrations import migrate_engine
from services.runtime.settings import DatabaseSettings
from tests.unit.api.fakes import KEY, NOW, RESULT_ID, USER, completed, document, failed, refused

SECOND = timedelta(seconds=1)


def pending(engine: Engine, moment: datetime = NOW) -> None:
    with transaction(engine) as connection:
        list_pending(connection, [PendingResult(RESULT_ID, USER, KEY, moment)])


def publish(engine: Engine, *replies: Reply) -> None:
    with transaction(engine) as connection:
        list_replies(connection, replies)


def row(engine: Engine) -> ListedResult:
    found = find_result(engine, RESULT_ID)
    assert found is not None
    return found


def test_the_migrations_make_the_tables_that_the_code_speaks_of(engine: Engine) -> None:
    inspector = inspect(engine)
    for table in METADATA.sorted_tables:
        made = {column["name"]: column["nullable"] for column in inspector.get_columns(table.name)}
        assert made == {column.name: column.nullable for column in table.columns}
        assert inspector.get_pk_constraint(table.name)["constrained_columns"] == list(table.primary_key.columns.keys())


def test_a_key_is_shown_once_and_kept_as_a_hash(engine: Engine) -> None:
    keys = ApiKeys(engine)
    made, text = keys.create(USER, [Scope.READ], now=NOW, label="console")
    assert looks_like_key(text)
    assert keys.find(text) == made
    with reading(engine) as connection:
        stored = connection.execute(select(API_KEYS)).mappings().one()
    assert stored["key_hash"] == hash_key(text)
    assert text not in str(dict(stored))
    assert text.startswith(made.hint)
    assert len(made.hint) < 12


def test_two_keys_of_a_user_are_valid_at_once_and_each_ends_alone(engine: Engine) -> None:
    keys = ApiKeys(engine)
    (old, old_text), (_, new_text) = (keys.create(USER, list(Scope), now=NOW + timedelta(n)) for n in range(2))
    later = NOW + timedelta(5)
    keys.revoke(old.id, later)
    keys.revoke(old.id, later + timedelta(1))
    ended, current = keys.find(old_text), keys.find(new_text)
    assert ended is not None
    assert ended.revoked_at == later, "it stays revoked since the first time"
    assert not ended.is_valid(later)
    assert current is not None
    assert current.is_valid(later)
    assert [key.id for key in keys.list(USER)] == [ended.id, current.id]
    assert keys.list("bob") == []
    assert len(keys.list()) == 2
    with pytest.raises(UnknownKey):
        keys.revoke(str(uuid.uuid4()), later)
    assert keys.find(new_text[:-1] + ("x" if new_text[-1] != "x" else "y")) is None


def test_a_key_expires_to_the_moment(engine: Engine) -> None:
    _, text = ApiKeys(engine).create(USER, list(Scope), now=NOW, expires_at=NOW + timedelta(1))
    key = ApiKeys(engine).find(text)
    assert key is not None
    assert key.is_valid(NOW + timedelta(1) - timedelta(microseconds=1))
    assert not key.is_valid(NOW + timedelta(1))


@pytest.mark.parametrize("user_id", ["", "a/b", "..", "a..b", "x" * 65, "ü", "-a"])
def test_what_cannot_be_a_folder_of_the_bucket_gets_no_key(sqlite_url: str, user_id: str) -> None:
    keys = ApiKeys(create_database(DatabaseSettings(url=SecretStr(sqlite_url))))
    with pytest.raises(ValueError, match="user id"):
        keys.create(user_id, list(Scope), now=NOW)


def test_a_request_is_pending_until_its_result_comes(engine: Engine) -> None:
    assert find_result(engine, RESULT_ID) is None
    pending(engine)
    assert row(engine) == ListedResult(RESULT_ID, USER, KEY, ResultStatus.PENDING, NOW, None, None, None)
    publish(engine, completed())
    assert (row(engine).status, row(engine).requested_at) == (ResultStatus.COMPLETED, NOW)


def test_a_result_that_nobody_requested_here_is_listed_too(engine: Engine) -> None:
    publish(engine, completed())
    with reading(engine) as connection:
        stored = connection.execute(select(RESULTS)).mappings().one()
    assert (stored["status"], stored["tokens_used"], stored["word_count"]) == ("completed", 52, 2)
    assert (stored["language"], stored["page_count"], stored["finished_at"]) == ("en", 1, NOW)


def test_many_results_are_listed_at_once(engine: Engine) -> None:
    publish(engine, *(completed().model_copy(update={"result_id": f"r{n}"}) for n in range(50)))
    with reading(engine) as connection:
        assert len(connection.execute(select(RESULTS.c.id)).all()) == 50


def test_the_same_event_twice_is_the_same_row(engine: Engine) -> None:
    publish(engine, completed())
    before = row(engine)
    publish(engine, completed(), completed())
    assert row(engine) == before


def test_a_request_does_not_open_what_is_done(engine: Engine) -> None:
    for reply, status in ((failed(ErrorCode.UNREADABLE_DOCUMENT), "failed"), (completed(), "completed")):
        publish(engine, reply)
        pending(engine)
        assert row(engine).status == status


def test_what_was_refused_is_pending_again_when_it_is_asked_for_again(engine: Engine) -> None:
    pending(engine)
    publish(engine, refused(ErrorCode.UNAVAILABLE))
    assert (row(engine).status, row(engine).code) == (ResultStatus.REFUSED, "unavailable")
    pending(engine)
    assert (row(engine).status, row(engine).code, row(engine).reason) == (ResultStatus.PENDING, None, None)


def refused_of(requested_at: datetime | None, code: ErrorCode = ErrorCode.INSUFFICIENT_TOKENS) -> ResultRefused:
    """The refusal of the request of a moment, as it comes from the wire."""
    reply = refused(code).model_copy(update={"requested_at": requested_at, "refused_at": NOW})
    return ResultRefused.model_validate_json(reply.to_json())


def test_a_failure_whose_document_was_removed_is_pending_when_it_is_asked_for_again(engine: Engine) -> None:
    pending(engine, NOW - SECOND)
    publish(engine, failed(ErrorCode.UNREADABLE_DOCUMENT))
    pending(engine, NOW + SECOND)
    again = row(engine)
    assert (again.status, again.code, again.reason, again.finished_at) == (ResultStatus.PENDING, None, None, None)
    publish(engine, completed())
    assert row(engine).status is ResultStatus.COMPLETED


def test_a_failure_that_came_after_the_request_was_made_stands(engine: Engine) -> None:
    publish(engine, failed(ErrorCode.UNREADABLE_DOCUMENT))
    pending(engine, NOW - SECOND)
    assert (row(engine).status, row(engine).code) == (ResultStatus.FAILED, "unreadable_document")


@pytest.mark.parametrize("known", [True, False])
def test_a_refusal_of_an_earlier_request_does_not_end_a_later_one(engine: Engine, known: bool) -> None:
    if known:
        publish(engine, refused_of(NOW - 2 * SECOND))
    pending(engine)
    publish(engine, refused_of(NOW - SECOND))
    assert (row(engine).status, row(engine).code) == (ResultStatus.PENDING, None)
    publish(engine, refused_of(NOW, ErrorCode.UNAVAILABLE))
    assert (row(engine).status, row(engine).code) == (ResultStatus.REFUSED, "unavailable")
    publish(engine, refused_of(NOW - SECOND))
    assert row(engine).code == "unavailable", "what comes late, of a request before, is passed over"


def test_the_refusal_of_a_request_ends_it_though_the_wire_has_milliseconds_alone(engine: Engine) -> None:
    moment = NOW.replace(microsecond=123_456)
    pending(engine, moment)
    publish(engine, refused_of(moment))
    assert row(engine).status is ResultStatus.REFUSED


def test_of_two_refusals_in_a_batch_the_later_requests_counts(engine: Engine) -> None:
    pending(engine)
    publish(engine, refused_of(NOW, ErrorCode.UNAVAILABLE), refused_of(NOW - SECOND))
    assert (row(engine).status, row(engine).code) == (ResultStatus.REFUSED, "unavailable")


def test_of_two_requests_the_one_that_is_listed_last_is_ended_by_its_own_refusal(engine: Engine) -> None:
    pending(engine)
    pending(engine, NOW - SECOND)
    publish(engine, refused_of(NOW - SECOND))
    assert row(engine).status is ResultStatus.REFUSED


def test_a_refusal_that_does_not_tell_its_request_ends_what_is_open(engine: Engine) -> None:
    pending(engine)
    publish(engine, refused_of(None))
    assert row(engine).status is ResultStatus.REFUSED


@pytest.mark.parametrize("together", [True, False])
def test_a_late_refusal_does_not_undo_a_result(engine: Engine, together: bool) -> None:
    replies: list[Reply] = [completed(), refused(ErrorCode.OBJECT_CHANGED)]
    for batch in [replies] if together else [[reply] for reply in replies]:
        publish(engine, *batch)
    assert (row(engine).status, row(engine).code) == (ResultStatus.COMPLETED, None)


@pytest.mark.parametrize("listed_before", [True, False])
def test_a_deleted_result_does_not_come_back(engine: Engine, listed_before: bool) -> None:
    if listed_before:
        publish(engine, completed())
    tombstone = document().tombstone(NOW + timedelta(1))
    list_deleted(engine, tombstone)
    publish(engine, completed())
    publish(engine, refused(ErrorCode.UNAVAILABLE))
    pending(engine)
    list_deleted(engine, tombstone.model_copy(update={"deleted_at": NOW + timedelta(2)}))
    deleted = row(engine)
    assert (deleted.status, deleted.deleted_at) == (ResultStatus.DELETED, NOW + timedelta(1))
    assert (deleted.finished_at, deleted.tokens_used, deleted.word_count) == (NOW, 52, 2)
    assert deleted.page_count == (1 if listed_before else None)
    assert (deleted.file_url, deleted.language, deleted.reason) == (None, None, None)


def test_a_reason_that_sql_cannot_hold_stops_nothing(engine: Engine) -> None:
    publish(engine, failed(ErrorCode.UNREADABLE_DOCUMENT, "a\x00b"))
    assert row(engine).reason == "ab"


def test_two_replicas_never_both_move_an_offset(engine: Engine) -> None:
    def advance(was: int | None, now: int) -> None:
        with transaction(engine) as connection:
            advance_offsets(connection, "t", {0: was}, {0: now})

    advance(None, 5)
    with pytest.raises(OffsetMoved):
        advance(None, 7)
    advance(5, 9)
    with pytest.raises(OffsetMoved):
        advance(5, 8)
    assert read_offsets(engine, "t") == {0: 9}
    clear_offsets(engine)
    clear_offsets(engine)
    assert read_offsets(engine, "t") == {}


def test_offsets_of_several_partitions_move_together_or_not_at_all(engine: Engine) -> None:
    with transaction(engine) as connection:
        advance_offsets(connection, "t", {0: None, 1: None}, {0: 3, 1: 4})
        advance_offsets(connection, "other", {0: None}, {0: 70})
    with transaction(engine) as connection:
        advance_offsets(connection, "t", {0: 3, 1: 4, 2: None, 9: 1}, {0: 5, 1: 6, 2: 7})

    with pytest.raises(OffsetMoved), transaction(engine) as connection:
        advance_offsets(connection, "t", {0: 5, 1: 4, 2: 7}, {0: 8, 1: 8, 2: 8})

    assert read_offsets(engine, "t") == {0: 5, 1: 6, 2: 7}
    assert read_offsets(engine, "other") == {0: 70}


def test_rows_and_offset_are_written_together_or_not_at_all(engine: Engine) -> None:
    def attempt() -> None:
        with transaction(engine) as connection:
            advance_offsets(connection, "t", {0: None}, {0: 1})
            list_replies(connection, [completed()])
            raise RuntimeError("killed in between")

    with pytest.raises(RuntimeError):
        attempt()
    assert find_result(engine, RESULT_ID) is None
    assert read_offsets(engine, "t") == {}


def test_rows_that_come_together_are_all_committed(engine: Engine) -> None:
    async def run() -> None:
        with ThreadPoolExecutor(2) as pool:
            writer = PendingWriter(engine, pool)
            rows = [PendingResult(f"r{n % 40}", USER, KEY, datetime.now(UTC)) for n in range(100)]
            await asyncio.gather(*(writer.write(each) for each in rows))

    asyncio.run(run())
    with reading(engine) as connection:
        assert len(connection.execute(select(RESULTS.c.id)).all()) == 40


def test_who_waits_for_a_commit_that_fails_is_told_and_the_next_succeeds(sqlite_url: str) -> None:
    engine = create_database(DatabaseSettings(url=SecretStr(sqlite_url), lock_timeout_seconds=0.1))
    migrate_engine(engine)

    async def run() -> None:
        with ThreadPoolExecutor(2) as pool:
            writer = PendingWriter(engine, pool)
            one = PendingResult("r1", USER, KEY, NOW)
            with transaction(engine):
                outcomes = await asyncio.gather(
                    *(writer.write(replace(one, id=f"r{n}")) for n in range(3)), return_exceptions=True
                )
            assert [type(outcome) for outcome in outcomes] == [DatabaseUnavailable] * 3
            await writer.write(one)

    asyncio.run(run())
    assert find_result(engine, "r1") is not None
    assert find_result(engine, "r2") is None
