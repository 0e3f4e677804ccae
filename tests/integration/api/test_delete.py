"""Deleting a result, through a running API, on a real store and list."""

from __future__ import annotations

import threading
import time

import httpx
import pytest

from schemas.document import DocumentStatus
from schemas.events import ErrorCode
from schemas.identity import document_key
from services.runtime.documents import DocumentStore
from tests.integration.api.fake_extractor import completing, failing
from tests.integration.api.stack import Replica, Stack, User
from tests.integration.api.test_results import listed, until_listed


def delete(api: Replica, user: User, identity: str) -> httpx.Response:
    return api.client.delete(f"/api/ocr/results/{identity}", headers=user.headers)


@pytest.fixture
def documents(stack: Stack) -> DocumentStore:
    return DocumentStore(stack.store, stack.object_store.results_bucket)


def test_a_deleted_result_is_gone_everywhere_and_is_not_read_again(
    stack: Stack, api: Replica, documents: DocumentStore
) -> None:
    user = stack.user()
    key = stack.upload(user, completing("unforgettable words"))
    identity = api.post(user, key).json()["id"]
    until_listed(api, user, identity, "completed")
    (before,) = listed(api, user)
    assert delete(api, user, identity).status_code == 204
    told = api.result(user, identity).json()
    assert told["status"] == "deleted"
    layout = api.client.get(f"/api/ocr/results/{identity}/layout", headers=user.headers)
    assert (layout.status_code, layout.json()["code"]) == (410, "result_deleted")
    again = api.post(user, key)
    assert (again.status_code, again.json()["code"]) == (410, "result_deleted")
    (row,) = listed(api, user)
    assert (row["status"], row["tokensUsed"], row["wordCount"], row["pageCount"]) == ("deleted", 52, 2, 1)
    assert row["createdAt"] == told["createdAt"] == before["createdAt"]
    assert str(row["createdAt"]) < str(row["deletedAt"]) == told["deletedAt"]
    body, _ = stack.store.read(documents.bucket, document_key(user.id, identity)) or (b"", "")
    assert body
    assert b"unforgettable" not in body
    assert sum(count for (_, name), count in stack.extractor.requests.items() if name == identity) == 1
    assert delete(api, user, identity).status_code == 204


def test_an_event_that_comes_late_does_not_bring_it_back(stack: Stack, api: Replica) -> None:
    user = stack.user()
    key = stack.upload(user, completing("late"))
    stack.extractor.publishing.clear()
    try:
        # Its document is there, its event is not: the author was killed in between.
        identity = api.post(user, key, Prefer="respond-async").json()["id"]
        deadline = time.monotonic() + 20
        while api.result(user, identity).json()["status"] != "completed":
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        stack.extractor.publishing.set()
    documents = DocumentStore(stack.store, stack.object_store.results_bucket)
    stored = documents.read(user.id, identity)
    assert stored is not None
    event = stored.document.to_event(documents.bucket, document_key(user.id, identity))
    assert event is not None
    assert delete(api, user, identity).status_code == 204
    stack.extractor.publish(event, identity)
    # The list reads a partition in order: once it has a later result of the same id's partition, it has the event.
    marker = event.model_copy(update={"key": f"ocr/{user.id}/marker.jpg", "result_id": f"m{identity}"[:36]})
    stack.extractor.publish(marker, identity)
    until_listed(api, user, marker.result_id, "completed")
    assert [row["status"] for row in listed(api, user, key=key)] == ["deleted"]
    assert api.result(user, identity).json()["status"] == "deleted"


def test_what_is_deleted_while_a_post_waits_ends_that_wait_with_410(stack: Stack, api: Replica) -> None:
    user = stack.user()
    key = stack.upload(user, completing("soon gone"))
    answers: list[httpx.Response] = []
    stack.extractor.publishing.clear()
    try:
        waiting = threading.Thread(target=lambda: answers.append(api.post(user, key, Prefer="wait=4")))
        waiting.start()
        deadline = time.monotonic() + 20
        while not (rows := listed(api, user)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        identity = str(rows[0]["id"])
        while (answer := delete(api, user, identity)).status_code == 404:
            assert "pending" in answer.json()["error"]
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert answer.status_code == 204
        waiting.join(20)
    finally:
        stack.extractor.publishing.set()
    assert (answers[0].status_code, answers[0].json()["code"]) == (410, "result_deleted")


def test_many_deletions_at_once_leave_one_tombstone(stack: Stack, api: Replica, documents: DocumentStore) -> None:
    user = stack.user()
    identity = api.post(user, stack.upload(user, completing("once"))).json()["id"]
    statuses: list[int] = []

    def run() -> None:
        statuses.append(httpx.delete(f"{api.url}/api/ocr/results/{identity}", headers=user.headers).status_code)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert statuses == [204] * 8
    stored = documents.read(user.id, identity)
    assert stored is not None
    assert (stored.document.status, stored.document.usage.tokens) == (DocumentStatus.DELETED, 51)


def test_a_failure_is_deleted_and_another_users_result_is_not(stack: Stack, api: Replica) -> None:
    user, other = stack.user(), stack.user()
    key = stack.upload(user, failing(ErrorCode.UNREADABLE_DOCUMENT, "because"))
    api.post(user, key)
    deadline = time.monotonic() + 20
    while not (rows := listed(api, user, status="failed")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    identity = str(rows[0]["id"])
    assert delete(api, other, identity).status_code == 404
    assert api.result(user, identity).json()["status"] == "failed"
    assert delete(api, user, identity).status_code == 204
    assert api.result(user, identity).json() == api.result(user, identity).json() | {"code": None, "reason": None}
    assert api.post(user, key).json()["code"] == "result_deleted"
