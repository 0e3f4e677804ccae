"""A broker that is away must not fill the disk with its log lines."""

import logging

from services.runtime.client_logs import OnceInAWhile


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def line(kind: str, *, code: str | None = None) -> logging.LogRecord:
    record = logging.LogRecord("kafka", logging.ERROR, "", 0, "%s [%s] %s", (kind, "client", "text"), None)
    if code is not None:
        record.kafka_code = code
    return record


def test_lines_of_a_kind_pass_once_in_a_while_and_say_how_many_did_not() -> None:
    clock = Clock()
    throttle = OnceInAWhile(10.0, clock)
    assert [throttle.filter(line("FAIL")) for _ in range(4)] == [True, False, False, False]
    clock.seconds += 10.0
    later = line("FAIL")
    assert throttle.filter(later)
    assert later.__dict__["held_back"] == 3


def test_lines_of_another_kind_are_not_held_back() -> None:
    throttle = OnceInAWhile(10.0, Clock())
    assert throttle.filter(line("FAIL"))
    assert throttle.filter(line("MAXPOLL"))
    assert throttle.filter(line("FAIL", code="_TRANSPORT"))
    assert not throttle.filter(line("MAXPOLL"))
