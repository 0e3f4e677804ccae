"""Rate limits: the bucket on a clock of the test's, and what answers say."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.keys import Scope
from services.api.rate_limit import Allowance, RateLimited, RateLimiter
from tests.unit.api.fakes import FakeWorld, api_key, app
from tests.unit.api.test_app import assert_error, call

BALANCE = "/api/tokens/balance"


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_key_may_make_so_many_at_once_and_then_one_whenever_one_has_come_back(clock: Clock) -> None:
    limiter = RateLimiter(3, 60.0, clock)
    assert [limiter.take("k") for _ in range(3)] == [Allowance(3, 2, 20), Allowance(3, 1, 40), Allowance(3, 0, 60)]
    with pytest.raises(RateLimited) as refused:
        limiter.take("k")
    assert refused.value.headers == {"Retry-After": "20"}
    assert refused.value.allowance == Allowance(3, 0, 60)
    clock.seconds += 20
    assert limiter.take("k") == Allowance(3, 0, 60)
    with pytest.raises(RateLimited):
        limiter.take("k")


def test_who_is_refused_loses_nothing_by_asking(clock: Clock) -> None:
    limiter = RateLimiter(1, 10.0, clock)
    limiter.take("k")
    for _ in range(9):
        clock.seconds += 1
        with pytest.raises(RateLimited):
            limiter.take("k")
    clock.seconds += 1
    limiter.take("k")


def test_each_key_has_its_own(clock: Clock) -> None:
    limiter = RateLimiter(1, 60.0, clock)
    limiter.take("k")
    limiter.take("other")
    with pytest.raises(RateLimited):
        limiter.take("k")


def test_no_limit_is_no_limit(clock: Clock) -> None:
    limiter = RateLimiter(0, 60.0, clock)
    assert {limiter.take("k") for _ in range(100)} == {None}


@given(waits=st.lists(st.floats(0, 5), max_size=60), requests=st.integers(1, 5), seconds=st.floats(0.5, 20))
def test_in_no_time_do_more_pass_than_the_bucket_and_what_came_back(
    waits: list[float], requests: int, seconds: float
) -> None:
    clock = Clock()
    limiter, passed, begun = RateLimiter(requests, seconds, clock), 0, clock.seconds
    for wait in waits:
        clock.seconds += wait
        with contextlib.suppress(RateLimited):
            limiter.take("k")
            passed += 1
    assert passed <= requests + (clock.seconds - begun) * requests / seconds + 1e-6


def test_keys_that_rest_are_forgotten(clock: Clock) -> None:
    limiter = RateLimiter(2, 60.0, clock)
    for number in range(10_000):
        limiter.take(f"k{number}")
    limiter.take("k0")
    clock.seconds += 31
    limiter.take("new")
    assert limiter.take("k0").remaining == 0, "still in use"  # type: ignore[union-attr]
    assert len(limiter._buckets) == 2


def test_every_answer_to_a_key_says_what_is_left() -> None:
    application = app(FakeWorld(), limiter=RateLimiter(2, 60.0, Clock()))
    first = call(application, "GET", BALANCE)
    assert first.status_code == 200
    told = {name: first.headers[f"ratelimit-{name}"] for name in ("limit", "remaining", "reset")}
    assert told == {"limit": "2", "remaining": "1", "reset": "30"}
    assert call(application, "GET", "/api/ocr/results/x").headers["ratelimit-remaining"] == "0", "errors too"
    refused = call(application, "GET", BALANCE)
    assert_error(refused, 429, "rate_limited")
    assert (refused.headers["retry-after"], refused.headers["ratelimit-remaining"]) == ("30", "0")


def test_what_needs_no_key_or_has_none_that_is_valid_is_not_counted() -> None:
    application = app(FakeWorld(), limiter=RateLimiter(1, 60.0, Clock()))
    for path, key in (("/healthz", None), (BALANCE, None), (BALANCE, "ocr_" + "x" * 43)):
        assert "ratelimit-limit" not in call(application, "GET", path, key=key).headers
    assert call(application, "GET", BALANCE).status_code == 200


def test_a_request_without_the_scope_is_counted() -> None:
    application = app(FakeWorld(), key=api_key(Scope.PROCESS), limiter=RateLimiter(1, 60.0, Clock()))
    assert call(application, "GET", BALANCE).status_code == 403
    assert call(application, "GET", BALANCE).status_code == 429


@pytest.mark.parametrize("path", ["/healthz", BALANCE, "/nowhere", "/openapi.json", "/docs", "/"])
def test_no_answer_can_be_framed_sniffed_or_run(path: str) -> None:
    headers = call(app(FakeWorld()), "GET", path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
