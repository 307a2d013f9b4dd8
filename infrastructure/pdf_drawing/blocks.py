"""What is put on the pages of a document when it is executed, and why it may be refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from domain.field import FieldType
from domain.placement import Box


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature: what its signer drew, as the bytes of a PNG or JPEG, or `/s/` and the name.

    A name with letters that cannot be drawn is spelled out, one that is too long for its box is shortened with an ellipsis:
    it stands in full on the certificate. `caption` is a small line under it, such as the time.
    """

    name: str
    drawn: bytes | None = None
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Initialled:
    """Initials: what the signer drew, as the bytes of a PNG or JPEG, or the letters, spelled out and shortened as a signature is."""

    letters: str
    drawn: bytes | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """A text as it was given, spelled out where it cannot be drawn; line ends are kept, and nothing is drawn of an empty one.

    It stands whole or is refused (`fitting.fits` tells before). What the case tells in full elsewhere, such as the name of a
    participant, can be `shortened` with an ellipsis instead.
    """

    text: str
    shortened: bool = False


@dataclass(frozen=True, slots=True)
class Ticked:
    """A checkbox; what is not ticked is drawn as an empty one."""

    ticked: bool


Content = Signed | Initialled | Written | Ticked


@dataclass(frozen=True, slots=True)
class Block:
    """Something in a box on a page; pages count from 1. Boxes may overlap: they are drawn in their order."""

    page: int
    box: Box
    content: Content


@dataclass(frozen=True, slots=True)
class Foot:
    """The small line on each page: which process the document is of, its head (the hash of its latest entry), and when.

    `test` says on each page that the document is of no effect.
    """

    process: str
    head: str
    at: datetime
    test: bool = False


@dataclass(frozen=True, slots=True)
class SignatureEntry:
    """A signature on the page for signatures: as `Signed`, with the name in print, the role if any, and the signer's process."""

    name: str
    drawn: bytes | None
    caption: str
    role: str
    process: str


@dataclass(frozen=True, slots=True)
class SignaturePage:
    """What is appended for those who sign a document that has no place for it: as many pages as they need."""

    blocks: tuple[SignatureEntry, ...]


@dataclass(frozen=True, slots=True)
class PreviewBox:
    """A field as the preview of a page shows it."""

    label: str
    kind: FieldType
    box: Box


class Fault(StrEnum):
    """Why nothing was drawn."""

    UNREADABLE = "unreadable-pdf"
    NO_SUCH_PAGE = "no-such-page"
    OUTSIDE = "outside-the-page"
    NO_ROOM = "text-does-not-fit"
    BAD_IMAGE = "unreadable-image"
    TOO_COMPLEX = "too-complex"
    TOOK_TOO_LONG = "took-too-long"
    BROKE_DOWN = "drawing-broke-down"


SENTENCES: Final[Mapping[Fault, str]] = {
    Fault.UNREADABLE: "The PDF cannot be read as it was when it was accepted.",
    Fault.NO_SUCH_PAGE: "There is no page {page}: the document has {pages}.",
    Fault.OUTSIDE: "The box leaves page {page}, or has no size; place it on the page.",
    Fault.NO_ROOM: "The text does not fit its box even at the least size; make the box larger, or the text shorter.",
    Fault.BAD_IMAGE: "The image of a signature cannot be read as it was when it was accepted.",
    Fault.TOO_COMPLEX: "Drawing takes more memory than it may have; make the document smaller.",
    Fault.TOOK_TOO_LONG: "Drawing took too long; make the document smaller.",
    Fault.BROKE_DOWN: "The program that draws broke down; its limits or the file may be the cause.",
}


class DrawingRefused(Exception):
    """Nothing was drawn. `sentence` says why and what to do; `block` is the index of the block at fault, None for the file."""

    def __init__(self, code: Fault, block: int | None = None, **data: int) -> None:
        self.code = code
        self.sentence = SENTENCES[code].format(**data)
        self.block = block
        self.data = data
        super().__init__(self.sentence)
