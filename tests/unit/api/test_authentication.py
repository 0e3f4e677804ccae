import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from services.api.authentication import Authenticator, Caller
from services.api.errors import ApiError
from services.api.keys import hash_key, looks_like_key
from tests.unit.api.fakes import API_KEY, NOW, USER, FakeKeys, api_key


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def authenticate(authenticator: Authenticator, text: str | None = API_KEY) -> Caller:
    return asyncio.run(authenticator.authenticate(text))


def test_a_key_is_looked_up_once_within_some_seconds_and_its_end_is_seen_after_them() -> None:
    keys, clock = FakeKeys(api_key()), Clock()
    authenticator = Authenticator(keys, ThreadPoolExecutor(1), 3.0, now=lambda: NOW, clock=clock)
    for _ in range(5):
        assert authenticate(authenticator).user_id == USER
    assert keys.looked_up == 1
    keys.key = replace(api_key(), revoked_at=NOW)
    clock.seconds = 3.1
    with pytest.raises(ApiError):
        authenticate(authenticator)
    assert keys.looked_up == 2


def test_a_remembered_key_still_expires_on_time() -> None:
    keys = FakeKeys(api_key(expires_at=NOW))
    authenticator = Authenticator(keys, ThreadPoolExecutor(1), 3.0, now=lambda: NOW)
    with pytest.raises(ApiError):
        authenticate(authenticator)


def test_what_cannot_be_a_key_costs_no_lookup() -> None:
    keys = FakeKeys(api_key())
    authenticator = Authenticator(keys, ThreadPoolExecutor(1), 3.0)
    for text in (None, "", "x", API_KEY + "x", API_KEY.replace("k", "é"), "' OR 1=1 --"):
        with pytest.raises(ApiError):
            authenticate(authenticator, text)
    assert keys.looked_up == 0


def test_unknown_keys_are_not_remembered() -> None:
    authenticator = Authenticator(FakeKeys(None), ThreadPoolExecutor(1), 60.0)
    for number in range(10):
        with pytest.raises(ApiError):
            authenticate(authenticator, f"ocr_{number:043d}")
    assert not authenticator._cached


def test_only_the_hash_of_a_key_is_kept() -> None:
    authenticator = Authenticator(FakeKeys(api_key()), ThreadPoolExecutor(1), 60.0, now=lambda: NOW)
    authenticate(authenticator)
    assert list(authenticator._cached) == [hash_key(API_KEY)]
    assert API_KEY not in repr(vars(authenticator))
    assert looks_like_key(API_KEY)
