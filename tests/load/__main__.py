"""`python -m tests.load`: the long forms of the loads, each on topics and buckets of its own; prints the figures."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.load import corrupt, flood, overdraft, posts
from tests.load.ground import PARTITIONS, Ground, machine
from tests.support.kafka import start_apache_kafka
from tests.support.object_store import start_versitygw
from tests.support.parts import DatabasePart, KafkaPart, ObjectStorePart
from tests.support.postgres import create_database, start_postgres
from tests.support.stage import raise_stage
from tests.support.system import System


class Figures(Protocol):
    """What came of a load."""

    problems: list[str]

    def lines(self) -> list[str]:
        """For people."""


LOADS: dict[str, Callable[[Ground], Figures]] = {
    "posts": lambda ground: posts.run(ground, posts=1_000, places=512, page_seconds=0.1),
    "flood": lambda ground: flood.run(ground, uploads=10_000, posts=20, page_seconds=0.5),
    "long-documents": lambda ground: flood.run_long_documents(
        ground, documents=4, pages=200, singles=5, page_seconds=0.2
    ),
    "overdraft": lambda ground: overdraft.run(ground, uploads=10_000, staleness_seconds=60.0, page_seconds=0.02),
    "corrupt-files": lambda ground: corrupt.run(ground, files=10_000, crashing=20),
}
"""By name; each on topics, buckets and a database of its own."""


@dataclass(frozen=True)
class _Parts:
    kafka: KafkaPart
    store: ObjectStorePart
    postgres: DatabasePart
    directory: Path

    def ground(self, name: str) -> Ground:
        directory = self.directory / name
        directory.mkdir()
        stage = raise_stage(self.kafka, self.store, f"{name}.", f"{name}-", directory, PARTITIONS)
        return Ground(System(stage, create_database(self.postgres.url)), directory)


def main() -> int:
    """Runs those named, or all; status 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("loads", nargs="*", default=[], help=f"of {', '.join(LOADS)}; default: all")
    options = parser.parse_args()
    if unknown := set(options.loads) - LOADS.keys():
        parser.error(f"no such load: {', '.join(sorted(unknown))}")
    _say(f"machine: {machine()}")
    broken = 0
    with ExitStack() as ending:
        folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="ocr-load-")))
        folder.chmod(0o755)
        parts = _start(folder, ending)
        for name in options.loads or LOADS:
            broken += _run(name, parts)
    return int(bool(broken))


def _start(folder: Path, ending: ExitStack) -> _Parts:
    for name in ("kafka", "store", "postgres"):
        (folder / name).mkdir(mode=0o755)
    kafka = start_apache_kafka(folder / "kafka", _say)
    ending.callback(kafka.kill)
    store = start_versitygw(folder / "store", _say)
    ending.callback(store.kill)
    postgres = start_postgres(folder / "postgres")
    ending.callback(postgres.kill)
    return _Parts(kafka, store, postgres, folder)


def _run(name: str, parts: _Parts) -> int:
    ground, started = parts.ground(name), time.monotonic()
    try:
        figures = LOADS[name](ground)
    finally:
        ground.system.strike()
    _say(f"{name} ({time.monotonic() - started:.0f} s; {machine()})")
    for line in figures.lines():
        _say(f"  {line}")
    for problem in figures.problems[:40]:
        _say(f"  VIOLATION: {problem}")
    _say(f"  violations: {len(figures.problems)}")
    return len(figures.problems)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
