"""The quick way through langdetect gives langdetect's own numbers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langdetect.detector import Detector
from langdetect.lang_detect_exception import LangDetectException

from services.recognition import language

TEXTS = (
    "word0 word1 word2",
    "THANK you for shopping with us, total 12.00 EUR",
    "Menu total caffe latte pasta pizza salmon",
    "Der schnelle braune Fuchs springt über den faulen Hund " * 60,
    "这是一个用来测试语言检测功能的中文句子",
    "Съешь ещё этих мягких французских булок, да выпей чаю",
    "Tiếng Việt có dấu, và một câu dài hơn một chút",
    "see https://example.org/a?b=c or write to someone@example.org today",
)


def _langdetect(text: str) -> Detector:
    factory = language._factory()
    factory.seed = language._SEED
    detector = factory.create()
    detector.append(text)
    return detector


def _both(text: str) -> tuple[tuple[str, Any], tuple[str, Any]]:
    theirs = _langdetect(text)
    try:
        expected = theirs.detect(), theirs.langprob
    except LangDetectException:
        return (language.LANGUAGE_UNDETERMINED, None), (language.detect(text), None)
    ours = _langdetect(text)
    ours.cleaning_text()
    return expected, (language.detect(text), language._mean_probabilities(ours, ours._extract_ngrams()))


@pytest.mark.parametrize("text", TEXTS)
def test_the_probabilities_are_langdetects_to_the_last_bit(text: str) -> None:
    expected, found = _both(text)

    assert expected[1] is not None
    assert found == expected


@given(st.text(max_size=60))
@settings(max_examples=60, deadline=None)
def test_whatever_the_text(text: str) -> None:
    expected, found = _both(text)

    assert found == expected


def test_nothing_known_is_undetermined() -> None:
    assert language.detect("") == "und"
    assert language.detect("\u2603 \u2603") == "und"
