"""`POST /api/ocr/process` on real Kafka, S3 and SQL."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from schemas.events import TEXT_BYTES_MAX, ErrorCode
from schemas.identity import document_key
from schemas.topics import REQUESTS, UPLOADS
from services.api.keys import ApiKeys, Scope
from tests.integration.api.fake_extractor import FILE_URL_BASE, completing, failing, refusing
from tests.integration.api.stack import Replica, Stack, User
from tests.support.stage import wait_for


def assert_error(answer: httpx.Response, status: int, code: str) -> str:
    body = answer.json()
    assert (answer.status_code, body["code"]) == (status, code), body
    assert set(body) == {"error", "code", "requestId"}
    assert body["requestId"] == answer.headers["x-request-id"]
    return str(body["error"])


def test_a_post_is_answered_as_the_contract_says_field_by_field(stack: Stack, api: Replica) -> None:
    user = stack.user()
    key = stack.upload(user, completing("Extracted text from the image"), "filename.jpg")
    answer = api.post(user, key)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert set(body) == {"id", "text", "key", "fileUrl", "createdAt", "wordCount", "tokensUsed", "language"}
    assert body["text"] == "Extracted text from the image"
    assert body["key"] == key
    assert body["fileUrl"] == FILE_URL_BASE + key
    assert body["wordCount"] == 5
    assert body["tokensUsed"] == 55
    assert body["language"] == "en"
    assert body["createdAt"].endswith("Z")
    assert datetime.fromisoformat(body["createdAt"]).tzinfo is not None


def test_the_same_file_again_is_the_same_body_without_another_request(stack: Stack, api: Replica) -> None:
    user = stack.user()
    key = stack.upload(user, completing("once"))
    first = api.post(user, key)
    again = api.post(user, key)
    assert first.status_code == again.status_code == 200
    assert first.content == again.content
    assert stack.extractor.requests[REQUESTS.name, first.json()["id"]] == 1


def test_other_bytes_under_the_key_are_another_result(stack: Stack, api: Replica) -> None:
    user = stack.user()
    first = api.post(user, stack.upload(user, completing("old"), "a.jpg")).json()
    second = api.post(user, stack.upload(user, completing("new"), "a.jpg")).json()
    assert first["id"] != second["id"]
    assert (first["text"], second["text"]) == ("old", "new")


def test_a_key_is_used_as_it_is_written(stack: Stack, api: Replica) -> None:
    user = stack.user()
    for name in ("a b+c.jpg", "Rechnung für März.png", "a%20b.jpg", "%2B.jpg", "a&b=c?d#e.jpg", "noimage.xyz"):
        body = api.post(user, stack.upload(user, completing(name), name)).json()
        assert (body["key"], body["text"]) == (f"ocr/{user.id}/{name}", name)


def test_a_file_that_was_processed_on_upload_is_answered_without_request(stack: Stack, api: Replica) -> None:
    user = stack.user()
    key = stack.upload(user, completing("uploaded"))
    accepted = api.post(user, key, Prefer="respond-async").json()
    _wait_until(api, user, accepted["id"])
    assert api.post(user, key).json()["text"] == "uploaded"
    assert stack.extractor.requests[REQUESTS.name, accepted["id"]] == 0


def test_a_wait_that_runs_out_is_a_504_and_the_same_post_later_a_200(stack: Stack) -> None:
    hasty = stack.start_replica({"OCR_API_WAIT_SECONDS_DEFAULT": "0.5"})
    user = stack.user()
    key = stack.upload(user, completing("late", delay_seconds=2))
    started = time.monotonic()
    answer = hasty.post(user, key)
    assert 0.5 <= time.monotonic() - started < 2
    assert_error(answer, 504, "timed_out")
    assert int(answer.headers["retry-after"]) > 0
    location = answer.headers["location"]
    assert hasty.client.get(location, headers=user.headers).json()["status"] == "pending"
    _wait_until(hasty, user, location.rsplit("/", 1)[1])
    assert hasty.post(user, key).json()["text"] == "late"
    hasty.close()


def test_respond_async_is_answered_at_once_and_worked_on_as_an_upload(stack: Stack, api: Replica) -> None:
    user = stack.user()
    key = stack.upload(user, completing("async", delay_seconds=1))
    started = time.monotonic()
    answer = api.post(user, key, Prefer="respond-async")
    assert time.monotonic() - started < 1
    assert answer.status_code == 202
    identity = answer.json()["id"]
    assert answer.json() == {"id": identity, "status": "pending"}
    assert answer.headers["location"] == f"/api/ocr/results/{identity}"
    assert api.result(user, identity).json()["status"] == "pending"
    _wait_until(api, user, identity)
    assert stack.extractor.requests[UPLOADS.name, identity] == 1
    assert stack.extractor.correlation_ids[identity] == identity
    done = api.result(user, identity).json()
    assert done == api.post(user, key, Prefer="respond-async").json() | {"status": "completed"}


def test_prefer_wait_bounds_the_wait(stack: Stack, api: Replica) -> None:
    user = stack.user()
    slow = stack.upload(user, completing("slow", delay_seconds=3))
    started = time.monotonic()
    answer = api.post(user, slow, Prefer="wait=1")
    assert 1 <= time.monotonic() - started < 3
    assert (answer.status_code, answer.json()["status"]) == (202, "pending")
    assert answer.headers["preference-applied"] == "wait=1"
    assert stack.extractor.requests[REQUESTS.name, answer.json()["id"]] == 1
    assert api.post(user, slow, Prefer="wait=20").json()["text"] == "slow"


def test_text_too_long_for_the_event_is_whole_in_the_answer(stack: Stack, api: Replica) -> None:
    user = stack.user()
    text = "wörter " * (TEXT_BYTES_MAX // 7)
    key = stack.upload(user, completing(text))
    first = api.post(user, key)
    assert first.json()["text"] == text
    assert api.post(user, key).content == first.content


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (ErrorCode.FILE_TOO_LARGE, 413),
        (ErrorCode.UNSUPPORTED_MEDIA_TYPE, 415),
        (ErrorCode.UNREADABLE_DOCUMENT, 422),
    ],
)
def test_a_file_that_cannot_be_read_says_so_every_time(
    stack: Stack, api: Replica, code: ErrorCode, status: int
) -> None:
    user = stack.user()
    key = stack.upload(user, failing(code, "That is why"))
    for _ in range(2):
        assert assert_error(api.post(user, key), status, code.value) == "That is why"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (ErrorCode.FILE_NOT_FOUND, 404),
        (ErrorCode.OBJECT_CHANGED, 409),
        (ErrorCode.UNAVAILABLE, 503),
    ],
)
def test_a_refused_file_may_be_asked_for_again(stack: Stack, api: Replica, code: ErrorCode, status: int) -> None:
    user = stack.user()
    key = stack.upload(user, refusing(code, "Not this time"))
    for _ in range(2):
        assert assert_error(api.post(user, key), status, code.value) == "Not this time"
    identities = [identity for (lane, identity), seen in stack.extractor.requests.items() if seen == 2]
    assert identities, "it was requested each time"


def test_a_failure_that_was_removed_is_pending_while_the_file_is_read_anew(stack: Stack, api: Replica) -> None:
    user = stack.user()
    key = stack.upload(user, failing(ErrorCode.UNREADABLE_DOCUMENT, "Torn", delay_seconds=2.0))
    assert_error(api.post(user, key), 422, "unreadable_document")
    listed = api.client.get("/api/ocr/results", headers=user.headers)
    while (results := listed.json()["results"])[0]["status"] != "failed":
        listed = api.client.get("/api/ocr/results", headers=user.headers)
    identity = results[0]["id"]
    # As `ocr-services retry` does.
    stack.store.delete(stack.object_store.results_bucket, document_key(user.id, identity))
    assert api.post(user, key, Prefer="respond-async").json() == {"id": identity, "status": "pending"}
    state = api.result(user, identity).json()
    assert (state["status"], state["code"], state["reason"]) == ("pending", None, None)
    wait_for(lambda: api.result(user, identity).json()["status"] == "failed", "it failed once more")


def test_keys_that_cannot_be_are_400_and_those_that_are_not_there_404(stack: Stack, api: Replica) -> None:
    user, other = stack.user(), stack.user()
    theirs = stack.upload(other, completing("private"))
    for key in (
        "nonsense",
        f"ocr/{user.id}/../{other.id}/a.jpg",
        f"ocr/{user.id}/..%2F{other.id}%2Fa.jpg",
        f"ocr%2F{user.id}%2Fa.jpg",
        f"ocr/{user.id}/{'x' * 2048}.jpg",
        f"/ocr/{user.id}/a.jpg",
        f"ocr/{user.id}/a",
    ):
        assert assert_error(api.post(user, key), 400, "invalid_key") == "Invalid file key format"
    absent = assert_error(api.post(user, f"ocr/{user.id}/absent.jpg"), 404, "file_not_found")
    assert assert_error(api.post(user, theirs), 404, "file_not_found") == absent
    assert api.post(other, theirs).status_code == 200


def test_another_users_result_is_not_found(stack: Stack, api: Replica) -> None:
    owner, other = stack.user(), stack.user()
    done = api.post(owner, stack.upload(owner, completing("private"))).json()["id"]
    pending = api.post(owner, stack.upload(owner, completing("p", 5)), Prefer="respond-async").json()["id"]
    for identity in (done, pending):
        assert api.result(owner, identity).status_code == 200
        assert_error(api.result(other, identity), 404, "file_not_found")


def test_malformed_bodies_are_400(stack: Stack, api: Replica) -> None:
    headers = stack.user().headers | {"Content-Type": "application/json"}
    for content in (b'{"key": ', b"", b"null", b"[]", b'{"key": 1}', b'{"key": null}', b"\xff", b"x" * 70_000):
        answer = api.client.post("/api/ocr/process", content=content, headers=headers)
        expected = (413, "request_too_large") if len(content) > 65_536 else (400, "invalid_request")
        assert_error(answer, *expected)


def test_without_a_key_that_is_valid_now_nothing_is_answered(stack: Stack, api: Replica) -> None:
    user = stack.user()
    key = stack.upload(user, completing("x"))
    now = datetime.now(UTC)
    _, expired = ApiKeys(stack.engine).create(
        user.id, list(Scope), now=now - timedelta(2), expires_at=now - timedelta(1)
    )
    for text in ("", "nonsense", "ocr_" + "x" * 43, expired):
        answer = api.client.post("/api/ocr/process", json={"key": key}, headers={"X-API-Key": text})
        assert_error(answer, 401, "invalid_api_key")
    assert_error(api.client.post("/api/ocr/process", json={"key": key}), 401, "invalid_api_key")
    reading = stack.user(scopes=(Scope.READ,))
    assert_error(api.post(reading, key), 403, "forbidden")


def test_a_revoked_key_ends_within_seconds(stack: Stack, api: Replica) -> None:
    user = stack.user()
    key = stack.upload(user, completing("x"))
    assert api.post(user, key).status_code == 200
    ApiKeys(stack.engine).revoke(user.key_id, datetime.now(UTC))
    deadline = time.monotonic() + 6
    while api.post(user, key).status_code == 200 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert_error(api.post(user, key), 401, "invalid_api_key")


@pytest.mark.parametrize(("balance", "says"), [(0, "balance is 0"), (-30, "balance is -30"), (None, "balance is 0")])
def test_without_tokens_nothing_is_requested(stack: Stack, api: Replica, balance: int | None, says: str) -> None:
    user = stack.user(balance=balance)
    key = stack.upload(user, completing("x"))
    before = sum(stack.extractor.requests.values())
    told = assert_error(api.post(user, key), 402, "insufficient_tokens")
    assert says in told
    assert "is kept and is read by itself after a top-up" in told
    assert says in assert_error(api.post(user, key, Prefer="respond-async"), 402, "insufficient_tokens")
    assert sum(stack.extractor.requests.values()) == before
    stack.publish_balance(user.id, 10)
    assert api.post(user, key).status_code == 200


def test_what_was_paid_for_is_answered_without_tokens(stack: Stack, api: Replica) -> None:
    user = stack.user()
    key = stack.upload(user, completing("paid"))
    first = api.post(user, key)
    stack.publish_balance(user.id, 0)
    assert api.post(user, key).content == first.content


def test_a_ledger_not_heard_of_stops_new_work_but_not_answers(stack: Stack, api: Replica) -> None:
    strict = stack.start_replica({"OCR_ADMISSION_STALENESS_SECONDS_MAX": "0.001"})
    user = stack.user()
    answer = strict.post(user, stack.upload(user, completing("x")))
    assert_error(answer, 503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0
    key = stack.upload(user, completing("known"))
    assert api.post(user, key).status_code == 200
    assert strict.post(user, key).json()["text"] == "known"
    strict.close()


def test_each_of_many_posts_gets_its_own_answer_from_each_of_two_replicas(stack: Stack, api: Replica) -> None:
    second = stack.start_replica()
    users = [stack.user() for _ in range(2)]
    files = [(user, stack.upload(user, completing(f"text {n} of {user.id}"))) for n in range(15) for user in users]
    with ThreadPoolExecutor(20) as pool:
        posts = [(key, pool.submit(replica.post, user, key)) for user, key in files for replica in (api, second)]
    texts = {key: f"text {n // 2} of {user.id}" for n, (user, key) in enumerate(files)}
    for key, post in posts:
        assert post.result().status_code == 200, post.result().text
        assert (post.result().json()["key"], post.result().json()["text"]) == (key, texts[key])
    second.close()


def test_the_request_carries_the_trace(stack: Stack, api: Replica) -> None:
    user = stack.user()
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    identity = api.post(user, stack.upload(user, completing("x")), traceparent=trace).json()["id"]
    assert stack.extractor.traceparents[identity] == trace


def test_the_balance_is_what_the_ledger_says(stack: Stack, api: Replica) -> None:
    user = stack.user(balance=1234)
    body = api.client.get("/api/tokens/balance", headers=user.headers).json()
    assert body["balance"] == 1234
    assert datetime.fromisoformat(body["asOf"]) <= datetime.now(UTC)


def test_every_outcome_of_an_asynchronous_post_is_told(stack: Stack, api: Replica) -> None:
    user = stack.user()
    bodies = {
        "completed": completing("x"),
        "failed": failing(ErrorCode.UNREADABLE_DOCUMENT, "broken"),
        "refused": refusing(ErrorCode.OBJECT_CHANGED, "changed"),
    }
    for status, body in bodies.items():
        accepted = api.post(user, stack.upload(user, body), Prefer="respond-async").json()
        _wait_until(api, user, accepted["id"], status)
    told = api.result(user, accepted["id"]).json()
    assert (told["code"], told["reason"]) == ("object_changed", "changed")


def _wait_until(api: Replica, user: User, identity: str, status: str = "completed") -> None:
    deadline = time.monotonic() + 15
    while api.result(user, identity).json()["status"] != status:
        assert time.monotonic() < deadline
        time.sleep(0.1)
