"""Makes the executed document: the pages as they were signed, with what was put on them.

The same bytes and blocks give the same bytes. To be run where the file that is read can harm nobody
(`drawing.py` does).
"""

from collections.abc import Mapping, Sequence
from io import BytesIO

import pikepdf
from reportlab.pdfgen.canvas import Canvas

from domain.placement import PageSize
from infrastructure.pdf_child import FLATE_BYTES, NESTING, Sheet, Unusable, check_page
from infrastructure.pdf_drawing import lettering
from infrastructure.pdf_drawing.area import Area, put_foot
from infrastructure.pdf_drawing.blocks import Block, DrawingRefused, Fault, Foot, SignaturePage
from infrastructure.pdf_drawing.displayed import draw
from infrastructure.pdf_drawing.lettering import Face
from infrastructure.pdf_drawing.signature_page import signature_page


def execute(data: bytes, blocks: Sequence[Block], foot: Foot | None = None, signatures: SignaturePage | None = None) -> bytes:
    """The PDF with its blocks drawn, the page for signatures after its last one, and the foot on each page.

    The foot stands at the lower edge, at the upper one where a block is in its way, and at the lower one where both are
    taken. Raises DrawingRefused and ImageRefused.
    """
    pikepdf.settings.set_qpdf_limits(flate_max_memory=FLATE_BYTES, parser_max_nesting=NESTING)
    try:
        with pikepdf.open(BytesIO(data), attempt_recovery=False, suppress_warnings=True) as document:
            sheets = [check_page(page, number) for number, page in enumerate(document.pages, 1)]
            _check(blocks, [PageSize(*sheet.size) for sheet in sheets])
            if signatures is not None:
                with pikepdf.open(BytesIO(signature_page(signatures, sheets[-1].size))) as appended:
                    document.pages.extend(appended.pages)
                sheets += [check_page(page, number) for number, page in enumerate(document.pages[len(sheets) :], len(sheets) + 1)]
            _overlay(document, sheets, blocks, foot)
            out = BytesIO()
            document.save(out, deterministic_id=True, object_stream_mode=pikepdf.ObjectStreamMode.generate)
            return out.getvalue()
    except (pikepdf.PdfError, Unusable) as err:
        raise DrawingRefused(Fault.UNREADABLE) from err


def _check(blocks: Sequence[Block], pages: Sequence[PageSize]) -> None:
    """Every block lies on its page."""
    for index, block in enumerate(blocks):
        if not 1 <= block.page <= len(pages):
            raise DrawingRefused(Fault.NO_SUCH_PAGE, index, page=block.page, pages=len(pages))
        if block.box.width_millipoints <= 0 or block.box.height_millipoints <= 0 or not block.box.on(pages[block.page - 1]):
            raise DrawingRefused(Fault.OUTSIDE, index, page=block.page)


def _overlay(document: pikepdf.Pdf, sheets: Sequence[Sheet], blocks: Sequence[Block], foot: Foot | None) -> None:
    numbers = range(1, len(sheets) + 1) if foot else sorted({block.page for block in blocks})
    drawings = _drawn({number: sheets[number - 1] for number in numbers}, blocks, foot)
    with pikepdf.open(BytesIO(drawings)) as overlay:
        for number, drawing in zip(numbers, overlay.pages, strict=True):
            form = document.copy_foreign(drawing.as_form_xobject())
            draw(document, document.pages[number - 1], sheets[number - 1], form)


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
            Area(canvas, block.box, height, index).put(block.content)
        if foot:
            put_foot(canvas, PageSize(*sheet.size), [block.box for _, block in here], foot)
        canvas.showPage()
    canvas.save()
    return out.getvalue()
