"""A storm: faults at random, several at a time, while clients go on; then healing, and the check."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise

from tests.faults.actions import FAULTS, Fault, Struck, strike_one
from tests.faults.checker import Observed, Violation, check, owed
from tests.faults.history import History
from tests.faults.installation import Installation
from tests.faults.observation import Downstream, is_settled, observe
from tests.faults.workload import Workload
from tests.support.downloads import Progress

SETTLED_SECONDS_MAX = 60.0
_TOGETHER_MAX = 3
"""Faults at a time."""
_PAUSE_SECONDS = (1.0, 4.0)
_LOOK_SECONDS = 2.0


@dataclass
class Weather:
    """What one storm did and what was seen after it."""

    seed: int
    struck: list[Struck] = field(default_factory=list)
    settled_seconds: float = 0.0
    gap_seconds: float = 0.0
    """The longest time without a result, from the first fault to the last result."""
    gap_during: list[str] = field(default_factory=list)
    told: int = 0
    """Results that a webhook had been told of by the end."""
    violations: list[Violation] = field(default_factory=list)

    @property
    def kinds(self) -> Counter[str]:
        """How many faults of each kind."""
        return Counter(each.kind for each in self.struck)


@dataclass
class Storms:
    """Storms over one installation. `hands` live as long as the parts, which die with the thread that starts them."""

    where: Installation
    downstream: Downstream
    history: History
    keys: dict[str, str]
    hands: ThreadPoolExecutor
    say: Progress
    settled_seconds_max: float = SETTLED_SECONDS_MAX

    def storm(self, seed: int, seconds: float) -> Weather:
        """One storm of so many seconds, and what is there afterwards."""
        weather, chance = Weather(seed), random.Random(seed)
        began_at = time.monotonic()
        workload = Workload(self.where, self.history, self.keys, seed)
        workload.start()
        try:
            weather.struck = self._strike(chance, seconds)
        finally:
            workload.stop()
        weather.violations = [Violation("the suite works", "workload", problem) for problem in workload.problems]
        healed_at = time.monotonic()
        observed = self._settle()
        weather.settled_seconds = time.monotonic() - healed_at
        weather.told = sum(len(told) for told in observed.told.values())
        weather.violations += check(self.history, observed)
        weather.violations += [Violation("no replica halts", "services", halt) for halt in self.where.replicas.halts]
        weather.gap_seconds, weather.gap_during = self._longest_gap(began_at, weather.struck)
        return weather

    def _strike(self, chance: random.Random, seconds: float) -> list[Struck]:
        deadline = time.monotonic() + seconds
        running: dict[Future[Struck], Fault] = {}
        struck: list[Struck] = []
        while time.monotonic() < deadline:
            time.sleep(chance.uniform(*_PAUSE_SECONDS))
            for done in [each for each in running if each.done()]:
                struck.append(done.result())
                del running[done]
            fault = chance.choices(FAULTS, [each.weight for each in FAULTS])[0]
            if len(running) < _TOGETHER_MAX and fault not in running.values() and not _clash(fault, running.values()):
                running[self.hands.submit(strike_one, fault, self.where, random.Random(chance.random()))] = fault
        return struck + [each.result() for each in running]

    def _settle(self) -> Observed:
        """Looks until nothing is under way, or time is up."""
        deadline = time.monotonic() + self.settled_seconds_max
        while True:
            try:
                observed = observe(self.where, self.downstream, self.keys)
                settled = is_settled(observed, owed(self.history, observed)) and not check(self.history, observed)
            except Exception as error:
                if time.monotonic() > deadline:
                    raise
                self.say(f"  not to be observed yet: {type(error).__name__}: {error}")
                settled = False
            if settled or time.monotonic() > deadline:
                return observed
            time.sleep(_LOOK_SECONDS)

    def _longest_gap(self, began_at: float, struck: list[Struck]) -> tuple[float, list[str]]:
        moments = [began_at, *(moment for moment in sorted(self.downstream.arrived.values()) if moment > began_at)]
        gaps = [(later - earlier, earlier, later) for earlier, later in pairwise(moments)]
        if not gaps:
            return 0.0, []
        gap, begin, end = max(gaps)
        during = [each for each in struck if each.began_at < end and each.healed_at > begin]
        return gap, [f"{each.kind} ({each.healed_at - each.began_at:.0f} s)" for each in during]


def _clash(fault: Fault, running: Iterable[Fault]) -> bool:
    """Two faults of one proxy or part would heal each other."""
    return any(_subject(each) == _subject(fault) for each in running)


def _subject(fault: Fault) -> str:
    for word in ("object store", "atabase", "roker", "Kafka"):
        if word in fault.kind:
            return {"roker": "Kafka"}.get(word, word)
    return fault.kind
