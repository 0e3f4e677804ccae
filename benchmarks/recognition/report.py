"""The figures as tables, and those of our engines beside what they are to reach."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.aims import Aim
from benchmarks.recognition.measuring import Measured
from benchmarks.recognition.readers import DOCTR, OURS, RAPIDOCR, TESSERACT

_COLUMNS = (
    ("s a dense page", "page_seconds", "{:.2f}"),
    ("CPU s", "page_cpu_seconds", "{:.2f}"),
    ("first page s", "first_page_seconds", "{:.2f}"),
    ("its words F1", "page_f1", "{:.3f}"),
    ("s a receipt", "receipt_seconds", "{:.2f}"),
    ("F1 relaxed", "receipts_f1_relaxed", "{:.3f}"),
    ("F1 exact", "receipts_f1_exact", "{:.3f}"),
    ("start s", "start_seconds", "{:.2f}"),
    ("load s", "load_seconds", "{:.2f}"),
    ("peak MB", "peak_mb", "{:.0f}"),
)


def table(results: dict[str, Measured]) -> str:
    """Markdown: a line a reader, and below it who was not measured, or not in full, and why."""
    lines = ["| | " + " | ".join(title for title, _, _ in _COLUMNS) + " |", "|---" * (len(_COLUMNS) + 1) + "|"]
    notes = []
    for name, measured in results.items():
        if measured.not_measured is not None:
            notes.append(f"NOT MEASURED: {name}: {measured.not_measured}")
            continue
        if measured.speed_only is not None:
            notes.append(f"SPEED ONLY: {name}, with weights by chance on the known boxes: {measured.speed_only}")
        lines.append(f"| {name} | " + " | ".join(_cells(measured)) + " |")
    return "\n".join(lines + notes)


def _cells(measured: Measured) -> list[str]:
    values = [(getattr(measured, field), form) for _, field, form in _COLUMNS]
    return ["" if value is None else form.format(value) for value, form in values]


def aims(results: dict[str, Measured]) -> tuple[str, bool]:
    """A line an aim, and whether none of them is missed; what was not measured misses none, and is named."""
    figures = list(_figures(results))
    told = "\n".join(aim.verdict(figure) for aim, figure in figures)
    return told, all(figure is None or aim.met(figure) for aim, figure in figures)


def _figures(results: dict[str, Measured]) -> Iterator[tuple[Aim, float | None]]:
    """Each aim and what was reached; None where one of the readers it speaks of was not measured in this run."""

    def figure(reader: str, field: str) -> float | None:
        value: float | None = getattr(results.get(reader, Measured()), field)
        return value

    yield Aim("onnx: s a dense page", "<=", 0.30), figure("onnx", "page_seconds")
    yield Aim("tensorflow: s a dense page", "<=", 1.0), figure("tensorflow", "page_seconds")
    doctr = figure(DOCTR, "page_seconds")
    for engine, times in (("onnx", 13), ("tensorflow", 4)):
        ours = figure(engine, "page_seconds")
        ratio = None if ours is None or doctr is None else doctr / ours
        yield Aim(f"{engine}: times as fast as {DOCTR} on the dense page", ">=", times), ratio
    yield Aim("onnx: load s", "<=", 0.5), figure("onnx", "load_seconds")
    yield Aim("onnx: peak MB", "<=", 500), figure("onnx", "peak_mb")
    words = figure("onnx", "receipts_f1_relaxed")
    yield Aim("onnx: words of receipts, F1 relaxed", ">=", 0.93), words
    for peer in (RAPIDOCR, TESSERACT):
        theirs = figure(peer, "receipts_f1_relaxed")
        ahead = None if words is None or theirs is None else words - theirs
        yield Aim(f"onnx: words of receipts, F1 relaxed less that of {peer}", ">", 0), ahead
    for name in OURS:
        growth = results.get(name, Measured()).long_run
        title = f"{name}: growth of memory in %"
        if growth:
            title += f" over {growth['pages']:.0f} pages, to {growth['mb_at_most']:.0f} MB"
        yield Aim(title, "<=", 5), growth.get("growth_percent")
