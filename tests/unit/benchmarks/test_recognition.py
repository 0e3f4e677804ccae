"""What the benchmark of recognition makes of its figures."""

from __future__ import annotations

import pytest

from benchmarks.recognition.measuring import Job, Measured, measure
from benchmarks.recognition.readers import READERS, NotToBeHad
from benchmarks.recognition.report import aims, table
from benchmarks.recognition.scores import BagScore, receipt_truth


@pytest.mark.parametrize(("relaxed", "found"), [(True, 3), (False, 2)])
def test_words_are_compared_as_bags(relaxed: bool, found: int) -> None:
    score = BagScore(relaxed)
    score.add("total: 12.50 THE the", "Total 12.50 the word")

    assert (score.found, score.wanted) == (found, 4)
    assert score.f1 == pytest.approx(2 * found / 8)


def test_a_transcript_may_hold_commas() -> None:
    assert receipt_truth("1,2,3,4,5,6,7,8,KUALA LUMPUR, 50000\nbroken\n1,2,3,4,5,6,7,8,RM 5") == (
        "KUALA LUMPUR, 50000\nRM 5"
    )


def test_a_peer_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(cores: int) -> None:
        raise NotToBeHad(f"no program on {cores} cores")

    monkeypatch.setitem(READERS, "Tesseract", missing)
    job = Job(2, 1, "dense.png", "", [], None, [], 0)
    told = table({"Tesseract": measure("Tesseract", job)})

    assert "NOT MEASURED: Tesseract: no program on 2 cores" in told
    assert "| Tesseract |" not in told


def test_missed_aims_are_told() -> None:
    slow = Measured(page_seconds=0.31, load_seconds=0.4, peak_mb=400, receipts_f1_relaxed=0.94)
    growing = Measured(page_seconds=0.9, long_run={"growth_percent": 5.1})
    told, all_met = aims({"onnx": slow, "tensorflow": growing})

    assert not all_met
    assert [line.split()[0] for line in told.splitlines()] == ["MISSED", "met", "met", "met", "met", "MISSED"]


def test_what_was_not_measured_misses_no_aim() -> None:
    assert aims({"onnx": Measured(not_measured="not installed")}) == ("", True)
