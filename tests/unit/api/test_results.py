"""The list of results and the layout of one, in memory."""

from __future__ import annotations

from datetime import timedelta

import pytest

from schemas.events import ErrorCode, Failure
from services.api.cursors import encode_cursor
from services.api.keys import Scope
from services.api.listing import ListQuery
from services.api.results import ListedResult, ResultStatus
from tests.unit.api.fakes import KEY, NOW, RESULT_ID, USER, FakeWorld, api_key, app, document
from tests.unit.api.test_app import assert_error, call

LIST = "/api/ocr/results"
LAYOUT = f"/api/ocr/results/{RESULT_ID}/layout"


def test_a_page_has_every_field_of_every_result_and_the_way_to_the_next() -> None:
    done = ListedResult(
        RESULT_ID, USER, KEY, ResultStatus.COMPLETED, NOW, NOW + timedelta(seconds=1), None, None, "url", "en", 2, 1, 52
    )
    world = FakeWorld(rows={RESULT_ID: done}, next_cursor="next")
    assert call(app(world), "GET", LIST).json() == {
        "results": [
            {
                "id": RESULT_ID,
                "status": "completed",
                "key": KEY,
                "requestedAt": "2026-06-15T10:30:00.000Z",
                "createdAt": "2026-06-15T10:30:01.000Z",
                "deletedAt": None,
                "fileUrl": "url",
                "language": "en",
                "wordCount": 2,
                "pageCount": 1,
                "tokensUsed": 52,
                "code": None,
                "reason": None,
            }
        ],
        "nextCursor": "next",
    }
    assert world.queries == [ListQuery(USER, 20)]


def test_cursor_limit_key_and_status_reach_the_list() -> None:
    world = FakeWorld()
    cursor = encode_cursor(NOW.isoformat(), RESULT_ID)
    parameters = {"cursor": cursor, "limit": "7", "key": KEY, "status": "failed"}
    assert call(app(world), "GET", LIST, params=parameters).json() == {"results": [], "nextCursor": None}
    assert world.queries == [ListQuery(USER, 7, (NOW, RESULT_ID), KEY, ResultStatus.FAILED)]


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"limit": "0"}, "invalid_request"),
        ({"limit": "101"}, "invalid_request"),
        ({"limit": "ten"}, "invalid_request"),
        ({"status": "done"}, "invalid_request"),
        ({"key": "elsewhere/scan.jpg"}, "invalid_key"),
        ({"cursor": ""}, "invalid_request"),
        ({"cursor": "x" * 600}, "invalid_request"),
        ({"cursor": "*"}, "invalid_request"),
        ({"cursor": encode_cursor(1, 2)}, "invalid_request"),
        ({"cursor": encode_cursor("yesterday", RESULT_ID)}, "invalid_request"),
        ({"cursor": encode_cursor("0001-01-01T00:00:00+14:00", RESULT_ID)}, "invalid_request"),
        ({"cursor": encode_cursor(NOW.isoformat(), "a\x00b")}, "invalid_request"),
        ({"cursor": encode_cursor(NOW.isoformat(), "\ud800")}, "invalid_request"),
    ],
)
def test_what_no_list_ever_gave_is_refused(parameters: dict[str, str], code: str) -> None:
    world = FakeWorld()
    assert_error(call(app(world), "GET", LIST, params=parameters), 400, code)
    assert world.queries == []


@pytest.mark.parametrize("path", [LIST, LAYOUT])
def test_a_key_that_may_only_process_sees_no_results(path: str) -> None:
    world = FakeWorld(documents={(USER, RESULT_ID): document()})
    assert_error(call(app(world, key=api_key(Scope.PROCESS)), "GET", path), 403, "forbidden")


def test_a_layout_has_every_word_with_its_box_and_polygon() -> None:
    world = FakeWorld(documents={(USER, RESULT_ID): document("two words")})
    answer = call(app(world), "GET", LAYOUT)
    assert answer.headers["content-type"] == "application/json"
    layout = answer.json()
    assert (layout["id"], layout["key"], layout["language"]) == (RESULT_ID, KEY, "en")
    (page,) = layout["pages"]
    assert (page["width"], page["height"], page["orientation"], page["skewDegrees"]) == (1000, 2000, 0, 0.0)
    (block,) = page["blocks"]
    (line,) = block["lines"]
    assert [word["text"] for word in line["words"]] == ["two", "words"]
    assert line["words"][0] == {
        "text": "two",
        "confidence": 0.9,
        "box": [0.1, 0.1, 0.2, 0.11],
        "polygon": [[0.1, 0.1], [0.2, 0.1], [0.2, 0.11], [0.1, 0.11]],
    }


def test_a_layout_as_text_is_the_text() -> None:
    world = FakeWorld(documents={(USER, RESULT_ID): document("zwei Wörter\fSeite 2")})
    answer = call(app(world), "GET", LAYOUT, params={"format": "text"})
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.content == "zwei Wörter\fSeite 2".encode()
    assert answer.headers["content-disposition"] == f'inline; filename="{RESULT_ID}.txt"'


def test_a_format_that_does_not_exist_is_refused() -> None:
    world = FakeWorld(documents={(USER, RESULT_ID): document()})
    assert "format" in assert_error(call(app(world), "GET", LAYOUT, params={"format": "docx"}), 400, "invalid_request")


def test_what_has_no_layout_says_why() -> None:
    world = FakeWorld()
    assert_error(call(app(world), "GET", LAYOUT), 404, "file_not_found")
    world.rows[RESULT_ID] = ListedResult(RESULT_ID, USER, KEY, ResultStatus.PENDING, NOW, None, None, None)
    pending = call(app(world), "GET", LAYOUT)
    assert "pending" in assert_error(pending, 404, "file_not_found")
    assert pending.headers["retry-after"] == "5"
    world.rows[RESULT_ID] = ListedResult(RESULT_ID, "bob", KEY, ResultStatus.PENDING, NOW, None, None, None)
    assert "pending" not in assert_error(call(app(world), "GET", LAYOUT), 404, "file_not_found")
    world.rows[RESULT_ID] = ListedResult(RESULT_ID, USER, KEY, ResultStatus.REFUSED, NOW, NOW, "unavailable", "because")
    assert "because" in assert_error(call(app(world), "GET", LAYOUT), 404, "file_not_found")
    world.documents[USER, RESULT_ID] = document(deleted=True)
    assert_error(call(app(world), "GET", LAYOUT), 410, "result_deleted")
    failure = Failure(code=ErrorCode.UNREADABLE_DOCUMENT, reason="because")
    world.documents[USER, RESULT_ID] = document(error=failure)
    assert assert_error(call(app(world), "GET", LAYOUT), 422, "unreadable_document") == "because"
