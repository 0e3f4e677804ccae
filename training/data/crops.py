"""A store of text crops on disk: grey pixels with context around a text box, and what the box says."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

GreyImage = NDArray[np.uint8]
Box = tuple[float, float, float, float]


CONTEXT_HEIGHTS = 0.7
"""How much of the page is kept around a text, in heights of its box: the detector leaves margins there."""

CROP_HEIGHT_MAX = 48
"""Texts higher than this, in pixels, are scaled down to it."""


@dataclass(frozen=True)
class Crop:
    """One text with what surrounds it.

    pixels: H x W grey, 0 is black. box: x0, y0, x1, y1 of the text within `pixels`, in pixels.
    labels: the spellings it may have, at least one; more where the annotators' case cannot be trusted.
    """

    pixels: GreyImage
    box: Box
    labels: tuple[str, ...]

    @property
    def aspect(self) -> float:
        """Width of the box over its height."""
        return (self.box[2] - self.box[0]) / (self.box[3] - self.box[1])


def cut(page: GreyImage, box: Box, labels: tuple[str, ...]) -> Crop | None:
    """Cut a box with its context out of a page; None where it is too small to read."""
    x0, y0, x1, y1 = box
    height = y1 - y0
    if height < 6 or x1 - x0 < 2:
        return None
    margin = CONTEXT_HEIGHTS * height
    left, top = max(0, int(x0 - margin)), max(0, int(y0 - margin))
    pixels = page[top : int(y1 + margin) + 1, left : int(x1 + margin) + 1]
    scale = min(1.0, CROP_HEIGHT_MAX / height)
    if scale < 1:
        pixels = np.asarray(
            cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA),
            np.uint8,
        )
    inner = (
        (x0 - left) * scale,
        (y0 - top) * scale,
        (x1 - left) * scale,
        (y1 - top) * scale,
    )
    return Crop(pixels, inner, labels)


class CropStore:
    """Crops that `write_crops` wrote, read through a memory map."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with (folder / "index.jsonl").open(encoding="utf-8") as lines:
            self._rows = [json.loads(line) for line in lines]
        self._pixels: GreyImage = np.memmap(folder / "pixels.bin", dtype=np.uint8, mode="r")

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Crop:
        row = self._rows[index]
        offset, height, width = row["offset"], row["height"], row["width"]
        pixels = self._pixels[offset : offset + height * width].reshape(height, width)
        return Crop(pixels=pixels, box=tuple(row["box"]), labels=tuple(row["labels"]))


def write_crops(folder: Path, crops: Iterable[Crop]) -> int:
    """Write crops to `folder`, whole or not at all under its final name; return how many."""
    folder.mkdir(parents=True, exist_ok=True)
    index_part = folder / "index.jsonl.part"
    offset = count = 0
    with (
        (folder / "pixels.bin").open("wb") as pixels,
        index_part.open("w", encoding="utf-8") as index,
    ):
        for crop in crops:
            height, width = crop.pixels.shape
            pixels.write(np.ascontiguousarray(crop.pixels).tobytes())
            row = {"offset": offset, "height": height, "width": width}
            row |= {
                "box": [round(value, 1) for value in crop.box],
                "labels": crop.labels,
            }
            index.write(json.dumps(row, ensure_ascii=False) + "\n")
            offset += height * width
            count += 1
    index_part.replace(folder / "index.jsonl")
    return count
