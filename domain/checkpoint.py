"""The checkpoint: what a log says of itself at one size, in the text that it signs.

C2SP tlog-checkpoint (https://c2sp.org/tlog-checkpoint).
"""

from dataclasses import dataclass
from typing import Final

from domain.merkle import EMPTY_ROOT, HASH_BYTES, MAX_SIZE
from domain.spelling import SpellingError, from_base64, from_decimal, line_fault, to_base64


class CheckpointError(ValueError):
    """The text is not a checkpoint, or the values make none; the message says why."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The log `origin` had `size` leaves with this `root` (32 bytes). `extensions` are further lines, which say nothing.

    Raises CheckpointError for values that cannot be written.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.size <= MAX_SIZE:
            raise CheckpointError("the size is not from 0 to 2^63-1")
        if len(self.root) != HASH_BYTES:
            raise CheckpointError(f"the root has {len(self.root)} bytes instead of {HASH_BYTES}")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise CheckpointError("the size is 0, but the root is not that of the empty tree")
        for what, line in (("the origin", self.origin), *(("an extension line", line) for line in self.extensions)):
            if not line:
                raise CheckpointError(f"{what} is empty")
            if fault := line_fault(line):
                raise CheckpointError(f"{what} {fault}")


_LEAST_LINES: Final = 3


def format_checkpoint(checkpoint: Checkpoint) -> str:
    """The text that is signed, with its last newline."""
    lines = (checkpoint.origin, str(checkpoint.size), to_base64(checkpoint.root), *checkpoint.extensions)
    return "".join(f"{line}\n" for line in lines)


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint of a note's text; raises CheckpointError unless `format_checkpoint` gives `text` again."""
    if not text.endswith("\n"):
        raise CheckpointError("the last line does not end in a newline")
    lines = text[:-1].split("\n")
    if len(lines) < _LEAST_LINES:
        raise CheckpointError("fewer than three lines")
    origin, size, root, *extensions = lines
    try:
        number = from_decimal(size)
    except SpellingError as err:
        raise CheckpointError(f"the size is {err}") from err
    try:
        raw_root = from_base64(root)
    except SpellingError as err:
        raise CheckpointError(f"the root is {err}") from err
    return Checkpoint(origin, number, raw_root, tuple(extensions))
