"""A proof in one text: an entry's place, its inclusion proof and the signed checkpoint, to be checked offline.

C2SP tlog-proof (https://c2sp.org/tlog-proof).
"""

from dataclasses import dataclass
from typing import Final

from domain.merkle import HASH_BYTES, MAX_PROOF_HASHES
from domain.note import MAX_NOTE_BYTES
from domain.spelling import MAX_NUMBER, SpellingError, from_base64, from_decimal, to_base64

_HEADER: Final = "c2sp.org/tlog-proof@v1"
_EXTRA: Final = "extra "
_INDEX: Final = "index "

#: A limit of our own: extra data is application-specific, and no proof of ours carries more.
MAX_EXTRA_BYTES: Final = 1_000_000


class ProofTextError(ValueError):
    """The bytes are not a proof, or the values make none; the message says why."""


@dataclass(frozen=True, slots=True)
class ProofText:
    """The entry at `index` (from 0) is in the checkpoint's tree, by these hashes from its sibling up.

    `checkpoint` are the bytes of a signed note, unchecked; `extra` is not authenticated by anything. Raises
    ProofTextError for values that cannot be written.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.index <= MAX_NUMBER:
            raise ProofTextError("the index is not from 0 to 2^63-1")
        if len(self.hashes) > MAX_PROOF_HASHES:
            raise ProofTextError(f"{len(self.hashes)} hashes; a proof has at most {MAX_PROOF_HASHES}")
        if any(len(each) != HASH_BYTES for each in self.hashes):
            raise ProofTextError("a hash is not 32 bytes long")
        if not 0 < len(self.checkpoint) <= MAX_NOTE_BYTES:
            raise ProofTextError(f"a checkpoint has 1 to {MAX_NOTE_BYTES} bytes, not {len(self.checkpoint)}")
        if self.extra is not None and len(self.extra) > MAX_EXTRA_BYTES:
            raise ProofTextError(f"the extra data has more than {MAX_EXTRA_BYTES} bytes")


def format_proof(proof: ProofText) -> bytes:
    """The proof's text as bytes."""
    extra = () if proof.extra is None else (_EXTRA + to_base64(proof.extra),)
    lines = (_HEADER, *extra, f"{_INDEX}{proof.index}", *map(to_base64, proof.hashes), "")
    return "".join(f"{line}\n" for line in lines).encode() + proof.checkpoint


def parse_proof(raw: bytes) -> ProofText:
    """The proof of its text; raises ProofTextError unless `format_proof` gives `raw` again."""
    # The checkpoint, after the first empty line, is left as it is; all before it is ASCII.
    head, blank, checkpoint = raw.partition(b"\n\n")
    if not blank:
        raise ProofTextError("no empty line before the checkpoint")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as err:
        raise ProofTextError("a line before the checkpoint is not ASCII") from err
    if lines.pop(0) != _HEADER:
        raise ProofTextError(f"the first line is not {_HEADER}")
    extra = None
    if lines and lines[0].startswith(_EXTRA):
        extra = _base64("the extra data", lines.pop(0).removeprefix(_EXTRA))
    if not lines or not lines[0].startswith(_INDEX):
        raise ProofTextError("no line with the index where it must stand")
    try:
        index = from_decimal(lines[0].removeprefix(_INDEX))
    except SpellingError as err:
        raise ProofTextError(f"the index is {err}") from err
    return ProofText(index, tuple(_base64("a hash", line) for line in lines[1:]), checkpoint, extra)


def _base64(what: str, text: str) -> bytes:
    try:
        return from_base64(text)
    except SpellingError as err:
        raise ProofTextError(f"{what} is {err}") from err
