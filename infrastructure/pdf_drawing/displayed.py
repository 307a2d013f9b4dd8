"""Drawing on a page as it is displayed, whatever the page's own space is and whatever its content leaves behind."""

from typing import Final

import pikepdf

from infrastructure.pdf_child import Sheet
from infrastructure.pdf_child.program import content_of, read_program, written_anew

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
    # A normalised page leaves nothing open, but this must not depend on it.
    program = read_program(document, content_of(page))
    if not program.whole:
        page.obj.Contents = document.make_stream(written_anew(page))
    # `n` ends a path, which could else be a clipping path for what follows (ISO 32000-1 section 8.5.4).
    placed = matrix(sheet).encode().decode()
    page.contents_add(document.make_stream(b"q\n"), prepend=True)
    page.contents_add(
        document.make_stream(f"\n{program.closing}n\nQ\nq {placed} cm /{_add(page, drawing)} Do Q\n".encode()), prepend=False
    )


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
