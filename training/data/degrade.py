"""What scanners, cameras, fax machines, thermal printers and JPEG do to a page (H x W grey, 0 is black)."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.crops import GreyImage

Degradation = Callable[[GreyImage, np.random.Generator], GreyImage]


def _bytes(image: NDArray[Any] | cv2.Mat) -> GreyImage:
    return np.asarray(np.clip(image, 0, 255), dtype=np.uint8)


def _grain(shape: tuple[int, ...], strength: float, rng: np.random.Generator) -> NDArray[np.float32]:
    return rng.standard_normal(shape, np.float32) * np.float32(strength)


def blur(page: GreyImage, rng: np.random.Generator) -> GreyImage:
    return _bytes(cv2.GaussianBlur(page, (0, 0), rng.uniform(0.3, 1.1)))


def coarse_scan(page: GreyImage, rng: np.random.Generator) -> GreyImage:
    """Lose resolution: scale down and back up."""
    height, width = page.shape
    scale = rng.uniform(0.55, 0.9)
    small = cv2.resize(page, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    how = cv2.INTER_LINEAR if rng.random() < 0.7 else cv2.INTER_CUBIC
    return _bytes(cv2.resize(small, (width, height), interpolation=how))


def noise(page: GreyImage, rng: np.random.Generator) -> GreyImage:
    grain = _grain(page.shape, rng.uniform(3, 18), rng)
    return _bytes(page + grain)


def paper(page: GreyImage, rng: np.random.Generator) -> GreyImage:
    """Uneven light and the texture of paper: smooth random shading."""
    height, width = page.shape
    cells = rng.integers(2, 7, 2)
    shade = cv2.resize(
        rng.uniform(1 - rng.uniform(0.1, 0.45), 1.0, cells).astype(np.float32),
        (width, height),
        interpolation=cv2.INTER_CUBIC,
    )
    return _bytes(page * shade)


def fade(page: GreyImage, rng: np.random.Generator) -> GreyImage:
    """Low contrast: ink turns grey, paper may darken."""
    ink, white = rng.uniform(0, 130), rng.uniform(190, 255)
    return _bytes(ink + page.astype(np.float32) * ((white - ink) / 255))


def threshold(page: GreyImage, rng: np.random.Generator) -> GreyImage:
    """Fax or a black-and-white scan: two levels, ragged edges."""
    grain = _grain(page.shape, rng.uniform(2, 25), rng)
    level = rng.uniform(100, 185)
    return np.where(page + grain > level, np.uint8(255), np.uint8(0))


def specks(page: GreyImage, rng: np.random.Generator) -> GreyImage:
    """Dust: small dark and white dots."""
    out = page.copy()
    for value in (0, 255):
        count = int(page.size * rng.uniform(0.00002, 0.0006))
        rows, columns = (
            rng.integers(0, page.shape[0] - 1, count),
            rng.integers(0, page.shape[1] - 1, count),
        )
        for dy, dx in ((0, 0), (0, 1), (1, 0))[: int(rng.integers(1, 4))]:
            out[rows + dy, columns + dx] = value
    return out


def spread(page: GreyImage, rng: np.random.Generator) -> GreyImage:
    """Ink that runs, or thins."""
    kernel = np.ones((2, 2), np.uint8)
    changed = cv2.erode(page, kernel) if rng.random() < 0.5 else cv2.dilate(page, kernel)
    share = rng.uniform(0.3, 0.9)
    return _bytes(cv2.addWeighted(page, 1 - share, changed, share, 0))


def worn(page: GreyImage, rng: np.random.Generator) -> GreyImage:
    """Print that has holes: noise of a few pixels' size bleaches the ink."""
    height, width = page.shape
    cell = int(rng.integers(2, 5))
    grain = cv2.resize(
        rng.random((height // cell + 1, width // cell + 1)).astype(np.float32),
        (width, height),
        interpolation=cv2.INTER_LINEAR,
    )
    bleach = np.clip((grain - rng.uniform(0.55, 0.8)) * 3, 0, 0.9)
    return _bytes(page + (255.0 - page) * bleach)


def thermal(page: GreyImage, rng: np.random.Generator) -> GreyImage:
    """A thermal head's missing dots: pale columns, and bands that heat unevenly."""
    height, width = page.shape
    columns = np.where(rng.random(width) < rng.uniform(0.0, 0.02), 0.2, 1.0)
    rows = np.interp(np.arange(height), np.linspace(0, height, 12), rng.uniform(0.45, 1.0, 12))
    strength = (rows[:, None] * columns[None, :]).astype(np.float32)
    return _bytes(255 - (255.0 - page) * strength)


def show_through(page: GreyImage, rng: np.random.Generator) -> GreyImage:
    """The other side of the sheet, mirrored and faint."""
    back = cv2.GaussianBlur(page[:, ::-1], (0, 0), rng.uniform(0.8, 2.0))
    back = np.roll(back, int(rng.integers(5, 60)), axis=0)
    return _bytes(page - (255.0 - back) * rng.uniform(0.05, 0.22))


def jpeg(page: GreyImage, rng: np.random.Generator) -> GreyImage:
    _, packed = cv2.imencode(".jpg", page, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(22, 90))])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE), dtype=np.uint8)


STEPS: tuple[tuple[Degradation, float], ...] = (
    (spread, 0.14),
    (worn, 0.10),
    (thermal, 0.08),
    (show_through, 0.10),
    (blur, 0.30),
    (coarse_scan, 0.22),
    (fade, 0.25),
    (paper, 0.25),
    (noise, 0.28),
    (specks, 0.12),
    (threshold, 0.13),
    (jpeg, 0.35),
)
"""In the order in which they happen to a sheet, each with its chance."""


def degrade(page: GreyImage, rng: np.random.Generator, clean_share: float = 0.25) -> GreyImage:
    """Return the page as a machine might deliver it; `clean_share` of the pages stay as rendered."""
    if rng.random() < clean_share:
        return page
    for step, chance in STEPS:
        if rng.random() < chance:
            page = step(page, rng)
    return page
