"""Looks into an uploaded PDF, alone in a process with limits. Run as a file; imports nothing of ours.

The arguments are what is to be done and the most pages allowed. One line of JSON goes to standard output:
`inspect`, with the PDF on standard input, answers `{"pages": 3}`; `find`, with a line of JSON before the
PDF, the texts to look for, answers `{"sizes": [[width, height]], "places": [[text, page, x, y, width,
height]]}` in thousandths of a point from the top left of the displayed page, texts by index and pages from 1.
Either may answer `{"code": "encrypted"}` with, for some codes, the data of the reason. Whatever else
happens here (a crash in the parser, a limit) the parent sees as the end of the process.
"""

import json
import math
import os
import resource
import sys
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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


#: Far more than a document has fields; each is a part of the answer.
MAX_PLACES: Final = 10_000

Edges = tuple[float, float, float, float]


class Unusable(Exception):
    """`answer` is what goes to the parent."""

    def __init__(self, code: str, **data: int) -> None:
        super().__init__(code)
        self.answer = {"code": code, **data}


@dataclass(frozen=True, slots=True)
class Sheet:
    """What of a page is displayed: edges in points of the page's own space, and clockwise turns of a quarter."""

    left: Decimal
    bottom: Decimal
    right: Decimal
    top: Decimal
    quarters: int

    @property
    def size(self) -> tuple[int, int]:
        """Displayed width and height in thousandths of a point."""
        across, up = _thousandths(self.right - self.left), _thousandths(self.top - self.bottom)
        return (up, across) if self.quarters % 2 else (across, up)

    def displayed(self, edges: Edges) -> tuple[int, int, int, int] | None:
        """x, y, width and height of what is displayed of a box, given by its left, bottom, right and top; None if nothing is."""
        left, right = edges[0] - float(self.left), edges[2] - float(self.left)
        bottom, top = edges[1] - float(self.bottom), edges[3] - float(self.bottom)
        across, up = float(self.right - self.left), float(self.top - self.bottom)
        x, y, u, v = (
            (left, up - top, right, up - bottom),
            (bottom, left, top, right),
            (across - right, bottom, across - left, top),
            (up - top, across - right, up - bottom, across - left),
        )[self.quarters]
        width, height = self.size
        near, far = _clip(x, width), _clip(u, width)
        over, under = _clip(y, height), _clip(v, height)
        return (near, over, far - near, under - over) if near < far and over < under else None


def _thousandths(points: Decimal | float) -> int:
    return round(points * 1000)


def _clip(points: float, most_thousandths: int) -> int:
    return min(max(_thousandths(points), 0), most_thousandths)


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


def inspect(data: bytes, max_pages: int) -> list[Sheet]:
    """The pages; raises Unusable, or one of _FAULTS_OF_THE_FILE."""
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
        sheets = []
        for number, page in enumerate(document.pages, 1):
            sheets.append(check_page(page, number))
            unpack_content(page, number)
    return sheets


def normalise(data: bytes) -> bytes:
    """The same pages, written anew; the same bytes for the same bytes."""
    out = BytesIO()
    with pikepdf.open(BytesIO(data), attempt_recovery=False, suppress_warnings=True) as document:
        document.save(out, deterministic_id=True, object_stream_mode=pikepdf.ObjectStreamMode.generate)
    return out.getvalue()


def check_page(page: Any, number: int) -> Sheet:
    """A page has a size that can be shown and signed on, stands in quarter turns, and counts in points."""
    boxes = [corners(page.obj.get(name), number) for name in BOXES if name in page.obj]
    if not boxes or "/MediaBox" not in page.obj:
        raise Unusable("bad-page", page=number)
    left, bottom = max(box[0] for box in boxes), max(box[1] for box in boxes)
    right, top = min(box[2] for box in boxes), min(box[3] for box in boxes)
    least, most = PAGE_POINTS
    if not (least <= right - left <= most and least <= top - bottom <= most):
        raise Unusable("bad-page", page=number)
    rotation = page.obj.get("/Rotate", 0)
    if rotation % 90 or page.obj.get("/UserUnit", 1) != 1:
        raise Unusable("bad-page", page=number)
    return Sheet(left, bottom, right, top, int(rotation) // 90 % 4)


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


def find(data: bytes, max_pages: int, wanted: Sequence[str]) -> dict[str, object]:
    """The answer to `find`; raises as `inspect`."""
    sheets = inspect(data, max_pages)
    texts = {index: " ".join(fold(text).split()) for index, text in enumerate(wanted)}
    places = []
    if any(texts.values()):
        for place in _places(data, sheets, {index: text for index, text in texts.items() if text}):
            places.append(place)
            if len(places) > MAX_PLACES:
                raise Unusable("too-many-places", most=MAX_PLACES)
    return {"sizes": [sheet.size for sheet in sheets], "places": places}


def fold(text: str) -> str:
    """Letters as they are compared: without ligatures and other forms that only look different (Unicode's NFKD)."""
    return text if text.isascii() else "".join(unicodedata.normalize("NFKD", character) for character in text)


def _places(data: bytes, sheets: Sequence[Sheet], texts: Mapping[int, str]) -> Iterator[tuple[int, ...]]:
    # Here, because it takes longer to load than most files to inspect.
    import pypdfium2  # type: ignore[import-untyped]

    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as err:
        raise Unusable("damaged") from err
    if len(document) != len(sheets):
        raise Unusable("damaged")  # another reader understands it differently
    for number, sheet in enumerate(sheets, 1):
        page = document[number - 1]
        content = page.get_textpage()
        there = "".join(fold(content.get_text_range()).split())
        here = {index: text for index, text in texts.items() if text.replace(" ", "") in there}
        for line in _lines(content) if here else ():
            for index, text in here.items():
                for letters in line.find(text):
                    edges = _around(content, letters)
                    if edges is not None and (place := sheet.displayed(edges)):
                        yield index, number, *place
        page.close()


class Line:
    """A line of a page's text: its letters as they are compared, and the number on the page of each."""

    def __init__(self) -> None:
        self.letters: list[str] = []
        self.numbers: list[int] = []

    def add(self, character: str, number: int) -> None:
        for letter in fold(character):
            space = letter.isspace()
            dropped = self.letters[-1:] in ([], [" "]) if space else unicodedata.category(letter) == "Cc"
            if dropped:
                continue
            self.letters.append(" " if space else letter)
            self.numbers.append(number)

    def find(self, text: str) -> Iterator[Sequence[int]]:
        """The numbers of the letters of each place of `text`, from left to right, none overlapping another."""
        line, start = "".join(self.letters), 0
        while (at := line.find(text, start)) >= 0:
            start = at + len(text)
            yield self.numbers[at:start]


def _lines(content: Any) -> Iterator[Line]:
    """The lines of a page's text."""
    from pypdfium2 import raw

    line = Line()
    for number in range(content.count_chars()):
        character = chr(min(raw.FPDFText_GetUnicode(content, number), sys.maxunicode))
        if character in "\r\n":
            yield line
            line = Line()
        else:
            line.add(character, number)
    yield line


def _around(content: Any, numbers: Sequence[int]) -> Edges | None:
    """The box around letters. Spaces between words that stand apart are PDFium's guess, and have none."""
    from pypdfium2 import raw

    drawn = (number for number in numbers if raw.FPDFText_IsGenerated(content, number) != 1)
    boxes = [box for number in drawn if all(map(math.isfinite, box := content.get_charbox(number, loose=True)))]
    if not boxes:
        return None
    left, bottom, right, top = zip(*boxes, strict=True)
    return min(left), min(bottom), max(right), max(top)


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
    """Reads what there is to do and the bytes, writes the answer."""
    limit()
    task, max_pages = sys.argv[1], int(sys.argv[2])
    wanted = json.loads(sys.stdin.buffer.readline()) if task == "find" else []
    data = sys.stdin.buffer.read()
    answer: dict[str, object]
    normalised = b""
    try:
        if task == "find":
            answer = find(data, max_pages, wanted)
        else:
            answer = {"sizes": [sheet.size for sheet in inspect(data, max_pages)]}
            normalised = normalise(data)
            if len(normalised) > int(sys.argv[3]):
                raise Unusable("too-complex")
    except Unusable as err:
        answer = dict(err.answer)
    except MemoryError:
        answer = {"code": "too-complex"}
    except _FAULTS_OF_THE_FILE:
        answer = {"code": "damaged"}
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n" + normalised)
    sys.stdout.flush()
    # Nothing here needs tidying up, and taking a large document apart costs time.
    os._exit(0)


if __name__ == "__main__":
    main()
