"""Batches of crops for the recogniser: margins as the detector leaves them, light distortion, buckets of width."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.crops import Crop, CropStore, GreyImage
from training.vocabulary import ctc_steps_min

HEIGHT = 32
STEP = 4
WIDTH_MAX = 640
POOL_CROPS = 1024
"""Crops drawn at once and sorted by width, so that a batch wastes little on padding."""

COLUMNS_PER_BATCH = 6_144
"""The sum of widths in a batch: 48 crops of 128 columns."""


Margins = tuple[float, float, float, float]
"""left, above, right, below, in heights of the box"""

MARGINS_USUAL: Margins = (0.15, 0.15, 0.2, 0.2)

MARGINS_LEAST = (-0.02, -0.04, 0.0, -0.04)
MARGINS_MOST = (0.4, 0.38, 0.5, 0.5)
"""What the detector leaves left of, above, right of and below a text, in heights of its box: the 5th and 95th
percentile of what was measured on receipts and synthetic pages, where words without descenders get most below."""


@dataclass(frozen=True)
class Batch:
    """pixels: N x 32 x W grey, black at the right. labels: the spellings allowed for each crop."""

    pixels: NDArray[np.uint8]
    labels: list[tuple[str, ...]]


@dataclass(frozen=True)
class Source:
    """A store of crops and its share of the pool."""

    store: CropStore
    weight: float


def frame(crop: Crop, margins: Margins, stretch: float = 1.0, tilt: float = 0.0) -> GreyImage:
    """Cut the box with its margins and scale it to 32 rows.

    stretch: horizontal scale over vertical. tilt: rise of the text line, in pixels a pixel.
    Never looks beyond the pixels that the crop holds, as at the edge of a page.
    """
    rows, columns = crop.pixels.shape
    x0, y0, x1, y1 = crop.box
    height = y1 - y0
    left, right = (
        max(0.0, x0 - margins[0] * height),
        min(columns, x1 + margins[2] * height),
    )
    top, bottom = (
        max(0.0, y0 - margins[1] * height),
        min(rows, y1 + margins[3] * height),
    )
    scale = HEIGHT / max(bottom - top, 1.0)
    width = int(np.clip(round((right - left) * scale * stretch), STEP, WIDTH_MAX))
    # The scales of the result's pixels over the crop's; x is cut to WIDTH_MAX by squeezing.
    scale_x = width / max(right - left, 1.0)
    middle = (left + right) / 2
    warp = np.array(
        [
            [scale_x, 0.0, -left * scale_x],
            [tilt * scale, scale, -top * scale - tilt * scale * middle],
        ]
    )
    flags = cv2.INTER_LINEAR if scale > 0.6 else cv2.INTER_AREA
    warped = cv2.warpAffine(
        np.ascontiguousarray(crop.pixels),
        warp,
        (width, HEIGHT),
        flags=flags,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(warped, dtype=np.uint8)


def distort(pixels: GreyImage, rng: np.random.Generator) -> GreyImage:
    """Vary contrast, brightness, sharpness and noise of a crop a little."""
    image = pixels.astype(np.float32)
    if rng.random() < 0.6:
        image = (image - 128) * rng.uniform(0.55, 1.25) + 128 + rng.uniform(-40, 40)
    if rng.random() < 0.15:
        image = np.asarray(cv2.GaussianBlur(image, (3, 3), rng.uniform(0.3, 1.0)), np.float32)
    if rng.random() < 0.25:
        image += rng.standard_normal(image.shape, np.float32) * np.float32(rng.uniform(2, 14))
    if rng.random() < 0.04:
        image = 255 - image
    return np.clip(image, 0, 255).astype(np.uint8)


def augment(crop: Crop, rng: np.random.Generator) -> GreyImage:
    """Return a crop as it might come from the detector."""
    margins = rng.uniform(MARGINS_LEAST, MARGINS_MOST)
    stretch = float(np.exp(rng.normal(0.0, 0.12)))
    tilt = float(rng.normal(0.0, 0.01)) if rng.random() < 0.5 else 0.0
    return distort(frame(crop, tuple(margins.tolist()), stretch, tilt), rng)


def readable(width: int, labels: tuple[str, ...]) -> bool:
    """Tell whether CTC has time steps enough for every spelling."""
    return all(ctc_steps_min(label) <= width // STEP for label in labels)


def collate(images: list[GreyImage], labels: list[tuple[str, ...]]) -> Batch:
    """Pad to the widest, in whole steps."""
    widest = max(image.shape[1] for image in images)
    widest += -widest % STEP
    pixels = np.zeros((len(images), HEIGHT, widest), dtype=np.uint8)
    for row, image in zip(pixels, images, strict=True):
        row[:, : image.shape[1]] = image
    return Batch(pixels, labels)


def batches(sources: list[Source], rng: np.random.Generator) -> Iterator[Batch]:
    """Yield augmented batches for ever, each of crops of like widths, in random order."""
    shares = np.array([source.weight for source in sources])
    shares = shares / shares.sum()
    while True:
        drawn = []
        for which in rng.choice(len(sources), POOL_CROPS, p=shares):
            store = sources[which].store
            crop = store[int(rng.integers(len(store)))]
            image = augment(crop, rng)
            if readable(image.shape[1], crop.labels):
                drawn.append((image, crop.labels))
        drawn.sort(key=lambda pair: pair[0].shape[1])
        groups = list(_groups(drawn))
        rng.shuffle(groups)
        for group in groups:
            yield collate([image for image, _ in group], [labels for _, labels in group])


def _groups(
    drawn: list[tuple[GreyImage, tuple[str, ...]]],
) -> Iterator[list[tuple[GreyImage, tuple[str, ...]]]]:
    group: list[tuple[GreyImage, tuple[str, ...]]] = []
    for pair in drawn:
        if group and (len(group) + 1) * pair[0].shape[1] > COLUMNS_PER_BATCH:
            yield group
            group = []
        group.append(pair)
    if group:
        yield group
