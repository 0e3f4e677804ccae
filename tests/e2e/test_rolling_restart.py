"""An upgrade in place: every service replaced, one by one, under a stream of uploads and POSTs."""

import signal
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from schemas.events import ResultCompleted, UsageRecorded
from tests.support.scripted_engine import picture
from tests.support.stage import Worker, wait_for
from tests.support.system import System

_GRANT = 1_000_000
_DRAIN_SECONDS_MAX = 40.0


def _replace(old: Worker, start: Callable[[], Worker]) -> Worker:
    """As an orchestrator does it: the new one is ready before the old one is asked to go."""
    new = start()
    old.signal(signal.SIGTERM)
    assert old.wait(_DRAIN_SECONDS_MAX) == 0, old.output()[-3000:]
    return new


def test_a_rolling_restart_of_every_service_loses_nothing_and_charges_once(system: System) -> None:
    key = system.account("alice", _GRANT)
    workers = {"ledger": system.ledger(), "extractor": system.extractor(), "intake": system.intake()}
    first, second = system.api(), system.api()
    uploaded: list[int] = []
    over = threading.Event()

    def stream() -> None:
        number = 0
        while not over.is_set():
            system.stage.upload(f"ocr/alice/{number}.png", picture(words=number % 9 + 1, seed=number))
            uploaded.append(number)
            number += 1
            # A wait rather than a burst: the uploads go on for as long as the restarts do.
            over.wait(0.25)

    with ThreadPoolExecutor(1) as pool:
        streaming = pool.submit(stream)
        wait_for(lambda: len(system.stage.read.events(ResultCompleted)) > 0, "a first result", 60)
        workers["extractor"] = _replace(workers["extractor"], system.extractor)
        workers["ledger"] = _replace(workers["ledger"], system.ledger)
        workers["intake"] = _replace(workers["intake"], system.intake)
        # The other replica answers meanwhile.
        system.stage.upload("ocr/alice/asked.png", picture(words=3, seed=100_000))
        third = _replace(first, system.api)
        assert system.process(second, key, "ocr/alice/asked.png").status == 200
        over.set()
        streaming.result(30)
    asked = 50 + 3
    spent = asked + sum(50 + number % 9 + 1 for number in uploaded)
    wait_for(lambda: len(system.stage.read.events(ResultCompleted)) >= len(uploaded) + 1, "every result", 60)
    wait_for(lambda: system.balance(third, key) == _GRANT - spent, "the balance", 60)
    results = Counter(event.result_id for event in system.stage.read.events(ResultCompleted))
    charges = Counter(event.usage_id for event in system.stage.read.events(UsageRecorded))
    assert len(results) == len(charges) == len(uploaded) + 1
    assert set(results.values()) == set(charges.values()) == {1}
