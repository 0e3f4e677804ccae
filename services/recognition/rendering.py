"""Draws what was read beside the page, for a person to judge."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from services.recognition.document import open_document
from services.recognition.pages import Page
from services.recognition.recognise import RecognisedDocument

_BOX_COLOUR = (0, 110, 220)
_TEXT_COLOUR = (20, 20, 20)
_LINE_COLOUR = (205, 215, 225)
_FONT_SIZE_MIN = 8
_FONT_HEIGHT_SHARE = 0.75
_FONT_WIDTH_SHARE = 0.94


class PictureNames:
    """Names for the pictures of files whose own names may be alike: `x.jpg`, then `x.jpg~2`, `x.jpg~3`."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, path: Path) -> str:
        """A name that was not taken before, also where upper and lower case are one."""
        name, number = path.name, 1
        while name.casefold() in self._taken:
            number += 1
            name = f"{path.name}~{number}"
        self._taken.add(name.casefold())
        return name


def render_document(path: Path, document: RecognisedDocument, folder: Path, name: str) -> list[Path]:
    """Write `<name>-<page>.png` into `folder` for each page of the file at `path`; the paths written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with open_document(path) as pages:
        for page in document.pages:
            target = folder / f"{name}-{page.number}.png"
            draw_words(pages.load_page(page.number - 1), page).save(target)
            written.append(target)
    return written


def draw_words(image: NDArray[np.uint8], page: Page) -> Image.Image:
    """The page's picture (height x width x 3) with a thin box around each word, and beside it the words as read.

    The right half has the size of the page; each word stands there at its place and as large as its box.
    """
    height, width = image.shape[:2]
    picture = Image.new("RGB", (2 * width, height), "white")
    picture.paste(Image.fromarray(image), (0, 0))
    draw = ImageDraw.Draw(picture)
    draw.line((width, 0, width, height), fill=_LINE_COLOUR)
    for word in page.words:
        x0, y0, x1, y1 = (round(value * side) for value, side in zip(word.box, (width, height) * 2, strict=True))
        x1, y1 = max(x0, x1), max(y0, y1)
        draw.rectangle((x0, y0, x1, y1), outline=_BOX_COLOUR)
        draw.rectangle((width + x0, y0, width + x1, y1), outline=_LINE_COLOUR)
        font = _font_for(word.text, (x1 - x0) * _FONT_WIDTH_SHARE, (y1 - y0) * _FONT_HEIGHT_SHARE)
        draw.text((width + (x0 + x1) / 2, (y0 + y1) / 2), word.text, fill=_TEXT_COLOUR, font=font, anchor="mm")
    return picture


def _font_for(text: str, width: float, height: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The largest font in which the text keeps to this many pixels, or the smallest that can be read."""
    size = max(_FONT_SIZE_MIN, round(height))
    length = ImageFont.load_default(size).getlength(text)
    if length > width:
        size = max(_FONT_SIZE_MIN, int(size * width / length))
    return ImageFont.load_default(size)
