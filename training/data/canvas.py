"""A page that is being set: grey pixels, and where every word stands."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from training.data.crops import Box, GreyImage
from training.data.fonts import Face
from training.vocabulary import to_label

Area = tuple[int, int, int, int]
"""left, top, right, bottom in pixels"""


@dataclass(frozen=True)
class Style:
    """How a text is set. size: pixels an em. gap: width of a space over the font's own. leading: distance of
    baselines over the size. tracking: pixels between letters beyond the font's own."""

    face: Face
    size: int
    ink: int = 0
    gap: float = 1.0
    leading: float = 1.2
    tracking: int = 0

    @property
    def space(self) -> float:
        """Pixels between words."""
        return max(2.0, 0.17 * self.size, self.face.at(self.size).getlength(" ") * self.gap) + 2 * self.tracking

    def width(self, text: str) -> float:
        return float(self.face.at(self.size).getlength(text)) + self.tracking * len(text)


@dataclass(frozen=True)
class PageWord:
    """A printed word. box: its ink, but from the baseline to the height of an x at least.
    line: words of the same number stand on one line, a space apart."""

    text: str
    box: Box
    line: int


class Canvas:
    """A page of given size and paper (grey)."""

    def __init__(self, width: int, height: int, paper: int) -> None:
        self.image = Image.new("L", (width, height), paper)
        self.draw = ImageDraw.Draw(self.image)
        self.words: list[PageWord] = []
        self._lines = 0

    @property
    def size(self) -> tuple[int, int]:
        return self.image.size

    def pixels(self) -> GreyImage:
        return np.asarray(self.image, dtype=np.uint8)

    def set_line(
        self,
        tokens: list[str],
        x: float,
        baseline: float,
        style: Style,
        space: float | None = None,
    ) -> float:
        """Print tokens from x on; returns the x after the last. What leaves the page is not printed."""
        self._lines += 1
        step = style.space if space is None else space
        for token in tokens:
            if to_label(token) is None or not style.face.prints(token):
                continue
            end = x + style.width(token)
            if end > self.size[0] - 1:
                break
            self._print(token, x, baseline, style)
            x = end + step
        return x

    def _print(self, token: str, x: float, baseline: float, style: Style) -> None:
        font = style.face.at(style.size)
        x, baseline = round(x), round(baseline)
        if style.tracking:
            at = float(x)
            for letter in token:
                self.draw.text(
                    (round(at), baseline),
                    letter,
                    fill=style.ink,
                    font=font,
                    anchor="ls",
                )
                at += font.getlength(letter) + style.tracking
        else:
            self.draw.text((x, baseline), token, fill=style.ink, font=font, anchor="ls")
        left, top, right, bottom = font.getbbox(token, anchor="ls")
        x_top = font.getbbox("x", anchor="ls")[1]
        right += style.tracking * (len(token) - 1)
        box = (
            x + left,
            baseline + min(top, x_top),
            x + right,
            baseline + max(bottom, 0),
        )
        height = self.size[1]
        if box[1] >= 0 and box[3] < height and box[0] >= 0:
            self.words.append(PageWord(token, box, self._lines))
