"""Notifications by HTTP POST, against the served application."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from services.runtime.object_store import ObjectStore
from services.runtime.settings import ObjectStoreSettings
from tests.integration.intake.conftest import Running, StartIntake, Uploads, notification, wait_for
from tests.support.parts import ObjectStorePart

TOKEN = "a-token-of-this-test"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def running(start_intake: StartIntake, store_settings: ObjectStoreSettings) -> Running:
    """Intake that accepts pushes."""
    return start_intake(
        store_settings,
        http_port=0,
        http_token=TOKEN,
        http_username="store",
        http_password="secret",
        http_body_bytes_max=4096,
        http_seconds_max=2,
    )


@pytest.fixture
def http(running: Running) -> Iterator[httpx.Client]:
    """A client of the running application."""
    running.wait_until_ready()
    with httpx.Client(base_url=f"http://127.0.0.1:{running.intake.http_port()}", timeout=30) as client:
        yield client


def test_a_pushed_notification_is_requested_before_the_answer(
    http: httpx.Client, store: ObjectStore, store_settings: ObjectStoreSettings, uploads: Uploads
) -> None:
    bucket = store_settings.uploads_bucket
    store.put(bucket, "ocr/alice/a b.png", b"pixels", "image/png")

    answer = http.post("/notifications", json=notification(bucket, "ocr/alice/a+b.png"), headers=BEARER)

    assert (answer.status_code, answer.content) == (204, b"")
    assert uploads.keys(1, 5.0) == ["ocr/alice/a b.png"]


def test_basic_credentials_are_accepted_too(http: httpx.Client) -> None:
    assert http.post("/notifications", json={"Records": []}, auth=("store", "secret")).status_code == 204


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer another",
        "Bearer a-token-of-this-tes",
        "Basic !",
        "Basic c3RvcmU6",
        "Digest x",
        "\xff \xff",
    ],
)
def test_wrong_credentials_are_refused(http: httpx.Client, header: str) -> None:
    headers = {b"Authorization": header.encode("latin-1")} if header else {}
    answer = http.post("/notifications", json={"Records": []}, headers=headers)
    assert answer.status_code == 401
    assert "www-authenticate" in answer.headers


@pytest.mark.parametrize("body", [b"", b"hello", b"{}", b"\xff", b"[" * 3000, b'{"Records": 7}'])
def test_what_is_no_notification_is_a_bad_request(http: httpx.Client, body: bytes) -> None:
    answer = http.post("/notifications", content=body, headers=BEARER)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_other_paths_methods_and_sizes_are_refused(http: httpx.Client) -> None:
    assert http.post("/elsewhere", json={}, headers=BEARER).status_code == 404
    assert http.get("/notifications", headers=BEARER).status_code == 405
    assert http.post("/notifications", content=b" " * 5000, headers=BEARER).status_code == 413


def test_many_senders_at_once_are_all_taken_in(
    http: httpx.Client, store: ObjectStore, store_settings: ObjectStoreSettings, uploads: Uploads
) -> None:
    bucket = store_settings.uploads_bucket
    keys = [f"ocr/alice/{number}.png" for number in range(40)]
    for key in keys:
        store.put(bucket, key, b"pixels", "image/png")

    with ThreadPoolExecutor(16) as senders:
        answers = senders.map(
            lambda key: http.post("/notifications", json=notification(bucket, key), headers=BEARER).status_code, keys
        )

    assert set(answers) == {204}
    assert uploads.keys(len(keys)) == sorted(keys)


def test_while_the_store_is_away_the_sender_is_told_to_come_again(
    http: httpx.Client, running: Running, object_store: ObjectStorePart, store_settings: ObjectStoreSettings
) -> None:
    body = json.dumps(notification(store_settings.uploads_bucket, "ocr/alice/a.png"))
    object_store.stop()
    try:
        answer = http.post("/notifications", content=body, headers=BEARER)
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "5"
        assert running.intake.ready() is not None
    finally:
        object_store.start()
    wait_for(lambda: http.post("/notifications", content=body, headers=BEARER).status_code == 204, 20.0)
    running.wait_until_ready()
