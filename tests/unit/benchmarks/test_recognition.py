"""What the benchmark of recognition makes of its figures."""

from __future__ import annotations

import re

import pytest

from benchmarks.recognition.measuring import Job, Measured, measure
from benchmarks.recognition.readers import DOCTR, READERS, NotToBeHad
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


def verdicts(results: dict[str, Measured]) -> tuple[dict[str, str], bool]:
    """Of each aim, by its title, and whether none is missed."""
    told, all_met = aims(results)
    lines = [re.split(r"\s{2,}", line, maxsplit=1) for line in told.splitlines()]
    return {rest.rpartition(": ")[0]: verdict for verdict, rest in lines}, all_met


def test_missed_aims_are_told() -> None:
    slow = Measured(page_seconds=0.31, load_seconds=0.4, peak_mb=400, receipts_f1_relaxed=0.94)
    growing = Measured(page_seconds=0.9, long_run={"pages": 100, "mb_at_most": 400, "growth_percent": 5.1})
    seen, all_met = verdicts({"onnx": slow, "tensorflow": growing})

    assert not all_met
    assert {title for title, verdict in seen.items() if verdict == "MISSED"} == {
        "onnx: s a dense page",
        "tensorflow: growth of memory in % over 100 pages, to 400 MB",
    }
    assert {title for title, verdict in seen.items() if verdict == "met"} == {
        "tensorflow: s a dense page",
        "onnx: load s",
        "onnx: peak MB",
        "onnx: words of receipts, F1 relaxed",
    }


BESIDE_PEERS = {
    "onnx": Measured(page_seconds=0.25, receipts_f1_relaxed=0.93),
    "tensorflow": Measured(page_seconds=0.9),
    DOCTR: Measured(page_seconds=3.3),
    "RapidOCR": Measured(receipts_f1_relaxed=0.93),
    "Tesseract": Measured(receipts_f1_relaxed=0.92),
}
FASTER = f"{{}}: times as fast as {DOCTR} on the dense page"
BETTER = "onnx: words of receipts, F1 relaxed less that of {}"


def test_we_are_judged_beside_peers_of_the_same_run() -> None:
    seen, all_met = verdicts(BESIDE_PEERS)

    assert not all_met
    assert seen[FASTER.format("onnx")] == "met"
    assert seen[FASTER.format("tensorflow")] == "MISSED"
    assert seen[BETTER.format("RapidOCR")] == "MISSED", "as good is not better"
    assert seen[BETTER.format("Tesseract")] == "met"


@pytest.mark.parametrize("absent", [DOCTR, "RapidOCR", "Tesseract"])
def test_beside_an_absent_peer_nothing_is_measured(absent: str) -> None:
    results = BESIDE_PEERS | {absent: Measured(not_measured="not installed")}
    seen, _ = verdicts(results)
    of_it = [verdict for title, verdict in seen.items() if absent in title]

    assert of_it
    assert set(of_it) == {"not measured"}


def test_what_was_not_measured_misses_no_aim_and_is_named() -> None:
    seen, all_met = verdicts({"onnx": Measured(not_measured="not installed")})

    assert all_met
    assert len(seen) == 11
    assert set(seen.values()) == {"not measured"}
