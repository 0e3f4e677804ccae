"""Labels: what the recogniser's classes stand for."""

import pytest

from services.recognition.vocabulary import VOCABULARY_FRENCH
from training.vocabulary import (
    BLANK,
    DOCTR_FRENCH,
    VOCABULARY,
    WORD_SPACE,
    case_spellings,
    ctc_steps_min,
    decode,
    encode,
    to_label,
)


def test_vocabulary_begins_with_the_one_that_the_services_know() -> None:
    assert VOCABULARY.startswith(DOCTR_FRENCH)
    assert DOCTR_FRENCH == VOCABULARY_FRENCH


def test_every_class_stands_for_one_character_and_the_blank_comes_after_them() -> None:
    assert len(set(VOCABULARY)) == len(VOCABULARY) == BLANK


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("  two \t words\n", "two words"),
        ("“quoted”", '"quoted"'),
        ("l\u2019été", "l'été"),
        ("1\u20132", "1-2"),
        ("e\u0301te\u0301", "été"),
        ("ﬁn…", "fin..."),
        ("Straße", "Straße"),
    ],
)
def test_text_is_brought_into_the_keyboard_forms_of_its_characters(text: str, label: str) -> None:
    assert to_label(text) == label


@pytest.mark.parametrize("text", ["", "   ", "日本", "naïve\u0436"])
def test_text_that_the_classes_cannot_spell_has_no_label(text: str) -> None:
    assert to_label(text) is None


def test_decoding_collapses_repeats_that_no_blank_parts() -> None:
    ll, e = encode("l")[0], encode("e")[0]
    assert decode([BLANK, e, e, ll, ll, BLANK, ll, BLANK]) == "ell"


def test_decoding_leaves_no_space_at_the_ends_nor_twice() -> None:
    space, a = encode(WORD_SPACE)[0], encode("a")[0]
    assert decode([space, a, space, BLANK, space, a, space]) == "a a"


@pytest.mark.parametrize("label", ["Total 12.50", "Mitteilung", "aa", "Æbleskiver §5"])
def test_a_label_survives_encoding_at_the_fewest_steps_that_ctc_needs(label: str) -> None:
    path: list[int] = []
    for index in encode(label):
        path += [BLANK, index] if path and path[-1] == index else [index]
    assert len(path) == ctc_steps_min(label)
    assert decode(path) == label


@pytest.mark.parametrize(
    ("label", "spellings"),
    [
        ("TOTAL", ("TOTAL", "Total", "total")),
        ("MCDONALD'S", ("MCDONALD'S", "Mcdonald's", "mcdonald's")),
        ("(GST ID)", ("(GST ID)", "(Gst Id)", "(gst id)")),
        ("THANK YOU", ("THANK YOU", "Thank You", "thank you", "Thank you")),
        ("12.50", ("12.50",)),
    ],
)
def test_spellings_are_those_that_paper_may_show(label: str, spellings: tuple[str, ...]) -> None:
    assert case_spellings(label) == spellings
