"""Where a word stands on a page that lies turned or askew.

A document keeps of each word the upright box around it, and of each page by how much its content is turned. Since
all words of a page are turned alike, the rectangle inside the box follows from both.
"""

from math import cos, radians, sin

from schemas.document import Box, PageLayout

Point = tuple[float, float]
Polygon = tuple[Point, Point, Point, Point]
"""Corners from the one above the first letter, clockwise as the word is read; fractions of the page as shown."""

_DECIMALS = 5


def word_polygon(box: Box, page: PageLayout) -> Polygon:
    """The corners of a word's own rectangle, turned as the page's content is."""
    left, top, right, bottom = box
    wide, high = (right - left) * page.width, (bottom - top) * page.height
    skew = radians(page.skew_degrees)
    along, across, skew = _inscribed(*((high, wide) if page.orientation % 180 else (wide, high)), skew)
    # y points down, so that a positive angle turns clockwise.
    angle = radians(page.orientation) + skew
    reading, downwards = (cos(angle), sin(angle)), (-sin(angle), cos(angle))
    centre_x, centre_y = (left + right) / 2 * page.width, (top + bottom) / 2 * page.height

    def corner(forward: float, down: float) -> Point:
        x = centre_x + forward * along * reading[0] + down * across * downwards[0]
        y = centre_y + forward * along * reading[1] + down * across * downwards[1]
        return _fraction(x / page.width), _fraction(y / page.height)

    return corner(-0.5, -0.5), corner(0.5, -0.5), corner(0.5, 0.5), corner(-0.5, 0.5)


def _inscribed(wide: float, high: float, skew: float) -> tuple[float, float, float]:
    """Sides, along and across the line of reading, of the rectangle whose box is `wide` by `high`; and its skew.

    A box that was cut at the page's edge may hold no such rectangle: then it is taken as it is, without a skew.
    """
    cosine, sine = cos(skew), abs(sin(skew))
    denominator = cosine * cosine - sine * sine
    if denominator <= 0:
        return wide, high, 0.0
    along, across = (wide * cosine - high * sine) / denominator, (high * cosine - wide * sine) / denominator
    return (along, across, skew) if along > 0 and across > 0 else (wide, high, 0.0)


def _fraction(value: float) -> float:
    return round(min(1.0, max(0.0, value)), _DECIMALS)
