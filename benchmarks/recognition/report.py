"""The figures as tables, and those of our engines beside what they are to reach."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.recognition.measuring import Measured
from benchmarks.recognition.readers import OURS


@dataclass(frozen=True)
class Aim:
    """A figure of one of our engines, and its bound."""

    engine: str
    field: str
    bound: float
    at_least: bool = False

    def met(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound


AIMS = (
    Aim("onnx", "page_seconds", 0.30),
    Aim("tensorflow", "page_seconds", 1.0),
    Aim("onnx", "load_seconds", 0.5),
    Aim("onnx", "peak_mb", 500.0),
    Aim("onnx", "receipts_f1_relaxed", 0.93, at_least=True),
)
GROWTH_PERCENT_MAX = 5.0

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
    """A line an aim whose figure was measured, and whether all of them are met."""
    lines, all_met = [], True
    for aim in AIMS:
        value = getattr(results.get(aim.engine, Measured()), aim.field)
        if value is None:
            continue
        all_met &= aim.met(value)
        sign = ">=" if aim.at_least else "<="
        lines.append(f"{_verdict(aim.met(value))}  {aim.engine}: {aim.field} {value:.3g}, aim {sign} {aim.bound:g}")
    for name in OURS:
        growth = results.get(name, Measured()).long_run.get("growth_percent")
        if growth is not None:
            met = growth <= GROWTH_PERCENT_MAX
            all_met &= met
            lines.append(
                f"{_verdict(met)}  {name}: memory over {results[name].long_run}, aim <= {GROWTH_PERCENT_MAX:g} %"
            )
    return "\n".join(lines), all_met


def _verdict(met: bool) -> str:
    return "met   " if met else "MISSED"
