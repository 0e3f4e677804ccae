"""One reader in a process of its own: `python -m benchmarks.recognition.measuring READER JOB RESULT`.

JOB is a JSON file of a `Job`; RESULT is where a JSON object of a `Measured` goes, as libraries print on stdout.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from benchmarks.recognition.readers import READERS, NotToBeHad, ReadFile, Untrained
from benchmarks.recognition.scores import BagScore, receipt_truth

_MEGABYTE = 1 << 20
_MEMORY_SETTLES_PAGES = 100


@dataclass(frozen=True)
class Job:
    """What to read. dense: an image of one page, its words in `dense_text`, their boxes in `dense_boxes`."""

    cores: int
    rounds: int
    dense: str
    dense_text: str
    dense_boxes: list[list[int]]
    receipts: str | None
    varied: list[str]
    long_run_pages: int


@dataclass
class Measured:
    """Figures of a reader; None where they do not apply. Memory in megabytes, times in seconds."""

    not_measured: str | None = None
    speed_only: str | None = None
    start_seconds: float | None = None
    load_seconds: float | None = None
    first_page_seconds: float | None = None
    page_seconds: float | None = None
    page_cpu_seconds: float | None = None
    page_f1: float | None = None
    receipts: int = 0
    receipt_seconds: float | None = None
    receipts_f1_relaxed: float | None = None
    receipts_f1_exact: float | None = None
    peak_mb: float | None = None
    long_run: dict[str, float] = field(default_factory=dict)


def measure(name: str, job: Job) -> Measured:
    """Load a reader and let it read everything of the job."""
    measured = Measured()
    began = time.perf_counter()
    try:
        read = READERS[name](job.cores)
    except NotToBeHad as reason:
        measured.not_measured = str(reason)
        return measured
    except Untrained as untrained:
        measured.speed_only = str(untrained)
        read_boxes = untrained.read_boxes
        _loaded(measured, began)
        _read_dense(measured, job, lambda path: read_boxes(path, job.dense_boxes))
        return measured
    _loaded(measured, began)
    text = _read_dense(measured, job, read)
    score = BagScore(relaxed=False)
    score.add(text or "", job.dense_text)
    measured.page_f1 = score.f1
    if job.receipts is not None:
        _read_receipts(measured, Path(job.receipts), read)
    if job.long_run_pages:
        measured.long_run = _long_run(job, read)
    return measured


def _loaded(measured: Measured, began: float) -> None:
    measured.load_seconds = time.perf_counter() - began
    measured.start_seconds = time.time() - psutil.Process().create_time()


def _read_dense(measured: Measured, job: Job, read: Callable[[Path], str | None]) -> str | None:
    path = Path(job.dense)
    began = time.perf_counter()
    text = read(path)
    measured.first_page_seconds = time.perf_counter() - began
    seconds, cpu_seconds = [], []
    for _ in range(job.rounds):
        began, cpu_began = time.perf_counter(), _cpu_seconds()
        read(path)
        seconds.append(time.perf_counter() - began)
        cpu_seconds.append(_cpu_seconds() - cpu_began)
    measured.page_seconds, measured.page_cpu_seconds = statistics.median(seconds), statistics.median(cpu_seconds)
    measured.peak_mb = _peak_mb()
    return text


def _read_receipts(measured: Measured, folder: Path, read: ReadFile) -> None:
    relaxed, exact = BagScore(relaxed=True), BagScore(relaxed=False)
    annotations = sorted(folder.glob("*.csv"))
    spent = 0.0
    for annotation in annotations:
        truth = receipt_truth(annotation.read_text(encoding="utf-8"))
        began = time.perf_counter()
        text = read(annotation.with_suffix(".jpg"))
        spent += time.perf_counter() - began
        relaxed.add(text, truth)
        exact.add(text, truth)
    measured.receipts = len(annotations)
    measured.receipt_seconds = spent / max(1, len(annotations))
    measured.receipts_f1_relaxed, measured.receipts_f1_exact = relaxed.f1, exact.f1
    measured.peak_mb = _peak_mb()


def _long_run(job: Job, read: ReadFile) -> dict[str, float]:
    """Read page after page, and see how memory grows once all kinds of pages were seen."""
    process = psutil.Process()
    settled = later = 0.0
    for number in range(job.long_run_pages):
        read(Path(job.varied[number % len(job.varied)]))
        resident = process.memory_info().rss / _MEGABYTE
        if number < _MEMORY_SETTLES_PAGES:
            settled = max(settled, resident)
        later = max(later, resident)
    return {
        "pages": job.long_run_pages,
        f"mb_of_first_{_MEMORY_SETTLES_PAGES}": round(settled, 1),
        "mb_at_most": round(later, 1),
        "growth_percent": round(100 * (later / settled - 1), 1),
    }


def _peak_mb() -> float:
    """Of this process, or of a process that it started, whichever is larger."""
    kilobytes = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return kilobytes * 1024 / _MEGABYTE


def _cpu_seconds() -> float:
    """Of this process and of those it started that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main() -> None:
    """Measures what the command line names."""
    name, job_file, result_file = sys.argv[1:]
    job = Job(**json.loads(Path(job_file).read_text(encoding="utf-8")))
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: job.cores])
    Path(result_file).write_text(json.dumps(asdict(measure(name, job))), encoding="utf-8")


if __name__ == "__main__":
    main()
