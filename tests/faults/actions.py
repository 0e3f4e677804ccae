"""The faults: what each does, for how long, and how it is healed."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.installation import Installation
from tests.faults.proxy import Proxy, Treatment, refuse
from tests.faults.store_treatments import answer_500, cut_short, slowly

_SERVICES = ("api", "intake", "ledger", "extractor", "webhooks")
_FROZEN_SECONDS = (9.0, 13.0)
"""Longer than the session timeout and the poll interval of the replicas: who sleeps so long has lost everything."""


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong. `strike` returns what it hit, lasts until `heal`, which undoes it."""

    kind: str
    strike: Callable[[Installation, random.Random], Callable[[], None]]
    """Begins it, and returns what ends it."""
    seconds: tuple[float, float] = (0.0, 0.0)
    """How long it lasts, at least and at most."""
    weight: int = 1


def _kill(service: str) -> Fault:
    def strike(where: Installation, chance: random.Random) -> Callable[[], None]:
        # Frozen ones too: a process that is stopped can still be killed, and is started anew.
        chance.choice(where.replicas.of(service)).signal(signal.SIGKILL)
        return _nothing

    return Fault(f"SIGKILL {service}", strike, weight=2)


def _freeze(service: str) -> Fault:
    def strike(where: Installation, chance: random.Random) -> Callable[[], None]:
        one = chance.choice(where.replicas.of(service))
        pid = one.process.pid
        one.signal(signal.SIGSTOP)

        def heal() -> None:
            if one.process.pid == pid:
                one.signal(signal.SIGCONT)

        return heal

    return Fault(f"SIGSTOP {service}", strike, _FROZEN_SECONDS)


def _treat(kind: str, proxy: Callable[[Installation], Proxy], treatment: Callable[[random.Random], Treatment]) -> Fault:
    def strike(where: Installation, chance: random.Random) -> Callable[[], None]:
        proxy(where).treat(treatment(chance))
        return proxy(where).heal

    return Fault(kind, strike, (2.0, 6.0))


def _cut(part: str, proxy: Callable[[Installation], Proxy]) -> Fault:
    def strike(where: Installation, _chance: random.Random) -> Callable[[], None]:
        proxy(where).cut()
        return _nothing

    return Fault(f"connections to {part} cut", strike)


def _broker_down(where: Installation, chance: random.Random) -> Callable[[], None]:
    (where.kafka.kill if chance.random() < 0.5 else where.kafka.stop)()
    return where.kafka.start


def _database_down(where: Installation, chance: random.Random) -> Callable[[], None]:
    (where.database.kill if chance.random() < 0.5 else where.database.stop)()
    return where.database.start


def _nothing() -> None:
    """It heals by itself: the dead are started again, the cut connect again."""


def _store(where: Installation) -> Proxy:
    return where.store_proxy


FAULTS: tuple[Fault, ...] = (
    *(_kill(service) for service in _SERVICES),
    *(_freeze(service) for service in _SERVICES),
    Fault("broker down", _broker_down, (2.0, 8.0)),
    Fault("database down", _database_down, (2.0, 8.0)),
    _cut("Kafka", lambda where: where.kafka_proxy),
    _cut("the database", lambda where: where.database_proxy),
    _treat("Kafka out of reach", lambda where: where.kafka_proxy, lambda _: refuse),
    _treat("object store out of reach", _store, lambda _: refuse),
    _treat("object store answers 500", _store, lambda _: answer_500),
    _treat("object store slow", _store, lambda chance: slowly(chance.uniform(0.2, 1.0))),
    _treat("object store cuts its answers", _store, cut_short),
)


@dataclass(frozen=True)
class Struck:
    """A fault that happened, on the monotonic clock. `healed_at` is when the last of it was undone."""

    kind: str
    began_at: float
    healed_at: float


def strike_one(fault: Fault, where: Installation, chance: random.Random) -> Struck:
    """Begins a fault, lets it last, heals it. Blocks."""
    began_at = time.monotonic()
    heal = fault.strike(where, chance)
    try:
        time.sleep(chance.uniform(*fault.seconds))
    finally:
        heal()
    return Struck(fault.kind, began_at, time.monotonic())
