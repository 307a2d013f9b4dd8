"""Looks into an uploaded PDF, alone in a process with limits. Run as a file; imports nothing of ours.

The bytes come on standard input, the most pages allowed as the only argument. One line of JSON goes to
standard output: `{"pages": 3}` or `{"code": "encrypted"}` with, for some codes, the data of the reason.
Whatever else happens here (a crash in the parser, a limit) the parent sees as the end of the process.
"""

import json
import os
import resource
import sys
from decimal import Decimal, DecimalException
from io import BytesIO
from typing import Any, Final

import pikepdf
from pikepdf import settings

MEMORY_BYTES: Final = 1024 * 1024 * 1024
CPU_SECONDS: Final = 10

#: What qpdf may unpack of one stream, and how deep arrays and dictionaries may nest.
FLATE_BYTES: Final = 64 * 1024 * 1024
NESTING: Final = 200

#: More objects than any contract has; each costs memory and time again whenever the file is used.
MAX_OBJECTS: Final = 100_000

#: Points, 1/72 inch: half an inch, and the largest page that readers promise to show (ISO 32000-1 Annex C.2).
PAGE_POINTS: Final = (36, 14_400)

#: Where a page does not say how large it is, readers take US Letter; what a signer sees must not depend on that.
BOXES: Final = ("/MediaBox", "/CropBox")


class Unusable(Exception):
    """`answer` is what goes to the parent."""

    def __init__(self, code: str, **data: int) -> None:
        super().__init__(code)
        self.answer = {"code": code, **data}


def limit() -> None:
    """Applies the limits; a system that lacks one (macOS has no RLIMIT_AS that works) goes without it."""
    wanted = {
        "RLIMIT_AS": (MEMORY_BYTES, MEMORY_BYTES),
        "RLIMIT_CPU": (CPU_SECONDS, CPU_SECONDS + 1),
        "RLIMIT_CORE": (0, 0),
        "RLIMIT_FSIZE": (0, 0),
    }
    for name, value in wanted.items():
        try:
            resource.setrlimit(getattr(resource, name), value)
        except (AttributeError, OSError, ValueError):
            continue


def inspect(data: bytes, max_pages: int) -> int:
    """The number of pages; raises Unusable, or one of _FAULTS_OF_THE_FILE."""
    settings.set_qpdf_limits(flate_max_memory=FLATE_BYTES, parser_max_nesting=NESTING)
    try:
        # Recovery would guess at what a broken file means, and another reader may guess differently.
        document = pikepdf.open(BytesIO(data), attempt_recovery=False, suppress_warnings=True)
    except pikepdf.PasswordError as err:
        raise Unusable("encrypted") from err
    with document:
        if document.is_encrypted:
            raise Unusable("encrypted")
        if len(document.objects) > MAX_OBJECTS:
            raise Unusable("too-complex", most=MAX_OBJECTS)
        pages = len(document.pages)
        if pages < 1:
            raise Unusable("no-pages")
        if pages > max_pages:
            raise Unusable("too-many-pages", pages=pages, most=max_pages)
        for number, page in enumerate(document.pages, 1):
            check_page(page, number)
            unpack_content(page, number)
    return pages


def check_page(page: Any, number: int) -> None:
    """A page has a size that can be shown and signed on, stands in quarter turns, and counts in points."""
    boxes = [corners(page.obj.get(name), number) for name in BOXES if name in page.obj]
    if not boxes or "/MediaBox" not in page.obj:
        raise Unusable("bad-page", page=number)
    left, bottom = max(box[0] for box in boxes), max(box[1] for box in boxes)
    right, top = min(box[2] for box in boxes), min(box[3] for box in boxes)
    least, most = PAGE_POINTS
    if not (least <= right - left <= most and least <= top - bottom <= most):
        raise Unusable("bad-page", page=number)
    if page.obj.get("/Rotate", 0) % 90 or page.obj.get("/UserUnit", 1) != 1:
        raise Unusable("bad-page", page=number)


def corners(box: Any, number: int) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    """A rectangle's left, bottom, right, top; it may be given by any two opposite corners (ISO 32000-1 section 7.9.5)."""
    try:
        x, y, u, v = (Decimal(value) for value in box)
    except (TypeError, ValueError, DecimalException) as err:
        raise Unusable("bad-page", page=number) from err
    return min(x, u), min(y, v), max(x, u), max(y, v)


def unpack_content(page: Any, number: int) -> None:
    """What a page draws can be unpacked, and within the limits: a few kilobytes may stand for gigabytes."""
    content = page.obj.get("/Contents")
    if content is None:
        return
    for stream in content if isinstance(content, pikepdf.Array) else [content]:
        try:
            if isinstance(stream, pikepdf.Stream):
                stream.read_bytes()
        except pikepdf.PdfError as err:
            raise Unusable("bad-content", page=number) from err


#: How the parser, and what is done here with what it found, takes exception to a file.
_FAULTS_OF_THE_FILE: Final = (
    pikepdf.PdfError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


def main() -> None:
    """Reads the bytes, writes the answer."""
    limit()
    data = sys.stdin.buffer.read()
    answer: dict[str, object]
    try:
        answer = {"pages": inspect(data, int(sys.argv[1]))}
    except Unusable as err:
        answer = dict(err.answer)
    except MemoryError:
        answer = {"code": "too-complex"}
    except _FAULTS_OF_THE_FILE:
        answer = {"code": "damaged"}
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()
    # Nothing here needs tidying up, and taking a large document apart costs time.
    os._exit(0)


if __name__ == "__main__":
    main()
