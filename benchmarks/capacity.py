"""What so many pages a second need, computed from what was measured. `python -m benchmarks.capacity`.

`--measure` measures on this machine and writes `docs/capacity.json`; without it the figures of that file are used.
`--write` puts the tables into docs/capacity.md, and a test holds the page to them.
"""

import argparse
import json
import math
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.ledger import empty_database, post_all, usage_records
from benchmarks.machine import describe_machine
from services.recognition.engine import Engine, create_engine
from services.recognition.recognise import RecognisedDocument, recognise_file

_ROOT = Path(__file__).parents[1]
FIGURES = _ROOT / "docs" / "capacity.json"
PAGE = _ROOT / "docs" / "capacity.md"
BEGIN = "<!-- capacity: written by `python -m benchmarks.capacity --write` -->"
END = "<!-- end of capacity -->"

RATES = (1, 100, 10_000)
_EXAMPLES = _ROOT / "schemas" / "examples"
_PAGES_MEASURED = 9
_EVENTS = 4_000
_SECONDS_A_MONTH = 30 * 24 * 3600
_DAY_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Measured:
    """What one machine did; seconds, bytes, events a second."""

    machine: str
    model: str
    """Names and digest of the weights that pages were read with; a test holds it to those that ship."""
    page_seconds_one_core: float
    """Processor time of the median reading of samples/receipt.jpg with one thread."""
    usage_posted_a_second_on_sqlite: float
    """Usage events posted by one ledger, in batches, without the broker."""
    request_bytes: int
    result_bytes: int
    usage_bytes: int
    entry_bytes: int
    balance_bytes: int
    document_bytes: int


@dataclass(frozen=True)
class Assumed:
    """What is chosen and not measured; prices in US dollars, to be replaced by yours."""

    utilisation: float = 0.6
    extractor_cores: int = 2
    core_hour_dollars: float = 0.04
    disk_gb_month_dollars: float = 0.08
    object_gb_month_dollars: float = 0.023
    put_dollars: float = 0.005 / 1000
    get_dollars: float = 0.0004 / 1000
    replication: int = 3
    document_days: int = 90
    partitions_max: int = 10_000
    """Of a topic in one installation: the bound of OCR_KAFKA_PARTITIONS."""


@dataclass(frozen=True)
class Need:
    """What a rate needs, at one page a document."""

    rate: int
    extractors: int
    partitions: int
    installations: int
    ledgers: int
    kafka_bytes_a_second: float
    kafka_disk_gb: float
    results_gb: float
    cores: int
    compute_dollars: float
    kafka_disk_dollars: float
    store_dollars: float

    @property
    def dollars(self) -> float:
        """A month of all of it."""
        return self.compute_dollars + self.kafka_disk_dollars + self.store_dollars


def measure() -> Measured:
    """Measures on this machine; half a minute."""
    machine = describe_machine()
    engine = create_engine(threads=1)
    page_seconds, document = _read_sample(engine)
    return Measured(
        machine=machine,
        model=engine.model_version,
        page_seconds_one_core=round(page_seconds, 3),
        usage_posted_a_second_on_sqlite=round(_posted_a_second()),
        request_bytes=_example_bytes("ocr.request.v1"),
        result_bytes=_example_bytes("ocr.result.completed.v1") + len(document.text.encode()),
        usage_bytes=_example_bytes("ocr.usage.recorded.v1"),
        entry_bytes=_example_bytes("ledger.entry.posted.v1"),
        balance_bytes=_example_bytes("ledger.balance.changed.v1"),
        document_bytes=len(json.dumps([asdict(page) for page in document.pages], separators=(",", ":")).encode()),
    )


def need(rate: int, measured: Measured, assumed: Assumed) -> Need:
    """What `rate` pages a second need."""
    busy_cores = rate * measured.page_seconds_one_core / assumed.utilisation
    extractors = max(2, math.ceil(busy_cores / assumed.extractor_cores))
    # Twice the replicas, so that no replica holds twice what another does; never below the default.
    partitions = max(12, 12 * math.ceil(2 * extractors / 12))
    ledgers = max(2, math.ceil(rate / (measured.usage_posted_a_second_on_sqlite * assumed.utilisation)) + 1)
    kept = [
        (measured.request_bytes, 7),
        (measured.result_bytes, 7),
        (measured.usage_bytes, 30),
        (measured.entry_bytes, 365),
        # Compacted: what is written a day stays about a day.
        (measured.balance_bytes, 1),
    ]
    disk_gb = rate * assumed.replication * sum(size * days * _DAY_SECONDS for size, days in kept) / 1e9
    results_gb = rate * measured.document_bytes * assumed.document_days * _DAY_SECONDS / 1e9
    # API and intake in pairs, the broker's three, the database: a core for each thousand events a second.
    others = 3 * (2 + math.ceil(rate / 1_000))
    cores = extractors * assumed.extractor_cores + ledgers + others
    pages_a_month = rate * _SECONDS_A_MONTH
    # A document is looked for twice and created once; the object is read once.
    calls = pages_a_month * (assumed.put_dollars + 3 * assumed.get_dollars)
    return Need(
        rate=rate,
        extractors=extractors,
        partitions=partitions,
        installations=math.ceil(partitions / assumed.partitions_max),
        ledgers=ledgers,
        kafka_bytes_a_second=rate * sum(size for size, _days in kept),
        kafka_disk_gb=disk_gb,
        results_gb=results_gb,
        cores=cores,
        compute_dollars=cores * assumed.core_hour_dollars * 24 * 30,
        kafka_disk_dollars=disk_gb * assumed.disk_gb_month_dollars,
        store_dollars=results_gb * assumed.object_gb_month_dollars + calls,
    )


def report(measured: Measured, assumed: Assumed) -> str:
    """The tables, as Markdown."""
    needs = [need(rate, measured, assumed) for rate in RATES]
    rows: list[tuple[str, list[str]]] = [
        (f"extractors of {assumed.extractor_cores} cores", [f"{each.extractors:,}" for each in needs]),
        ("partitions of a spread topic, in all", [f"{each.partitions:,}" for each in needs]),
        ("installations, by that number", [f"{each.installations:,}" for each in needs]),
        ("ledgers", [f"{each.ledgers:,}" for each in needs]),
        ("cores in all", [f"{each.cores:,}" for each in needs]),
        ("written to Kafka, MB/s before replication", [f"{each.kafka_bytes_a_second / 1e6:,.3f}" for each in needs]),
        ("Kafka's disks, GB, replicated", [f"{each.kafka_disk_gb:,.0f}" for each in needs]),
        (f"documents of {assumed.document_days} days, GB", [f"{each.results_gb:,.0f}" for each in needs]),
        ("compute, $ a month", [f"{each.compute_dollars:,.0f}" for each in needs]),
        ("Kafka's disks, $ a month", [f"{each.kafka_disk_dollars:,.0f}" for each in needs]),
        ("object store, $ a month", [f"{each.store_dollars:,.0f}" for each in needs]),
        ("$ for a thousand pages", [f"{1000 * each.dollars / (each.rate * _SECONDS_A_MONTH):.3f}" for each in needs]),
    ]
    lines = ["| pages a second | " + " | ".join(f"{rate:,}" for rate in RATES) + " |", "|---|" + "---:|" * len(RATES)]
    lines += [f"| {title} | " + " | ".join(cells) + " |" for title, cells in rows]
    lines += ["", "| measured | |", "|---|---|"]
    lines += [f"| {_title(name)} | {value} |" for name, value in asdict(measured).items()]
    lines += ["", "| assumed | |", "|---|---|"]
    lines += [f"| {_title(name)} | {value:g} |" for name, value in asdict(assumed).items()]
    return "\n".join(lines)


def written(page: str, tables: str) -> str:
    """The page with these tables between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables}\n\n{END}{after}"


def read_figures() -> Measured:
    """What was measured last."""
    return Measured(**json.loads(FIGURES.read_text("utf-8")))


def _read_sample(engine: Engine) -> tuple[float, RecognisedDocument]:
    """Seconds of the median run, and what was read."""
    seconds = []
    for _ in range(_PAGES_MEASURED):
        # The processor's time: what else runs on the machine does not count.
        started = time.process_time()
        document = recognise_file(_ROOT / "samples" / "receipt.jpg", engine)
        seconds.append(time.process_time() - started)
    return statistics.median(seconds), document


def _title(name: str) -> str:
    return name.replace("_", " ").replace("sqlite", "SQLite")


def _posted_a_second() -> float:
    with tempfile.TemporaryDirectory() as folder, empty_database(None, Path(folder)) as engine:
        return statistics.median(_EVENTS / post_all(engine, usage_records(_EVENTS, run)) for run in range(3))


def _example_bytes(folder: str) -> int:
    """The largest example of a type, headers included, without white space."""
    sizes = [
        len(json.dumps(json.loads(path.read_text("utf-8")), separators=(",", ":")))
        for path in (_EXAMPLES / folder).glob("*.json")
    ]
    return max(sizes)


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", action="store_true", help="measure anew on this machine")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/capacity.md")
    arguments = parser.parse_args()
    if arguments.measure:
        FIGURES.write_text(json.dumps(asdict(measure()), indent=2) + "\n", "utf-8")
    tables = report(read_figures(), Assumed())
    print(tables)
    if arguments.write:
        PAGE.write_text(written(PAGE.read_text("utf-8"), tables), "utf-8")


if __name__ == "__main__":
    main()
