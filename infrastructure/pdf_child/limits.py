"""What a process that reads a PDF may use, and what the PDF may ask of it."""

import resource
from typing import Final

MEMORY_BYTES: Final = 1024 * 1024 * 1024
CPU_SECONDS: Final = 10

#: What qpdf may unpack of one stream, and how deep arrays and dictionaries may nest.
FLATE_BYTES: Final = 64 * 1024 * 1024
NESTING: Final = 200

#: More objects than any contract has; each costs memory and time again whenever the file is used.
MAX_OBJECTS: Final = 100_000

#: What all pages draw, unpacked, with each drawing that they use counted once; the largest plan of a building has less.
MAX_CONTENT_BYTES: Final = 16 * 1024 * 1024

#: Of the operators among them that a page can be left open by, and of uses of drawings, counted roughly; each costs microseconds here.
MAX_MARKS: Final = 1_000_000

#: What a reader goes through to show it all: a drawing counts as often as it is used. A few kilobytes can stand for years of work.
MAX_DRAWN_BYTES: Final = 64 * 1024 * 1024

#: How deep drawings may use drawings. PDFium stops at 40, without a word.
MAX_DEPTH: Final = 20

#: Far more than a document has fields; each is a part of the answer.
MAX_PLACES: Final = 10_000


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
