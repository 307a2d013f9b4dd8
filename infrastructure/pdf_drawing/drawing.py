"""Drawing as the service calls it: everything that reads a foreign file or draws is done by a limited process (`child.py`).

What that process answers is somebody else's word: the file may have taken it over. It gives a PDF or a PNG of a bounded
size, or one of the codes of `Fault`, whose sentences are written here.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from infrastructure.forked_process import Breakdown, NoAnswer, ask_fork
from infrastructure.pdf_drawing.blocks import Block, DrawingRefused, Fault, Foot, PreviewBox, SignaturePage
from infrastructure.pdf_drawing.case import Case, Paper
from infrastructure.pdf_drawing.image_refusal import MAX_BYTES, ImageFault, ImageRefused
from infrastructure.pdf_drawing.order import CheckImage, DrawCertificate, Execute, Order, Preview, encode

_CHILD: Final = Path(__file__).with_name("child.py")

_PDF: Final = b"%PDF-"
_PNG: Final = b"\x89PNG\r\n\x1a\n"

#: What drawing may add to a file: images of signatures unpacked, typefaces, pages.
_MAX_ADDED_BYTES: Final = 64 * 1024 * 1024

#: More than a picture of a page within the limits of `preview.py` takes.
_MAX_PNG_BYTES: Final = 32 * 1024 * 1024

#: One short line.
_MAX_WORD_BYTES: Final = 4096


async def execute_document(data: bytes, blocks: Sequence[Block], foot: Foot, signature_page: SignaturePage | None) -> bytes:
    """The executed PDF: `data` with its blocks, the foot on each page, and the page for signatures; the same gives the same bytes.

    `data` is what intake normalised. Raises DrawingRefused.
    """
    order = Execute(data, tuple(blocks), foot, signature_page)
    return await _file(order, _PDF, len(data) + _MAX_ADDED_BYTES)


async def draw_certificate(case: Case, paper: Paper) -> bytes:
    """The certificate of completion as a PDF; the same case gives the same bytes. Raises DrawingRefused."""
    return await _file(DrawCertificate(case, paper), _PDF, _MAX_ADDED_BYTES)


async def preview(data: bytes, page: int, boxes: Sequence[PreviewBox], width_pixels: int = 900) -> bytes:
    """A page, from 1, as it is displayed, with boxes drawn on it, as a PNG; narrower where the page is very long.

    Raises DrawingRefused, also for a page that is not there.
    """
    return await _file(Preview(data, page, tuple(boxes), width_pixels), _PNG, _MAX_PNG_BYTES)


async def check_image(data: bytes) -> None:
    """Whether bytes are a PNG or JPEG that can stand as a signature; raises ImageRefused if not, DrawingRefused if nobody can tell."""
    if len(data) > MAX_BYTES:
        raise ImageRefused(ImageFault.TOO_LARGE)
    fault = _word(await _answer(CheckImage(data), _MAX_WORD_BYTES)).get("image")
    if fault in list(ImageFault):
        raise ImageRefused(ImageFault(fault))
    if fault is not None:
        raise DrawingRefused(Fault.BROKE_DOWN)


async def _file(order: Order, signature: bytes, most_bytes: int) -> bytes:
    answer = await _answer(order, most_bytes)
    if answer.startswith(signature):
        return answer
    word = _word(answer)
    try:
        data = {name: _number(value) for name, value in word["data"].items()}
        refusal = DrawingRefused(Fault(word["code"]), None if word["block"] is None else _number(word["block"]), **data)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError):
        refusal = DrawingRefused(Fault.BROKE_DOWN)  # not an answer of ours: the child was taken over
    raise refusal


async def _answer(order: Order, most_bytes: int) -> bytes:
    try:
        return await ask_fork(_CHILD, encode(order), most_bytes)
    except NoAnswer as err:
        match err.breakdown:
            case Breakdown.TOOK_TOO_LONG:
                raise DrawingRefused(Fault.TOOK_TOO_LONG) from err
            case Breakdown.BROKE_DOWN | Breakdown.TOO_MUCH:
                raise DrawingRefused(Fault.BROKE_DOWN) from err


def _word(answer: bytes) -> Mapping[str, Any]:
    try:
        word = json.loads(answer[:_MAX_WORD_BYTES])
    except (ValueError, RecursionError):
        word = None
    if not isinstance(word, dict):
        raise DrawingRefused(Fault.BROKE_DOWN)
    return word


def _number(value: object) -> int:
    if type(value) is not int:
        raise TypeError("not a number that the child would give")
    return value
