"""Crops that hold no text, labelled as empty: what a detector takes for words on rules, barcodes, pictures and dirt."""

from collections.abc import Callable, Iterator

import cv2
import numpy as np

from training.data.crops import Crop, GreyImage
from training.data.degrade import degrade

NO_TEXT = ""
MARGIN = 14
"""Pixels kept around the box, as around a word."""

Drawer = Callable[[GreyImage, int, np.random.Generator], None]


def rules(patch: GreyImage, ink: int, rng: np.random.Generator) -> None:
    """Draw lines across, dashed or whole, and the corner of a table now and then."""
    height, width = patch.shape
    for _ in range(int(rng.integers(1, 4))):
        y, thick = int(rng.integers(height)), int(rng.integers(1, 4))
        dash = int(rng.integers(3, 14)) if rng.random() < 0.6 else width
        for x in range(0, width, dash + max(2, dash // 2)):
            patch[y : y + thick, x : x + dash] = ink
    if rng.random() < 0.3:
        x = int(rng.integers(width))
        patch[:, x : x + int(rng.integers(1, 4))] = ink


def barcode(patch: GreyImage, ink: int, rng: np.random.Generator) -> None:
    """Draw upright bars, or the cells of a square code."""
    height, width = patch.shape
    cell = int(rng.integers(2, 6))
    rows = 1 if rng.random() < 0.6 else height // cell + 1
    cells = np.where(rng.random((rows, width // cell + 1)) < 0.5, np.uint8(ink), patch[0, 0])
    patch[:] = cv2.resize(cells, (width, height), interpolation=cv2.INTER_NEAREST)


def picture(patch: GreyImage, ink: int, rng: np.random.Generator) -> None:
    """Draw smooth blots, from patch-wide to a few pixels."""
    height, width = patch.shape
    cell = int(rng.integers(3, 24))
    cells = rng.integers(ink, 256, (height // cell + 2, width // cell + 2)).astype(np.uint8)
    patch[:] = cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC)


def dirt(patch: GreyImage, ink: int, rng: np.random.Generator) -> None:
    """Draw nothing, or scratches and spots."""
    height, width = patch.shape
    for _ in range(int(rng.integers(0, 5))):
        start = int(rng.integers(width)), int(rng.integers(height))
        end = start[0] + int(rng.integers(-30, 30)), start[1] + int(rng.integers(-30, 30))
        cv2.line(patch, start, end, ink, int(rng.integers(1, 3)), cv2.LINE_AA)
    for _ in range(int(rng.integers(0, 4))):
        cv2.circle(patch, (int(rng.integers(width)), int(rng.integers(height))), int(rng.integers(1, 5)), ink, -1)


def noise(patch: GreyImage, ink: int, rng: np.random.Generator) -> None:
    """Draw grain of one to four pixels."""
    height, width = patch.shape
    cell = int(rng.integers(1, 5))
    grain = rng.integers(ink, 256, (height // cell + 1, width // cell + 1)).astype(np.uint8)
    patch[:] = cv2.resize(grain, (width, height), interpolation=cv2.INTER_LINEAR)


DRAWERS: tuple[Drawer, ...] = (rules, rules, barcode, picture, dirt, noise)


def crops(count: int, seed: int) -> Iterator[Crop]:
    """Yield `count` crops without text."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        height = int(rng.integers(8, 48))
        drawer = DRAWERS[int(rng.integers(len(DRAWERS)))]
        # A single stroke in a narrow box may as well be a one, an l or a dash.
        least = 0.4 if drawer in (picture, noise) else 2.0
        width = int(height * np.exp(rng.uniform(np.log(least), np.log(9))))
        patch = np.full((height + 2 * MARGIN, width + 2 * MARGIN), int(rng.integers(190, 256)), dtype=np.uint8)
        drawer(patch, int(rng.integers(0, 110)), rng)
        box = (float(MARGIN), float(MARGIN), float(MARGIN + width), float(MARGIN + height))
        yield Crop(degrade(patch, rng, clean_share=0.4), box, (NO_TEXT,))
