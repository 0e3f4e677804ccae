"""Our two engines and their peers on the same pages, one process after the other, on the same cores.

usage: python -m benchmarks.recognition [--receipts FOLDER] [--cores N] [--rounds N] [--long-run PAGES] [--only NAME]...

A dense A4 page whose words are known, and the receipts of a folder (NNN.jpg beside NNN.csv, as in ICDAR 2019 SROIE).
--long-run lets our engines read that many more pages and watches their memory. A peer that is not installed, or has
no weights here, is named. Prints Markdown; the exit status is 1 with --strict where one of our aims is missed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

from PIL import Image

from benchmarks.machine import describe_machine
from benchmarks.recognition.measuring import Job, Measured
from benchmarks.recognition.readers import OURS, READERS
from benchmarks.recognition.report import aims, table
from tests.integration.recognition.pages import dense_page, varied_pages

_SECONDS_MAX = 3600.0
_TOLD_LINES = 3


def main() -> int:
    """Measures and prints; the exit status."""
    options = _options()
    if options.receipts is not None and not any(options.receipts.glob("*.csv")):
        print(f"{options.receipts} holds no annotated receipts", file=sys.stderr)
        return 2
    print(f"on {describe_machine()}; {options.cores} cores used\n")
    with tempfile.TemporaryDirectory(prefix="ocr-benchmark-") as folder:
        job = _job(options, Path(folder))
        results = {}
        for name in options.only or READERS:
            print(f"measuring {name}", file=sys.stderr, flush=True)
            # The peers' memory is theirs to look after.
            results[name] = _measure(name, job if name in OURS else replace(job, long_run_pages=0), Path(folder))
            # The table comes last: a run that is broken off has told what it measured.
            print(json.dumps(_told(results[name])), file=sys.stderr, flush=True)
    print(table(results))
    told, all_met = aims(results)
    print(f"\n{told}")
    return 1 if options.strict and not all_met else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--receipts", type=Path)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--long-run", type=int, default=0, metavar="PAGES")
    parser.add_argument("--only", action="append", choices=list(READERS), metavar="NAME")
    parser.add_argument("--strict", action="store_true")
    return parser.parse_args()


def _job(options: argparse.Namespace, folder: Path) -> Job:
    """Writes the pages that are drawn into a folder."""
    image, words = dense_page()
    Image.fromarray(image).save(folder / "dense.png")
    varied = []
    for name, pixels in varied_pages() if options.long_run else ():
        varied.append(str(folder / f"{name}.png"))
        Image.fromarray(pixels).save(varied[-1])
    return Job(
        cores=options.cores,
        rounds=options.rounds,
        dense=str(folder / "dense.png"),
        dense_text=" ".join(word.text for word in words),
        dense_boxes=[list(word.box) for word in words],
        receipts=str(options.receipts) if options.receipts is not None else None,
        varied=varied,
        long_run_pages=options.long_run,
    )


def _told(measured: Measured) -> dict[str, object]:
    """The figures that there are."""
    return {field: value for field, value in asdict(measured).items() if value not in (None, 0, {})}


def _measure(name: str, job: Job, folder: Path) -> Measured:
    job_file, result_file = folder / "job.json", folder / "result.json"
    job_file.write_text(json.dumps(asdict(job)), encoding="utf-8")
    result_file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "benchmarks.recognition.measuring", name, str(job_file), str(result_file)]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        return Measured(not_measured=f"it took longer than {_SECONDS_MAX:g} s")
    if ended.returncode or not result_file.exists():
        told = " / ".join(ended.stderr.strip().splitlines()[-_TOLD_LINES:])
        return Measured(not_measured=f"it ended with status {ended.returncode}: {told}")
    return Measured(**json.loads(result_file.read_text(encoding="utf-8")))


if __name__ == "__main__":
    sys.exit(main())
