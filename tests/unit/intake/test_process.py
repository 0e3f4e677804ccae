"""Settings, loops and readiness of the process."""

import threading
from collections.abc import Callable

import pytest
from pydantic import ValidationError

from services.intake.leadership import Leadership
from services.intake.settings import IntakeSettings
from services.intake.threads import Loops
from services.intake.trouble import Trouble
from services.runtime.settings import KafkaSettings
from tests.unit.intake.fakes import FakeClock


def test_http_push_is_not_opened_without_credentials() -> None:
    with pytest.raises(ValidationError, match="OCR_INTAKE_HTTP_TOKEN"):
        IntakeSettings.model_validate({"http_port": 8080})
    with pytest.raises(ValidationError, match="OCR_INTAKE_HTTP_TOKEN"):
        IntakeSettings.model_validate({"http_port": 8080, "http_username": "store"})
    IntakeSettings.model_validate({"http_port": 8080, "http_username": "store", "http_password": "secret"})


def test_secrets_are_not_shown() -> None:
    shown = repr(IntakeSettings.model_validate({"http_token": "hush", "sqs_secret_key": "hush"}))
    assert "hush" not in shown


def test_a_trouble_that_nobody_meets_again_is_over() -> None:
    clock = FakeClock()
    trouble = Trouble("not begun", clock)
    clock.sleep(3600)
    assert trouble() == "not begun"
    trouble.met("away")
    assert trouble() == "away"
    clock.sleep(16)
    assert trouble() is None
    trouble.met("away")
    trouble.over()
    assert trouble() is None


def test_a_loop_that_fails_ends_the_process_with_its_error() -> None:
    stop = threading.Event()
    loops = Loops(stop, 60.0)
    ended = threading.Event()

    def works(stopping: Callable[[], bool], tick: Callable[[], None]) -> None:
        while not stopping():
            tick()
            stop.wait(0.01)
        ended.set()

    def fails(stopping: Callable[[], bool], _tick: Callable[[], None]) -> None:
        assert not stopping()
        raise KeyError("out of reach")

    loops.start("works", works)
    loops.start("fails", fails)
    with pytest.raises(KeyError, match="out of reach"):
        loops.join(5.0, lambda: None)
    assert ended.is_set()


def test_a_failed_check_ends_the_process_too() -> None:
    loops = Loops(threading.Event(), 60.0)

    def check() -> None:
        raise RuntimeError("the producer failed")

    with pytest.raises(RuntimeError, match="the producer failed"):
        loops.join(1.0, check)


def test_a_loop_that_hangs_is_named() -> None:
    stop = threading.Event()
    loops = Loops(stop, -1.0)

    def hangs(_stopping: Callable[[], bool], _tick: Callable[[], None]) -> None:
        stop.wait(5.0)

    loops.start("hangs", hangs)
    assert (loops.live() or "").startswith("hangs: ")
    stop.set()


def test_leadership_is_not_believed_in_after_a_long_sleep() -> None:
    clock = FakeClock()
    leadership = Leadership(KafkaSettings(session_timeout_ms=6_000), clock)
    assert not leadership.held()
    leadership.won()
    assert leadership.held()
    clock.sleep(6.1)
    assert not leadership.held()
