"""A picture of a page as it is displayed, with the fields that are to be on it.

To be run where the file that is read can harm nobody (`drawing.py` does).
"""

from collections.abc import Sequence
from functools import lru_cache
from io import BytesIO
from typing import Final

import pypdfium2  # type: ignore[import-untyped]
from PIL import Image, ImageDraw, ImageFont

from domain.field import FieldType
from infrastructure.pdf_drawing.blocks import DrawingRefused, Fault, PreviewBox
from infrastructure.pdf_drawing.lettering import FOLDER, Face, runs, spelled_out

#: A picture is smaller than asked for where it would have more points than this.
MAX_PIXELS: Final = 8_000_000

Shade = tuple[int, int, int]
Edges = tuple[float, float, float, float]

_SHADES: Final[dict[FieldType, Shade]] = {
    FieldType.SIGNATURE: (29, 78, 216),
    FieldType.INITIALS: (126, 34, 206),
    FieldType.TEXT: (21, 128, 61),
    FieldType.DATE: (180, 83, 9),
    FieldType.CHECKBOX: (190, 18, 60),
    FieldType.NAME: (15, 118, 110),
    FieldType.EMAIL: (71, 85, 105),
}

_LEAST_WIDTH: Final = 64

#: Opacity of 255.
_FILL: Final = 40
_TAG: Final = 225

#: In points of the picture for a width of 900, and the least that is read.
_LABEL: Final = 13
_LEAST_LABEL: Final = 9

#: Letters of a label that are shown.
_MOST_LABEL: Final = 40


def picture(data: bytes, page: int, boxes: Sequence[PreviewBox], width_pixels: int) -> bytes:
    """The PNG; raises DrawingRefused."""
    try:
        document = pypdfium2.PdfDocument(data)
        if not 1 <= page <= len(document):
            raise DrawingRefused(Fault.NO_SUCH_PAGE, page=page, pages=len(document))
        shown = document[page - 1]
        width, height = shown.get_size()
        scale = min(max(width_pixels, _LEAST_WIDTH) / width, (MAX_PIXELS / (width * height)) ** 0.5)
        paper: Image.Image = shown.render(scale=scale).to_pil().convert("RGB")
    except pypdfium2.PdfiumError as err:
        raise DrawingRefused(Fault.UNREADABLE) from err
    size = max(round(_LABEL * paper.width / 900), _LEAST_LABEL)
    # Labels over all boxes, so that none is covered by a box that overlaps its own.
    for put in (_put_box, _put_label):
        for box in boxes:
            edges = _edges(box, scale / 1000)
            put(paper, box, edges, size)
    out = BytesIO()
    paper.save(out, "PNG")
    return out.getvalue()


def _edges(box: PreviewBox, scale: float) -> Edges:
    left, top = box.box.x_millipoints * scale, box.box.y_millipoints * scale
    return left, top, left + box.box.width_millipoints * scale, top + box.box.height_millipoints * scale


def _put_box(paper: Image.Image, box: PreviewBox, edges: Edges, size: int) -> None:
    shade = _SHADES[box.kind]
    ImageDraw.Draw(paper, "RGBA").rectangle(edges, fill=(*shade, _FILL), outline=shade, width=max(round(size / 9), 1))


def _put_label(paper: Image.Image, box: PreviewBox, edges: Edges, size: int) -> None:
    """A tag with the label and the kind: within the box at its top left where it fits, else beside it, never off the page."""
    label = spelled_out(box.label, Face.BOLD)
    label = label if len(label) <= _MOST_LABEL else f"{label[: _MOST_LABEL - 1]}…"
    words = [(letters, _font(name, size)) for name, letters in runs(f"{label} · {box.kind.capitalize()}", Face.BOLD)]
    across = sum(font.getlength(letters) for letters, font in words) + 6
    high = size * 1.3
    left, top, right, bottom = edges
    inside = across <= right - left and high <= bottom - top
    x = left if inside or left + across <= paper.width else max(paper.width - across, 0.0)
    y = top if inside else top - high if top >= high else min(bottom, paper.height - high)
    pen = ImageDraw.Draw(paper, "RGBA")
    pen.rectangle((x, y, x + across, y + high), fill=(*_SHADES[box.kind], _TAG))
    x += 3
    for letters, font in words:
        # On one line: typefaces reach up differently.
        pen.text((x, y + size * 1.03), letters, fill="white", font=font, anchor="ls")
        x += font.getlength(letters)


@lru_cache(16)
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(FOLDER / f"{name}.ttf"), size, layout_engine=ImageFont.Layout.BASIC)
