"""The page for the signatures of those who sign a document that has no place for them."""

from io import BytesIO
from typing import Final

from reportlab.pdfgen.canvas import Canvas

from infrastructure.pdf_drawing import lettering
from infrastructure.pdf_drawing.area import INK, MOST_HAND
from infrastructure.pdf_drawing.blocks import SignatureEntry, SignaturePage
from infrastructure.pdf_drawing.lettering import Face
from infrastructure.pdf_drawing.paper import ACCENT, GREY, Rows, Sheets, Style, gap, image, rule, text

_TITLE: Final = Style(Face.BOLD, 16, ACCENT)
_NAME: Final = Style(Face.BOLD, 9)
_PLAIN: Final = Style(size=7.5)
_SMALL: Final = Style(size=6.5, colour=GREY)

#: Points: a drawn signature, the line that signatures stand on, and the least size of a written one.
_DRAWN: Final = (200.0, 44.0)
_LINE: Final = 240.0
_LEAST_HAND: Final = 9.0

#: Shorter sides of a page in points: below the first all is drawn smaller, above the second larger.
_SMALL_SIDE: Final = 288.0
_LARGE_SIDE: Final = 612.0


def signature_page(page: SignaturePage, size_millipoints: tuple[int, int]) -> bytes:
    """A PDF of as many pages of a size as the signatures need; the same gives the same bytes. Raises ImageRefused."""
    side = min(size_millipoints) / 1000
    scale = max(min(1.0, side / _SMALL_SIDE), side / _LARGE_SIDE)
    width, height = (length / 1000 / scale for length in size_millipoints)
    sheets = Sheets((width, height))
    heading = text("Signatures", _TITLE, sheets.across) + gap(4) + rule(sheets.across, ACCENT, 0.8) + gap(16)
    for entry in page.blocks:
        sheets.add(heading + _entry(entry, sheets.across))
        heading = ()
    out = BytesIO()
    canvas = Canvas(out, invariant=1, pageCompression=1, initialFontName=lettering.font(Face.PLAIN))  # type: ignore[arg-type]  # a name; typed as a number
    sheets.paint(canvas, scale=scale)
    canvas.save()
    return out.getvalue()


def _entry(entry: SignatureEntry, across: float) -> Rows:
    line = min(_LINE, across)
    told = text(entry.name, _NAME, across, (entry.role, Style(size=8, colour=GREY)))
    if entry.caption:
        told += text(entry.caption, _PLAIN, across)
    return _mark(entry, line) + rule(line, GREY, 0.5) + gap(3) + told + text(f"Process {entry.process}", _SMALL, across) + gap(20)


def _mark(entry: SignatureEntry, across: float) -> Rows:
    """What was drawn, or `/s/` and the name, in one line if a size allows that and in as many as it needs otherwise."""
    if entry.drawn is not None:
        return image(entry.drawn, min(_DRAWN[0], across), _DRAWN[1])
    words = lettering.drawable(f"/s/ {entry.name}", Face.HAND)
    one_line = lettering.fit(words, Face.HAND, across, lettering.height(1, MOST_HAND), MOST_HAND, _LEAST_HAND)
    size = one_line.size if one_line and len(one_line.lines) == 1 else _LEAST_HAND
    return text(f"/s/ {entry.name}", Style(Face.HAND, size, INK), across)
