"""Presigned uploads against a store that verifies signatures."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.integration.api.fake_extractor import completing
from tests.integration.api.stack import Replica, Stack, User
from tests.support.parts import ObjectStorePart


def ticket(api: Replica, user: User, size: int, content_type: str = "image/png") -> dict[str, Any]:
    body = {"filename": "my scan.png", "contentType": content_type, "size": size}
    answer = api.client.post("/api/files/upload", json=body, headers=user.headers)
    assert answer.status_code == 201
    made: dict[str, Any] = answer.json()
    return made


def test_a_file_uploaded_as_the_ticket_says_can_be_processed(stack: Stack, api: Replica) -> None:
    user, body = stack.user(), completing("uploaded by ticket")
    made = ticket(api, user, len(body))
    assert httpx.put(made["uploadUrl"], content=body, headers=made["headers"]).status_code == 200
    stored = stack.store.head(stack.object_store.uploads_bucket, made["key"])
    assert stored is not None
    assert (stored.size_bytes, stored.content_type) == (len(body), "image/png")
    assert api.post(user, made["key"]).json()["text"] == "uploaded by ticket"


@pytest.mark.parametrize(
    ("content", "change"),
    [
        (b"12345", {"Content-Type": "text/html"}),
        (b"1234567890", {"Content-Length": "10"}),
        (b"1", {"Content-Length": "1"}),
        (b"", {"Content-Length": "0"}),
    ],
)
def test_the_store_refuses_another_type_or_size(
    stack: Stack, api: Replica, object_store: ObjectStorePart, content: bytes, change: dict[str, str]
) -> None:
    if object_store.kind == "embedded":
        pytest.skip("the embedded store checks no signatures")
    made = ticket(api, stack.user(), 5)
    answer = httpx.put(made["uploadUrl"], content=content, headers=made["headers"] | change)
    assert answer.status_code in (400, 403)
    assert stack.store.head(stack.object_store.uploads_bucket, made["key"]) is None


def test_a_ticket_is_good_for_its_own_key_alone_and_not_for_ever(
    stack: Stack, api: Replica, object_store: ObjectStorePart
) -> None:
    if object_store.kind == "embedded":
        pytest.skip("the embedded store checks no signatures")
    made = ticket(api, stack.user(), 5)
    for url in (
        made["uploadUrl"].replace("my-scan", "other"),
        made["uploadUrl"].replace("X-Amz-Expires=900", "X-Amz-Expires=90000"),
        made["uploadUrl"].partition("?")[0],
    ):
        assert httpx.put(url, content=b"12345", headers=made["headers"]).status_code in (400, 403)
