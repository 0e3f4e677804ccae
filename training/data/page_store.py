"""A store of pages on disk for the detector: a grey PNG a page, and its boxes."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from training.data.crops import Box, GreyImage


@dataclass(frozen=True)
class AnnotatedPage:
    """pixels: H x W grey. words: boxes to find. ignored: boxes of text whose words are not known."""

    pixels: GreyImage
    words: list[Box]
    ignored: list[Box]


class PageStore:
    """Pages that `write_pages` wrote."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with (folder / "index.jsonl").open(encoding="utf-8") as lines:
            self._rows = [json.loads(line) for line in lines]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> AnnotatedPage:
        row = self._rows[index]
        path = self.folder / row["image"]
        pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if pixels is None:
            raise FileNotFoundError(path)
        words, ignored = ([tuple(box) for box in row[key]] for key in ("words", "ignored"))
        return AnnotatedPage(np.asarray(pixels, dtype=np.uint8), words, ignored)


def write_pages(folder: Path, pages: Iterable[AnnotatedPage]) -> int:
    """Write pages to `folder`; the index comes last, so a store without one is unfinished. Returns how many."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, page in enumerate(pages):
        name = f"{number:06}.png"
        cv2.imwrite(str(folder / name), page.pixels)
        rows.append(
            {
                "image": name,
                "words": _rounded(page.words),
                "ignored": _rounded(page.ignored),
            }
        )
    (folder / "index.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return len(rows)


def _rounded(boxes: list[Box]) -> list[list[float]]:
    return [[round(value, 1) for value in box] for box in boxes]
