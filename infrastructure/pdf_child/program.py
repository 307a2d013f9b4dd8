"""What the program in a content stream leaves open, and which drawings it uses.

What a page leaves open would move, hide or swallow what is drawn on it afterwards.
"""

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pikepdf

#: What a content stream can leave open for what is drawn after it.
_OPENING: Final = {"q": "Q", "BT": "ET", "BMC": "EMC", "BDC": "EMC"}
_CLOSING: Final = frozenset(_OPENING.values())

#: No operator: seen where a content stream is whole.
_END: Final = "CountersignEnd"

_USE: Final = "Do"

_LOOKED_AT: Final = " ".join([*_OPENING, *sorted(_CLOSING), _USE, _END])


@dataclass(frozen=True, slots=True)
class Program:
    """What matters of a content stream.

    `closing` are the operators that close what it leaves open. It is `whole` if it can stay as it is written: not if it
    closes what it never opened (readers skip that, but inside of our own q it would close that), nor if it has not `ended`
    but breaks off within a string, a dictionary or an image. `uses` counts the external objects that it draws, by name.
    """

    closing: str
    whole: bool
    ended: bool
    uses: Counter[str]


def read_program(document: pikepdf.Pdf, content: bytes) -> Program:
    """What matters of a content stream's bytes. Raises pikepdf.PdfError."""
    probe = document.make_stream(content + b"\n" + _END.encode())
    opened: list[str] = []
    uses: Counter[str] = Counter()
    rightly, last = True, ""
    for instruction in _parsed(probe, _LOOKED_AT):
        last = str(instruction.operator)
        rightly = _count(last, opened) and rightly
        if last == _USE and len(instruction.operands) == 1:
            uses[str(instruction.operands[0])] += 1
    return Program("".join(f"{closing}\n" for closing in reversed(opened)), rightly and last == _END, last == _END, uses)


def marks(content: bytes) -> int:
    """How many operators there are at most that `read_program` will look at: the letters of a text count too."""
    return sum(content.count(name.encode()) for name in (*_OPENING, *_CLOSING, _USE))


def content_of(page: pikepdf.Page) -> bytes:
    """The bytes of a page's content, whose pieces are one program (ISO 32000-1 section 7.8.2). Raises pikepdf.PdfError."""
    content = page.obj.get("/Contents", pikepdf.Array())
    pieces = content if isinstance(content, pikepdf.Array) else [content]
    return b"\n".join(piece.read_bytes() for piece in pieces if isinstance(piece, pikepdf.Stream))


def written_anew(page: pikepdf.Page) -> bytes:
    """A page's content as qpdf understands it, without what closes nothing and without what does not end."""
    opened: list[str] = []
    kept = [instruction for instruction in _parsed(page) if _count(str(instruction.operator), opened)]
    return pikepdf.unparse_content_stream(kept)


def _count(operator: str, opened: list[str]) -> bool:
    """Notes what an operator opens or closes; False if it closes nothing."""
    if operator in _OPENING:
        opened.append(_OPENING[operator])
    elif opened and operator == opened[-1]:
        opened.pop()
    elif operator in _CLOSING:
        if operator not in opened:
            return False
        # The last one of its kind: kinds may cross where a page is written carelessly.
        del opened[len(opened) - 1 - opened[::-1].index(operator)]
    return True


def _parsed(
    content: pikepdf.Page | pikepdf.Object, operators: str = ""
) -> Sequence[pikepdf.ContentStreamInstruction | pikepdf.ContentStreamInlineImage]:
    # What is odd in a page is a warning to pikepdf's callers; here it is dealt with.
    with warnings.catch_warnings(action="ignore"):
        return pikepdf.parse_content_stream(content, operators)
