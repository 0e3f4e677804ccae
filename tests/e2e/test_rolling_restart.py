"""An upgrade in place: every service replaced, one by one, under a stream of uploads and POSTs."""

import http.client
import signal
import threading
import urllib.error
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from schemas.events import ResultCompleted, UsageRecorded
from tests.support.scripted_engine import picture
from tests.support.stage import Worker, wait_for
from tests.support.system import System

_GRANT = 1_000_000
_DRAIN_SECONDS_MAX = 120.0
_ATTEMPTS_MAX = 20


def _replace(old: Worker, start: Callable[[], Worker]) -> Worker:
    """As an orchestrator does it: the new one is ready before the old one is asked to go."""
    new = start()
    _end(old)
    return new


def _end(worker: Worker) -> None:
    worker.signal(signal.SIGTERM)
    assert worker.wait(_DRAIN_SECONDS_MAX) == 0, worker.output()[-3000:]


def _answer(system: System, apis: list[Worker], key: str, name: str) -> int:
    """The number of words that a POST is answered with, asked again where a replica is gone or the wait ran out."""
    for attempt in range(_ATTEMPTS_MAX):
        replicas = list(apis)  # it changes meanwhile
        try:
            answer = system.process(replicas[attempt % len(replicas)], key, name)
        except (urllib.error.URLError, ConnectionError, http.client.HTTPException):
            continue  # it went between the look at the list and the request
        if answer.status == 200:
            return int(answer.body["wordCount"])
        assert answer.status in (503, 504), answer
    raise AssertionError(f"{name} was never answered")


@pytest.mark.timeout(600)  # ten processes start, one after the other
def test_a_rolling_restart_of_every_service_loses_nothing_and_charges_once(system: System) -> None:
    key = system.account("alice", _GRANT)
    workers = {"ledger": system.ledger(), "extractor": system.extractor(), "intake": system.intake()}
    first, second = system.api(), system.api()
    uploaded: list[int] = []
    answered: list[int] = []
    apis = [first, second]
    over = threading.Event()

    def stream() -> None:
        number = 0
        while not over.is_set():
            system.stage.upload(f"ocr/alice/{number}.png", picture(words=number % 9 + 1, seed=number))
            uploaded.append(number)
            number += 1
            # A wait rather than a burst: the uploads go on for as long as the restarts do.
            over.wait(0.25)

    def ask() -> None:
        """As a client behind a balancer: at a replica that takes requests, and at the next where one has gone."""
        number = 100_000
        while not over.is_set():
            name = f"ocr/alice/asked-{number}.png"
            system.stage.upload(name, picture(words=number % 9 + 1, seed=number))
            assert _answer(system, apis, key, name) == number % 9 + 1
            answered.append(number)
            number += 1
            over.wait(0.1)

    with ThreadPoolExecutor(2) as pool:
        streams = [pool.submit(stream), pool.submit(ask)]
        try:
            wait_for(lambda: len(system.stage.read.events(ResultCompleted)) > 0, "a first result", 120)
            workers["extractor"] = _replace(workers["extractor"], system.extractor)
            workers["ledger"] = _replace(workers["ledger"], system.ledger)
            workers["intake"] = _replace(workers["intake"], system.intake)
            for replica in (first, second):
                apis.insert(0, system.api())
                before = len(answered)
                # Out of the balancer's list first, as whoever is not ready is.
                apis.remove(replica)
                _end(replica)
                wait_for(lambda more=before + 2: len(answered) >= more, "answers of those that are left", 120)  # type: ignore[misc]
        finally:
            over.set()
        for each in streams:
            each.result(120)
    numbers = uploaded + answered
    spent = sum(50 + number % 9 + 1 for number in numbers)
    wait_for(lambda: len(system.stage.read.events(ResultCompleted)) >= len(numbers), "every result", 120)
    wait_for(lambda: system.balance(apis[0], key) == _GRANT - spent, "the balance", 120)
    results = Counter(event.result_id for event in system.stage.read.events(ResultCompleted))
    charges = Counter(event.usage_id for event in system.stage.read.events(UsageRecorded))
    assert len(results) == len(charges) == len(numbers)
    assert set(results.values()) == set(charges.values()) == {1}
