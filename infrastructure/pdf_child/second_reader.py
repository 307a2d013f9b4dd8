"""What another reader of PDF, PDFium, makes of the same bytes.

What one reader skips another may show. A document that readers understand differently is none to sign: the one who signs sees
another than the one who keeps it.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, Final

import pypdfium2  # type: ignore[import-untyped]
from PIL import ImageChops

from infrastructure.pdf_child.limits import Unusable
from infrastructure.pdf_child.sheets import Sheet

#: PDFium counts in 32-bit floating point.
_SLACK_POINTS: Final = 0.01

#: Of 255: what is seen of a difference between two pictures, where edges are smoothed; and the longest side of one in dots.
_SEEN: Final = 64
_DOTS: Final = 500


def opened_by_pdfium(data: bytes, pages: int) -> Any:
    """PDFium's document; raises Unusable if it has none, or one with another number of pages."""
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as err:
        raise Unusable("damaged") from err
    if len(document) != pages:
        raise Unusable("damaged")
    return document


def compare_pictures(data: bytes, normalised: bytes, sheets: Sequence[Sheet]) -> None:
    """Raises Unusable if PDFium shows a page of the original otherwise than in the normalised form, also where that is no text.

    It takes long, so it is for files that qpdf had to put right: what it does not find there, such as an image, others may show.
    """
    documents = [opened_by_pdfium(each, len(sheets)) for each in (data, normalised)]
    for document in documents:
        document.init_forms()
    for number, sheet in enumerate(sheets):
        scale = _DOTS * 1000 / max(sheet.size)
        try:
            first, second = (each[number].render(scale=scale, grayscale=True).to_pil() for each in documents)
        except pypdfium2.PdfiumError as err:
            raise Unusable("damaged") from err
        if first.size != second.size or max(ImageChops.difference(first, second).tobytes()) >= _SEEN:
            raise Unusable("damaged")


def compare(data: bytes, normalised: bytes, sheets: Sequence[Sheet], drawn_on: Collection[int]) -> None:
    """Raises Unusable if PDFium shows pages of another size, or another text in the normalised form than in the original.

    On the pages `drawn_on` the text of annotations has come to that of the page.
    """
    original, anew = (opened_by_pdfium(each, len(sheets)) for each in (data, normalised))
    for number, sheet in enumerate(sheets, 1):
        first, second = (_page(document, number - 1) for document in (original, anew))
        here = [length / 1000 for length in sheet.size]
        if any(abs(one - other) > _SLACK_POINTS for size in (first[0], second[0]) for one, other in zip(here, size, strict=True)):
            raise Unusable("damaged")
        lost = _letters(first[1]) - _letters(second[1]) if number in drawn_on else first[1] != second[1]
        if lost:
            raise Unusable("damaged")


def _letters(text: str) -> Counter[str]:
    """Without white space: where there is any between lines is PDFium's guess, and depends on what stands around them."""
    return Counter("".join(text.split()))


def _page(document: Any, index: int) -> tuple[tuple[float, float], str]:
    """The size in points and the text of a page."""
    try:
        page = document[index]
        content = page.get_textpage()
        found = page.get_size(), content.get_text_range()
    except pypdfium2.PdfiumError as err:
        raise Unusable("damaged") from err
    content.close()
    page.close()
    return found
