"""What is put into one box of a page, and the line at a page's foot."""

from collections.abc import Sequence
from datetime import UTC
from functools import lru_cache
from typing import Final, assert_never

from reportlab.pdfgen.canvas import Canvas

from domain.placement import Box, PageSize
from infrastructure.pdf_drawing import lettering
from infrastructure.pdf_drawing.blocks import Content, DrawingRefused, Fault, Foot, Initialled, Signed, Ticked, Written
from infrastructure.pdf_drawing.drawn_image import put_image
from infrastructure.pdf_drawing.fitting import LEAST_TEXT, MOST_TEXT, inset, written
from infrastructure.pdf_drawing.lettering import Face, Fitted
from infrastructure.pdf_drawing.paper import GREY, TEST, WARNING, Colour

#: Points.
MOST_HAND: Final = 18.0
CAPTION: Final = (6.0, 3.5)

#: Letters of the hand slope: they begin left of where they stand and end right of it, by a fifth of their size.
_SLOPE: Final = MOST_HAND / 5

#: Of a signature's box, what its caption takes at most.
_CAPTION_SHARE: Final = 0.3

INK: Final[Colour] = (0.06, 0.14, 0.42)
_BLACK: Final[Colour] = (0.0, 0.0, 0.0)

#: The foot's line, in points: how far from the edges, how high, its sizes, the least room that it is written into, and how much
#: of the head a narrow page gets.
_FOOT_SIDE: Final = 12.0
_FOOT_EDGE: Final = 4.0
_FOOT_HEIGHT: Final = 8.0
_FOOT_SIZES: Final = (6.0, 4.0)
_FOOT_LEAST: Final = 24.0
_TEST_SIZE: Final = 7.5
_SHORT_HEAD: Final = 16


class Area:
    """The box of one block on a canvas, in points from the page's bottom left."""

    def __init__(self, canvas: Canvas, box: Box, page_height: float, index: int) -> None:
        self.canvas = canvas
        self.index = index
        self.left = box.x_millipoints / 1000
        self.width = box.width_millipoints / 1000
        self.height = box.height_millipoints / 1000
        self.bottom = page_height - box.y_millipoints / 1000 - self.height
        self.inset = inset(self.width)

    def put(self, content: Content) -> None:
        """Draws a block's content; raises DrawingRefused for a text that does not fit, and ImageRefused."""
        match content:
            case Signed(name, drawn, caption):
                self._mark(f"/s/ {name}", drawn, self._caption(caption))
            case Initialled(letters, drawn):
                self._mark(letters, drawn, 0.0)
            case Written(text, shortened):
                self._text(text, shortened)
            case Ticked(ticked):
                self._checkbox(ticked)
            case _ as never:
                assert_never(never)

    def _caption(self, caption: str) -> float:
        """The caption under a hairline, left out where it would not be read whole; returns how high both are."""
        across = self.width - 2 * self.inset
        fitted = lettering.fit(lettering.drawable(caption), Face.PLAIN, across, self.height * _CAPTION_SHARE, *CAPTION)
        if not caption or fitted is None:
            return 0.0
        high = lettering.height(len(fitted.lines), fitted.size)
        self._lines(fitted, Face.PLAIN, GREY, (self.left + self.inset, self.bottom + high))
        self.canvas.setStrokeColorRGB(*GREY)
        self.canvas.setLineWidth(0.4)
        self.canvas.line(self.left, self.bottom + high, self.left + self.width, self.bottom + high)
        return high

    def _mark(self, name: str, drawn: bytes | None, low: float) -> None:
        """What a signer drew, or wrote by name, above `low`."""
        room = self.height - low
        if drawn is not None:
            corner = self.left + self.inset, self.bottom + low
            put_image(self.canvas, drawn, corner, (self.width - 2 * self.inset, room))
            return
        slope = min(_SLOPE, self.width / 4)
        text = lettering.drawable(name, Face.HAND)
        fitted = lettering.shorten(text, Face.HAND, self.width - 2 * slope, room, MOST_HAND, LEAST_TEXT)
        high = lettering.height(len(fitted.lines), fitted.size)
        self._lines(fitted, Face.HAND, INK, (self.left + slope, self.bottom + low + (room + high) / 2))

    def _text(self, text: str, shortened: bool) -> None:
        fitted = written(text, self.width, self.height)
        if fitted is None and shortened:
            across = self.width - 2 * self.inset
            fitted = lettering.shorten(lettering.drawable(text), Face.PLAIN, across, self.height, MOST_TEXT, LEAST_TEXT)
        if fitted is None:
            raise DrawingRefused(Fault.NO_ROOM, self.index)
        high = lettering.height(len(fitted.lines), fitted.size)
        # A box for one line has it in the middle; in one for several they begin at the top.
        top = (self.height + high) / 2 if self.height < lettering.height(2, MOST_TEXT) else self.height
        self._lines(fitted, Face.PLAIN, _BLACK, (self.left + self.inset, self.bottom + top))

    def _lines(self, fitted: Fitted, face: Face, colour: Colour, corner: tuple[float, float]) -> None:
        self.canvas.setFillColorRGB(*colour)
        for number, line in enumerate(fitted.lines):
            baseline = corner[1] - (lettering.ASCENT + number * lettering.LEADING) * fitted.size
            lettering.draw(self.canvas, line, face, fitted.size, (corner[0], baseline))

    def _checkbox(self, ticked: bool) -> None:
        side = min(self.width, self.height) - 1
        left, bottom = self.left + 0.5, self.bottom + (self.height - side) / 2
        self.canvas.setStrokeColorRGB(*_BLACK)
        self.canvas.setLineWidth(0.7)
        self.canvas.rect(left, bottom, side, side)
        if ticked:
            near, far = 0.22 * side, 0.78 * side
            self.canvas.setLineWidth(max(side / 9, 0.7))
            self.canvas.lines(
                [(left + near, bottom + near, left + far, bottom + far), (left + near, bottom + far, left + far, bottom + near)]
            )


def put_foot(canvas: Canvas, page: PageSize, taken: Sequence[Box], foot: Foot) -> None:
    """The line at a page's lower edge, or at its upper one where only that is free of boxes; shortened where the page is narrow."""
    width, side = page.width_millipoints / 1000, min(_FOOT_SIDE, page.width_millipoints / 10_000)
    high, edge = (round(length * 1000) for length in (_FOOT_HEIGHT, _FOOT_EDGE))
    strips = [Box(0, y, page.width_millipoints, high) for y in (page.height_millipoints - edge - high, edge)]
    strip = next((each for each in strips if not any(_meet(each, box) for box in taken)), strips[0])
    baseline = (page.height_millipoints - strip.y_millipoints) / 1000 - lettering.ASCENT * _FOOT_SIZES[0]
    left = side
    if foot.test:
        size = min(_TEST_SIZE, (width - 2 * side) / lettering.width(TEST, Face.BOLD, 1))
        _foot_text(canvas, Fitted(size, (TEST,)), Face.BOLD, WARNING, (left, baseline))
        left += lettering.width(TEST, Face.BOLD, size) + _FOOT_SIDE
    if width - side - left >= _FOOT_LEAST:
        _foot_text(canvas, _foot_line(foot, width - side - left), Face.PLAIN, GREY, (left, baseline))


@lru_cache(16)  # most pages are as wide as the one before
def _foot_line(foot: Foot, across: float) -> Fitted:
    at = f"{foot.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    texts = [f"Process {foot.process}  ·  head {head}  ·  {at}" for head in (foot.head, f"{foot.head[:_SHORT_HEAD]}…")]
    # The line is not high enough for a second one.
    tried = (lettering.fit(text, Face.PLAIN, across, _FOOT_HEIGHT, *_FOOT_SIZES) for text in texts)
    return next(filter(None, tried), None) or lettering.shorten(texts[-1], Face.PLAIN, across, _FOOT_HEIGHT, *_FOOT_SIZES)


def _foot_text(canvas: Canvas, fitted: Fitted, face: Face, colour: Colour, at: tuple[float, float]) -> None:
    canvas.setFillColorRGB(*colour)
    lettering.draw(canvas, fitted.lines[0], face, fitted.size, at)


def _meet(one: Box, other: Box) -> bool:
    return (
        one.x_millipoints < other.x_millipoints + other.width_millipoints
        and other.x_millipoints < one.x_millipoints + one.width_millipoints
        and one.y_millipoints < other.y_millipoints + other.height_millipoints
        and other.y_millipoints < one.y_millipoints + one.height_millipoints
    )
