"""What a log asks of a witness, and what a witness requires before it cosigns: never two histories of one log.

C2SP tlog-witness v1.0.0 (https://c2sp.org/tlog-witness), "add-checkpoint". A witness remembers of each log the last
checkpoint that it cosigned (`Head`); whoever keeps that memory must compare it and change it in one step.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from domain.checkpoint import Checkpoint, CheckpointError, parse_checkpoint
from domain.merkle import EMPTY_ROOT, HASH_BYTES, MAX_PROOF_HASHES, ProofError, verify_consistency
from domain.note import (
    Note,
    NoteError,
    NotSigned,
    SignatureInvalid,
    SignatureMisspelt,
    VerifierKey,
    Verify,
    format_note,
    open_note,
)
from domain.spelling import SpellingError, from_base64, from_decimal, to_base64

#: The media type in which a witness tells the size that it knows.
SIZE_MEDIA_TYPE: Final = "text/x.tlog.size"

#: A limit of our own: 63 hashes, and a checkpoint with as many Ed25519 signatures as a note may have.
MAX_SUBMISSION_BYTES: Final = 65_536


class WitnessRefusal(Exception):
    """The witness does not cosign, and remembers nothing of this; the message says why."""


class Malformed(WitnessRefusal):
    """Not an add-checkpoint request, not a checkpoint, or an old size above the new one."""


class UnknownLog(WitnessRefusal):
    """The checkpoint's origin is none that the witness follows."""


class NotSignedByLog(WitnessRefusal):
    """No valid signature by a key of the log, or one that only claims to be."""


class Stale(WitnessRefusal):
    """The old size is not the one the witness knows, `size`: the log asks again from there."""

    def __init__(self, size: int) -> None:
        super().__init__(f"the last checkpoint that was cosigned has size {size}")
        self.size = size


class TwoRoots(WitnessRefusal):
    """The log signed another root for the size that was cosigned last."""


class NotConsistent(WitnessRefusal):
    """The proof does not show that the new tree begins with the one that was cosigned last."""


@dataclass(frozen=True, slots=True)
class Head:
    """The tree a witness has cosigned last: its size and root (32 bytes). `NOTHING` before the first."""

    size: int
    root: bytes


NOTHING: Final = Head(0, EMPTY_ROOT)


@dataclass(frozen=True, slots=True)
class Submission:
    """A request: the size of the last checkpoint that was cosigned, the consistency proof from there, a signed checkpoint."""

    old: int
    proof: tuple[bytes, ...]
    note: bytes


@dataclass(frozen=True, slots=True)
class Opened:
    """A submission whose checkpoint the log has signed. `text` is what is signed and cosigned, with its last newline.

    `note` is the text with the log's own signatures: what others put under it, which may be anything, is left out.
    """

    submission: Submission
    text: str
    note: bytes
    checkpoint: Checkpoint

    @property
    def head(self) -> Head:
        return Head(self.checkpoint.size, self.checkpoint.root)


def format_submission(submission: Submission) -> bytes:
    """The request's body."""
    proof = "".join(f"{to_base64(each)}\n" for each in submission.proof)
    return f"old {submission.old}\n{proof}\n".encode() + submission.note


def parse_submission(raw: bytes) -> Submission:
    """The submission of a request's body; raises Malformed unless `format_submission` gives `raw` again. The note is unread."""
    if len(raw) > MAX_SUBMISSION_BYTES:
        raise Malformed(f"more than {MAX_SUBMISSION_BYTES} bytes")
    head, blank, note = raw.partition(b"\n\n")
    if not blank:
        raise Malformed("no empty line before the checkpoint")
    try:
        first, *lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as err:
        raise Malformed("the lines before the checkpoint are not ASCII") from err
    if not first.startswith("old "):
        raise Malformed("the first line does not begin with: old")
    if len(lines) > MAX_PROOF_HASHES:
        raise Malformed(f"{len(lines)} lines of proof; there are at most {MAX_PROOF_HASHES}")
    try:
        proof = tuple(map(from_base64, lines))
        old = from_decimal(first.removeprefix("old "))
    except SpellingError as err:
        raise Malformed(f"before the checkpoint: {err}") from err
    if any(len(each) != HASH_BYTES for each in proof):
        raise Malformed(f"a hash of the proof has not {HASH_BYTES} bytes")
    return Submission(old, proof, note)


def open_submission(raw: bytes, logs: Mapping[str, Collection[VerifierKey]], verify: Verify) -> Opened:
    """The submission of a request's body, whose checkpoint one of the origin's keys in `logs` must have signed.

    Raises Malformed, UnknownLog or NotSignedByLog.
    """
    submission = parse_submission(raw)
    origin = submission.note.partition(b"\n")[0].decode(errors="replace")
    keys = logs.get(origin, ())
    try:
        opened = open_note(submission.note, keys, verify)
    except (NotSigned, SignatureInvalid, SignatureMisspelt) as err:
        if not keys:
            raise UnknownLog("the checkpoint is of a log that is not followed here") from err
        raise NotSignedByLog(str(err)) from err
    except NoteError as err:
        raise Malformed(str(err)) from err
    try:
        checkpoint = parse_checkpoint(opened.text)
    except CheckpointError as err:
        raise Malformed(str(err)) from err
    if submission.old > checkpoint.size:
        raise Malformed(f"the old size {submission.old} is above the checkpoint's, {checkpoint.size}")
    note = format_note(Note(opened.text, tuple(each.signature for each in opened.verified)))
    return Opened(submission, opened.text, note, checkpoint)


def require_growth(opened: Opened, seen: Head) -> None:
    """Raises Stale, NotConsistent or TwoRoots unless the checkpoint's tree is `seen`, or begins with it."""
    old, proof, new = opened.submission.old, opened.submission.proof, opened.head
    if old != seen.size:
        raise Stale(seen.size)
    if new.size == seen.size and not proof and new.root != seen.root:
        raise TwoRoots(f"another root was cosigned for size {seen.size}")
    if old == 0 and proof:
        raise NotConsistent("there is nothing to prove from size 0")
    try:
        if old:
            verify_consistency(old, new.size, proof, seen.root, new.root)
    except ProofError as err:
        raise NotConsistent(f"the consistency proof does not hold: {err}") from err


def format_size(size: int) -> bytes:
    """The body in which a witness tells the size that it knows."""
    return b"%d\n" % size


def parse_size(raw: bytes) -> int:
    """The size of such a body; raises SpellingError for anything else."""
    if not raw.endswith(b"\n") or not raw.isascii():
        raise SpellingError("not a size and a newline")
    return from_decimal(raw[:-1].decode("ascii"))


def logs_by_origin(keys: Sequence[VerifierKey]) -> dict[str, tuple[VerifierKey, ...]]:
    """The keys of each log, by the origin that all of them are named after: while a log changes its key, it has two."""
    return {name: tuple(key for key in keys if key.name == name) for name in dict.fromkeys(key.name for key in keys)}
