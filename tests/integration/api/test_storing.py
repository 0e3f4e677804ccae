"""Files through a running API, onto a real store."""

from __future__ import annotations

import socket
import threading
import time
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from tests.integration.api.stack import Replica, Stack, User

JPEG = b"\xff\xd8\xff\xe0"
_MEGABYTE = 1 << 20


def store(api: Replica, user: User, content: bytes, name: str = "scan.jpg") -> httpx.Response:
    return api.client.post("/api/files", files={"file": (name, content)}, headers=user.headers)


def objects(stack: Stack, user: User) -> list[str]:
    return [found.key for found in stack.store.list(stack.object_store.uploads_bucket, f"ocr/{user.id}/")]


def test_a_file_arrives_as_it_was_sent(stack: Stack, api: Replica) -> None:
    user = stack.user()
    content = JPEG + bytes(range(256)) * 8_000
    answer = store(api, user, content, "Rechnung Nr. 7.jpg")
    assert answer.status_code == 201, answer.text
    key = answer.json()["key"]
    assert key.startswith(f"ocr/{user.id}/")
    assert key.endswith("-Rechnung-Nr.-7.jpg")
    head = stack.store.head(stack.object_store.uploads_bucket, key)
    assert head is not None
    assert (head.content_type, head.size_bytes) == ("image/jpeg", len(content))
    found = stack.store.read(stack.object_store.uploads_bucket, key)
    assert found is not None
    assert found[0] == content
    assert objects(stack, user) == [key]


def test_an_upload_that_breaks_off_leaves_nothing(stack: Stack, api: Replica) -> None:
    user = stack.user()
    address = urlsplit(api.url)
    for ending in (b"", b"\r\n--frontier"):
        with socket.create_connection((address.hostname, address.port or 0)) as connection:
            head = (
                f"POST /api/files HTTP/1.1\r\nHost: api\r\nX-API-Key: {user.api_key}\r\nContent-Length: 9000000\r\n"
                "Content-Type: multipart/form-data; boundary=frontier\r\n\r\n--frontier\r\n"
                'Content-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
            )
            connection.sendall(head.encode() + JPEG + b"x" * 2 * _MEGABYTE + ending)
            time.sleep(0.3)
    time.sleep(0.5)
    assert objects(stack, user) == []
    assert store(api, user, JPEG + b"x" * 100).status_code == 201, "its place is free again"


def test_more_than_the_limit_is_refused_and_the_largest_is_not_held_in_memory(stack: Stack, api: Replica) -> None:
    user = stack.user()
    process = psutil.Process(api.process.pid)
    before, peak, done = process.memory_info().rss, 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.is_set():
            peak = max(peak, process.memory_info().rss)
            time.sleep(0.01)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        assert store(api, user, JPEG + b"x" * (48 * _MEGABYTE - 500_000)).status_code == 201
    finally:
        done.set()
        watching.join()
    assert peak - before < 24 * _MEGABYTE
    stored = objects(stack, user)
    assert len(stored) == 1
    refused = store(api, user, JPEG + b"x" * 50_000_000)
    assert (refused.status_code, refused.json()["code"]) == (413, "file_too_large")
    assert objects(stack, user) == stored


@pytest.mark.parametrize("content", [b"", b"<html></html>", b"#!/bin/sh\n" * 500])
def test_what_is_no_document_is_not_stored(stack: Stack, api: Replica, content: bytes) -> None:
    user = stack.user()
    answer = store(api, user, content)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert objects(stack, user) == []
