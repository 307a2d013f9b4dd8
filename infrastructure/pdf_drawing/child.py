"""Draws what one order asks for, alone in a process with limits. Run as a file, and forked for each order (`fork_server.py`).

The order (`order.py`) is on standard input. Standard output gets the PDF or PNG, or one line of JSON: why nothing was
drawn (`code`, `block`, `data`), or what is wrong with an image (`image`). Whatever else happens, the parent sees as the end of
the process.
"""

import json
import os
import sys
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import assert_never

# The parent gives no folder of ours away; this file knows where it lies.
sys.path.append(str(Path(__file__).resolve().parents[2]))

import pikepdf

from infrastructure.fork_server import serve
from infrastructure.pdf_child import limit
from infrastructure.pdf_drawing import lettering
from infrastructure.pdf_drawing.blocks import DrawingRefused, Fault, Foot, SignatureEntry, SignaturePage
from infrastructure.pdf_drawing.certificate import certificate
from infrastructure.pdf_drawing.drawn_image import read_drawn_image
from infrastructure.pdf_drawing.executing import execute
from infrastructure.pdf_drawing.image_refusal import ImageRefused
from infrastructure.pdf_drawing.order import CheckImage, DrawCertificate, Execute, Order, Preview, decode
from infrastructure.pdf_drawing.previewing import picture


def main() -> None:
    """Reads the order, writes the answer."""
    limit()
    try:
        answer = _answer(decode(sys.stdin.buffer))
    except DrawingRefused as err:
        answer = _refusal(err)
    except ImageRefused:
        answer = _refusal(DrawingRefused(Fault.BAD_IMAGE))
    except MemoryError:
        answer = _refusal(DrawingRefused(Fault.TOO_COMPLEX))
    sys.stdout.buffer.write(answer)
    sys.stdout.flush()
    # Nothing here needs tidying up, and taking a large document apart costs time.
    os._exit(0)


def _refusal(refused: DrawingRefused) -> bytes:
    return json.dumps({"code": refused.code, "block": refused.block, "data": refused.data}).encode()


def _answer(order: Order) -> bytes:
    match order:
        case Execute(pdf, blocks, foot, signatures):
            return execute(pdf, blocks, foot, signatures)
        case DrawCertificate(case, paper):
            return certificate(case, paper)
        case Preview(pdf, page, boxes, width_pixels):
            return picture(pdf, page, boxes, width_pixels)
        case CheckImage(image):
            return _fault_of(image)
        case _ as never:
            assert_never(never)


def _fault_of(image: bytes) -> bytes:
    try:
        read_drawn_image(image)
    except ImageRefused as err:
        return json.dumps({"image": err.code}).encode()
    return json.dumps({"image": None}).encode()


def _warm_up() -> None:
    """Draws something of its own, so that not every fork has to load and reckon what all of them need."""
    for face in lettering.Face:
        lettering.font(face)
    blank = BytesIO()
    with pikepdf.new() as document:
        document.add_blank_page()
        document.save(blank)
    foot = Foot("process", "head", datetime.now(UTC), test=True)
    executed = execute(blank.getvalue(), (), foot, SignaturePage((SignatureEntry("A", None, "", "", ""),)))
    _fault_of(picture(executed, 2, (), 100))


if __name__ == "__main__":
    _warm_up()
    serve(main)
