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
    cosine, sine = cos(angle) / 2, sin(angle) / 2
    # From the centre to the middle of the word's end, and to that of its lower edge, in fractions of the page.
    end_x, end_y = along * cosine / page.width, along * sine / page.height
    foot_x, foot_y = -across * sine / page.width, across * cosine / page.height
    x, y = (left + right) / 2, (top + bottom) / 2
    return (
        (_fraction(x - end_x - foot_x), _fraction(y - end_y - foot_y)),
        (_fraction(x + end_x - foot_x), _fraction(y + end_y - foot_y)),
        (_fraction(x + end_x + foot_x), _fraction(y + end_y + foot_y)),
        (_fraction(x - end_x + foot_x), _fraction(y - end_y + foot_y)),
    )


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
    return round(0.0 if value < 0.0 else 1.0 if value > 1.0 else value, _DECIMALS)
