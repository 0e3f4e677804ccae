"""One attempt against receivers that misbehave."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator, Sequence

import pytest

from services.webhook_registry.addresses import AddressPolicy, Resolve, resolve
from services.webhook_registry.log import Attempt
from services.webhook_registry.signing import signature
from services.webhooks.deliveries import Claim
from services.webhooks.sending import Sender
from tests.integration.webhooks.receiver import Receiver, answer, drip, flood, hang, speak_ssh

_LOCAL = AddressPolicy.of("127.0.0.0/8")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def attempt(url: str, policy: AddressPolicy = _LOCAL, seconds: float = 5.0, resolve: Resolve = resolve) -> Attempt:
    async def run() -> Attempt:
        sender = Sender(policy, attempt_seconds_max=seconds, resolve=resolve)
        try:
            return await sender.attempt(Claim("d", "alice", url, ("whsec_s",), b'{"a":1}', 1))
        finally:
            await sender.close()

    return asyncio.run(run())


def test_a_delivery_is_signed_as_of_now(receiver: Receiver) -> None:
    made = attempt(receiver.url)
    assert made.is_delivered
    ((path, headers, body),) = receiver.requests
    assert (path, body, headers["Content-Type"]) == ("/hook", b'{"a":1}', "application/json")
    found = re.fullmatch(r"t=(\d+),v1=[0-9a-f]{64}", headers["OCR-Signature"])
    assert found
    assert abs(int(found[1]) - time.time()) < 5
    assert headers["OCR-Signature"] == signature(("whsec_s",), int(found[1]), body)


@pytest.mark.parametrize("status", [400, 404, 410, 500, 503])
def test_any_answer_but_a_2xx_is_no_delivery(receiver: Receiver, status: int) -> None:
    receiver.behave = answer(status)
    made = attempt(receiver.url)
    assert (made.is_delivered, made.status_code) == (False, status)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(receiver: Receiver, status: int) -> None:
    receiver.behave = answer(status, Location=f"{receiver.url}/elsewhere")
    made = attempt(receiver.url)
    assert (made.is_delivered, made.status_code, made.error) == (False, status, "redirects are not followed")
    assert [path for path, _, _ in receiver.requests] == ["/hook"]


def test_a_receiver_that_hangs_is_left_in_time(receiver: Receiver) -> None:
    receiver.behave = hang(20)
    made = attempt(receiver.url, seconds=0.5)
    assert (made.status_code, made.error) == (None, "no answer within 0.5 s")
    assert made.milliseconds < 3000


def test_a_receiver_that_drips_is_left_in_time(receiver: Receiver) -> None:
    receiver.behave = drip
    made = attempt(receiver.url, seconds=1.0)
    assert made.error == "no answer within 1 s"
    assert made.milliseconds < 3000


def test_an_endless_answer_is_not_read_to_its_end(receiver: Receiver) -> None:
    receiver.behave = flood
    made = attempt(receiver.url)
    assert made.is_delivered
    assert made.milliseconds < 3000


def test_a_name_that_has_become_private_is_not_connected_to(receiver: Receiver) -> None:
    answers: list[Sequence[str]] = [["93.184.215.14"], ["127.0.0.1"]]
    policy = AddressPolicy()
    url = receiver.url.replace("http://127.0.0.1", "https://rebinding.example")
    policy.check_url(url, lambda *_: answers.pop(0))
    made = attempt(url, policy, resolve=lambda *_: answers.pop(0))
    assert made.status_code is None
    assert "not a public address" in (made.error or "")
    assert receiver.requests == []


def test_the_address_that_was_judged_is_the_one_that_is_connected_to(receiver: Receiver) -> None:
    lookups: list[str] = []

    def once(host: str, _port: int) -> list[str]:
        lookups.append(host)
        return ["127.0.0.1"]

    made = attempt(receiver.url.replace("127.0.0.1", "receiver.example"), resolve=once)
    assert made.is_delivered
    assert lookups == ["receiver.example"]
    assert receiver.requests[0][1]["Host"].startswith("receiver.example:")


def test_nobody_there_is_an_outcome() -> None:
    made = attempt("http://127.0.0.1:1/hook")
    assert made.status_code is None
    assert made.error


def test_a_malformed_host_name_is_an_outcome() -> None:
    assert "is unknown" in (attempt("https://a..example.com/hook").error or "")


def test_a_name_server_that_hangs_is_left_in_time() -> None:
    def hanging(_host: str, _port: int) -> list[str]:
        time.sleep(2)
        return []

    made = attempt("http://slow.example/", seconds=0.5, resolve=hanging)
    assert made.error == "no answer within 0.5 s"


def test_what_speaks_no_http_is_an_outcome(receiver: Receiver) -> None:
    receiver.behave = speak_ssh
    made = attempt(receiver.url)
    assert (made.is_delivered, made.status_code) == (False, None)
    assert made.error
