"""`python -m tests.faults`: storms of faults over the whole system on real parts, and the check after each."""

from __future__ import annotations

import argparse
import os
import platform
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.faults.accounts import open_accounts
from tests.faults.history import History
from tests.faults.installation import REPLICAS, SHORT_SESSIONS, Installation, installation
from tests.faults.observation import Downstream
from tests.faults.receiver import registered_receiver
from tests.faults.single import Recovery, measure_each, too_slow
from tests.faults.storm import SETTLED_SECONDS_MAX, Storms, Weather
from tests.support.downloads import Progress

_USERS = ("alice", "bob", "carol", "dave")
_TOLD = "alice"
"""Who has a webhook."""


def run(
    directory: Path,
    seeds: list[int],
    seconds: float,
    say: Progress,
    replicas: Mapping[str, int] = REPLICAS,
    settled_seconds_max: float = SETTLED_SECONDS_MAX,
) -> list[Weather]:
    """Storms of so many seconds, one for each seed; returns what came of each."""
    with ExitStack() as stack:
        hands = ThreadPoolExecutor(8)
        stack.callback(hands.shutdown)
        where, downstream, keys = stack.enter_context(_started(directory, say, SHORT_SESSIONS, replicas))
        storms = Storms(where, downstream, History(), keys, hands, say, settled_seconds_max)
        weathers = []
        for seed in seeds:
            weathers.append(storms.storm(seed, seconds))
            _report_storm(weathers[-1], say)
        _report_all(storms, weathers, where, say)
        return weathers


def run_single(directory: Path, seed: int, say: Progress) -> list[Recovery]:
    """Each kind of fault alone, with the sessions and timeouts that production has."""
    with _started(directory, say, {}, REPLICAS) as (where, downstream, keys):
        recoveries = measure_each(where, downstream, keys, seed, say)
    _report_machine(say)
    say(f"longest without a result: {max(each.without_progress for each in recoveries):.1f} s")
    return recoveries


@contextmanager
def _started(
    directory: Path, say: Progress, environment: Mapping[str, str], replicas: Mapping[str, int]
) -> Iterator[tuple[Installation, Downstream, dict[str, str]]]:
    """An installation whose replicas are ready, who reads and is told downstream, and the API keys of its users."""
    with installation(directory, say, environment, replicas) as where:
        keys = open_accounts(where, _USERS)
        where.replicas.start()
        late = where.replicas.wait_until_ready(300.0)
        if late:
            raise RuntimeError(f"not ready: {late}")
        with (
            registered_receiver(where.engine, _TOLD) as receiver,
            Downstream(where, receiver).reading() as downstream,
        ):
            yield where, downstream, keys


def _report_storm(weather: Weather, say: Progress) -> None:
    say(
        f"seed {weather.seed}: {len(weather.struck)} faults, settled {weather.settled_seconds:.0f} s after healing, "
        f"longest time without a result {weather.gap_seconds:.0f} s, {len(weather.violations)} violations"
    )
    say(f"  the longest during: {', '.join(weather.gap_during) or 'no fault'}")
    for violation in weather.violations[:40]:
        say(f"  VIOLATION {violation.promise}: {violation.subject}: {violation.detail}")


def _report_all(storms: Storms, weathers: list[Weather], where: Installation, say: Progress) -> None:
    history = storms.history
    _report_machine(say)
    for name, operations in (("uploads", history.uploads), ("POSTs", history.posts), ("grants", history.grants)):
        outcomes = Counter(each.outcome.value for each in operations)
        say(f"{name}: {len(operations)} ({', '.join(f'{count} {name}' for name, count in sorted(outcomes.items()))})")
    statuses = Counter(str(each.status) for each in history.posts)
    say(f"answers to POSTs: {', '.join(f'{status}: {count}' for status, count in sorted(statuses.items()))}")
    say(f"results that a webhook was told of: {len(storms.downstream.receiver.told)}")
    say(f"terminal results: {len(storms.downstream.results)}; processes that died: {where.replicas.deaths}")
    for kind, count in sorted(sum((weather.kinds for weather in weathers), Counter[str]()).items()):
        say(f"  {count:4} x {kind}")
    say(f"violations: {sum(len(weather.violations) for weather in weathers)}")


def _report_machine(say: Progress) -> None:
    load = ", ".join(f"{each:.0f}" for each in os.getloadavg())
    cores = f"{os.cpu_count()} cores, load {load}"
    say(f"machine: {cores}, {platform.machine()}, Python {platform.python_version()}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Runs as the arguments say; status 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of faults for each seed")
    parser.add_argument("--storms", type=int, default=5, help="one after the other, each with its own seed")
    parser.add_argument("--seed", type=int, default=None, help="of the first storm; those after it count up")
    parser.add_argument("--single", action="store_true", help="measure each kind of fault alone instead")
    parser.add_argument("--keep", type=Path, default=None, help="a folder for logs and data, which stay there")
    options = parser.parse_args()
    first = random.randrange(1_000_000) if options.seed is None else options.seed
    _say(f"seed {first}")
    with ExitStack() as stack:
        directory = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ocr-faults-")))
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o755)
        if options.single:
            return int(bool(too_slow(run_single(directory, first, _say))))
        seeds = [first + number for number in range(options.storms)]
        weathers = run(directory, seeds, options.seconds, _say)
    return int(any(weather.violations for weather in weathers))


if __name__ == "__main__":
    sys.exit(main())
