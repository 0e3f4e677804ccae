"""Settings that depend on each other."""

from __future__ import annotations

import pytest

from services.extractor.settings import ExtractorSettings


def test_the_bounds_of_memory_allow_for_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = ExtractorSettings()
    monkeypatch.setenv("OCR_EXTRACTOR_ENGINE", "tensorflow")
    large = ExtractorSettings()

    assert (usual.child_memory_mb_max, usual.child_memory_mb_recycle) == (1500, 900)
    assert (large.child_memory_mb_max, large.child_memory_mb_recycle) == (3000, 2400)


def test_bounds_that_were_set_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCR_EXTRACTOR_ENGINE", "tensorflow")
    monkeypatch.setenv("OCR_EXTRACTOR_CHILD_MEMORY_MB_RECYCLE", "2000")

    assert ExtractorSettings().child_memory_mb_recycle == 2000
    assert ExtractorSettings().child_memory_mb_max == 3000
