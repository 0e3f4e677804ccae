"""From the box of a word to its letters: crops in batches of like width, and CTC decoding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log

import cv2
import numpy as np
from numpy.typing import NDArray

from services.recognition.networks import CROP_HEIGHT, CROP_WIDTH_STRIDE, Networks

# Crops are sorted by width and cut into batches, so that one long word does not make all the others as expensive.
_WIDTH_STEP = 8
_WIDTH_MIN = 32
CROP_WIDTH_MAX = 1024
_BATCH_PIXELS = 64 * 96 * CROP_HEIGHT
# A batch ends where a crop is wider than its narrowest by this factor, but small batches cost more than padding.
_WIDTH_FACTOR_MAX = 1.25
_BATCH_CROPS_MIN = 16

# Boxes hold a margin, and in it strokes of neighbours, rules, parts of other lines. The recogniser reads best with some
# of it left: this much goes on each side, in heights of the box.
_TRIMMED_X, _TRIMMED_Y = 0.03, 0.08

# Where the paper shows through for this many columns, wider than between letters, a space is read that the recogniser
# takes for this much less likely than a letter or none.
_GAP_COLUMNS_MIN = 5
_GAP_ODDS = 13.0
# Columns without ink vary less than this share of what most columns with ink do.
_BLANK_CONTRAST_SHARE = 0.3
_INK_PERCENTILE = 90
_SPACE = " "
_NO_GAP = 0

# Above this reduction a bilinear look-up would miss pixels.
_AREA_REDUCTION_MIN = 1.5


@dataclass(frozen=True)
class Reading:
    """What the recogniser made of one crop.

    `text` may hold spaces: the detector merges neighbours. `confidence` is from 0 to 1. `steps` are the time
    steps in which the letters of `text` begin.
    """

    text: str
    confidence: float
    steps: tuple[int, ...] = ()


def read_crops(grey: NDArray[np.uint8], boxes: NDArray[np.float32], networks: Networks) -> list[Reading]:
    """Read the words in `boxes` (N x 4, pixels of `grey`), in the order of the boxes."""
    crops = [_crop(grey, box) for box in _trimmed(boxes)]

    def read(batch: tuple[int, list[int]]) -> list[Reading]:
        width, indices = batch
        pixels = np.zeros((len(indices), CROP_HEIGHT, width), dtype=np.uint8)
        for row, index in enumerate(indices):
            pixels[row, :, : crops[index].shape[1]] = crops[index]
        logits = networks.character_logits(pixels)
        return decode(with_spaces(logits, pixels, networks.vocabulary), networks.vocabulary)

    readings: list[Reading] = [Reading("", 0.0)] * len(crops)
    # The batch of the widest is often small: taken first, no run waits for the other at the end.
    batches = list(_batches([crop.shape[1] for crop in crops]))[::-1]
    for (_, indices), batch_readings in zip(batches, networks.side_by_side(read, batches), strict=True):
        for index, reading in zip(indices, batch_readings, strict=True):
            readings[index] = reading
    return readings


def _trimmed(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    heights = boxes[:, 3:] - boxes[:, 1:2]
    inwards = np.array((_TRIMMED_X, _TRIMMED_Y, -_TRIMMED_X, -_TRIMMED_Y), dtype=np.float32)
    return boxes + heights * inwards


def _crop(grey: NDArray[np.uint8], box: NDArray[np.float32]) -> NDArray[np.uint8]:
    x0, y0 = np.floor(box[:2]).astype(int)
    x1, y1 = np.ceil(box[2:]).astype(int)
    patch = grey[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
    height, width = patch.shape
    scaled_width = min(CROP_WIDTH_MAX, max(1, round(width * CROP_HEIGHT / height)))
    reducing = height > _AREA_REDUCTION_MIN * CROP_HEIGHT
    interpolation = cv2.INTER_AREA if reducing else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(patch, (scaled_width, CROP_HEIGHT), interpolation=interpolation), np.uint8)


def _batches(widths: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
    """Yield (padded width, indices of its crops) of each batch, crops of like widths together."""
    batch: list[int] = []
    for index in sorted(range(len(widths)), key=widths.__getitem__):
        if batch and _is_full(len(batch), _padded(widths[batch[0]]), _padded(widths[index])):
            yield _padded(widths[batch[-1]]), batch
            batch = []
        batch.append(index)
    if batch:
        yield _padded(widths[batch[-1]]), batch


def _is_full(count: int, narrowest: int, width: int) -> bool:
    if (count + 1) * width * CROP_HEIGHT > _BATCH_PIXELS:
        return True
    return count >= _BATCH_CROPS_MIN and width > _WIDTH_FACTOR_MAX * narrowest


def _padded(width: int) -> int:
    return max(_WIDTH_MIN, -(-width // _WIDTH_STEP) * _WIDTH_STEP)


def with_spaces(logits: NDArray[np.float32], pixels: NDArray[np.uint8], vocabulary: str) -> NDArray[np.float32]:
    """N x T x (characters + blank) with spaces made more likely where the crops (N x 32 x W) have gaps."""
    space = vocabulary.find(_SPACE)
    if space < 0:
        return logits
    in_gap = gap_columns(pixels)[:, CROP_WIDTH_STRIDE // 2 :: CROP_WIDTH_STRIDE][:, : logits.shape[1]]
    raised = logits.copy()
    raised[:, :, space] += np.where(in_gap, np.float32(log(_GAP_ODDS)), np.float32(0))
    return raised


def gap_columns(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which columns of the crops (N x H x W) lie within a wide gap of ink: N x W."""
    varies = pixels.max(axis=1).astype(np.int16) - pixels.min(axis=1)
    blank = varies < _BLANK_CONTRAST_SHARE * np.percentile(varies, _INK_PERCENTILE, axis=1)[:, None]
    # Eroded by a gap's width and dilated again, only runs of at least that length are left.
    kernel = np.ones((1, _GAP_COLUMNS_MIN), dtype=np.uint8)
    eroded = cv2.erode(blank.astype(np.uint8), kernel, anchor=(0, 0), borderValue=_NO_GAP)
    dilated = cv2.dilate(eroded, kernel, anchor=(_GAP_COLUMNS_MIN - 1, 0))
    return np.asarray(dilated, dtype=np.bool_)


def decode(logits: NDArray[np.float32], vocabulary: str) -> list[Reading]:
    """Best path of CTC: N x T x (characters + blank) → text, with the mean probability of its letters."""
    blank = len(vocabulary)
    best = logits.argmax(axis=2)
    peaks = logits.max(axis=2)
    probabilities = 1.0 / np.exp(logits - peaks[:, :, None]).sum(axis=2)
    starts = best != blank
    starts[:, 1:] &= best[:, 1:] != best[:, :-1]
    readings = []
    for classes, confident, start in zip(best, probabilities, starts, strict=True):
        text = "".join(vocabulary[index] for index in classes[start])
        steps = tuple(np.flatnonzero(start).tolist())
        readings.append(Reading(text, float(confident[start].mean()) if text else 0.0, steps))
    return readings
