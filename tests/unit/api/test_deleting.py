"""Deleting a result, in memory: the order of the steps, and what is answered."""

from __future__ import annotations

import pytest

from schemas.document import DocumentStatus
from schemas.events import ErrorCode, Failure
from services.api.keys import Scope
from services.api.results import ListedResult, ResultStatus
from services.runtime.errors import DatabaseUnavailable
from tests.unit.api.fakes import KEY, NOW, RESULT_ID, USER, FakeWorld, api_key, app, document
from tests.unit.api.test_app import assert_error, call

PATH = f"/api/ocr/results/{RESULT_ID}"


def test_the_tombstone_stands_before_the_list_says_so() -> None:
    world = FakeWorld(documents={(USER, RESULT_ID): document()})
    answer = call(app(world), "DELETE", PATH)
    assert (answer.status_code, answer.content) == (204, b"")
    assert world.log == ["bury", "list deleted"]
    assert world.documents[USER, RESULT_ID].status is DocumentStatus.DELETED
    assert call(app(world), "GET", PATH).json()["status"] == "deleted"
    assert_error(call(app(world), "POST", "/api/ocr/process", json={"key": KEY}), 410, "result_deleted")


def test_again_is_the_same_and_lists_it_again() -> None:
    world = FakeWorld(documents={(USER, RESULT_ID): document()})
    for _ in range(2):
        assert call(app(world), "DELETE", PATH).status_code == 204
    assert world.deleted[0] == world.deleted[1], "the first moment stays"


def test_a_deletion_that_the_list_has_not_heard_of_is_told_to_be_repeated() -> None:
    world = FakeWorld(documents={(USER, RESULT_ID): document()}, broken=DatabaseUnavailable("away"))
    assert_error(call(app(world), "DELETE", PATH), 503, "unavailable")
    world.broken = None
    assert call(app(world), "DELETE", PATH).status_code == 204
    assert len(world.deleted) == 1


def test_a_failure_can_be_deleted_too() -> None:
    error = Failure(code=ErrorCode.UNREADABLE_DOCUMENT, reason="because")
    world = FakeWorld(documents={(USER, RESULT_ID): document(error=error)})
    assert call(app(world), "DELETE", PATH).status_code == 204
    assert world.documents[USER, RESULT_ID].error is None


@pytest.mark.parametrize("user_id", [USER, "bob"])
def test_what_is_pending_can_not_be_deleted_yet_and_anothers_is_not_there(user_id: str) -> None:
    row = ListedResult(RESULT_ID, user_id, KEY, ResultStatus.PENDING, NOW, None, None, None)
    world = FakeWorld(rows={RESULT_ID: row})
    message = assert_error(call(app(world), "DELETE", PATH), 404, "file_not_found")
    assert ("pending" in message) == (user_id == USER)
    assert world.deleted == []


def test_nobody_deletes_what_is_not_there_or_not_an_id() -> None:
    world = FakeWorld(documents={("bob", RESULT_ID): document()})
    for path in (PATH, "/api/ocr/results/..%2Fx"):
        assert call(app(world), "DELETE", path).status_code == 404
    assert world.documents["bob", RESULT_ID].status is DocumentStatus.COMPLETED


def test_a_key_that_may_only_read_deletes_nothing() -> None:
    world = FakeWorld(documents={(USER, RESULT_ID): document()})
    assert_error(call(app(world, key=api_key(Scope.READ)), "DELETE", PATH), 403, "forbidden")
    assert world.log == []
