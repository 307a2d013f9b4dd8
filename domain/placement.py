"""Where things stand on a page: thousandths of a PDF point from the top left of the displayed page.

The displayed page is what a reader shows: cut to its crop box and turned by its rotation.
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

#: A page is at most 14,400 units long (ISO 32000-1, Annex C.2), so nothing on it lies further away.
MAX_MILLIPOINTS: Final = 14_400_000

_WHOLE: Final = Decimal(100)


class PlacementError(ValueError):
    """What was given is no place on the page; the message says why, in plain words."""


@dataclass(frozen=True, slots=True)
class PageSize:
    """A page as it is displayed."""

    width_millipoints: int
    height_millipoints: int


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle by its top left corner and its size."""

    x_millipoints: int
    y_millipoints: int
    width_millipoints: int
    height_millipoints: int

    def on(self, page: PageSize) -> bool:
        """Whether all of it lies on the page."""
        return (
            self.x_millipoints >= 0
            and self.y_millipoints >= 0
            and self.x_millipoints + self.width_millipoints <= page.width_millipoints
            and self.y_millipoints + self.height_millipoints <= page.height_millipoints
        )


def box_of_percentages(page: PageSize, x: Decimal, y: Decimal, width: Decimal, height: Decimal) -> Box:
    """The box that is given in percent (0 to 100) of the page's width and height, from its top left.

    Each edge is rounded by itself, so boxes that touch still do and none leaves the page. Raises
    PlacementError for what is no number, has no area, or leaves the page.
    """
    left, right = _span(x, width, page.width_millipoints, "x and width")
    top, bottom = _span(y, height, page.height_millipoints, "y and height")
    return Box(left, top, right - left, bottom - top)


def box_at_text(page: PageSize, corner: tuple[int, int], asked: tuple[int | None, int | None], usual: tuple[int, int]) -> Box:
    """The box at a corner that follows from a text's, in thousandths of a point, of the width and height asked for.

    What was asked for may leave the page, which is for the caller to refuse. Where nothing was, the usual length is taken,
    and moved and cut as far as it takes to be on the page.
    """
    left, width = _reach(corner[0], asked[0], usual[0], page.width_millipoints)
    top, height = _reach(corner[1], asked[1], usual[1], page.height_millipoints)
    return Box(left, top, width, height)


def _reach(start: int, asked: int | None, usual: int, whole: int) -> tuple[int, int]:
    if asked is not None:
        return start, asked
    length = min(usual, whole)
    return min(start, whole - length), length


def _span(start: Decimal, length: Decimal, whole_millipoints: int, names: str) -> tuple[int, int]:
    if not (start.is_finite() and length.is_finite()):
        raise PlacementError(f"{names} must be numbers")
    # Compared before they are added: a sum of far exponents would be rounded, and could be endless.
    if not (0 <= start <= _WHOLE and 0 < length <= _WHOLE and start <= _WHOLE - length):
        raise PlacementError(f"{names} must lie within 0 and 100 percent of the page")
    near, far = (int((edge * whole_millipoints / _WHOLE).to_integral_value(ROUND_HALF_EVEN)) for edge in (start, start + length))
    if near == far:
        raise PlacementError(f"{names} leave nothing to be seen")
    return near, far
