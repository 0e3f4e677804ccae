"""When a step that met a passing trouble is tried again, and when a record is given up."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from services.extractor.jobs import Job

_FIRST_SECONDS = 0.2
_LONGEST_SECONDS = 10.0
_OTHERS_MIN = 3
"""A record is only given up when so many others passed meanwhile: else it is the dependency that is away."""


@dataclass
class Retries:
    """Due times by record number. Pure: the caller brings the time."""

    refuse_after_seconds: float
    jitter: Callable[[], float] = random.random
    _due: dict[int, tuple[float, Callable[[], None]]] = field(default_factory=dict)

    def later(self, job: Job, again: Callable[[], None], now: float) -> bool:
        """Plans the next try; False when the record has failed too long while others passed."""
        job.attempts += 1
        if job.failing_since is None:
            job.failing_since, job.others_passed = now, 0
        if now - job.failing_since > self.refuse_after_seconds and job.others_passed >= _OTHERS_MIN:
            return False
        self.wait(job, again, now, min(_FIRST_SECONDS * 2 ** min(job.attempts - 1, 10), _LONGEST_SECONDS))
        return True

    def wait(self, job: Job, again: Callable[[], None], now: float, seconds: float) -> None:
        """Plans a try that does not count as a failure."""
        self._due[job.number] = (now + seconds * (0.5 + 0.5 * self.jitter()), again)

    def discard(self, number: int) -> None:
        """Forgets a record."""
        self._due.pop(number, None)

    def take_due(self, now: float) -> list[Callable[[], None]]:
        """The tries that are due."""
        due = [number for number, (moment, _) in self._due.items() if moment <= now]
        return [self._due.pop(number)[1] for number in due]
