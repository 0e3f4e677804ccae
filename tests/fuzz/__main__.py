"""`python -m tests.fuzz`: mutated inputs through every decoder; prints counts, and each crash with its input."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.fuzz.corpus import corpora
from tests.fuzz.mutations import mutate
from tests.fuzz.targets import TARGETS, Crash, Target, feed

_SLOW_SECONDS = 1.0
"""Of processor time: an input of 20 kB that takes longer holds up its partition; none may."""
_CRASHES_MAX = 20


@dataclass
class Tally:
    """What one decoder did."""

    taken: int = 0
    refused: int = 0
    slowest_seconds: float = 0.0
    crashes: list[str] = field(default_factory=list)
    """Each with the input that caused it, as Python writes it."""

    @property
    def inputs(self) -> int:
        """All of them."""
        return self.taken + self.refused + len(self.crashes)


def fuzz(target: Target, corpus: list[bytes], inputs: int, seed: str) -> Tally:
    """Gives a decoder what it must take, and then so many mutations of it."""
    chance, tally = random.Random(seed), Tally()
    for number in range(inputs):
        data = corpus[number] if number < len(corpus) else mutate(chance, corpus)
        started = time.thread_time()
        try:
            if feed(target, data):
                tally.taken += 1
            else:
                tally.refused += 1
        except Crash as crash:
            tally.crashes.append(f"{crash}\n    {data!r}")
            if len(tally.crashes) >= _CRASHES_MAX:
                break
        seconds = time.thread_time() - started
        tally.slowest_seconds = max(tally.slowest_seconds, seconds)
    return tally


def run(inputs: int, seed: int, targets: Mapping[str, Target] = TARGETS) -> dict[str, Tally]:
    """Shares the inputs among the decoders; the same seed gives the same inputs."""
    found = corpora()
    each = -(-inputs // len(targets))
    return {name: fuzz(target, found[target.corpus], each, f"{seed}/{name}") for name, target in targets.items()}


def main() -> int:
    """Runs as the arguments say; status 1 at a crash, or at an input that took too long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = random.randrange(1_000_000) if options.seed is None else options.seed
    _say(f"seed {seed}")
    started = time.monotonic()
    tallies = run(options.inputs, seed)
    for name, tally in tallies.items():
        _say(
            f"{name}: {tally.inputs:,} inputs, {tally.taken:,} taken, {tally.refused:,} refused, "
            f"the slowest {tally.slowest_seconds * 1000:.1f} ms, {len(tally.crashes)} crashes"
        )
        for crash in tally.crashes:
            _say(f"  CRASH {crash}")
    crashes = sum(len(tally.crashes) for tally in tallies.values())
    slow = [name for name, tally in tallies.items() if tally.slowest_seconds > _SLOW_SECONDS]
    total = sum(tally.inputs for tally in tallies.values())
    _say(f"{total:,} inputs in {time.monotonic() - started:.0f} s, {crashes} crashes")
    if slow:
        _say(f"too slow: {', '.join(slow)}")
    return int(bool(crashes or slow))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
