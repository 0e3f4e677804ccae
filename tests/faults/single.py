"""One fault at a time, in calm weather: how long nothing goes on after it, and how long the slowest upload takes."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.faults.actions import FAULTS, Fault, Struck, strike_one
from tests.faults.checker import owed
from tests.faults.history import History, Upload
from tests.faults.installation import Installation
from tests.faults.observation import Downstream, observe
from tests.faults.workload import Workload
from tests.support.downloads import Progress

RECOVERY_SECONDS_MAX = 25.0
_AFTERWARDS_SECONDS = 10.0
_SETTLED_SECONDS_MAX = 120.0
_UPLOADS_PER_SECOND = 4.0


@dataclass(frozen=True)
class Recovery:
    """What one fault cost, in seconds."""

    kind: str
    lasted: float
    without_progress: float
    """The longest time without any result from its end on; uploads come several a second."""
    slowest_upload: float
    """From its upload, or from the end of the fault if that was later, to its result."""


def measure_each(
    where: Installation, downstream: Downstream, keys: dict[str, str], seed: int, say: Progress
) -> list[Recovery]:
    """Strikes with every kind of fault, one after the other, and tells each as it is measured."""
    history, chance, recoveries = History(), random.Random(seed), list[Recovery]()
    workload = Workload(where, history, keys, seed, uploads_per_second=_UPLOADS_PER_SECOND)
    workload.start()
    try:
        for fault in FAULTS:
            _settle(where, downstream, keys, history)
            recoveries.append(_measure(fault, where, downstream, history, keys, chance))
            say(_line(recoveries[-1]))
    finally:
        workload.stop()
    if workload.problems:
        raise RuntimeError(f"the workload failed: {workload.problems}")
    return recoveries


def too_slow(recoveries: Iterable[Recovery]) -> list[Recovery]:
    """Those after which nothing went on for longer than is promised."""
    return [each for each in recoveries if each.without_progress > RECOVERY_SECONDS_MAX]


def _measure(
    fault: Fault,
    where: Installation,
    downstream: Downstream,
    history: History,
    keys: dict[str, str],
    chance: random.Random,
) -> Recovery:
    struck = strike_one(fault, where, chance)
    time.sleep(_AFTERWARDS_SECONDS)
    watched_until = time.monotonic()
    _settle(where, downstream, keys, history)
    arrived = dict(downstream.arrived)
    observed = observe(where, downstream, keys)
    uploads = owed(history, observed)
    slowest = _slowest(uploads.items(), arrived, struck, watched_until)
    moments = [moment for moment in sorted(arrived.values()) if moment > struck.healed_at]
    return Recovery(
        fault.kind, struck.healed_at - struck.began_at, _longest_gap(struck.healed_at, moments, watched_until), slowest
    )


def _slowest(
    uploads: Iterable[tuple[str, Upload]], arrived: dict[str, float], struck: Struck, watched_until: float
) -> float:
    waits = [
        arrived[identity] - max(upload.began_at, struck.healed_at)
        for identity, upload in uploads
        if identity in arrived and upload.began_at < watched_until and arrived[identity] > struck.began_at
    ]
    return max(waits, default=0.0)


def _longest_gap(healed_at: float, moments: Sequence[float], watched_until: float) -> float:
    """Of the gaps that begin while it is watched."""
    gaps = [later - earlier for earlier, later in pairwise([healed_at, *moments]) if earlier < watched_until]
    return max(gaps, default=0.0)


def _settle(where: Installation, downstream: Downstream, keys: dict[str, str], history: History) -> None:
    """Waits until every upload of before has its result."""
    asked_at = time.monotonic()
    while True:
        late = time.monotonic() > asked_at + _SETTLED_SECONDS_MAX
        try:
            missing = _missing(where, downstream, keys, history, asked_at)
        except Exception:
            if late:
                raise
            # A part that is still coming back; it is asked again.
        else:
            if missing == 0:
                return
            if late:
                raise TimeoutError(f"{missing} uploads have no result {_SETTLED_SECONDS_MAX:g} s later")
        time.sleep(0.5)


def _missing(where: Installation, downstream: Downstream, keys: dict[str, str], history: History, before: float) -> int:
    uploads = owed(history, observe(where, downstream, keys))
    return sum(1 for identity, each in uploads.items() if each.began_at < before and identity not in downstream.arrived)


def _line(recovery: Recovery) -> str:
    return (
        f"  {recovery.kind:32} lasted {recovery.lasted:5.1f} s, then {recovery.without_progress:5.1f} s without a "
        f"result; the slowest upload took {recovery.slowest_upload:5.1f} s"
    )
