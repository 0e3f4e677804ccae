"""The web application in memory: shapes, codes, headers."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import httpx
import pytest

from schemas.events import ErrorCode, Failure
from services.api.keys import Scope
from services.api.results import ListedResult, ResultStatus
from services.api.settings import ApiSettings
from services.runtime.errors import BrokerUnavailable, DatabaseUnavailable, StoreUnavailable
from tests.support.spans import id_of, parent_of, spans_in_memory, trace_of
from tests.unit.api.fakes import (
    API_KEY,
    KEY,
    NOW,
    RESULT_ID,
    USER,
    FakeWorld,
    api_key,
    app,
    balances,
    completed,
    document,
    failed,
)

PROCESS = "/api/ocr/process"
UPLOAD = "/api/files/upload"


def call(
    application: Any,
    method: str,
    path: str,
    *,
    key: str | None = API_KEY,
    headers: Mapping[Any, Any] | None = None,
    **content: Any,
) -> httpx.Response:
    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            sent = dict(headers or {}) | ({"X-API-Key": key} if key is not None else {})
            return await client.request(method, path, headers=sent, **content)

    return asyncio.run(run())


def assert_error(answer: httpx.Response, status: int, code: str) -> str:
    body = answer.json()
    assert (answer.status_code, body["code"]) == (status, code)
    assert set(body) == {"error", "code", "requestId"}
    assert body["requestId"] == answer.headers["x-request-id"]
    assert body["error"]
    return str(body["error"])


def test_a_result_has_the_contracts_fields_and_no_others() -> None:
    world = FakeWorld()
    world.answer_with(completed())
    answer = call(app(world), "POST", PROCESS, json={"key": KEY})
    assert answer.status_code == 200
    assert answer.json() == {
        "id": RESULT_ID,
        "text": "two words",
        "key": KEY,
        "fileUrl": f"https://files.example.com/{KEY}",
        "createdAt": "2026-06-15T10:30:00.000Z",
        "wordCount": 2,
        "tokensUsed": 52,
        "language": "en",
    }


def test_respond_async_is_a_202_with_a_location_that_answers() -> None:
    world = FakeWorld()
    application = app(world)
    answer = call(application, "POST", PROCESS, json={"key": KEY}, headers={"Prefer": "respond-async"})
    assert (answer.status_code, answer.json()) == (202, {"id": RESULT_ID, "status": "pending"})
    assert answer.headers["preference-applied"] == "respond-async"
    world.documents[USER, RESULT_ID] = document()
    assert call(application, "GET", answer.headers["location"]).json()["status"] == "completed"


def test_several_prefer_headers_are_one() -> None:
    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app(FakeWorld(), settings=ApiSettings(wait_seconds_max=1.0)))
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            headers = [("X-API-Key", API_KEY), ("Prefer", "wait=5"), ("Prefer", "wait=9, respond-async")]
            return await client.post(PROCESS, json={"key": KEY}, headers=headers)

    answer = asyncio.run(run())
    assert (answer.status_code, answer.headers["preference-applied"]) == (202, "respond-async, wait=1"), (
        "no longer than is waited"
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"content": b'{"key": '}, "not valid JSON"),
        ({"content": b""}, "body is missing"),
        ({"content": b"\xff\xfe"}, "not valid JSON"),
        ({"content": b"[" * 30_000}, "not valid JSON"),
        ({"content": b'{"key": ' + b"9" * 5000 + b"}"}, "not valid JSON"),
        ({"json": []}, "no JSON object"),
        ({"json": "ocr/alice/scan.jpg"}, "no JSON object"),
        ({"json": None}, "send a JSON object"),
        ({"content": b'{"key": NaN}'}, "key"),
        ({"json": {}}, "key"),
        ({"json": {"key": None}}, "key"),
        ({"json": {"key": 7}}, "key"),
        ({"json": {"key": [KEY]}}, "key"),
        ({"json": {"key": {"a": 1}}}, "key"),
        ({"json": {"KEY": KEY}}, "key"),
    ],
)
def test_a_malformed_body_is_a_400_of_the_one_shape(content: dict[str, Any], says: str) -> None:
    headers = {"Content-Type": "application/json"}
    answer = call(app(FakeWorld()), "POST", PROCESS, headers=headers, **content)
    assert says in assert_error(answer, 400, "invalid_request")


def test_what_was_sent_is_not_told_back() -> None:
    answer = call(app(FakeWorld()), "POST", PROCESS, json={"key": 123456789})
    assert "123456789" not in answer.text


@pytest.mark.parametrize(
    ("content_type", "says"),
    [
        (None, "(none was sent)"),
        ("application/x-www-form-urlencoded", "(application/x-www-form-urlencoded)"),
        ("text/plain", "(text/plain)"),
        ("<script>", "(none was sent)"),
    ],
)
def test_json_that_is_sent_as_something_else_is_told_so(content_type: str | None, says: str) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = call(app(FakeWorld()), "POST", PROCESS, headers=headers, content=json.dumps({"key": KEY}).encode())
    assert says in assert_error(answer, 400, "invalid_request")
    assert answer.json()["error"].endswith("send application/json")


def test_a_body_too_long_is_refused_whether_it_says_so_or_not() -> None:
    async def chunks() -> Any:
        for _ in range(20):
            yield b'{"key": "' + b"x" * 8192

    application = app(FakeWorld(), settings=ApiSettings(body_bytes_max=8192))
    headers = {"Content-Type": "application/json"}
    for content in (b"x" * 10_000, chunks()):
        answer = call(application, "POST", PROCESS, headers=headers, content=content)
        assert_error(answer, 413, "request_too_large")


@pytest.mark.parametrize("key", [None, "", "nonsense", "ocr_" + "x" * 43, "ocr_" + "k" * 42, "k" * 10_000, "ocr_é"])
def test_without_a_valid_api_key_nothing_is_done(key: str | None) -> None:
    world = FakeWorld()
    headers = {} if key is None else {b"X-API-Key": key.encode()}
    for method, path in (("POST", PROCESS), ("GET", f"/api/ocr/results/{RESULT_ID}"), ("GET", "/api/tokens/balance")):
        body = {"json": {"key": KEY}} if method == "POST" else {}
        answer = call(app(world), method, path, key=None, headers=headers, **body)
        assert_error(answer, 401, "invalid_api_key")
        assert answer.headers["www-authenticate"] == "ApiKey"
    assert world.log == []


def test_an_expired_key_is_no_key() -> None:
    answer = call(app(FakeWorld(), key=api_key(expires_at=NOW)), "POST", PROCESS, json={"key": KEY})
    assert_error(answer, 401, "invalid_api_key")


@pytest.mark.parametrize(
    ("scope", "method", "path", "body"),
    [
        (Scope.READ, "POST", PROCESS, {"key": KEY}),
        (Scope.READ, "POST", UPLOAD, {"filename": "a.jpg", "contentType": "image/jpeg", "size": 1}),
        (Scope.PROCESS, "GET", f"/api/ocr/results/{RESULT_ID}", None),
        (Scope.PROCESS, "GET", "/api/tokens/balance", None),
    ],
)
def test_a_key_without_the_scope_is_forbidden(scope: Scope, method: str, path: str, body: Any) -> None:
    world = FakeWorld()
    answer = call(app(world, key=api_key(scope)), method, path, **({"json": body} if body else {}))
    assert_error(answer, 403, "forbidden")
    assert world.log == []


def test_unknown_pages_and_methods_have_the_one_shape() -> None:
    application = app(FakeWorld())
    assert_error(call(application, "GET", "/api/nothing"), 404, "not_found")
    assert_error(call(application, "GET", PROCESS + "/"), 404, "not_found")
    answer = call(application, "PUT", PROCESS)
    assert_error(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"
    assert answer.json()["error"] == "This page does not take PUT; it takes POST"
    both = call(application, "PUT", f"/api/ocr/results/{RESULT_ID}")
    assert both.headers["allow"] == "DELETE, GET", "of all routes of the page"


def test_a_request_id_is_echoed_when_it_is_sane_and_made_when_not() -> None:
    application = app(FakeWorld())
    assert call(application, "GET", "/healthz", headers={"X-Request-Id": "abc-1"}).headers["x-request-id"] == "abc-1"
    for insane in ("", "a b", "x" * 200, "<script>", "a\tb"):
        made = call(application, "GET", "/healthz", headers={"X-Request-Id": insane}).headers["x-request-id"]
        assert made != insane
        assert len(made) == 36


@pytest.mark.parametrize("broken", [StoreUnavailable("10.1.2.3"), DatabaseUnavailable("x"), BrokerUnavailable("x")])
def test_a_dependency_that_is_down_is_a_503_with_retry_after(broken: Exception) -> None:
    answer = call(app(FakeWorld(broken=broken)), "POST", PROCESS, json={"key": KEY})
    assert "10.1.2.3" not in assert_error(answer, 503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0


def test_one_too_many_is_a_503_with_retry_after() -> None:
    application = app(FakeWorld())
    flight = application.state.parts.processor.in_flight
    with flight.slot("x"):
        flight._total_max = 1
        answer = call(application, "POST", PROCESS, json={"key": KEY})
    assert_error(answer, 503, "overloaded")
    assert int(answer.headers["retry-after"]) > 0


def test_an_unexpected_error_is_a_500_that_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        answer = call(app(FakeWorld(broken=RuntimeError("secret detail"))), "POST", PROCESS, json={"key": KEY})
    assert "secret detail" not in assert_error(answer, 500, "internal_error")
    assert "secret detail" in caplog.text


def test_no_api_key_reaches_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        for broken in (None, RuntimeError("x")):
            call(app(FakeWorld(objects={}, broken=broken)), "POST", PROCESS, json={"key": KEY})
        call(app(FakeWorld()), "POST", PROCESS, key=API_KEY[:-1] + "x", json={"key": KEY})
    assert caplog.records
    assert API_KEY[4:-1] not in caplog.text
    assert not any(API_KEY[4:-1] in str(vars(record)) for record in caplog.records)


def test_a_result_is_told_in_every_state() -> None:
    path = f"/api/ocr/results/{RESULT_ID}"

    def row(status: ResultStatus, user_id: str = USER, code: str | None = None) -> ListedResult:
        return ListedResult(RESULT_ID, user_id, KEY, status, NOW, None, code, "because" if code else None)

    common = {"id": RESULT_ID, "key": KEY, "createdAt": "2026-06-15T10:30:00.000Z", "deletedAt": None}
    world = FakeWorld()
    assert_error(call(app(world), "GET", path), 404, "file_not_found")
    world.rows[RESULT_ID] = row(ResultStatus.PENDING)
    assert call(app(world), "GET", path).json() == common | {"status": "pending", "code": None, "reason": None}
    world.rows[RESULT_ID] = row(ResultStatus.REFUSED, code="insufficient_tokens")
    refused = call(app(world), "GET", path).json()
    assert refused == common | {"status": "refused", "code": "insufficient_tokens", "reason": "because"}
    world.rows[RESULT_ID] = row(ResultStatus.PENDING, user_id="bob")
    assert_error(call(app(world), "GET", path), 404, "file_not_found")
    error = Failure(code=ErrorCode.UNREADABLE_DOCUMENT, reason="because")
    world.documents[USER, RESULT_ID] = document(error=error)
    assert call(app(world), "GET", path).json()["code"] == "unreadable_document"
    world.documents[USER, RESULT_ID] = document().tombstone(NOW + timedelta(hours=1))
    deleted = call(app(world), "GET", path).json()
    deletion = {"status": "deleted", "deletedAt": "2026-06-15T11:30:00.000Z", "code": None, "reason": None}
    assert deleted == common | deletion
    world.documents[USER, RESULT_ID] = document()
    done = call(app(world), "GET", path).json()
    assert (done["status"], done["text"], done["tokensUsed"]) == ("completed", "two words", 52)


@pytest.mark.parametrize(
    "text", ["x", "..", "..%2F..%2Fbob%2Fx", RESULT_ID.upper(), f"{{{RESULT_ID}}}", RESULT_ID + "%00", "%C3%A9"]
)
def test_an_id_of_another_form_is_never_looked_up(text: str) -> None:
    world = FakeWorld()
    answer = call(app(world), "GET", f"/api/ocr/results/{text}")
    assert answer.status_code == 404
    assert world.log == []


def test_the_balance_and_the_moment_it_is_true() -> None:
    answer = call(app(FakeWorld(), table=balances(1234)), "GET", "/api/tokens/balance")
    assert answer.json() == {"balance": 1234, "asOf": "2026-06-15T10:30:00.000Z"}
    assert call(app(FakeWorld(), table=balances(None)), "GET", "/api/tokens/balance").json()["balance"] == 0


def test_a_balance_that_is_not_known_is_not_made_up() -> None:
    table = balances()
    table.heartbeats.clear()
    assert_error(call(app(FakeWorld(), table=table), "GET", "/api/tokens/balance"), 503, "unavailable")


def test_an_upload_is_a_ticket_under_the_users_own_prefix() -> None:
    body = {"filename": "../../My scan (1).JPG", "contentType": "image/jpeg", "size": 1000}
    answer = call(app(FakeWorld()), "POST", UPLOAD, json=body)
    ticket = answer.json()
    assert answer.status_code == 201
    assert ticket["key"].startswith(f"ocr/{USER}/")
    assert ticket["key"].endswith("-My-scan-1.JPG")
    assert ticket["method"] == "PUT"
    assert ticket["headers"] == {"Content-Type": "image/jpeg", "Content-Length": "1000"}
    assert ticket["maxBytes"] == 1000
    assert ticket["expiresAt"] == "2026-06-15T10:45:00.000Z"


@pytest.mark.parametrize("content_type", ["image/jpg", "IMAGE/PNG", "application/octet-stream"])
def test_a_ticket_is_bound_to_the_type_that_was_asked_for(content_type: str) -> None:
    body = {"filename": "scan.jpg", "contentType": content_type, "size": 1000}
    answer = call(app(FakeWorld()), "POST", UPLOAD, json=body)
    assert answer.status_code == 201
    assert answer.json()["headers"]["Content-Type"] == content_type.lower()


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"size": 1001}, 413, "file_too_large"),
        ({"size": 0}, 400, "invalid_request"),
        ({"size": -1}, 400, "invalid_request"),
        ({"size": "10"}, 400, "invalid_request"),
        ({"size": 1.5}, 400, "invalid_request"),
        ({"size": True}, 400, "invalid_request"),
        ({"size": 10**400}, 400, "invalid_request"),
        ({"filename": ""}, 400, "invalid_request"),
        ({"filename": None}, 400, "invalid_request"),
        ({"filename": "x" * 2000}, 400, "invalid_request"),
        ({"contentType": "text/html"}, 415, "unsupported_media_type"),
        ({"contentType": "image/svg+xml"}, 415, "unsupported_media_type"),
        ({"contentType": "image/jpeg\r\nX-Evil: 1"}, 415, "unsupported_media_type"),
        ({"contentType": 7}, 400, "invalid_request"),
    ],
)
def test_an_upload_that_could_never_be_read_gets_no_ticket(change: dict[str, Any], status: int, code: str) -> None:
    body = {"filename": "a.jpg", "contentType": "image/jpeg", "size": 10} | change
    assert_error(call(app(FakeWorld()), "POST", UPLOAD, json=body), status, code)


def test_health_says_what_is_wrong() -> None:
    well = app(FakeWorld())
    assert call(well, "GET", "/healthz", key=None).json() == {"status": "ok"}
    assert call(well, "GET", "/readyz", key=None).json() == {"status": "ok"}
    ill = app(FakeWorld(), problem="the replies are not read yet")
    assert assert_error(call(ill, "GET", "/readyz", key=None), 503, "unavailable") == "the replies are not read yet"


def test_the_documentation_is_served_to_people_and_programs() -> None:
    application = app(FakeWorld())
    page = call(application, "GET", "/docs", key=None)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert call(application, "GET", "/openapi.json", key=None).json()["openapi"].startswith("3.")


def test_metrics_count_by_route_and_never_by_what_was_asked_for() -> None:
    application = app(FakeWorld())
    call(application, "GET", f"/api/ocr/results/{RESULT_ID}")
    call(application, "GET", "/nothing/secret-path")
    call(application, "BREW", "/nothing")
    text = call(application, "GET", "/metrics", key=None).text
    assert 'ocr_api_request_seconds_count{method="GET",route="/api/ocr/results/{id}",status="404"}' in text
    assert 'route="unmatched"' in text
    assert 'method="other"' in text
    assert "secret-path" not in text
    assert RESULT_ID not in text


def test_a_trace_is_carried_on_when_it_is_one() -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    for sent, carried in ((trace, trace), ("nonsense", None)):
        world = FakeWorld()
        world.answer_with(failed(ErrorCode.UNREADABLE_DOCUMENT))
        call(app(world), "POST", PROCESS, json={"key": KEY}, headers={"traceparent": sent})
        assert world.sent[0][2] == carried


def test_a_request_is_a_span_below_its_callers_named_by_its_route(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_TRACES_SAMPLER", raising=False)
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    world = FakeWorld()
    world.answer_with(failed(ErrorCode.UNREADABLE_DOCUMENT))
    with spans_in_memory() as memory:
        call(app(world), "POST", PROCESS, json={"key": KEY}, headers={"traceparent": trace})
        call(app(world), "GET", f"/api/ocr/results/{RESULT_ID}")
        call(app(world), "GET", "/healthz", key=None)
    assert memory.names() == [f"POST {PROCESS}", "GET /api/ocr/results/{id}"]
    span = memory[f"POST {PROCESS}"]
    assert span.attributes is not None
    assert (parent_of(span), span.attributes["http.response.status_code"]) == ("b7ad6b7169203331", 422)
    assert world.sent[0][2] == f"00-{trace_of(span)}-{id_of(span)}-01"
