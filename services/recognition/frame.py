"""The upright page and the page as shown: how a scan that lies turned or askew is straightened, and back."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from services.recognition.pages import Box

_WHITE = 255
_QUARTER_TURNS = {
    90: cv2.ROTATE_90_COUNTERCLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_CLOCKWISE,
}


@dataclass(frozen=True)
class Frame:
    """An upright page within the page as shown.

    orientation, skew_degrees: how far the content is turned clockwise on the page as shown.
    to_shown: 2 x 3, from pixels of the upright page to pixels of the page as shown.
    shown_size: width and height of the page as shown, in the same pixels.
    """

    orientation: int
    skew_degrees: float
    to_shown: NDArray[np.float64]
    shown_size: tuple[int, int]

    @classmethod
    def as_shown(cls, width: int, height: int) -> Frame:
        """The frame of a page whose content is upright already."""
        return cls(0, 0.0, np.eye(2, 3), (width, height))

    def relative_box(self, box: Box) -> Box:
        """The box on the page as shown, from 0 to 1, around a `box` in pixels of the upright page."""
        x0, y0, x1, y1 = box
        corners = np.array([(x0, y0, 1), (x1, y0, 1), (x1, y1, 1), (x0, y1, 1)], dtype=np.float64)
        points = (corners @ self.to_shown.T / np.array(self.shown_size)).clip(0.0, 1.0)
        (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
        return left, top, right, bottom


def turn_upright(grey: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Turn a page back whose content is turned clockwise by a multiple of 90 degrees."""
    if orientation == 0:
        return grey
    return np.asarray(cv2.rotate(grey, _QUARTER_TURNS[orientation]), dtype=np.uint8)


def straighten(grey: NDArray[np.uint8], orientation: int, skew_degrees: float) -> tuple[NDArray[np.uint8], Frame]:
    """The upright page with straight lines, and where it lies on `grey`, which is the page as shown."""
    height, width = grey.shape
    upright = turn_upright(grey, orientation)
    matrix = _turning(width, height, orientation)
    if skew_degrees:
        upright, skewing = _deskew(upright, skew_degrees)
        matrix = matrix @ skewing
    return upright, Frame(orientation, skew_degrees, matrix[:2], (width, height))


def _turning(width: int, height: int, orientation: int) -> NDArray[np.float64]:
    """3 x 3: from pixels of the upright page to pixels of the page as shown, by whole quarter turns."""
    matrices = {
        0: [(1, 0, 0), (0, 1, 0)],
        90: [(0, -1, width), (1, 0, 0)],
        180: [(-1, 0, width), (0, -1, height)],
        270: [(0, 1, 0), (-1, 0, height)],
    }
    return np.array([*matrices[orientation], (0, 0, 1)], dtype=np.float64)


def _deskew(grey: NDArray[np.uint8], skew_degrees: float) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Turn a page by a small angle about its centre, onto a sheet that holds all of it."""
    height, width = grey.shape
    angle = np.deg2rad(skew_degrees)
    cosine, sine = float(np.cos(angle)), float(np.sin(angle))
    wide = round(width * abs(cosine) + height * abs(sine))
    high = round(height * abs(cosine) + width * abs(sine))
    # From the straight sheet to the page: about the centres, clockwise by the skew (y points down).
    to_page = np.array([(cosine, -sine, 0.0), (sine, cosine, 0.0), (0.0, 0.0, 1.0)])
    to_page[:2, 2] = np.array((width, height)) / 2 - to_page[:2, :2] @ (np.array((wide, high)) / 2)
    straight = cv2.warpAffine(
        grey,
        to_page[:2],
        (wide, high),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=_WHITE,
    )
    return np.asarray(straight, dtype=np.uint8), to_page
