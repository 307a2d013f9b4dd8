"""Whether an upload is a PDF that can be signed, and where texts stand in it: looked into by a child process with limits.

Parsers of PDF crash, loop and swallow memory on some files. So the file is opened where that harms
nobody: a process of its own with 1 GiB, ten seconds, no settings of ours and two at a time at most (`infrastructure.forked_process`).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from domain.placement import Box, PageSize
from infrastructure.forked_process import Breakdown, NoAnswer, ask_fork

#: Readers accept a header anywhere in here (ISO 32000-1 Annex H, implementation note 13).
HEADER_BYTES: Final = 1024

#: What is looked for at once, and the length of each in characters; surfaces refuse more.
MAX_WANTED: Final = 200
MAX_WANTED_LENGTH: Final = 255

#: The child's line: 10,000 places and the sizes of all pages, at most 64 bytes each. More would not be its own words.
_MAX_LINE_BYTES: Final = 1024 * 1024

#: What a normalised file may have over the original's size.
_MOST_GROWTH: Final = 1024 * 1024

#: 14,400 points, the largest page that the child lets pass.
_MAX_MILLIPOINTS: Final = 14_400_000

_CHILD: Final = Path(__file__).with_name("pdf_child") / "__main__.py"

SENTENCES: Final[Mapping[str, str]] = {
    "empty": "The upload is empty; send the bytes of the PDF as the body of the request.",
    "too-large": "The file has {size} bytes and at most {most} are accepted; make it smaller, for example with images of a lower resolution.",
    "not-a-pdf": "The file is not a PDF: it does not begin with %PDF-. Send the PDF itself, not a form, an archive or a web page.",
    "encrypted": "The PDF is encrypted or asks for a password; save it without protection.",
    "damaged": "The PDF is damaged, or written in a way that readers understand differently; save or print it to a new PDF.",
    "no-pages": "The PDF has no pages.",
    "too-many-pages": "The PDF has {pages} pages and at most {most} are accepted; split it into several documents.",
    "bad-page": "Page {page} cannot be signed: it needs a size of 36 to 14,400 points each way and a rotation in quarter turns.",
    "bad-content": "What page {page} shows cannot be unpacked, or is far too large; print the PDF to a new PDF.",
    "too-complex": "The PDF is too complex to be handled safely; print it to a new PDF.",
    "already-signed": "The PDF has a digital signature already, and signing it here would break that; send the file from before it was signed.",
    "xfa": "The PDF is an XFA form, which few readers can show; print it to a new PDF.",
    "javascript": "The PDF has a program (JavaScript) in it, which could change what it shows; print it to a new PDF.",
    "launch-action": "The PDF can start another program; print it to a new PDF.",
    "submit-action": "The PDF has a form that sends or fetches data; print it to a new PDF.",
    "embedded-file": "The PDF has another file attached or embedded, which would not be seen when it is signed; remove it, or print the PDF to a new one.",
    "rich-media": "The PDF has sound, film or a 3D model in it; print it to a new PDF.",
    "outside-content": "The PDF shows something that is not in it but in another file; print it to a new PDF.",
    "unclear-form": "A form field on page {page} has a value that readers show differently; print the PDF to a new PDF.",
    "unclear-annotation": "A note, stamp or mark on page {page} is shown differently by different readers; print the PDF to a new PDF.",
    "unclear-layers": "The PDF has layers that readers or printers show differently, or that a click shows; print the PDF to a new PDF.",
    "too-many-places": "The texts to look for stand in more than {most} places; take texts that are not part of others.",
    "took-too-long": "The PDF took too long to read; print it to a new PDF.",
    "unreadable": "The PDF could not be read: the program that reads it broke down. Print it to a new PDF.",
}


_PASSING: Final = ("took-too-long", "unreadable")


class UnusablePdf(Exception):
    """The bytes are not a PDF that can be signed. `code` is one of SENTENCES, `sentence` says what to do."""

    def __init__(self, code: str, **data: object) -> None:
        self.code = code
        self.sentence = SENTENCES[code].format(**data)
        super().__init__(self.sentence)

    @property
    def passing(self) -> bool:
        """Whether the same file may be accepted another time: the process that read it may have been starved by others."""
        return self.code in _PASSING


@dataclass(frozen=True, slots=True)
class PdfLimits:
    """What is accepted at most."""

    bytes: int = 25 * 1024 * 1024
    pages: int = 500


@dataclass(frozen=True, slots=True)
class PdfFacts:
    """What was found out about a usable PDF."""

    #: The pages as they are displayed.
    sizes: tuple[PageSize, ...]
    #: The same PDF to look at, written so that drawing on it is safe; the same bytes for the same bytes.
    normalised: bytes = field(repr=False)

    @property
    def pages(self) -> int:
        """How many pages it has."""
        return len(self.sizes)


@dataclass(frozen=True, slots=True)
class TextPlace:
    """Where a text stands: the page, from 1, and the box around it as its font has it, from descent to ascent."""

    page: int
    box: Box


@dataclass(frozen=True, slots=True)
class TextPlaces:
    """The pages of a PDF as they are displayed, and where each text that was looked for stands, in reading order."""

    pages: tuple[PageSize, ...]
    places: Mapping[str, tuple[TextPlace, ...]]


async def inspect_pdf(data: bytes, limits: PdfLimits) -> PdfFacts:
    """Looks into `data` and normalises it; raises UnusablePdf with the reason."""
    most_bytes = len(data) + _MOST_GROWTH
    answer, normalised = await _look({"task": "inspect", "most_bytes": most_bytes}, data, limits, most_bytes)
    try:
        sizes = _sizes(answer, limits.pages)
    except (TypeError, ValueError, KeyError) as err:
        raise UnusablePdf("unreadable") from err
    if not normalised.startswith(b"%PDF-"):
        raise UnusablePdf("unreadable")
    return PdfFacts(sizes, normalised)


async def find_text(data: bytes, wanted: Sequence[str], limits: PdfLimits) -> TextPlaces:
    """The sizes of the pages, and where each of `wanted` stands; raises UnusablePdf as `inspect_pdf`, and `too-many-places`.

    A text is found within one line, upper and lower case as given, whatever the amount of white space and
    whether or not it can be seen for its colour; what lies outside the displayed page is left out or cut off.
    Raises ValueError for more than MAX_WANTED texts or one longer than MAX_WANTED_LENGTH: the surface is to refuse those.
    """
    if len(wanted) > MAX_WANTED or any(len(text) > MAX_WANTED_LENGTH for text in wanted):
        raise ValueError("more texts, or longer ones, than are looked for at once")
    texts = list(dict.fromkeys(wanted))
    answer, more = await _look({"task": "find", "wanted": texts}, data, limits, 0)
    try:
        if more:
            raise ValueError("more than a line")
        return _text_places(answer, texts, limits.pages)
    except (TypeError, ValueError, KeyError, IndexError) as err:
        raise UnusablePdf("unreadable") from err


def _text_places(answer: Mapping[str, Any], wanted: Sequence[str], most_pages: int) -> TextPlaces:
    """Takes the child's answer for what it is, somebody else's: raises one of several errors if it is none."""
    pages = _sizes(answer, most_pages)
    places: dict[str, list[TextPlace]] = {text: [] for text in wanted}
    for index, number, *numbers in answer["places"]:
        box = Box(*map(_number, numbers))
        if _number(number) < 1 or not box.on(pages[number - 1]):
            raise ValueError("a place that is on no page")
        places[wanted[_number(index)]].append(TextPlace(number, box))
    return TextPlaces(pages, {text: tuple(dict.fromkeys(found)) for text, found in places.items()})


def _sizes(answer: Mapping[str, Any], most_pages: int) -> tuple[PageSize, ...]:
    sizes = tuple(PageSize(_number(width), _number(height)) for width, height in answer["sizes"])
    if not 1 <= len(sizes) <= most_pages:
        raise ValueError("as many pages as there cannot be")
    return sizes


def _number(number: object) -> int:
    if type(number) is not int or not 0 <= number <= _MAX_MILLIPOINTS:
        raise ValueError("not a number that the child would give")
    return number


async def _look(order: Mapping[str, object], data: bytes, limits: PdfLimits, most_bytes: int) -> tuple[Mapping[str, Any], bytes]:
    """The child's answer to an order, and what follows that line; raises UnusablePdf, also for what the child says against the file."""
    if not data:
        raise UnusablePdf("empty")
    if len(data) > limits.bytes:
        raise UnusablePdf("too-large", size=len(data), most=limits.bytes)
    if b"%PDF-" not in data[:HEADER_BYTES]:
        raise UnusablePdf("not-a-pdf")
    before = json.dumps({**order, "most_pages": limits.pages}).encode()
    answer, more = await _ask_child((before, b"\n", data), most_bytes)
    if "code" not in answer:
        return answer, more
    try:
        refusal = UnusablePdf(str(answer["code"]), **{name: value for name, value in answer.items() if name != "code"})
    except (KeyError, IndexError, ValueError, TypeError):
        refusal = UnusablePdf("unreadable")  # not an answer of ours: the child was taken over
    raise refusal


async def _ask_child(parts: Sequence[bytes], most_bytes: int) -> tuple[Mapping[str, Any], bytes]:
    try:
        line, _, more = (await ask_fork(_CHILD, parts, _MAX_LINE_BYTES + most_bytes)).partition(b"\n")
    except NoAnswer as err:
        took_too_long = err.breakdown is Breakdown.TOOK_TOO_LONG
        raise UnusablePdf("took-too-long" if took_too_long else "unreadable") from err
    if len(line) > _MAX_LINE_BYTES:
        raise UnusablePdf("unreadable")
    return _parse(line), more


def _parse(line: bytes) -> Mapping[str, Any]:
    try:
        parsed = json.loads(line)
    except (ValueError, RecursionError) as err:
        raise UnusablePdf("unreadable") from err
    if not isinstance(parsed, dict):
        raise UnusablePdf("unreadable")
    return parsed
