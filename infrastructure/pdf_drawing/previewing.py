"""A picture of a page as it is displayed, with the fields that are to be on it.

To be run where the file that is read can harm nobody (`drawing.py` does).
"""

from collections.abc import Sequence
from io import BytesIO
from typing import Final

import pypdfium2  # type: ignore[import-untyped]
from PIL import Image, ImageDraw

from domain.field import FieldType
from infrastructure.pdf_drawing.blocks import DrawingRefused, Fault, PreviewBox

#: A picture is smaller than asked for where it would have more points than this.
MAX_PIXELS: Final = 8_000_000

Shade = tuple[int, int, int]

_SHADES: Final[dict[FieldType, Shade]] = {
    FieldType.SIGNATURE: (29, 78, 216),
    FieldType.INITIALS: (126, 34, 206),
    FieldType.TEXT: (21, 128, 61),
    FieldType.DATE: (180, 83, 9),
    FieldType.CHECKBOX: (190, 18, 60),
    FieldType.NAME: (15, 118, 110),
    FieldType.EMAIL: (71, 85, 105),
}

_FILL: Final = 48
_LABEL_SIZES: Final = (13, 8)


def picture(data: bytes, page: int, boxes: Sequence[PreviewBox], width_pixels: int) -> bytes:
    """The PNG; raises DrawingRefused."""
    try:
        document = pypdfium2.PdfDocument(data)
        if not 1 <= page <= len(document):
            raise DrawingRefused(Fault.NO_SUCH_PAGE, page=page, pages=len(document))
        shown = document[page - 1]
        width, height = shown.get_size()
        scale = min(width_pixels / width, (MAX_PIXELS / (width * height)) ** 0.5)
        paper: Image.Image = shown.render(scale=scale).to_pil().convert("RGB")
    except pypdfium2.PdfiumError as err:
        raise DrawingRefused(Fault.UNREADABLE) from err
    for box in boxes:
        _put(paper, box, scale / 1000)
    out = BytesIO()
    paper.save(out, "PNG")
    return out.getvalue()


def _put(paper: Image.Image, box: PreviewBox, scale: float) -> None:
    shade = _SHADES[box.kind]
    left, top = box.box.x_millipoints * scale, box.box.y_millipoints * scale
    edges = (left, top, left + box.box.width_millipoints * scale, top + box.box.height_millipoints * scale)
    pen = ImageDraw.Draw(paper, "RGBA")
    pen.rectangle(edges, fill=(*shade, _FILL), outline=shade, width=1)
