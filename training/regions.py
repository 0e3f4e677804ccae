"""What the detector learns: 512 x 512 pieces of pages, and a map of every word's shrunken box."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.crops import Box, GreyImage
from training.data.page_store import AnnotatedPage, PageStore

PIECE = 512
"""Pixels of a side: the detector sees pieces in training and whole pages in use."""

SHRINK = 0.27
"""A word of width W and height H is marked shrunk by SHRINK*W*H/(W+H) on every side: docTR's post-processing (unclip
ratio 1.5) then grows the mark to a box with a margin of a tenth of its height."""

BOX_HEIGHT, BOX_HEIGHT_DEVIATION = 14.0, 0.45
"""A page is scaled so that the median height of its words is this many pixels, varied by this deviation of its
logarithm: a page's own resolution says little about what the detector is shown in use."""

BOX_HEIGHTS = (6.0, 60.0)
SCALES = (0.25, 2.5)

PIECES_PER_PAGE = 4
"""Cut from a page that was read from disk; they are mixed with those of other pages."""

MIXED_PIECES = 128

TEXT, IGNORED = 1, 255


@dataclass(frozen=True)
class Piece:
    """pixels: PIECE x PIECE grey. target: PIECE x PIECE, TEXT in the core of a word, IGNORED where unknown, else 0."""

    pixels: GreyImage
    target: NDArray[np.uint8]


def core(box: Box) -> tuple[int, int, int, int] | None:
    """Return the shrunken box in whole pixels (left, top, right, bottom, ends excluded), or None if none is left."""
    x0, y0, x1, y1 = box
    width, height = x1 - x0, y1 - y0
    if width < 2 or height < 3:
        return None
    distance = SHRINK * width * height / (width + height)
    left, right = round(x0 + distance), round(x1 - distance)
    top, bottom = round(y0 + distance), round(y1 - distance)
    # The post-processing drops what is thinner than three pixels.
    if bottom - top < 3:
        top = round((y0 + y1) / 2 - 1.5)
        bottom = top + 3
    if right - left < 3:
        left = round((x0 + x1) / 2 - 1.5)
        right = left + 3
    return left, top, right, bottom


def paint(words: list[Box], ignored: list[Box], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the target map of boxes on a piece of `shape` (rows, columns)."""
    target = np.zeros(shape, dtype=np.uint8)
    for x0, y0, x1, y1 in ignored:
        target[max(0, int(y0)) : max(0, int(y1)), max(0, int(x0)) : max(0, int(x1))] = IGNORED
    for box in words:
        if (marked := core(box)) is not None:
            left, top, right, bottom = (max(0, edge) for edge in marked)
            target[top:bottom, left:right] = TEXT
    return target


def cut_piece(page: AnnotatedPage, rng: np.random.Generator) -> Piece:
    """Cut a piece of a page at a size of letters drawn anew, pad what lies outside, turn and shade it now and then."""
    scale = _scale(page, rng)
    x, y = _corner(page, scale, rng)
    rows, columns = page.pixels.shape
    # What the piece will show, in pixels of the page: only that is scaled.
    top, left = max(0, int(y / scale)), max(0, int(x / scale))
    bottom, right = min(rows, ceil((y + PIECE) / scale)), min(columns, ceil((x + PIECE) / scale))
    piece = np.full((PIECE, PIECE), 0 if rng.random() < 0.7 else int(rng.integers(256)), dtype=np.uint8)
    if bottom > top and right > left:
        to_piece = np.array([[scale, 0, left * scale - x], [0, scale, top * scale - y]], dtype=np.float64)
        seen = page.pixels[top:bottom, left:right]
        if scale < 0.7:
            # Warping looks at four pixels only: halve first what is reduced more.
            size = max(1, round(seen.shape[1] * scale)), max(1, round(seen.shape[0] * scale))
            shrunk = np.asarray(cv2.resize(seen, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
            to_piece[0, 0] *= seen.shape[1] / size[0]
            to_piece[1, 1] *= seen.shape[0] / size[1]
            seen = shrunk
        cv2.warpAffine(seen, to_piece, (PIECE, PIECE), dst=piece, borderMode=cv2.BORDER_TRANSPARENT)
    target = paint(_moved(page.words, scale, x, y), _moved(page.ignored, scale, x, y), piece.shape)
    turns = int(rng.choice(4, p=(0.9, 0.03, 0.04, 0.03)))
    return Piece(shade(np.rot90(piece, turns), rng), np.ascontiguousarray(np.rot90(target, turns)))


def _scale(page: AnnotatedPage, rng: np.random.Generator) -> float:
    height = float(np.median([box[3] - box[1] for box in page.words])) if page.words else 20.0
    wanted = np.clip(BOX_HEIGHT * np.exp(rng.normal(0, BOX_HEIGHT_DEVIATION)), *BOX_HEIGHTS)
    return float(np.clip(wanted / max(1.0, height), *SCALES))


def _corner(page: AnnotatedPage, scale: float, rng: np.random.Generator) -> tuple[int, int]:
    """Return the top left of a piece around some word of the page, so that few pieces are empty."""
    if page.words and rng.random() < 0.95:
        box = page.words[int(rng.integers(len(page.words)))]
        x, y = (box[0] + box[2]) / 2 * scale, (box[1] + box[3]) / 2 * scale
    else:
        x, y = rng.uniform(0, 1, 2) * page.pixels.shape[::-1] * scale
    return int(x - rng.uniform(0.1, 0.9) * PIECE), int(y - rng.uniform(0.1, 0.9) * PIECE)


def _moved(boxes: list[Box], scale: float, x: int, y: int) -> list[Box]:
    moved = [(b[0] * scale - x, b[1] * scale - y, b[2] * scale - x, b[3] * scale - y) for b in boxes]
    return [b for b in moved if b[2] > 0 and b[3] > 0 and b[0] < PIECE and b[1] < PIECE]


def shade(pixels: GreyImage, rng: np.random.Generator) -> GreyImage:
    """Vary contrast and brightness; turn black and white round now and then."""
    image = np.ascontiguousarray(pixels).astype(np.float32)
    if rng.random() < 0.5:
        image = (image - 128) * rng.uniform(0.6, 1.2) + 128 + rng.uniform(-35, 35)
    if rng.random() < 0.04:
        image = 255 - image
    return np.clip(image, 0, 255).astype(np.uint8)


def pieces(stores: list[tuple[PageStore, float]], rng: np.random.Generator) -> Iterator[Piece]:
    """Yield pieces for ever, mixed; stores are drawn by their share."""
    shares = np.array([share for _, share in stores])
    mixed: list[Piece] = []
    while True:
        store = stores[int(rng.choice(len(stores), p=shares / shares.sum()))][0]
        page = store[int(rng.integers(len(store)))]
        mixed += [cut_piece(page, rng) for _ in range(PIECES_PER_PAGE)]
        while len(mixed) > MIXED_PIECES:
            yield mixed.pop(int(rng.integers(len(mixed))))
