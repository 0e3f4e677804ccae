"""docs/capacity.md says what the script computes, and the script computes what it should."""

from dataclasses import replace

import pytest

from benchmarks.capacity import PAGE, RATES, Assumed, need, read_figures, report, written
from services.recognition.weights import SHIPPED_DIR, find_weights


def test_the_page_holds_what_the_script_prints() -> None:
    page = PAGE.read_text("utf-8")
    assert written(page, report(read_figures(), Assumed())) == page


def test_pages_were_measured_with_the_weights_that_ship() -> None:
    """Otherwise run `python -m benchmarks.capacity --measure --write` on a quiet machine."""
    assert read_figures().model == find_weights(SHIPPED_DIR).version


def test_extractors_are_enough_for_the_pages_and_idle_as_assumed() -> None:
    measured, assumed = read_figures(), Assumed()
    for rate in RATES:
        needed = need(rate, measured, assumed)
        capacity = needed.extractors * assumed.extractor_cores / measured.page_seconds_one_core
        assert capacity * assumed.utilisation >= rate
        assert needed.partitions >= needed.extractors
        assert needed.installations * assumed.partitions_max >= needed.partitions


def test_a_page_that_takes_twice_as_long_needs_twice_the_extractors() -> None:
    measured, assumed = read_figures(), Assumed()
    slower = replace(measured, page_seconds_one_core=2 * measured.page_seconds_one_core)
    once, twice = (need(10_000, each, assumed).extractors for each in (measured, slower))
    assert twice == pytest.approx(2 * once, abs=1)


def test_disks_grow_with_replication() -> None:
    measured = read_figures()
    once, thrice = (need(100, measured, Assumed(replication=count)).kafka_disk_gb for count in (1, 3))
    assert thrice == pytest.approx(3 * once)
