"""What of a page is displayed, and whether it can be shown and signed on."""

from dataclasses import dataclass
from decimal import Decimal, DecimalException
from typing import Any, Final

from infrastructure.pdf_child.limits import Unusable

#: Points, 1/72 inch: half an inch, and the largest page that readers promise to show (ISO 32000-1 Annex C.2).
PAGE_POINTS: Final = (36, 14_400)

#: Where a page does not say how large it is, readers take US Letter; what a signer sees must not depend on that.
BOXES: Final = ("/MediaBox", "/CropBox")

Edges = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Sheet:
    """What of a page is displayed: edges in points of the page's own space, and clockwise turns of a quarter."""

    left: Decimal
    bottom: Decimal
    right: Decimal
    top: Decimal
    quarters: int

    @property
    def size(self) -> tuple[int, int]:
        """Displayed width and height in thousandths of a point."""
        across, up = _thousandths(self.right - self.left), _thousandths(self.top - self.bottom)
        return (up, across) if self.quarters % 2 else (across, up)

    def displayed(self, edges: Edges) -> tuple[int, int, int, int] | None:
        """x, y, width and height of what is displayed of a box, given by its left, bottom, right and top; None if nothing is."""
        left, right = edges[0] - float(self.left), edges[2] - float(self.left)
        bottom, top = edges[1] - float(self.bottom), edges[3] - float(self.bottom)
        across, up = float(self.right - self.left), float(self.top - self.bottom)
        x, y, u, v = (
            (left, up - top, right, up - bottom),
            (bottom, left, top, right),
            (across - right, bottom, across - left, top),
            (up - top, across - right, up - bottom, across - left),
        )[self.quarters]
        width, height = self.size
        near, far = _clip(x, width), _clip(u, width)
        over, under = _clip(y, height), _clip(v, height)
        return (near, over, far - near, under - over) if near < far and over < under else None


def _thousandths(points: Decimal | float) -> int:
    return round(points * 1000)


def _clip(points: float, most_thousandths: int) -> int:
    return min(max(_thousandths(points), 0), most_thousandths)


def check_page(page: Any, number: int) -> Sheet:
    """A page has a size that can be shown and signed on, stands in quarter turns, and counts in points."""
    boxes = [corners(page.obj.get(name), number) for name in BOXES if name in page.obj]
    if not boxes or "/MediaBox" not in page.obj:
        raise Unusable("bad-page", page=number)
    left, bottom = max(box[0] for box in boxes), max(box[1] for box in boxes)
    right, top = min(box[2] for box in boxes), min(box[3] for box in boxes)
    least, most = PAGE_POINTS
    if not (least <= right - left <= most and least <= top - bottom <= most):
        raise Unusable("bad-page", page=number)
    rotation = page.obj.get("/Rotate", 0)
    if (rotation and not isinstance(rotation, int)) or rotation % 90 or page.obj.get("/UserUnit", 1) != 1:
        raise Unusable("bad-page", page=number)
    return Sheet(left, bottom, right, top, int(rotation) // 90 % 4)


def corners(box: Any, number: int) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    """A rectangle's left, bottom, right, top; it may be given by any two opposite corners (ISO 32000-1 section 7.9.5)."""
    try:
        x, y, u, v = (Decimal(value) for value in box)
    except (TypeError, ValueError, DecimalException) as err:
        raise Unusable("bad-page", page=number) from err
    return min(x, u), min(y, v), max(x, u), max(y, v)
