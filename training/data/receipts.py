"""Real receipts with line annotations (ICDAR 2019 SROIE): their lines, split into words.

A line is annotated as a box and its text. Its words are found at the widest gaps of its column
profile; a line whose widths do not fit its letters is not split.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.crops import Box, Crop, GreyImage, cut
from training.data.page_store import AnnotatedPage
from training.vocabulary import WORD_SPACE, case_spellings, to_label

LETTER_WIDTH_RATIO_MAX = 1.9
"""A word whose mean letter is this much wider or narrower than its line's was split at a wrong gap."""


@dataclass(frozen=True)
class Line:
    """An annotated line: `box` in pixels of the page, `text` as the annotators wrote it."""

    box: Box
    text: str


@dataclass(frozen=True)
class Word:
    """A word of a line: left and right edge in pixels of the page."""

    left: float
    right: float
    text: str


def read_lines(path: Path) -> list[Line]:
    """Read an annotation file: x1,y1,x2,y2,x3,y3,x4,y4,transcript a line."""
    lines = []
    for row in path.read_text(encoding="utf-8").splitlines():
        if row.count(",") < 8:
            continue
        *corners, text = row.split(",", 8)
        xs, ys = [float(v) for v in corners[0::2]], [float(v) for v in corners[1::2]]
        lines.append(Line((min(xs), min(ys), max(xs), max(ys)), text))
    return lines


def split_at_gaps(ink: NDArray[np.bool_], lengths: list[int]) -> list[tuple[int, int]] | None:
    """Split columns into words at the widest gaps.

    ink: W columns, true where there is ink. lengths: letters of each word. Returns the first and the
    last-plus-one column of each word, or None where the widths do not fit the letters.
    """
    columns = np.flatnonzero(ink)
    if columns.size == 0:
        return None
    steps = np.diff(columns)
    breaks = np.flatnonzero(steps > 1)
    if breaks.size < len(lengths) - 1:
        return None
    widest = breaks[np.argsort(-steps[breaks], kind="stable")][: len(lengths) - 1]
    cuts = np.sort(widest)
    starts = columns[np.concatenate(([0], cuts + 1))]
    ends = columns[np.concatenate((cuts, [columns.size - 1]))] + 1
    words = list(zip(starts.tolist(), ends.tolist(), strict=True))
    return words if _widths_fit(words, lengths) else None


def _widths_fit(words: list[tuple[int, int]], lengths: list[int]) -> bool:
    width_of_letter = sum(end - start for start, end in words) / sum(lengths)
    for (start, end), length in zip(words, lengths, strict=True):
        ratio = (end - start) / length / max(width_of_letter, 1e-6)
        # A single letter may be an i or a W: only words of several letters tell.
        slack = LETTER_WIDTH_RATIO_MAX if length > 2 else LETTER_WIDTH_RATIO_MAX * 1.6
        if not 1 / slack <= ratio <= slack:
            return False
    return True


def ink_columns(line: GreyImage) -> NDArray[np.bool_]:
    """Return which columns of a line's crop (H x W grey, dark on light or light on dark) hold ink."""
    _, binary = cv2.threshold(line, 0, 1, cv2.THRESH_BINARY_INV + cv2.THRESH_OTSU)
    if binary.mean() > 0.5:
        binary = 1 - binary
    # The edge rows belong as often to the lines above and below.
    edge = max(1, round(line.shape[0] * 0.1))
    inner = binary[edge:-edge] if line.shape[0] > 4 * edge else binary
    return np.asarray(inner.sum(axis=0) >= max(1, round(line.shape[0] * 0.04)), dtype=np.bool_)


def split_line(page: GreyImage, line: Line) -> list[Word] | None:
    """Return the words of a line in reading order, or None where its gaps do not tell them."""
    texts = line.text.split()
    x0, y0, x1, y1 = (round(value) for value in line.box)
    crop = page[max(0, y0) : y1, max(0, x0) : x1]
    if crop.size == 0 or not texts:
        return None
    spans = split_at_gaps(ink_columns(crop), [len(text) for text in texts])
    if spans is None:
        return None
    left = max(0, x0)
    return [Word(left + a, left + b, text) for (a, b), text in zip(spans, texts, strict=True)]


def crops_of_page(page: GreyImage, lines: list[Line], rng: np.random.Generator) -> Iterator[Crop]:
    """Yield the crops of a page: whole lines, and of the lines that split every word and some runs of words."""
    for line in lines:
        label = to_label(line.text)
        if label is None:
            continue
        if (crop := cut(page, line.box, case_spellings(label))) is not None:
            yield crop
        words = split_line(page, line)
        if words is None or len(words) == 1:
            continue
        runs = {(i, i + 1) for i in range(len(words))}
        runs |= {_run_of_words(len(words), rng) for _ in range(len(words) // 2)}
        for first, last in sorted(runs):
            run = WORD_SPACE.join(label.split(WORD_SPACE)[first:last])
            box = (words[first].left, line.box[1], words[last - 1].right, line.box[3])
            if (crop := cut(page, box, case_spellings(run))) is not None:
                yield crop


def _run_of_words(count: int, rng: np.random.Generator) -> tuple[int, int]:
    first = int(rng.integers(0, count - 1))
    return first, min(count, first + int(rng.integers(2, 5)))


def pages(folder: Path) -> Iterator[tuple[Path, GreyImage, list[Line]]]:
    """Yield every annotated page of a folder: its path, its grey pixels and its lines."""
    for annotation in sorted(folder.glob("*.csv")):
        image_path = annotation.with_suffix(".jpg")
        page = cv2.imread(str(image_path), cv2.IMREAD_GRAYSCALE)
        if page is None:
            raise FileNotFoundError(image_path)
        yield image_path, np.asarray(page, dtype=np.uint8), read_lines(annotation)


def crops_of_folder(folder: Path, seed: int) -> Iterator[Crop]:
    """Yield the crops of all pages of a folder."""
    rng = np.random.default_rng(seed)
    for _, page, lines in pages(folder):
        yield from crops_of_page(page, lines, rng)


def annotated_pages(folder: Path) -> Iterator[AnnotatedPage]:
    """Yield the pages of a folder for the detector: words of the lines that split, the other lines as ignored."""
    for _, page, lines in pages(folder):
        words: list[Box] = []
        ignored: list[Box] = []
        for line in lines:
            split = split_line(page, line)
            if split is None:
                ignored.append(line.box)
            else:
                words += [(word.left, line.box[1], word.right, line.box[3]) for word in split]
        yield AnnotatedPage(page, words, ignored)
