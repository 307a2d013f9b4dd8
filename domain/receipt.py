"""Receipts: where a stream ended when somebody was told (docs/ledger-format.md, "Receipts").

A receipt is one line, `countersign-receipt/1 <origin> <stream> <version> <position> <leaf>`. Whoever keeps it can
tell later whether what it names was changed or taken away; nothing has to be kept secret for that.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final
from uuid import UUID

from domain.entry import EntryError, decode, leaf_hash
from domain.faults import Verdict
from domain.ids import IdError, parse_lower_uuid
from domain.spelling import SpellingError, from_decimal

FORMAT: Final = "countersign-receipt/1"

#: A signed 255-character origin, percent-encoded throughout, and the other fields; a longer line is none.
MAX_CHARACTERS: Final = 4096

#: Characters of an origin that stand for themselves: they mean nothing in HTTP's lists, in HTML or in a mail's encodings.
_PLAIN: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/:@+")

_ORIGIN: Final = re.compile(r"(?:[A-Za-z0-9\-._~/:@+]|%[0-9A-F]{2})+")
_LEAF: Final = re.compile(r"[0-9a-f]{64}")
#: As a receipt stands in other text; whatever broke the line between its fields is not part of it.
_WITHIN: Final = re.compile(
    rf"{FORMAT}\s+(\S{{1,3072}})\s+([0-9a-f-]{{36}})\s+([0-9]{{1,19}})\s+([0-9]{{1,19}})\s+([0-9a-f]{{64}})(?![0-9a-f])"
)


class ReceiptError(ValueError):
    """The text is not a receipt; the message says why."""


@dataclass(frozen=True, slots=True)
class ReceiptText:
    """The entry `version` of `stream` stands at `position` of the log `ledger` and hashes to `leaf` (32 bytes)."""

    ledger: str
    stream: UUID
    version: int
    position: int
    leaf: bytes

    def __str__(self) -> str:
        return f"version {self.version} of {self.stream} at position {self.position}"


class Relation(StrEnum):
    """What two receipts say of each other."""

    #: They are one.
    SAME = "same"
    #: Nothing in them contradicts, and nothing in them shows that they belong to one history.
    CONSISTENT = "consistent"
    #: No log can hold both: two histories were shown.
    FORK = "fork"
    #: They are of different logs, so they say nothing of each other.
    OTHER_LEDGER = "other-ledger"


@dataclass(frozen=True, slots=True)
class Comparison:
    """How two receipts stand to each other, and why, in words."""

    relation: Relation
    reason: str


class Standing(StrEnum):
    """What entries say of a receipt."""

    #: They hold what it names, so its stream up to there is the one that existed then.
    PREFIX = "prefix"
    #: They hold another entry in its place: two histories were shown.
    FORK = "fork"
    #: They reach beyond it and do not hold what it names.
    TRUNCATED = "truncated"
    #: They end before it: they may be older than the receipt, or cut off.
    OLDER = "older"
    #: They are about other streams.
    UNRELATED = "unrelated"
    #: They are of another log.
    OTHER_LEDGER = "other-ledger"


@dataclass(frozen=True, slots=True)
class Finding:
    """How a receipt stands to entries, and why, in words."""

    receipt: ReceiptText
    standing: Standing
    reason: str


#: What each outcome means for the whole: only what was shown is valid.
VERDICTS: Final[Mapping[Relation | Standing, Verdict]] = {
    Relation.SAME: Verdict.VALID,
    Relation.CONSISTENT: Verdict.INDETERMINATE,
    Relation.FORK: Verdict.INVALID,
    Relation.OTHER_LEDGER: Verdict.INDETERMINATE,
    Standing.PREFIX: Verdict.VALID,
    Standing.FORK: Verdict.INVALID,
    Standing.TRUNCATED: Verdict.INVALID,
    Standing.OLDER: Verdict.INDETERMINATE,
    Standing.UNRELATED: Verdict.INDETERMINATE,
    Standing.OTHER_LEDGER: Verdict.INDETERMINATE,
}


def format_receipt(receipt: ReceiptText) -> str:
    """The one spelling of a receipt: ASCII, no comma, no quote, a space between its six fields."""
    origin = _spell_origin(receipt.ledger)
    return f"{FORMAT} {origin} {receipt.stream} {receipt.version} {receipt.position} {receipt.leaf.hex()}"


def parse_receipt(text: str) -> ReceiptText:
    """The inverse of `format_receipt`; raises ReceiptError for any other text."""
    fields = text.split(" ") if len(text) <= MAX_CHARACTERS else []
    if len(fields) != 6 or fields[0] != FORMAT:
        raise ReceiptError(
            f"a receipt is {FORMAT}, the ledger, the stream, the version, the position and the leaf, a space between each"
        )
    _, origin, stream, version, position, leaf = fields
    if not _LEAF.fullmatch(leaf):
        raise ReceiptError("the leaf is not 64 lower-case hex digits")
    try:
        receipt = ReceiptText(
            _read_origin(origin), parse_lower_uuid(stream), from_decimal(version), from_decimal(position), bytes.fromhex(leaf)
        )
    except IdError as err:
        raise ReceiptError(f"the stream is {err}") from err
    except SpellingError as err:
        raise ReceiptError(f"version or position: {err}") from err
    if not 1 <= receipt.version <= receipt.position:
        raise ReceiptError("a version counts from 1, and the entry of version n has at least n-1 entries before it in the log")
    return receipt


def find_receipts(text: str) -> tuple[ReceiptText, ...]:
    """The receipts that stand in a text (a mail, a header, a note), each once, in its order; raises ReceiptError for a misspelt one."""
    found = (parse_receipt(" ".join((FORMAT, *match.groups()))) for match in _WITHIN.finditer(text))
    return tuple(dict.fromkeys(found))


@lru_cache(maxsize=64)
def _spell_origin(origin: str) -> str:
    """An origin without spaces and commas: percent-encoded UTF-8 (RFC 3986 section 2.1), hex digits in upper case."""
    return "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in origin.encode())


def _read_origin(spelled: str) -> str:
    if not _ORIGIN.fullmatch(spelled):
        raise ReceiptError("the ledger's name is not spelled as receipts spell it")
    raw = re.sub(rb"%(..)", lambda match: bytes.fromhex(match[1].decode()), spelled.encode())
    try:
        origin = raw.decode()
    except UnicodeDecodeError as err:
        raise ReceiptError("the ledger's name is not UTF-8") from err
    if _spell_origin(origin) != spelled:
        raise ReceiptError("the ledger's name is not in its one spelling")
    return origin


def compare(a: ReceiptText, b: ReceiptText) -> Comparison:
    """What two receipts say of each other, in either order."""
    if a.ledger != b.ledger:
        return Comparison(Relation.OTHER_LEDGER, f"one is of the ledger {a.ledger!r}, one of {b.ledger!r}")
    if a == b:
        return Comparison(Relation.SAME, "they are the same receipt")
    if (contradiction := _contradiction(a, b)) is not None:
        return Comparison(Relation.FORK, contradiction)
    earlier, later = sorted((a, b), key=lambda receipt: receipt.position)
    if a.stream == b.stream:
        needed = (
            f"the entries of the stream from version {earlier.version} to {later.version} show whether the one leads to the other"
        )
    else:
        needed = f"evidence of both streams that reaches position {later.position} shows whether one log holds both"
    return Comparison(Relation.CONSISTENT, f"nothing contradicts, but receipts alone do not show more: {needed}")


def _contradiction(a: ReceiptText, b: ReceiptText) -> str | None:
    """Why no one log can hold two different receipts, in words; None if it could."""
    if a.position == b.position:
        return f"position {a.position} cannot hold two entries: {_named(a)}, and {_named(b)}"
    if a.leaf == b.leaf:
        return f"one leaf hash cannot be of two entries: {a}, and {b}"
    if a.stream != b.stream:
        if a.version + b.version > max(a.position, b.position):
            return f"there is no room for the entries of both streams: {a}, and {b}"
        return None
    if a.version == b.version:
        return f"version {a.version} of {a.stream} cannot be two entries: {_named(a)}, and {_named(b)}"
    earlier, later = sorted((a, b), key=lambda receipt: receipt.version)
    if later.position - earlier.position < later.version - earlier.version:
        return f"versions and positions of one stream rise together: {earlier}, and {later}"
    return None


def _named(receipt: ReceiptText) -> str:
    return f"{receipt} with leaf {receipt.leaf.hex()}"


def compare_with_entries(
    receipt: ReceiptText, entries: Mapping[tuple[UUID, int], tuple[int, bytes]], covered: int, *, ledger: str
) -> Finding:
    """What evidence says of a receipt.

    `entries` maps (stream, version) to (position, leaf of 32 bytes) for all entries of the streams that the evidence
    is about, up to the position `covered`; `ledger` is their origin. That they are sound, each linked to the one
    before, is for the caller to check: only then does an entry stand for the whole stream up to it.
    """

    def finding(standing: Standing, reason: str) -> Finding:
        return Finding(receipt, standing, reason)

    if receipt.ledger != ledger:
        return finding(Standing.OTHER_LEDGER, f"the receipt is of the ledger {receipt.ledger!r}, the evidence of {ledger!r}")
    held = entries.get((receipt.stream, receipt.version))
    if held == (receipt.position, receipt.leaf):
        return finding(Standing.PREFIX, f"{receipt} is in the evidence: up to it, the stream is the one that existed then")
    if held is not None:
        position, leaf = held
        return finding(Standing.FORK, f"{_named(receipt)} is in the evidence at position {position} with leaf {leaf.hex()}")
    for (stream, version), (position, _) in entries.items():
        if position == receipt.position:
            return finding(Standing.FORK, f"{receipt} is not in the evidence, which has version {version} of {stream} there")
    if receipt.position > covered:
        reason = f"the evidence ends at position {covered}, before {receipt}: it is older than the receipt, or cut off"
        return finding(Standing.OLDER, reason)
    if not any(stream == receipt.stream for stream, _ in entries):
        return finding(Standing.UNRELATED, f"the evidence is not about the stream {receipt.stream}")
    return finding(Standing.TRUNCATED, f"the evidence reaches position {covered} and does not have {receipt}")


class Gathering:
    """Picks out of entries that go by those that receipts are compared with, so that none else has to be kept."""

    def __init__(self, receipts: Sequence[ReceiptText]) -> None:
        self._receipts = receipts
        self._positions = frozenset(receipt.position for receipt in receipts)
        self._streams = frozenset(receipt.stream for receipt in receipts)
        self._spelled = tuple(f'"stream":"{stream}"'.encode() for stream in self._streams)
        self._entries: dict[tuple[UUID, int], tuple[int, bytes]] = {}

    def take(self, position: int, raw: bytes) -> None:
        """An entry's bytes; what is none is passed over, since whoever checks entries names that."""
        if not self._receipts or (position not in self._positions and not any(stream in raw for stream in self._spelled)):
            return
        try:
            entry = decode(raw)
        except EntryError:
            return
        if position in self._positions or entry.stream in self._streams:
            self._entries[entry.stream, entry.version] = position, leaf_hash(raw)

    def findings(self, covered: int, ledger: str) -> tuple[Finding, ...]:
        """What the entries say of each receipt; see `compare_with_entries`."""
        return tuple(compare_with_entries(receipt, self._entries, covered, ledger=ledger) for receipt in self._receipts)
