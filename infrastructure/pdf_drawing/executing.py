"""Makes the executed document: the pages as they were signed, with what was put on them.

The same bytes and blocks give the same bytes. To be run where the file that is read can harm nobody
(see infrastructure/pdf.py).
"""

from collections.abc import Mapping, Sequence
from io import BytesIO
from itertools import combinations
from typing import Final, assert_never

import pikepdf
from PIL import Image
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from domain.placement import Box, PageSize
from infrastructure.pdf_child import Sheet, Unusable, check_page
from infrastructure.pdf_drawing import lettering
from infrastructure.pdf_drawing.blocks import (
    Block,
    DrawingRefused,
    Fault,
    Foot,
    Initialled,
    Signed,
    Ticked,
    Written,
)
from infrastructure.pdf_drawing.displayed import draw
from infrastructure.pdf_drawing.drawn_image import DrawnImage
from infrastructure.pdf_drawing.lettering import Face, Fitted

#: Points. Below five, print is not read without a glass.
LEAST_TEXT: Final = 5.0
MOST_TEXT: Final = 10.0
MOST_HAND: Final = 18.0
CAPTION: Final = (6.0, 3.5)

#: Kept free in a box at its left and right.
_INSET: Final = 1.0

#: Of a signature's box, what its caption takes at most.
_CAPTION_SHARE: Final = 0.3

_INK: Final = (0.06, 0.14, 0.42)
_BLACK: Final = (0.0, 0.0, 0.0)
_GREY: Final = (0.38, 0.38, 0.38)

#: The foot's line, in points: how far from the edges, how high, its sizes, and how much of the head a narrow page gets.
_FOOT_SIDE: Final = 12.0
_FOOT_EDGE: Final = 4.0
_FOOT_HEIGHT: Final = 8.0
_FOOT_SIZES: Final = (6.0, 4.0)
_SHORT_HEAD: Final = 16


def execute(data: bytes, blocks: Sequence[Block], foot: Foot | None = None) -> bytes:
    """The PDF with its blocks drawn, and the foot on each page.

    The foot stands at the lower edge, at the upper one where a block is in its way, and is left out of a
    page where both are taken or too narrow. Raises DrawingRefused.
    """
    try:
        with pikepdf.open(BytesIO(data), attempt_recovery=False, suppress_warnings=True) as document:
            sheets = [check_page(page, number) for number, page in enumerate(document.pages, 1)]
            _check(blocks, [PageSize(*sheet.size) for sheet in sheets])
            numbers = range(1, len(sheets) + 1) if foot else sorted({block.page for block in blocks})
            drawings = _drawn({number: sheets[number - 1] for number in numbers}, blocks, foot)
            with pikepdf.open(BytesIO(drawings)) as overlay:
                for number, drawing in zip(numbers, overlay.pages, strict=True):
                    form = document.copy_foreign(drawing.as_form_xobject())
                    draw(document, document.pages[number - 1], sheets[number - 1], form)
            out = BytesIO()
            document.save(out, deterministic_id=True, object_stream_mode=pikepdf.ObjectStreamMode.generate)
            return out.getvalue()
    except (pikepdf.PdfError, Unusable) as err:
        raise DrawingRefused(Fault.UNREADABLE, "The PDF cannot be read as it was when it was accepted.") from err


def _check(blocks: Sequence[Block], pages: Sequence[PageSize]) -> None:
    """Every block lies on its page and none on another; boxes may touch."""
    for index, block in enumerate(blocks):
        if not 1 <= block.page <= len(pages):
            raise DrawingRefused(Fault.NO_SUCH_PAGE, f"There is no page {block.page}: the document has {len(pages)}.", index)
        if block.box.width_millipoints <= 0 or block.box.height_millipoints <= 0 or not block.box.on(pages[block.page - 1]):
            raise DrawingRefused(Fault.OUTSIDE, f"The box leaves page {block.page}, or has no size; place it on the page.", index)
    for (_, one), (index, other) in combinations(enumerate(blocks), 2):
        if one.page == other.page and _meet(one.box, other.box):
            raise DrawingRefused(Fault.OVERLAP, f"The box lies on another one on page {one.page}; move one of them.", index)


def _meet(one: Box, other: Box) -> bool:
    return (
        one.x_millipoints < other.x_millipoints + other.width_millipoints
        and other.x_millipoints < one.x_millipoints + one.width_millipoints
        and one.y_millipoints < other.y_millipoints + other.height_millipoints
        and other.y_millipoints < one.y_millipoints + one.height_millipoints
    )


def _drawn(sheets: Mapping[int, Sheet], blocks: Sequence[Block], foot: Foot | None) -> bytes:
    """A PDF with a page for each of the numbered ones, of its displayed size, that has nothing but what is put on it."""
    out = BytesIO()
    # Invariant: no clock, no random name (reportlab's user guide, section 4.2).
    canvas = Canvas(out, invariant=1, pageCompression=1, initialFontName=lettering.font(Face.PLAIN))  # type: ignore[arg-type]  # a name; typed as a number
    for number, sheet in sheets.items():
        width, height = (length / 1000 for length in sheet.size)
        canvas.setPageSize((width, height))
        here = [(index, block) for index, block in enumerate(blocks) if block.page == number]
        for index, block in here:
            _Area(canvas, block.box, height, index).put(block)
        if foot:
            _put_foot(canvas, PageSize(*sheet.size), [block.box for _, block in here], foot)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


class _Area:
    """The box of one block on a canvas, in points from the page's bottom left."""

    def __init__(self, canvas: Canvas, box: Box, page_height: float, index: int) -> None:
        self.canvas = canvas
        self.index = index
        self.left = box.x_millipoints / 1000
        self.width = box.width_millipoints / 1000
        self.height = box.height_millipoints / 1000
        self.bottom = page_height - box.y_millipoints / 1000 - self.height

    def put(self, block: Block) -> None:
        match block.content:
            case Signed(name, drawn, caption):
                low = self._caption(caption) if caption else 0.0
                self._mark(f"/s/ {name}" if name.strip() else "", drawn, low)
            case Initialled(letters, drawn):
                self._mark(letters, drawn, 0.0)
            case Written(text):
                self._text(text)
            case Ticked(ticked):
                self._checkbox(ticked)
            case _ as never:
                assert_never(never)

    def _caption(self, caption: str) -> float:
        """The caption under a hairline; returns how high both are."""
        fitted = self._fit(caption, Face.PLAIN, self.height * _CAPTION_SHARE, *CAPTION)
        high = lettering.height(len(fitted.lines), fitted.size)
        self._lines(fitted, Face.PLAIN, _GREY, self.bottom + high)
        self.canvas.setStrokeColorRGB(*_GREY)
        self.canvas.setLineWidth(0.4)
        self.canvas.line(self.left, self.bottom + high, self.left + self.width, self.bottom + high)
        return high

    def _mark(self, written: str, drawn: DrawnImage | None, low: float) -> None:
        """What a signer drew, or wrote by name, above `low`."""
        room = self.height - low
        if drawn is not None:
            put_image(self.canvas, drawn, (self.left + _INSET, self.bottom + low), (self.width - 2 * _INSET, room))
            return
        fitted = self._fit(written, Face.HAND, room, MOST_HAND, LEAST_TEXT)
        high = lettering.height(len(fitted.lines), fitted.size)
        self._lines(fitted, Face.HAND, _INK, self.bottom + low + (room + high) / 2)

    def _text(self, text: str) -> None:
        fitted = self._fit(text, Face.PLAIN, self.height, MOST_TEXT, LEAST_TEXT)
        high = lettering.height(len(fitted.lines), fitted.size)
        # A box for one line has it in the middle; in one for several they begin at the top.
        top = (self.height + high) / 2 if self.height < lettering.height(2, MOST_TEXT) else self.height
        self._lines(fitted, Face.PLAIN, _BLACK, self.bottom + top)

    def _fit(self, text: str, face: Face, room: float, most: float, least: float) -> Fitted:
        """The text as it fits `room` points in height; raises DrawingRefused."""
        text = lettering.composed(text).strip()
        if not text:
            raise DrawingRefused(Fault.EMPTY, "There is nothing to write: the text is empty.", self.index)
        if missing := lettering.undrawable(text, face):
            shown = ", ".join(f"U+{ord(character):04X}" for character in missing[:5])
            sentence = f"The text has letters that cannot be drawn here ({shown}); ask for a drawn signature, or for Latin, Greek or Cyrillic letters."
            raise DrawingRefused(Fault.NO_LETTERS, sentence, self.index)
        fitted = lettering.fit(text, face, self.width - 2 * _INSET, room, most, least)
        if fitted is None:
            size = f"{self.width:g} by {room:.3g} points"
            raise DrawingRefused(
                Fault.NO_ROOM, f"The text does not fit into {size} even at its least size; make the box larger.", self.index
            )
        return fitted

    def _lines(self, fitted: Fitted, face: Face, colour: tuple[float, float, float], top: float) -> None:
        self.canvas.setFillColorRGB(*colour)
        self.canvas.setFont(lettering.font(face), fitted.size)
        for number, line in enumerate(fitted.lines):
            baseline = top - (lettering.ASCENT + number * lettering.LEADING) * fitted.size
            self.canvas.drawString(self.left + _INSET, baseline, line)

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


def put_image(canvas: Canvas, image: DrawnImage, corner: tuple[float, float], room: tuple[float, float]) -> None:
    """An image as large as fits `room` points above and right of `corner`, its proportions kept, at the left and bottom."""
    scale = min(room[0] / image.width, room[1] / image.height)
    picture = ImageReader(Image.frombytes("RGBA", (image.width, image.height), image.rgba))
    canvas.drawImage(picture, *corner, width=image.width * scale, height=image.height * scale, mask="auto")


def _put_foot(canvas: Canvas, page: PageSize, taken: Sequence[Box], foot: Foot) -> None:
    across = page.width_millipoints / 1000 - 2 * _FOOT_SIDE
    at = f"{foot.at:%Y-%m-%d %H:%M:%S} UTC"
    texts = (f"Process {foot.process}  ·  head {head}  ·  {at}" for head in (foot.head, f"{foot.head[:_SHORT_HEAD]}…"))
    fitted = next((it for text in texts if (it := lettering.fit(text, Face.PLAIN, across, _FOOT_HEIGHT, *_FOOT_SIZES))), None)
    high, edge = (round(length * 1000) for length in (_FOOT_HEIGHT, _FOOT_EDGE))
    for y in (page.height_millipoints - edge - high, edge):
        strip = Box(0, y, page.width_millipoints, high)
        if fitted and len(fitted.lines) == 1 and not any(_meet(strip, box) for box in taken):
            canvas.setFillColorRGB(*_GREY)
            canvas.setFont(lettering.font(Face.PLAIN), fitted.size)
            top = (page.height_millipoints - y) / 1000
            canvas.drawString(_FOOT_SIDE, top - lettering.ASCENT * fitted.size, fitted.lines[0])
            return
