"""The client against a service that answers as it is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import httpx
import pytest

from ocr_services_client import ApiError, Client, MaybeStored, OcrServicesError, Result, TimedOut, Unreachable

RESULT = {
    "id": "r1",
    "text": "two words",
    "key": "ocr/alice/a.jpg",
    "fileUrl": "https://files.example.com/a.jpg",
    "createdAt": "2026-06-15T10:30:00.000Z",
    "wordCount": 2,
    "tokensUsed": 52,
    "language": "en",
}
PENDING = {"id": "r1", "status": "pending", "key": "ocr/alice/a.jpg", "createdAt": "2026-06-15T10:30:00.000Z"}
TICKET = {"key": "ocr/alice/a.jpg", "uploadUrl": "https://store/put", "method": "PUT", "headers": {"X-Signed": "1"}}

Answer = httpx.Response | Exception


class Service:
    """Answers requests in turn, by method and path, and remembers them; time passes only by sleeping."""

    def __init__(self) -> None:
        self.answers: dict[str, Iterator[Answer]] = {}
        self.requests: list[httpx.Request] = []
        self.slept: list[float] = []
        self.client = Client(
            "http://api",
            "key",
            transport=httpx.MockTransport(self._answer),
            retries_max=2,
            clock=lambda: sum(self.slept),
        )
        self.client._http.sleep = self.slept.append

    def will(self, what: str, *answers: Answer) -> None:
        """What `METHOD path` is answered, one after the other; the last one again and again is not."""
        self.answers[what] = iter(answers)

    def called(self, what: str) -> int:
        """How often."""
        return sum(f"{request.method} {request.url.path}" == what for request in self.requests)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = next(self.answers[f"{request.method} {request.url.path}"])
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def service() -> Service:
    return Service()


def ok(body: object, status: int = 200) -> httpx.Response:
    return httpx.Response(status, json=body)


def refused(status: int, code: str, **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"error": "A sentence", "code": code, "requestId": "q"}, headers=headers)


POST = "POST /api/ocr/process"
GET = "GET /api/ocr/results/r1"
UPLOAD = "POST /api/files/upload"
PUT = "PUT /put"
FORM = "POST /api/files"


def test_a_result_is_values_with_types(service: Service) -> None:
    service.will(POST, ok(RESULT))
    result = service.client.process("ocr/alice/a.jpg")
    assert result == Result.of(RESULT)
    assert result.created_at == datetime(2026, 6, 15, 10, 30, tzinfo=UTC)
    assert service.requests[0].headers["X-API-Key"] == "key"


def test_what_takes_longer_is_waited_for_by_its_id(service: Service) -> None:
    service.will(POST, ok({"id": "r1", "status": "pending"}, 202))
    service.will(GET, ok(PENDING), ok(PENDING), ok(RESULT | {"status": "completed"}))
    assert service.client.process("ocr/alice/a.jpg").text == "two words"
    assert (service.called(POST), len(service.slept)) == (1, 2)


def test_waiting_ends_in_time(service: Service) -> None:
    service.will(GET, *[ok(PENDING)] * 50)
    with pytest.raises(TimedOut):
        service.client.wait("r1", timeout_seconds=10)
    assert sum(service.slept) <= 10


def test_a_deleted_result_tells_when_it_was_made_and_when_deleted(service: Service) -> None:
    deleted = PENDING | {"status": "deleted", "deletedAt": "2026-06-16T10:30:00.000Z", "code": None, "reason": None}
    facts = {"requestedAt": PENDING["createdAt"], "language": None, "wordCount": 2, "pageCount": 1, "tokensUsed": 52}
    service.will("GET /api/ocr/results/r1", httpx.Response(200, json=deleted))
    service.will("GET /api/ocr/results", httpx.Response(200, json={"results": [deleted | facts], "nextCursor": None}))
    made, gone = datetime(2026, 6, 15, 10, 30, tzinfo=UTC), datetime(2026, 6, 16, 10, 30, tzinfo=UTC)
    found = service.client.result("r1")
    assert not isinstance(found, Result)
    for each in (found, next(service.client.results())):
        assert (each.created_at, each.deleted_at) == (made, gone)


@pytest.mark.parametrize("status", ["failed", "refused"])
def test_a_result_that_failed_later_is_an_error_with_its_code(service: Service, status: str) -> None:
    service.will(GET, ok(PENDING | {"status": status, "code": "unreadable_document", "reason": "It is torn"}))
    with pytest.raises(ApiError, match="It is torn") as raised:
        service.client.wait("r1")
    assert (raised.value.code, raised.value.status) == ("unreadable_document", None)


def test_a_refusal_keeps_what_the_api_said(service: Service) -> None:
    service.will(POST, refused(402, "insufficient_tokens"))
    with pytest.raises(ApiError, match="A sentence") as raised:
        service.client.process("ocr/alice/a.jpg")
    error = raised.value
    assert (error.code, error.status, error.request_id) == ("insufficient_tokens", 402, "q")
    assert service.called(POST) == 1


def test_a_busy_service_is_asked_again_when_it_said(service: Service) -> None:
    service.will(POST, refused(503, "overloaded", **{"Retry-After": "7"}), ok(RESULT))
    assert service.client.process("ocr/alice/a.jpg").id == "r1"
    assert service.slept == [7.0]


def test_a_service_that_stays_busy_is_given_up_on(service: Service) -> None:
    service.will(POST, *[refused(429, "rate_limited", **{"Retry-After": "100000"})] * 3)
    with pytest.raises(ApiError) as raised:
        service.client.process("ocr/alice/a.jpg")
    assert raised.value.retry_after_seconds == 100_000
    assert service.called(POST) == 3
    assert max(service.slept) <= 30


def test_a_connection_that_breaks_is_tried_again_then_unreachable(service: Service) -> None:
    service.will(POST, httpx.ConnectError("refused"), ok(RESULT))
    assert service.client.process("ocr/alice/a.jpg").id == "r1"
    service.will(POST, *[httpx.ReadTimeout("slow")] * 3)
    with pytest.raises(Unreachable, match="slow"):
        service.client.process("ocr/alice/a.jpg")


def test_an_answer_of_something_before_the_api_is_an_error_as_well(service: Service) -> None:
    service.will(POST, httpx.Response(502, text="<html>Bad gateway</html>"))
    with pytest.raises(ApiError) as raised:
        service.client.process("ocr/alice/a.jpg")
    assert (raised.value.code, raised.value.status) == ("http_502", 502)


def test_an_upload_goes_to_the_store_without_the_key(service: Service) -> None:
    service.will(UPLOAD, ok(TICKET, 201))
    service.will(PUT, httpx.Response(200))
    told: list[tuple[str | None, int]] = []
    key = service.client.upload(b"body", "a.jpg", on_key=lambda key: told.append((key, service.called(PUT))))
    assert key == "ocr/alice/a.jpg"
    assert told == [(key, 0)]
    assert json.loads(service.requests[0].content) == {"filename": "a.jpg", "contentType": "image/jpeg", "size": 4}
    put = service.requests[1]
    assert "X-API-Key" not in put.headers
    assert (put.headers["X-Signed"], put.content) == ("1", b"body")


@pytest.mark.parametrize("trouble", [httpx.ConnectError("no route"), httpx.Response(403, text="denied")])
def test_where_the_store_is_out_of_reach_the_api_takes_the_file(service: Service, trouble: Answer) -> None:
    service.will(UPLOAD, ok(TICKET, 201))
    service.will(PUT, trouble)
    service.will(FORM, ok({"key": "ocr/alice/b.jpg"}, 201))
    assert service.client.upload(b"body", "a.jpg") == "ocr/alice/b.jpg"
    assert b"body" in service.requests[-1].content
    assert service.requests[-1].headers["content-type"].startswith("multipart/form-data")


LOST = [httpx.ReadTimeout("slow"), httpx.WriteError("reset"), httpx.RemoteProtocolError("cut"), httpx.Response(502)]


@pytest.mark.parametrize("lost", LOST)
def test_a_put_whose_answer_is_lost_is_sent_again_under_its_key(service: Service, lost: Answer) -> None:
    service.will(UPLOAD, ok(TICKET, 201))
    service.will(PUT, lost, httpx.ConnectError("no route"), httpx.Response(200))
    assert service.client.upload(b"body", "a.jpg") == "ocr/alice/a.jpg"
    puts = [request for request in service.requests if request.method == "PUT"]
    assert [(str(put.url), put.content) for put in puts] == [(TICKET["uploadUrl"], b"body")] * 3
    assert (service.called(UPLOAD), service.called(FORM), service.slept) == (1, 0, [1.0, 2.0])


@pytest.mark.parametrize(
    "then", [[httpx.ReadTimeout("slow")] * 2, [httpx.ConnectError("no route")] * 2, [httpx.Response(403)]]
)
def test_what_the_store_may_have_is_not_sent_through_the_api(service: Service, then: list[Answer]) -> None:
    service.will(UPLOAD, ok(TICKET, 201))
    service.will(PUT, httpx.ReadTimeout("slow"), *then)
    with pytest.raises(MaybeStored, match="may be stored as ocr/alice/a") as raised:
        service.client.upload(b"body", "a.jpg")
    assert raised.value.key == "ocr/alice/a.jpg"
    assert (service.called(PUT), service.called(FORM)) == (1 + len(then), 0)


@pytest.mark.parametrize(
    "lost", [*LOST, refused(500, "internal_error"), refused(503, "unavailable"), refused(504, "timed_out")]
)
def test_a_file_that_the_api_may_have_stored_is_not_sent_again(service: Service, lost: Answer) -> None:
    service.will(UPLOAD, ok(TICKET, 201))
    service.will(PUT, httpx.ConnectError("no route"))
    service.will(FORM, lost, ok({"key": "ocr/alice/b.jpg"}, 201))
    told: list[str | None] = []
    with pytest.raises(MaybeStored, match="among your results") as raised:
        service.client.upload(b"body", "a.jpg", on_key=told.append)
    assert raised.value.key is None
    assert service.called(FORM) == 1
    assert told == ["ocr/alice/a.jpg", None]


@pytest.mark.parametrize(
    "certain", [httpx.ConnectTimeout("slow"), refused(429, "rate_limited"), refused(503, "overloaded")]
)
def test_a_file_that_the_api_did_not_store_is_sent_again(service: Service, certain: Answer) -> None:
    service.will(UPLOAD, ok(TICKET, 201))
    service.will(PUT, httpx.ConnectError("no route"))
    service.will(FORM, certain, ok({"key": "ocr/alice/b.jpg"}, 201))
    told: list[str | None] = []
    assert service.client.upload(b"body", "a.jpg", on_key=told.append) == "ocr/alice/b.jpg"
    assert told == ["ocr/alice/a.jpg", None, "ocr/alice/b.jpg"]


def test_a_file_that_the_api_refuses_is_told_to_be_nowhere(service: Service) -> None:
    service.will(UPLOAD, ok(TICKET, 201))
    service.will(PUT, httpx.ConnectError("no route"))
    service.will(FORM, refused(415, "unsupported_media_type"))
    told: list[str | None] = []
    with pytest.raises(ApiError):
        service.client.upload(b"body", "a.jpg", on_key=told.append)
    assert told == ["ocr/alice/a.jpg", None, "ocr/alice/a.jpg"]


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.jpeg", "image/jpeg"),
        ("a.PDF", "application/pdf"),
        ("notes.txt", "application/octet-stream"),
        ("stdin", "application/octet-stream"),
        ("a.svg", "application/octet-stream"),
    ],
)
def test_what_a_name_does_not_tell_is_left_to_the_content(service: Service, name: str, media_type: str) -> None:
    service.will(UPLOAD, ok(TICKET, 201))
    service.will(PUT, httpx.Response(200))
    service.client.upload(b"body", name)
    assert json.loads(service.requests[0].content)["contentType"] == media_type


def test_lists_are_fetched_page_by_page_as_they_are_read(service: Service) -> None:
    def page(number: int, cursor: str | None) -> httpx.Response:
        entry = {"id": f"t{number}", "kind": "usage", "amount": -52, "postedAt": RESULT["createdAt"]}
        rest = {"resultId": "r1", "key": "k", "note": None}
        return ok({"transactions": [entry | rest], "nextCursor": cursor})

    service.will("GET /api/tokens/transactions", page(1, "next"), page(2, None))
    found = service.client.transactions()
    assert next(found).id == "t1"
    assert service.called("GET /api/tokens/transactions") == 1
    assert [each.id for each in found] == ["t2"]
    assert service.requests[-1].url.params["cursor"] == "next"


@pytest.mark.parametrize("call", [lambda: Client("http://api"), lambda: Client("http://api", "")])
def test_without_a_key_it_says_where_one_belongs(monkeypatch: pytest.MonkeyPatch, call: Callable[[], Client]) -> None:
    monkeypatch.delenv("OCR_API_KEY", raising=False)
    with pytest.raises(OcrServicesError, match="OCR_API_KEY"):
        call()
