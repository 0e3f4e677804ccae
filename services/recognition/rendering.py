"""Draws what was read over the page, for a person to judge."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from services.recognition.document import open_document
from services.recognition.pages import Page
from services.recognition.recognise import RecognisedDocument

_BOX_COLOUR = (0, 110, 220)
_TEXT_COLOUR = (200, 0, 60)
_FONT_SIZE_MIN = 8
_TEXT_HEIGHT_SHARE = 0.45


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
    """A copy of the page's picture (height x width x 3) with each word in its box."""
    picture = Image.fromarray(image)
    # The page is paled so that what was read stands out from what is printed.
    picture = Image.blend(picture, Image.new("RGB", picture.size, "white"), 0.45)
    draw = ImageDraw.Draw(picture)
    for word in page.words:
        x0, y0, x1, y1 = (round(value * side) for value, side in zip(word.box, picture.size * 2, strict=True))
        draw.rectangle((x0, y0, max(x0, x1), max(y0, y1)), outline=_BOX_COLOUR)
        size = max(_FONT_SIZE_MIN, int((y1 - y0) * _TEXT_HEIGHT_SHARE))
        draw.text((x0 + 1, y0), word.text, fill=_TEXT_COLOUR, font=ImageFont.load_default(size))
    return picture
