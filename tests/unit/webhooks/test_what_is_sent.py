"""The body, its signature, and when it is sent again."""

import hashlib
import hmac
import json

import pytest
from pydantic import ValidationError

from schemas.events import ErrorCode
from services.webhook_registry.payloads import Notice, notice_of
from services.webhook_registry.settings import WebhookSettings
from services.webhook_registry.signing import new_secret, signature
from services.webhooks.schedule import Schedule
from tests.unit.api.fakes import KEY, RESULT_ID, completed, failed, refused


def test_the_signature_covers_time_and_body() -> None:
    expected = hmac.new(b"whsec_a", b'1700000000.{"a":1}', hashlib.sha256).hexdigest()
    assert signature(["whsec_a"], 1_700_000_000, b'{"a":1}') == f"t=1700000000,v1={expected}"
    others = [(["whsec_b"], 1_700_000_000, b'{"a":1}'), (["whsec_a"], 1_700_000_001, b'{"a":1}')]
    assert len({signature(["whsec_a"], 1_700_000_000, b'{"a":1}'), *(signature(*other) for other in others)}) == 3


def test_two_secrets_sign_side_by_side_the_newest_first() -> None:
    newest, before = (signature([secret], 1, b"{}").partition(",")[2] for secret in ("whsec_b", "whsec_a"))
    assert signature(["whsec_b", "whsec_a"], 1, b"{}") == f"t=1,{newest},{before}"


def test_secrets_are_never_the_same() -> None:
    assert len({new_secret() for _ in range(50)}) == 50
    assert len(new_secret()) > 40


def test_a_completed_result_is_told_with_its_text() -> None:
    body = json.loads(notice_of(completed("zwei Wörter")).body("w"))
    assert body["type"] == "result.completed"
    assert body["createdAt"] == "2026-06-15T10:30:00.000Z"
    assert body["data"] == {
        "id": RESULT_ID,
        "status": "completed",
        "key": KEY,
        "createdAt": "2026-06-15T10:30:00.000Z",
        "text": "zwei Wörter",
        "fileUrl": f"https://files.example.com/{KEY}",
        "language": "en",
        "wordCount": 2,
        "pageCount": 1,
        "tokensUsed": 52,
    }


def test_failures_and_refusals_are_told_with_their_code() -> None:
    for notice, status in (
        (notice_of(failed(ErrorCode.UNREADABLE_DOCUMENT, "torn")), "failed"),
        (notice_of(refused(ErrorCode.INSUFFICIENT_TOKENS, "torn")), "refused"),
    ):
        data = json.loads(notice.body("w"))["data"]
        assert (notice.event_type, data["status"], data["reason"]) == (f"result.{status}", status, "torn")
        assert data["code"]


def test_a_delivery_has_one_id_for_one_webhook_and_result() -> None:
    def another(notice: Notice, **changes: str) -> Notice:
        return Notice(**{**vars(notice), **changes})

    first, again = notice_of(completed()), notice_of(completed())
    assert first.delivery_id("w") == again.delivery_id("w") == json.loads(first.body("w"))["id"]
    ids = {
        first.delivery_id("w"),
        first.delivery_id("v"),
        another(first, result_id="r").delivery_id("w"),
        another(first, event_type="result.failed").delivery_id("w"),
    }
    assert len(ids) == 4


def test_pauses_grow_and_end() -> None:
    schedule = Schedule(attempts_max=5, first_seconds=5, seconds_max=100, jitter=lambda: 1.0)
    assert [schedule.pause_seconds(attempt) for attempt in range(1, 6)] == [5, 15, 45, 100, None]


def test_pauses_are_never_in_step() -> None:
    lowest, highest = Schedule(9, 10, 1000, jitter=lambda: 0.0), Schedule(9, 10, 1000, jitter=lambda: 1.0)
    assert (lowest.pause_seconds(2), highest.pause_seconds(2)) == (15, 30)


def test_by_default_a_receiver_has_most_of_a_day() -> None:
    settings = WebhookSettings()
    schedule = Schedule(
        settings.attempts_max, settings.backoff_seconds_first, settings.backoff_seconds_max, jitter=lambda: 1.0
    )
    pauses = [schedule.pause_seconds(attempt) for attempt in range(1, settings.attempts_max)]
    assert 20 < sum(pause for pause in pauses if pause is not None) / 3600 < 24


def test_a_network_that_is_none_is_told_at_start() -> None:
    with pytest.raises(ValidationError):
        WebhookSettings(allowed_networks="10.0.0.0/8, everything")
