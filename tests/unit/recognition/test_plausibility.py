"""Noise and pictures hold no words, and weak words beside strong ones are kept."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from services.recognition.engine import Engine
from services.recognition.plausibility import plausible, unrivalled
from services.recognition.reading import Reading

SIZE = (700, 500)

Picture = NDArray[np.uint8]


def _grain(seed: int = 1) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0.0, 1.0, SIZE)


def _uniform() -> Picture:
    return np.random.default_rng(2).integers(0, 256, SIZE, dtype=np.uint8)


def _salt() -> Picture:
    return np.where(_grain() > 2, 0, 255).astype(np.uint8)


def _blotches() -> Picture:
    return np.where(cv2.GaussianBlur(_grain(), (0, 0), 3) > 0.15, 0, 255).astype(np.uint8)


def _photograph() -> Picture:
    """Soft shapes of all sizes with edges and lines, as in a picture of a landscape or a room."""
    chance = np.random.default_rng(4)
    picture = np.zeros(SIZE)
    for octave in range(8):
        patch = chance.normal(0, 1, (2**octave + 1, 2**octave + 1))
        picture += cv2.resize(patch, SIZE[::-1], interpolation=cv2.INTER_CUBIC) * 0.62**octave
    picture = (picture - picture.min()) / np.ptp(picture) * 255
    for _ in range(25):
        x, y, radius, shade = chance.integers(0, (SIZE[1], SIZE[0], 90, 255)).tolist()
        cv2.circle(picture, (x, y), radius + 4, shade, int(chance.choice([-1, 2])))
        cv2.line(picture, (x, y), (y, x), shade, 2)
    return np.asarray(picture, dtype=np.uint8)


@pytest.mark.parametrize(
    ("page", "words_max"),
    [
        (_uniform(), 1),
        (_salt(), 1),
        (_blotches(), 1),
        (_photograph(), 1),
        (np.full(SIZE, 255, dtype=np.uint8), 0),
        (np.zeros(SIZE, dtype=np.uint8), 0),
        (np.zeros((1, 1), dtype=np.uint8), 0),
        (np.full((100, 20_000), 255, dtype=np.uint8), 0),
        (_uniform()[:2], 0),
    ],
    ids=["uniform", "salt", "blotches", "photograph", "white", "black", "1x1", "20000x100", "700x2"],
)
def test_no_words_are_invented(engine: Engine, page: Picture, words_max: int) -> None:
    image = np.repeat(page[:, :, None], 3, axis=2)

    assert len(engine.read_page(image).words) <= words_max


def test_weak_words_are_kept_beside_strong_ones() -> None:
    readings = [Reading("Total", 0.98), Reading("12", 0.6), Reading(".", 0.7), Reading("|", 0.9), Reading("x", 0.3)]
    scores = np.array([0.6, 0.55, 0.5, 0.2, 0.6], dtype=np.float32)

    assert plausible(readings, scores).tolist() == [True, True, True, False, False]


def test_a_lone_number_is_a_word_and_many_lone_signs_are_noise() -> None:
    assert plausible([Reading("7", 0.99)], np.array([0.5], dtype=np.float32)).tolist() == [True]
    many = [Reading("7", 0.99)] * 9
    assert not plausible(many, np.full(9, 0.5, dtype=np.float32)).any()
    assert not plausible([Reading("/", 0.99)], np.array([0.5], dtype=np.float32)).any()


def test_nothing_found_is_nothing_kept() -> None:
    assert plausible([], np.zeros(0, dtype=np.float32)).tolist() == []


def test_a_lone_digit_beside_words_fills_less_of_its_box_but_is_read_without_doubt() -> None:
    words = [Reading("Total", 0.99)] * 9
    clear, doubtful, faint = Reading("1", 0.97), Reading("1", 0.7), Reading("1", 0.97)
    scores = np.array([0.8] * 9 + [0.45, 0.45, 0.3], dtype=np.float32)
    assert plausible([*words, clear, doubtful, faint], scores)[9:].tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("headline", "stands"),
    [
        pytest.param(Reading("Summer", 0.97), (True, False, False), id="a headline, for all that its pieces say"),
        pytest.param(Reading("Summer", 0.6), (True, False, False), id="a blurred one, in pieces that say less"),
        pytest.param(Reading("IWM", 0.3), (False, True, True), id="a picture that reaches over the words beside it"),
    ],
)
def test_what_two_looks_found_in_one_place_is_told_by_what_reads_better(
    headline: Reading, stands: tuple[bool, bool, bool]
) -> None:
    doubtful = headline.confidence == 0.6
    pieces = [Reading("Sum", 0.5), Reading("l", 0.4)] if doubtful else [Reading("was", 0.99), Reading("him", 0.96)]
    elsewhere = Reading("kitchen", 0.99)
    rivals = [(0, np.array([1, 2]))]

    assert unrivalled([headline, *pieces, elsewhere], rivals).tolist() == [*stands, True]
