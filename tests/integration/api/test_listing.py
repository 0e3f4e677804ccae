"""Pages of the list of results, on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Engine

from schemas.events import ErrorCode
from services.api.listing import ListQuery, list_results, place_of_cursor
from services.api.results import PendingResult, ResultStatus, list_pending, list_replies
from services.runtime.database import transaction
from tests.unit.api.fakes import KEY, NOW, RESULT_ID, USER, completed, failed


def pending(engine: Engine, name: str, minutes: float, user_id: str = USER, key: str = KEY) -> None:
    with transaction(engine) as connection:
        list_pending(connection, [PendingResult(name, user_id, key, NOW + timedelta(minutes=minutes))])


def ids(engine: Engine, query: ListQuery) -> list[str]:
    """All pages, one after the other."""
    found: list[str] = []
    while True:
        page = list_results(engine, query)
        assert len(page.results) <= query.limit
        found += [result.id for result in page.results]
        if page.next_cursor is None:
            return found
        query = ListQuery(query.user_id, query.limit, place_of_cursor(page.next_cursor), query.key, query.status)


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 6, 100])
def test_pages_are_newest_first_without_gap_or_repetition(engine: Engine, limit: int) -> None:
    for number in range(6):
        # Pairs of the same moment: the id decides between them.
        pending(engine, f"r{number}", number // 2)
    assert ids(engine, ListQuery(USER, limit)) == ["r5", "r4", "r3", "r2", "r1", "r0"]


def test_what_comes_while_somebody_reads_on_moves_nothing(engine: Engine) -> None:
    for number in range(4):
        pending(engine, f"r{number}", number)
    first = list_results(engine, ListQuery(USER, 2))
    pending(engine, "r9", 9)
    assert first.next_cursor is not None
    assert ids(engine, ListQuery(USER, 2, place_of_cursor(first.next_cursor))) == ["r1", "r0"]


def test_another_users_results_are_not_there(engine: Engine) -> None:
    pending(engine, "mine", 0)
    pending(engine, "theirs", 1, user_id="bob", key="ocr/bob/scan.jpg")
    assert ids(engine, ListQuery(USER, 10)) == ["mine"]
    assert ids(engine, ListQuery(USER, 10, key="ocr/bob/scan.jpg")) == []
    # A cursor of another's list is only a place in time.
    assert ids(engine, ListQuery(USER, 10, (NOW + timedelta(minutes=1), "theirs"))) == ["mine"]


def test_key_and_status_choose(engine: Engine) -> None:
    pending(engine, "a", 0)
    pending(engine, "b", 1, key="ocr/alice/other.jpg")
    with transaction(engine) as connection:
        list_replies(
            connection, [completed(), failed(ErrorCode.UNREADABLE_DOCUMENT).model_copy(update={"result_id": "f"})]
        )
    assert ids(engine, ListQuery(USER, 1, key="ocr/alice/other.jpg")) == ["b"]
    assert ids(engine, ListQuery(USER, 1, status=ResultStatus.PENDING)) == ["b", "a"]
    assert ids(engine, ListQuery(USER, 1, key=KEY, status=ResultStatus.FAILED)) == ["f"]
    (done,) = list_results(engine, ListQuery(USER, 10, status=ResultStatus.COMPLETED)).results
    assert (done.id, done.tokens_used, done.word_count, done.page_count, done.language) == (RESULT_ID, 52, 2, 1, "en")
