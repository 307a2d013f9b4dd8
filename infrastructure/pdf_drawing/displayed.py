"""Drawing on a page as it is displayed, whatever the page's own space is and whatever its content leaves behind."""

import warnings
from collections.abc import Sequence
from typing import Final

import pikepdf

from infrastructure.pdf_child import Sheet

#: What a page's content can leave open for what is drawn after it.
_OPENING: Final = {"q": "Q", "BT": "ET", "BMC": "EMC", "BDC": "EMC"}
_CLOSING: Final = frozenset(_OPENING.values())

#: No operator: seen where a page's content is whole.
_END: Final = "CountersignEnd"

_NAME: Final = "CountersignDrawing"


def matrix(sheet: Sheet) -> pikepdf.Matrix:
    """From the displayed page, counted in points from its bottom left, to the page's own space.

    Turns are clockwise (ISO 32000-1 table 30, Rotate), and only what the crop box leaves is displayed.
    """
    left, bottom, right, top = (float(edge) for edge in (sheet.left, sheet.bottom, sheet.right, sheet.top))
    return (
        pikepdf.Matrix(1, 0, 0, 1, left, bottom),
        pikepdf.Matrix(0, 1, -1, 0, right, bottom),
        pikepdf.Matrix(-1, 0, 0, -1, right, top),
        pikepdf.Matrix(0, -1, 1, 0, left, top),
    )[sheet.quarters]


def draw(document: pikepdf.Pdf, page: pikepdf.Page, sheet: Sheet, drawing: pikepdf.Object) -> None:
    """Puts a form XObject of the size of the displayed page over a page. Raises pikepdf.PdfError for content that cannot be read."""
    closing, rightly = _left_open(document, page)
    if not rightly:
        page.obj.Contents = document.make_stream(_written_anew(page))
    # `n` ends a path, which could else be a clipping path for what follows (ISO 32000-1 section 8.5.4).
    placed = matrix(sheet).encode().decode()
    page.contents_add(document.make_stream(b"q\n"), prepend=True)
    page.contents_add(
        document.make_stream(f"\n{closing}n\nQ\nq {placed} cm /{_add(page, drawing)} Do Q\n".encode()), prepend=False
    )


def _left_open(document: pikepdf.Pdf, page: pikepdf.Page) -> tuple[str, bool]:
    """The operators that close what the page's content leaves open, and whether the content can stay as it is written.

    It cannot if it closes what it never opened: readers skip that, but inside of our own q it would
    close that. Nor if it ends within a string or an image, which would swallow what follows.
    """
    streams = page.obj.get("/Contents", pikepdf.Array())
    pieces = [each.read_bytes() for each in (streams if isinstance(streams, pikepdf.Array) else [streams])]
    probe = document.make_stream(b"\n".join([*pieces, _END.encode()]))
    opened: list[str] = []
    operators = [str(each.operator) for each in _parsed(probe, " ".join([*_OPENING, *_CLOSING, _END]))]
    counted = [_count(operator, opened) for operator in operators]
    rightly = all(counted) and operators[-1:] == [_END]
    return "".join(f"{closing}\n" for closing in reversed(opened)), rightly


def _count(operator: str, opened: list[str]) -> bool:
    """Notes what an operator opens or closes; False if it closes nothing."""
    if operator in _OPENING:
        opened.append(_OPENING[operator])
    elif operator in _CLOSING:
        if operator not in opened:
            return False
        # The last one of its kind: kinds may cross where a page is written carelessly.
        del opened[len(opened) - 1 - opened[::-1].index(operator)]
    return True


def _written_anew(page: pikepdf.Page) -> bytes:
    """The page's content as qpdf understands it, without what closes nothing and without what does not end."""
    opened: list[str] = []
    kept = [instruction for instruction in _parsed(page) if _count(str(instruction.operator), opened)]
    return pikepdf.unparse_content_stream(kept)


def _parsed(
    content: pikepdf.Page | pikepdf.Object, operators: str = ""
) -> Sequence[pikepdf.ContentStreamInstruction | pikepdf.ContentStreamInlineImage]:
    # What is odd in a page is a warning to pikepdf's callers; here it is dealt with.
    with warnings.catch_warnings(action="ignore"):
        return pikepdf.parse_content_stream(content, operators)


def _add(page: pikepdf.Page, drawing: pikepdf.Object) -> str:
    """Makes the drawing known to this page alone: pages often share their resources. Returns the name it has there."""
    resources = _copy(page.obj.get("/Resources"))
    drawings = _copy(resources.get("/XObject"))
    name, number = _NAME, 1
    while f"/{name}" in drawings:
        number += 1
        name = f"{_NAME}{number}"
    drawings[f"/{name}"] = drawing
    resources["/XObject"] = drawings
    page.obj["/Resources"] = resources
    return name


def _copy(dictionary: object) -> pikepdf.Dictionary:
    return pikepdf.Dictionary(dict(dictionary.items()) if isinstance(dictionary, pikepdf.Dictionary) else {})
