"""Webhooks over HTTP: one's own alone, at addresses that are allowed, with secrets that are shown once."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI

from schemas.events import ErrorCode, Failure
from services.api.errors import ApiError
from services.api.keys import Scope
from services.api.waiters import Overloaded
from services.webhook_registry.addresses import AddressPolicy, ForbiddenAddress
from services.webhook_registry.log import logged_deliveries
from services.webhook_registry.payloads import notice_of
from services.webhook_registry.registry import PER_USER_MAX, add_webhook
from services.webhooks.deliveries import claim, enqueue, record
from tests.unit.api.fakes import NOW, RESULT_ID, USER, FakeWorld, api_key, app, completed, document, webhooks_in_memory
from tests.unit.api.test_app import call

_WEBHOOKS = "/api/webhooks"
_URL = "https://hook.example/in"


class Hooked:
    """An application with its webhooks' database."""

    def __init__(self) -> None:
        self.world = FakeWorld()
        self.webhooks = webhooks_in_memory(self.world)
        self.engine = self.webhooks._engine
        self.app = app(self.world, webhooks=self.webhooks)

    def add(self, **body: Any) -> dict[str, Any]:
        answer = call(self.app, "POST", _WEBHOOKS, json={"url": _URL} | body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def tell(self, webhook_id: str, status: int) -> str:
        """A delivery of the completed result that ended after one attempt; returns its id."""
        (webhook,) = [each for each in registered(self) if each.id == webhook_id]
        enqueue(self.engine, [(webhook, notice_of(completed()))], NOW)
        (claimed,) = claim(self.engine, {}, per_user_max=1, count=1, lease=timedelta(seconds=9), now=NOW)
        from services.webhook_registry.log import Attempt

        record(self.engine, claimed, Attempt(NOW, 20, status, None), None)
        return claimed.delivery_id


def registered(hooked: Hooked) -> list[Any]:
    from services.webhook_registry.registry import list_webhooks

    return list(list_webhooks(hooked.engine))


@pytest.fixture
def hooked() -> Hooked:
    return Hooked()


def ask(application: FastAPI, method: str, path: str, **body: Any) -> tuple[int, str]:
    answer = call(application, method, path, json=body) if body else call(application, method, path)
    return answer.status_code, answer.json().get("code", "") if answer.content else ""


def test_a_webhook_is_registered_listed_and_removed_and_its_secret_shown_once(hooked: Hooked) -> None:
    made = hooked.add(eventTypes=["result.refused"])
    assert made["secret"].startswith("whsec_")
    (listed,) = call(hooked.app, "GET", _WEBHOOKS).json()["webhooks"]
    assert listed == {key: value for key, value in made.items() if key != "secret"}
    assert listed["eventTypes"] == ["result.refused"]
    assert ask(hooked.app, "DELETE", f"{_WEBHOOKS}/{made['id']}") == (204, "")
    assert ask(hooked.app, "DELETE", f"{_WEBHOOKS}/{made['id']}") == (404, "webhook_not_found")
    assert call(hooked.app, "GET", _WEBHOOKS).json() == {"webhooks": []}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"url": "http://hook.example/"}, "invalid_webhook"),
        ({"url": "https://u:p@hook.example/"}, "invalid_webhook"),
        ({"url": "file:///etc/passwd"}, "invalid_webhook"),
        ({"url": "https://hook.example:99999/"}, "invalid_webhook"),
        ({"url": 7}, "invalid_request"),
        ({"url": "https://" + "a" * 3000}, "invalid_request"),
        ({}, "invalid_request"),
        ({"url": _URL, "eventTypes": []}, "invalid_request"),
        ({"url": _URL, "eventTypes": ["result.lost"]}, "invalid_request"),
    ],
)
def test_what_cannot_be_registered_says_why(hooked: Hooked, body: dict[str, Any], code: str) -> None:
    answer = call(hooked.app, "POST", _WEBHOOKS, json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert registered(hooked) == []


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.8", "169.254.169.254", "::1", "::ffff:192.168.0.1"])
def test_a_name_at_a_private_address_is_refused(hooked: Hooked, address: str) -> None:
    def check(url: str) -> None:
        AddressPolicy().check_url(url, lambda *_: ["93.184.215.14", address])

    application = app(hooked.world, webhooks=webhooks_in_memory(hooked.world, check))
    answer = call(application, "POST", _WEBHOOKS, json={"url": _URL})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_webhook")
    assert "not a public address" in answer.json()["error"]
    assert "OCR_" not in answer.json()["error"], "settings are the operators'"


@pytest.mark.parametrize("host", ["a..example.com", "a" * 64 + ".example.com"])
def test_a_malformed_host_name_is_refused(hooked: Hooked, host: str) -> None:
    application = app(hooked.world, webhooks=webhooks_in_memory(hooked.world, AddressPolicy().check_url))
    assert ask(application, "POST", _WEBHOOKS, url=f"https://{host}/hook") == (400, "invalid_webhook")


def test_a_name_server_that_hangs_is_given_up(hooked: Hooked) -> None:
    over = threading.Event()

    def hang(_url: str) -> None:
        over.wait(60)

    application = app(hooked.world, webhooks=webhooks_in_memory(hooked.world, hang))
    answer = call(application, "POST", _WEBHOOKS, json={"url": _URL})
    over.set()
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_webhook")
    assert "in time" in answer.json()["error"]


async def _the_rest_done() -> None:
    """Waits for every other task, and takes no result of them."""
    await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()}, timeout=30.0)


def test_a_look_up_keeps_its_place_until_its_thread_is_done(hooked: Hooked) -> None:
    over = threading.Event()

    def check(url: str) -> None:
        if "slow" in url:
            over.wait(60)

    webhooks = webhooks_in_memory(hooked.world, check, lookup_threads=2)

    async def add(user_id: str, url: str) -> str:
        try:
            await webhooks.add(user_id, url, ["result.completed"])
        except ApiError as error:
            return error.code
        except Overloaded:
            return "overloaded"
        return "added"

    async def run() -> None:
        assert await add("mallory", "https://slow.example/") == "invalid_webhook"
        assert await add("mallory", "https://slow.example/") == "overloaded"
        assert await add("bob", _URL) == "added"
        assert await add("oscar", "https://slow.example/") == "invalid_webhook"
        assert await add("bob", _URL) == "overloaded"
        over.set()
        await _the_rest_done()
        assert [await add(user_id, _URL) for user_id in ("mallory", "oscar", "bob")] == ["added"] * 3

    try:
        asyncio.run(run())
    finally:
        over.set()


def test_a_look_up_that_fails_after_it_was_given_up_is_no_fault(
    hooked: Hooked, caplog: pytest.LogCaptureFixture
) -> None:
    over, ended = threading.Event(), threading.Event()

    def check(url: str) -> None:
        over.wait(60)
        ended.set()
        raise ForbiddenAddress(f"{url} names an unknown host")

    webhooks = webhooks_in_memory(hooked.world, check)

    async def run() -> None:
        with pytest.raises(ApiError, match="in time"):
            await webhooks.add("mallory", _URL, ["result.completed"])
        with pytest.raises(Overloaded):
            await webhooks.add("mallory", _URL, ["result.completed"])
        over.set()
        await _the_rest_done()
        gc.collect()  # An error that nobody took is told when its task goes.

    try:
        asyncio.run(run())
    finally:
        over.set()
    assert ended.is_set()
    assert [record for record in caplog.records if record.name == "asyncio"] == []


def test_there_is_a_bound_for_a_user(hooked: Hooked) -> None:
    for _ in range(PER_USER_MAX):
        hooked.add()
    assert ask(hooked.app, "POST", _WEBHOOKS, url=_URL) == (400, "invalid_webhook")


def test_another_users_webhook_is_one_that_does_not_exist(hooked: Hooked) -> None:
    theirs = add_webhook(hooked.engine, "bob", _URL, ["result.completed"], NOW)
    path = f"{_WEBHOOKS}/{theirs.id}"
    for method, below in (
        ("DELETE", ""),
        ("POST", "/secret"),
        ("GET", "/deliveries"),
        ("POST", "/deliveries/d/resend"),
    ):
        assert ask(hooked.app, method, path + below) == (404, "webhook_not_found")
    assert call(hooked.app, "GET", _WEBHOOKS).json() == {"webhooks": []}
    assert registered(hooked) == [theirs]


def test_it_takes_a_scope_of_its_own() -> None:
    world = FakeWorld()
    weak = app(world, key=api_key(Scope.PROCESS, Scope.READ, Scope.OPERATE))
    assert ask(weak, "POST", _WEBHOOKS, url=_URL) == (403, "forbidden")
    assert ask(weak, "GET", _WEBHOOKS) == (403, "forbidden")
    assert ask(app(world, key=api_key(Scope.WEBHOOKS)), "GET", _WEBHOOKS) == (200, "")


def test_a_new_secret_signs_beside_the_old_one_for_a_while(hooked: Hooked) -> None:
    made = hooked.add()
    rotated = call(hooked.app, "POST", f"{_WEBHOOKS}/{made['id']}/secret").json()
    assert rotated["previousSecretUntil"] == "2026-06-16T10:30:00.000Z"
    (webhook,) = registered(hooked)
    enqueue(hooked.engine, [(webhook, notice_of(completed()))], NOW)

    def secrets(hours: int) -> tuple[str, ...]:
        now = NOW + timedelta(hours=hours)
        (claimed,) = claim(hooked.engine, {}, per_user_max=1, count=1, lease=timedelta(seconds=9), now=now)
        return claimed.secrets

    assert secrets(1) == (rotated["secret"], made["secret"])
    assert secrets(25) == (rotated["secret"],)


def test_a_delivery_that_failed_is_sent_again_as_it_was(hooked: Hooked) -> None:
    made = hooked.add()
    hooked.world.documents[USER, RESULT_ID] = document()
    delivery_id = hooked.tell(made["id"], 500)
    (line,) = call(hooked.app, "GET", f"{_WEBHOOKS}/{made['id']}/deliveries?status=failed").json()["deliveries"]
    assert (line["id"], line["attempts"], line["lastStatus"]) == (delivery_id, 1, 500)
    path = f"{_WEBHOOKS}/{made['id']}/deliveries/{delivery_id}/resend"
    assert ask(hooked.app, "POST", path) == (202, "")
    assert ask(hooked.app, "POST", path) == (202, ""), "one that is pending stays so"
    (claimed,) = claim(hooked.engine, {}, per_user_max=1, count=1, lease=timedelta(seconds=9), now=NOW)
    assert (claimed.delivery_id, claimed.attempt, claimed.attempt_of_this_time) == (delivery_id, 2, 1)
    assert claimed.body.decode() == notice_of(completed()).body(made["id"])


def test_what_is_gone_cannot_be_told_again(hooked: Hooked) -> None:
    made = hooked.add()
    delivery_id = hooked.tell(made["id"], 200)
    path = f"{_WEBHOOKS}/{made['id']}/deliveries/{delivery_id}/resend"
    broken = Failure(code=ErrorCode.UNREADABLE_DOCUMENT, reason="torn")
    for kept in (None, document(deleted=True), document(error=broken)):
        hooked.world.documents = {} if kept is None else {(USER, RESULT_ID): kept}
        assert ask(hooked.app, "POST", path) == (410, "result_deleted")
    (logged,) = logged_deliveries(hooked.engine)
    assert logged.status == "delivered"
    other = hooked.add()
    hooked.world.documents[USER, RESULT_ID] = document()
    assert ask(hooked.app, "POST", path.replace(made["id"], other["id"])) == (404, "webhook_not_found")
    assert ask(hooked.app, "DELETE", f"{_WEBHOOKS}/{made['id']}") == (204, "")
    assert ask(hooked.app, "POST", path) == (404, "webhook_not_found")


def test_a_failed_result_is_told_again_from_its_document() -> None:
    from services.webhook_registry.payloads import CannotTellAgain, body_of_document

    torn = document(error=Failure(code=ErrorCode.UNREADABLE_DOCUMENT, reason="torn"))
    told = json.loads(body_of_document(torn, "result.failed", "w"))
    assert (told["type"], told["data"]["code"], told["data"]["reason"]) == (
        "result.failed",
        "unreadable_document",
        "torn",
    )
    with pytest.raises(CannotTellAgain, match="refusal"):
        body_of_document(torn, "result.refused", "w")
    with pytest.raises(CannotTellAgain, match="deleted"):
        body_of_document(document(deleted=True), "result.completed", "w")
