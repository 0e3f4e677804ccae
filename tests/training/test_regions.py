"""What the detector learns to mark grows back to the words, by the post-processing that the services use."""

import numpy as np
import pytest

from training.data.crops import Box
from training.data.page_store import AnnotatedPage
from training.regions import IGNORED, PIECE, TEXT, core, cut_piece, paint

UNCLIP_RATIO = 1.5


def grown(marked: tuple[int, int, int, int]) -> Box:
    """docTR's post-processing of a mark."""
    left, top, right, bottom = marked
    width, height = right - left, bottom - top
    margin = width * height * UNCLIP_RATIO / (2 * (width + height))
    return left - margin, top - margin, right + margin, bottom + margin


@pytest.mark.parametrize("box", [(100, 100, 300, 130), (100, 100, 132, 130), (50, 40, 450, 100)])
def test_marks_grow_back_to_the_word_and_a_small_margin(box: tuple[int, int, int, int]) -> None:
    marked = core(box)
    assert marked is not None
    height = box[3] - box[1]
    for edge, given, outwards in zip(grown(marked), box, (-1, -1, 1, 1), strict=True):
        assert -0.06 * height <= (edge - given) * outwards <= 0.2 * height


def test_neighbours_a_pixel_apart_stay_apart() -> None:
    target = paint([(10, 10, 60, 30), (61, 10, 110, 30)], [], (40, 120))
    assert (target[20] == TEXT).any()
    assert (target[:, 58:63] == 0).all()


def test_smallest_words_keep_a_mark_of_three_pixels() -> None:
    assert core((10.0, 10.0, 14.0, 14.0)) is not None
    target = paint([(10.0, 10.0, 40.0, 15.0)], [], (30, 60))
    assert (target == TEXT).any(axis=1).sum() == 3


def test_unsplit_lines_are_ignored_but_words_over_them_are_not() -> None:
    target = paint([(10, 10, 60, 30)], [(0, 0, 100, 40)], (50, 120))
    assert target[5, 5] == IGNORED
    assert target[20, 30] == TEXT


def test_pieces_of_a_page_show_its_words_under_their_marks() -> None:
    pixels = np.full((700, 900), 255, np.uint8)
    boxes: list[Box] = [(x, y, x + 80.0, y + 24.0) for x in range(20, 800, 100) for y in range(20, 600, 60)]
    for x0, y0, x1, y1 in boxes:
        pixels[int(y0) : int(y1), int(x0) : int(x1)] = 0
    rng = np.random.default_rng(4)
    seen = 0
    for _ in range(12):
        piece = cut_piece(AnnotatedPage(pixels, boxes, []), rng)
        assert piece.pixels.shape == piece.target.shape == (PIECE, PIECE)
        marked = piece.pixels[piece.target == TEXT]
        seen += marked.size
        # Ink is one level within a piece, whatever its shading: black or, turned round, white.
        assert marked.size == 0 or np.ptp(marked) < 60
    assert seen > 0
