"""Rows that are set one under another on as many pages as they need."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, zip_longest
from typing import Final

import segno
from reportlab.pdfgen.canvas import Canvas

from infrastructure.pdf_drawing import lettering
from infrastructure.pdf_drawing.drawn_image import put_image
from infrastructure.pdf_drawing.lettering import Face

Colour = tuple[float, float, float]

INK: Final[Colour] = (0.09, 0.11, 0.15)
GREY: Final[Colour] = (0.42, 0.45, 0.50)
ACCENT: Final[Colour] = (0.06, 0.22, 0.45)
HAIR: Final[Colour] = (0.80, 0.82, 0.85)
WARNING: Final[Colour] = (0.72, 0.11, 0.11)

#: What stands on all that comes from the test mode.
TEST: Final = "Test, without effect"

#: Points.
MARGIN: Final = 45.0
FOOT: Final = 34.0

#: Columns higher than this may be divided by the end of a page, in pieces of about so many points.
_WHOLE: Final = 480.0
_PIECE: Final = 60.0

#: Modules around a QR code that stay free (ISO/IEC 18004 section 5.3.8).
_QUIET: Final = 4


@dataclass(frozen=True, slots=True)
class Style:
    """How a text looks; the size is in points."""

    face: Face = Face.PLAIN
    size: float = 7.5
    colour: Colour = INK


HEADING: Final = Style(Face.BOLD, 9.5, ACCENT)


@dataclass(frozen=True, slots=True)
class Row:
    """Something `height` points high that paints itself at a left edge and a top."""

    height: float
    paint: Callable[[Canvas, float, float], None]


Rows = tuple[Row, ...]


def gap(height: float) -> Rows:
    """Nothing, so high."""
    return (Row(height, lambda canvas, left, top: None),)


def rule(across: float, colour: Colour = HAIR, thick: float = 0.5) -> Rows:
    """A line from left to right."""

    def paint(canvas: Canvas, left: float, top: float) -> None:
        canvas.setStrokeColorRGB(*colour)
        canvas.setLineWidth(thick)
        canvas.line(left, top - thick / 2, left + across, top - thick / 2)

    return (Row(thick, paint),)


def text(words: str, style: Style, across: float, after: tuple[str, Style] | None = None) -> Rows:
    """A text in as many lines as it needs, with what cannot be drawn spelled out; `after` follows in a style of its own."""
    found = _lines(words, style, across)
    rows = [[(0.0, line, style)] for line in found]
    if after and after[0]:
        start = lettering.width(found[-1] + "  ", style.face, style.size)
        rest = lettering.spelled_out(after[0], after[1].face)
        if start + lettering.width(rest, after[1].face, after[1].size) <= across:
            rows[-1].append((start, rest, after[1]))
        else:
            rows += [[(0.0, line, after[1])] for line in _lines(*after, across)]
    return tuple(_line(parts) for parts in rows)


def _lines(words: str, style: Style, across: float) -> tuple[str, ...]:
    spelled = lettering.spelled_out(words, style.face)
    found = lettering.lines(spelled, style.face, style.size, across, breaking=True)
    if found is None:
        raise ValueError(f"{across} points are too narrow for letters of {style.size}")
    return found


def _line(parts: Sequence[tuple[float, str, Style]]) -> Row:
    size = max(style.size for _, _, style in parts)

    def paint(canvas: Canvas, left: float, top: float) -> None:
        for start, words, style in parts:
            canvas.setFillColorRGB(*style.colour)
            lettering.draw(canvas, words, style.face, style.size, (left + start, top - lettering.ASCENT * size))

    return Row(size * 1.3, paint)


def beside(columns: Sequence[tuple[float, Rows]]) -> Rows:
    """Columns, each at a distance from the left, as one row that no page end divides; as some, where it were too high for a page."""
    if max(height(rows) for _, rows in columns) > _WHOLE:
        pieces = zip_longest(*(_pieces(rows) for _, rows in columns), fillvalue=())
        return tuple(row for piece in pieces for row in beside([(at[0], rows) for at, rows in zip(columns, piece, strict=True)]))

    def paint(canvas: Canvas, left: float, top: float) -> None:
        for start, rows in columns:
            paint_rows(canvas, rows, left + start, top)

    return (Row(max(height(rows) for _, rows in columns), paint),)


def _pieces(rows: Rows) -> Iterator[Rows]:
    """The rows in pieces, each at most `_PIECE` high or a single row."""
    piece: Rows = ()
    for row in rows:
        if piece and height(piece) + row.height > _PIECE:
            yield piece
            piece = ()
        piece += (row,)
    if piece:
        yield piece


def image(drawn: bytes, across: float, down: float) -> Rows:
    """A drawn signature; painting it raises ImageRefused."""
    return (Row(down, lambda canvas, left, top: put_image(canvas, drawn, (left, top - down), (across, down))),)


def qr_code(content: str, side: float) -> Rows:
    """A QR code that survives the loss of 15 % of it, with the free margin that readers need."""
    modules = segno.make(content, micro=False, error="m", boost_error=False).matrix
    unit = side / (len(modules) + 2 * _QUIET)

    def paint(canvas: Canvas, left: float, top: float) -> None:
        canvas.setFillColorRGB(0, 0, 0)
        for y, line in enumerate(modules):
            x = 0
            for dark, run in groupby(line):
                count = len(list(run))
                if dark:
                    corner = left + (x + _QUIET) * unit, top - (y + _QUIET + 1) * unit
                    canvas.rect(*corner, count * unit, unit, stroke=0, fill=1)
                x += count

    return (Row(side, paint),)


def height(rows: Rows) -> float:
    """Of all of them."""
    return sum(row.height for row in rows)


def paint_rows(canvas: Canvas, rows: Rows, left: float, top: float) -> None:
    """Paints rows from a top downwards."""
    for row in rows:
        row.paint(canvas, left, top)
        top -= row.height


class Sheets:
    """Pages of a width and height in points that are filled from the top."""

    def __init__(self, size: tuple[float, float]) -> None:
        self._size = size
        self._pages: list[list[Row]] = [[]]
        self._left = self._room

    @property
    def across(self) -> float:
        """Between the margins."""
        return self._size[0] - 2 * MARGIN

    @property
    def _room(self) -> float:
        return self._size[1] - 2 * MARGIN - FOOT / 2

    def add(self, rows: Rows) -> None:
        """Sets rows on one page where they fit one; else as many as fit, and the rest on the next."""
        if height(rows) > self._left and height(rows) <= self._room:
            self._turn()
        for row in rows:
            if row.height > self._left:
                self._turn()
            self._pages[-1].append(row)
            self._left -= row.height

    def _turn(self) -> None:
        self._pages.append([])
        self._left = self._room

    def paint(self, canvas: Canvas, foot: Callable[[int, int], str] | None = None, scale: float = 1.0) -> None:
        """Paints all pages, `scale` times as large; `foot` gives the line under each by its number and how many there are."""
        canvas.setPageSize((self._size[0] * scale, self._size[1] * scale))
        for number, rows in enumerate(self._pages, 1):
            canvas.scale(scale, scale)
            paint_rows(canvas, tuple(rows), MARGIN, self._size[1] - MARGIN)
            if foot:
                line = text(foot(number, len(self._pages)), Style(size=6, colour=GREY), self.across)
                paint_rows(canvas, rule(self.across) + gap(3) + line, MARGIN, FOOT)
            canvas.showPage()
