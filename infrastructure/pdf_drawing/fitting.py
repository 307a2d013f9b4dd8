"""Whether a text fits a field: asked before it is accepted, so that what was accepted is drawn (`executing.py`)."""

from typing import Final

from domain.field import FieldType
from infrastructure.pdf_drawing import lettering
from infrastructure.pdf_drawing.lettering import Face, Fitted

#: Points. Below five, print is not read without a glass.
LEAST_TEXT: Final = 5.0
MOST_TEXT: Final = 10.0

#: Kept free in a box at its left and right, in points.
_INSET: Final = 1.0


def fits(kind: FieldType, size: tuple[int, int], text: str) -> str | None:
    """None if a field of this width and height, in thousandths of a point, can show a text in full; else a sentence why not.

    Letters that cannot be drawn take the room of their numbers. Signatures and initials always fit: they may be shortened.
    """
    match kind:
        case FieldType.SIGNATURE | FieldType.INITIALS | FieldType.CHECKBOX:
            return None
        case FieldType.TEXT | FieldType.DATE | FieldType.NAME | FieldType.EMAIL:
            across, down = (length / 1000 for length in size)
            if written(text, across, down) is not None:
                return None
            return (
                f"The text does not fit {across:g} by {down:g} points even in letters of {LEAST_TEXT:g} points; make it shorter."
            )


def written(text: str, across: float, down: float) -> Fitted | None:
    """A text as it is written into a box of so many points; None if it does not fit."""
    return lettering.fit(lettering.drawable(text), Face.PLAIN, across - 2 * inset(across), down, MOST_TEXT, LEAST_TEXT)


def inset(across: float) -> float:
    """What is kept free at the left and the right of a box so wide, in points."""
    return min(_INSET, across / 4)


def capacity(size: tuple[int, int]) -> int:
    """About how many letters a field of this width and height, in thousandths of a point, shows at the least size; 0 if not one."""
    across, down = (length / 1000 for length in size)
    if down < lettering.height(1, LEAST_TEXT):
        return 0
    return lettering.room(down, LEAST_TEXT) * int((across - 2 * inset(across)) / lettering.width("n", Face.PLAIN, LEAST_TEXT))
