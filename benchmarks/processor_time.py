"""Processor time of every process under measurement: what a figure costs, however busy the machine is meanwhile."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

_SETTLING_SECONDS = 0.3
"""Entries, balances and the list of results follow the answer; what they cost belongs to it."""
_NAMES = {"java": "Apache Kafka", "postgres": "PostgreSQL"}


@dataclass(frozen=True)
class Spent:
    """Processor seconds by process over a stretch of time, that of the measuring process (the client) included."""

    by_process: Mapping[str, float]
    seconds: float


class ProcessorTimes:
    """Reads the processor time of this process and of all that it started, each group under one name."""

    def __init__(self, services: Mapping[int, str]) -> None:
        """`services` names processes by their ids; others go by the name of their program."""
        self._services = services

    def now(self) -> dict[str, float]:
        """Processor seconds so far, by name; children that ended count for the one that waited for them."""
        this = psutil.Process()
        times = this.cpu_times()
        found = {"client": times.user + times.system}
        for child in this.children():
            name = self._services.get(child.pid) or _NAMES.get(child.name(), child.name())
            beneath = f"{name}: recogniser" if name == "extractor" else name
            _add(found, name, _own(child))
            # A child that was replaced meanwhile counts with those that run.
            _add(found, beneath, _ended(child))
            for grandchild in child.children(recursive=True):
                _add(found, beneath, _own(grandchild) + _ended(grandchild))
        return found

    @contextmanager
    def spending(self) -> Iterator[list[Spent]]:
        """Measures the block, and a moment after it; the list holds the outcome when the block is left."""
        outcome: list[Spent] = []
        before, started = self.now(), time.perf_counter()
        yield outcome
        time.sleep(_SETTLING_SECONDS)
        after = self.now()
        spent = {name: seconds - before.get(name, 0.0) for name, seconds in after.items()}
        outcome.append(Spent(spent, time.perf_counter() - started))


def describe_spending(idle: Spent, by_concurrency: Mapping[int, tuple[Spent, int]]) -> str:
    """A table: each process, its idle share of a core, its processor time a POST at each concurrency."""
    heads = "".join(f"{f'ms a POST at {concurrency}':>18}" for concurrency in by_concurrency)
    lines = [f"{'CPU':<24}{'idle, % of a core':>18}{heads}"]
    names = list(idle.by_process)
    for name in [*names, "all"]:
        share = 100 * _of(idle, name) / idle.seconds
        costs = [1000 * _of(spent, name) / posts for spent, posts in by_concurrency.values()]
        lines.append(f"{name:<24}{share:>18.1f}" + "".join(f"{cost:>18.2f}" for cost in costs))
    return "\n".join(lines)


def _of(spent: Spent, name: str) -> float:
    return sum(spent.by_process.values()) if name == "all" else spent.by_process.get(name, 0.0)


def _add(found: dict[str, float], name: str, seconds: float) -> None:
    found[name] = found.get(name, 0.0) + seconds


def _own(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _ended(process: psutil.Process) -> float:
    """Of its children that it has waited for."""
    times = process.cpu_times()
    return float(getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0))
