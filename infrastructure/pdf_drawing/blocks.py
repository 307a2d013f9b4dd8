"""What is put on the pages of a document when it is executed, and why it may be refused."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.placement import Box
from infrastructure.pdf_drawing.drawn_image import DrawnImage


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature: what its signer drew, or `/s/` and the name. `caption` is a small line under it, such as the time."""

    name: str
    drawn: DrawnImage | None = None
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Initialled:
    """Initials: what the signer drew, or the letters."""

    letters: str
    drawn: DrawnImage | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """A text as it was given: a value, a name, an address, a date in the words of its field. Line ends are kept."""

    text: str


@dataclass(frozen=True, slots=True)
class Ticked:
    """A checkbox; what is not ticked is drawn as an empty one."""

    ticked: bool


Content = Signed | Initialled | Written | Ticked


@dataclass(frozen=True, slots=True)
class Block:
    """Something in a box on a page; pages count from 1."""

    page: int
    box: Box
    content: Content


@dataclass(frozen=True, slots=True)
class Foot:
    """The small line on each page: which process the document is of, its head (the hash of its latest entry), and when."""

    process: str
    head: str
    at: datetime


class Fault(StrEnum):
    """Why a document cannot be drawn on."""

    UNREADABLE = "unreadable-pdf"
    NO_SUCH_PAGE = "no-such-page"
    OUTSIDE = "outside-the-page"
    OVERLAP = "overlap"
    EMPTY = "empty-text"
    NO_ROOM = "text-does-not-fit"
    NO_LETTERS = "letters-not-drawable"


class DrawingRefused(Exception):
    """Nothing was drawn. `sentence` says why and what to do; `block` is the index of the block at fault, None for the file."""

    def __init__(self, code: Fault, sentence: str, block: int | None = None) -> None:
        self.code = code
        self.sentence = sentence
        self.block = block
        super().__init__(sentence)
