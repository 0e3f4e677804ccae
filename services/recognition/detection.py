"""From a page to the boxes of its words: the detection network over tiles, and DBNet's post-processing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from services.recognition.fragments import join_fragments
from services.recognition.networks import DETECTION_STRIDE, Networks

# DBNet's post-processing with docTR's values.
_PIXEL_PROBABILITY_MIN = 0.3
_BOX_PROBABILITY_MIN = 0.1
_UNCLIP_RATIO = 1.5
_REGION_SIDE_PIXELS_MIN = 3

# A page larger than this goes through the network in bands, side by side, and memory does not grow with the page.
# Wide and low ones overlap least.
_TILE_WIDTH_MAX = 1536
_TILE_HEIGHT_MAX = 768
_TILE_OVERLAP = 96

_BLACK = 0


@dataclass(frozen=True)
class Regions:
    """Words found on a page.

    boxes: N x 4 (x0, y0, x1, y1) in pixels of that page, with the margin that the recogniser was trained with.
    scores: N, the mean probability of text inside.
    large: N, whether it was found in the look at the letters of a headline, and may hold other regions.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    large: NDArray[np.bool_]

    @classmethod
    def none(cls) -> Regions:
        return cls.of(np.zeros((0, 4), dtype=np.float32), np.zeros(0, dtype=np.float32))

    @classmethod
    def of(cls, boxes: NDArray[np.float32], scores: NDArray[np.float32]) -> Regions:
        """Regions found in a single look."""
        return cls(boxes, scores, np.zeros(len(boxes), dtype=np.bool_))

    def __len__(self) -> int:
        return len(self.boxes)

    def longest_indices(self, count: int) -> NDArray[np.intp]:
        """Which are the `count` boxes that are longest for their height."""
        sides = np.maximum(1.0, self.boxes[:, 2:] - self.boxes[:, :2])
        return np.argsort(-sides[:, 0] / sides[:, 1], kind="stable")[:count]

    def longest(self, count: int) -> Regions:
        chosen = self.longest_indices(count)
        return Regions(self.boxes[chosen], self.scores[chosen], self.large[chosen])

    def upside_down(self, width: int, height: int) -> Regions:
        """The same regions on a page of that size that is turned by 180 degrees."""
        x0, y0, x1, y1 = self.boxes.T
        return replace(self, boxes=np.stack((width - x1, height - y1, width - x0, height - y0), axis=1))

    def with_large(self, coarse: Regions, letters: NDArray[np.float32]) -> Regions:
        """These regions and those of `coarse` that hold a large letter, marked as large.

        coarse: regions found at a smaller scale; letters: N x 4 (x, y, width, height) of large letters.
        """
        x, y = letters[:, 0] + letters[:, 2] / 2, letters[:, 1] + letters[:, 3] / 2
        x0, y0, x1, y1 = (side[:, None] for side in coarse.boxes.T)
        holds = ((x0 < x) & (x < x1) & (y0 < y) & (y < y1) & (y1 - y0 >= letters[:, 3])).any(axis=1)
        return Regions(
            np.concatenate((self.boxes, coarse.boxes[holds])),
            np.concatenate((self.scores, coarse.scores[holds])),
            np.concatenate((self.large, np.ones(holds.sum(), dtype=np.bool_))),
        )

    def rivals(self) -> Iterator[tuple[int, NDArray[np.intp]]]:
        """Each large region that shares more than half of the smaller area with others, and which these are."""
        large, others = np.flatnonzero(self.large), np.flatnonzero(~self.large)
        for region, found in zip(large, _coincide(self.boxes[large], self.boxes[others]), strict=True):
            if found.any():
                yield int(region), others[found]

    def moved(self, x: int, y: int) -> Regions:
        return replace(self, boxes=self.boxes + np.array((x, y, x, y), dtype=np.float32))


def _coincide(boxes: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which boxes share more than half of the smaller area with which of the others: N x M."""
    corners = np.maximum(boxes[:, None, :2], others[:, :2]), np.minimum(boxes[:, None, 2:], others[:, 2:])
    shared = (corners[1] - corners[0]).clip(0).prod(axis=2)
    areas, other_areas = ((sides[:, 2:] - sides[:, :2]).prod(axis=1) for sides in (boxes, others))
    return np.asarray(shared > np.minimum(areas[:, None], other_areas) / 2)


def find_words(grey: NDArray[np.uint8], scale: float, networks: Networks) -> Regions:
    """Boxes of words on a grey page that is looked at `scale` times its size."""
    height, width = grey.shape
    size = max(1, round(width * scale)), max(1, round(height * scale))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    scaled = np.asarray(cv2.resize(grey, size, interpolation=interpolation), dtype=np.uint8)
    probabilities = _probabilities(scaled, networks)
    regions = _scaled_back(_regions(probabilities), size, (width, height))
    return Regions.of(*join_fragments(regions.boxes, regions.scores))


def _probabilities(grey: NDArray[np.uint8], networks: Networks) -> NDArray[np.float32]:
    """Probability of text at each pixel of `grey`, put together from overlapping tiles."""
    height, width = grey.shape
    rows, columns = _spans(height, _TILE_HEIGHT_MAX), _spans(width, _TILE_WIDTH_MAX)
    whole = np.zeros((height, width), dtype=np.float32)

    def fill(tile: tuple[tuple[int, int], tuple[int, int]]) -> None:
        (top, bottom), (left, right) = tile
        probabilities = _tile_probabilities(grey[top:bottom, left:right], networks)
        # The border of a tile is judged without its surroundings: keep it only where no other tile has it.
        y0, y1 = _kept(top, bottom, height)
        x0, x1 = _kept(left, right, width)
        whole[y0:y1, x0:x1] = probabilities[y0 - top : y1 - top, x0 - left : x1 - left]

    for _ in networks.side_by_side(fill, product(rows, columns)):
        pass
    return whole


def _spans(length: int, span_max: int) -> list[tuple[int, int]]:
    """Cut `length` into overlapping spans of at most `span_max`, all of about the same length."""
    if length <= span_max:
        return [(0, length)]
    count = -(-(length - _TILE_OVERLAP) // (span_max - _TILE_OVERLAP))
    span = -(-(length + (count - 1) * _TILE_OVERLAP) // count)
    starts = [min(index * (span - _TILE_OVERLAP), length - span) for index in range(count)]
    return [(start, start + span) for start in starts]


def _kept(start: int, end: int, length: int) -> tuple[int, int]:
    half = _TILE_OVERLAP // 2
    return (start + half if start > 0 else start), (end - half if end < length else end)


def _tile_probabilities(grey: NDArray[np.uint8], networks: Networks) -> NDArray[np.float32]:
    height, width = grey.shape
    padded_shape = _round_up(height), _round_up(width)
    top, left = (padded_shape[0] - height) // 2, (padded_shape[1] - width) // 2
    padded = np.full(padded_shape, _BLACK, dtype=np.uint8)
    padded[top : top + height, left : left + width] = grey
    logits = networks.text_logits(padded)[top : top + height, left : left + width]
    return np.asarray(1.0 / (1.0 + cv2.exp(-logits)), dtype=np.float32)


def _round_up(length: int) -> int:
    return -(-length // DETECTION_STRIDE) * DETECTION_STRIDE


def _regions(probabilities: NDArray[np.float32]) -> Regions:
    bitmap = (probabilities >= _PIXEL_PROBABILITY_MIN).astype(np.uint8)
    bitmap = np.asarray(cv2.morphologyEx(bitmap, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)), dtype=np.uint8)
    contours, _ = cv2.findContours(bitmap, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    boxes, scores = [], []
    for x, y, width, height in map(cv2.boundingRect, contours):
        if min(width, height) < _REGION_SIDE_PIXELS_MIN:
            continue
        score = float(probabilities[y : y + height, x : x + width].mean())
        if score < _BOX_PROBABILITY_MIN:
            continue
        # The network marks words shrunk; growing a rectangle by this distance undoes it.
        margin = width * height * _UNCLIP_RATIO / (2 * (width + height))
        boxes.append((x - margin, y - margin, x + width + margin, y + height + margin))
        scores.append(score)
    return Regions.of(np.array(boxes, dtype=np.float32).reshape(-1, 4), np.array(scores, dtype=np.float32))


def _scaled_back(regions: Regions, size: tuple[int, int], page_size: tuple[int, int]) -> Regions:
    """From pixels of the scaled page to pixels of the page itself; boxes end at its edges."""
    factors = np.array((page_size[0] / size[0], page_size[1] / size[1]), dtype=np.float32)
    boxes = regions.boxes * np.concatenate((factors, factors))
    boxes[:, 0::2] = boxes[:, 0::2].clip(0, page_size[0])
    boxes[:, 1::2] = boxes[:, 1::2].clip(0, page_size[1])
    return replace(regions, boxes=boxes)
