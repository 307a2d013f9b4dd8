"""The entry: one fact in the bytes that are stored, hashed, chained and put into the tree.

DESIGN section 5. The chain and the Merkle tree hash the same bytes, so they cannot disagree.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Final, NamedTuple, cast
from uuid import UUID

from domain.canonical import (
    MAX_INTEGER,
    CanonicalError,
    Json,
    canonical_exact,
    parse_exact,
)
from domain.ids import IdError, parse_lower_uuid

#: A tlog-tiles entry bundle prefixes each entry with a 16-bit length (C2SP tlog-tiles).
MAX_ENTRY_BYTES: Final = 65_535

#: `previous` of a stream's first entry.
NO_PREVIOUS: Final = bytes(32)

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):\d\d:\d\d\.\d{6}Z", re.ASCII)
_HEX: Final = re.compile(r"[0-9a-f]{64}")
#: In the canonical order, so the members of a canonical object come in this one.
_KEYS: Final = ("at", "by", "data", "ledger", "personal", "previous", "stream", "type", "version")


class EntryError(ValueError):
    """The bytes are not an entry, or the entry cannot be stored; the message says why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One fact as stored. `previous` is the leaf hash of the stream's previous entry (32 bytes).

    `by` names the actor, `data` holds the fact's fields, `personal` maps the path of each personal
    field to its commitment (64 hex digits).
    """

    ledger: str
    stream: UUID
    version: int
    type: str
    at: datetime
    previous: bytes
    by: Mapping[str, Json]
    data: Mapping[str, Json]
    personal: Mapping[str, str]


def leaf_hash(raw: bytes) -> bytes:
    """The RFC 6962 section 2.1 hash of a leaf: SHA-256(0x00 || entry), 32 bytes."""
    return sha256(b"\x00" + raw).digest()


def format_time(at: datetime) -> str:
    """`2026-11-20T22:30:00.123456Z`: UTC, always six decimals; raises EntryError for a time without a zone."""
    if at.tzinfo is not UTC:
        if at.utcoffset() is None:
            raise EntryError("a time without a zone")
        at = at.astimezone(UTC)
    return f"{at.isoformat(timespec='microseconds')[:26]}Z"


def parse_time(text: str) -> datetime:
    """The inverse of `format_time`; raises EntryError for any other spelling."""
    if not _TIME.fullmatch(text):
        raise EntryError("a time is not of the form YYYY-MM-DDTHH:MM:SS.ffffffZ")
    try:
        return datetime.fromisoformat(text)  # "Z" gives `UTC` itself
    except ValueError as err:
        raise EntryError(f"not a time: {err}") from err


class Draft(NamedTuple):
    """An entry spelled but for its time and its predecessor.

    Those two are known only once the log's head is locked, so all other work is done before that.
    """

    middle: bytes
    end: bytes

    def place(self, at: str, previous: bytes) -> bytes:
        """The entry's bytes, given `format_time` of its time and the leaf hash of its predecessor."""
        return b"".join((b'{"at":"', at.encode(), self.middle, previous.hex().encode(), self.end))


#: What `place` adds to a draft: the opening, a time of 27 characters and a hash of 64.
_PLACED_BYTES: Final = 7 + 27 + 64


def draft(
    ledger: str,
    stream: UUID,
    version: int,
    type: str,
    by: Mapping[str, Json],
    data: Mapping[str, Json],
    personal: Mapping[str, str],
) -> Draft:
    """Spells an entry ahead of its place; raises EntryError if it is too large or `decode` would refuse it."""
    _version(version)
    _commitments(personal)
    try:
        # The four members are neighbours in the canonical order, so one call spells them.
        members = canonical_exact({"by": by, "data": data, "ledger": ledger, "personal": personal})
    except CanonicalError as err:
        raise EntryError(f"{type} cannot be spelled: {err}") from err
    return _draft(members[1:-1], stream, version, type)


def draft_data(ledger: str, stream: UUID, version: int, type: str, data: bytes) -> Draft:
    """Like `draft`, for an entry without actor and personal data, whose `data` is canonical JSON already."""
    return _draft(b'"by":{},"data":%b,"ledger":%b,"personal":{}' % (data, _spell_name(ledger)), stream, version, type)


def _draft(members: bytes, stream: UUID, version: int, type: str) -> Draft:
    middle = b'",%b,"previous":"' % members
    end = b'","stream":"%b","type":%b,"version":%d}' % (str(stream).encode(), _spell_name(type), version)
    size = len(middle) + len(end) + _PLACED_BYTES
    if size > MAX_ENTRY_BYTES:
        raise EntryError(f"{type} takes {size} bytes; an entry has at most {MAX_ENTRY_BYTES}")
    return Draft(middle, end)


@lru_cache(maxsize=1024)
def _spell_name(name: str) -> bytes:
    """Types and ledgers are few, and spelled for every entry."""
    try:
        return canonical_exact(name)
    except CanonicalError as err:
        raise EntryError(f"{name!r} cannot be spelled: {err}") from err


def encode(entry: Entry) -> bytes:
    """The canonical bytes of an entry; raises EntryError if it is too large or `decode` would refuse it."""
    if len(entry.previous) != len(NO_PREVIOUS):
        raise EntryError("the hash of the previous entry is not 32 bytes")
    unplaced = draft(entry.ledger, entry.stream, entry.version, entry.type, entry.by, entry.data, entry.personal)
    return unplaced.place(format_time(entry.at), entry.previous)


def decode(raw: bytes) -> Entry:
    """Parses stored bytes strictly: exactly the nine members, and exactly the canonical spelling.

    Raises EntryError otherwise. A verifier relies on `encode(decode(raw)) == raw`.
    """
    if len(raw) > MAX_ENTRY_BYTES:
        raise EntryError(f"{len(raw)} bytes; an entry has at most {MAX_ENTRY_BYTES}")
    try:
        value = parse_exact(raw)
    except CanonicalError as err:
        raise EntryError(str(err)) from err
    if not isinstance(value, dict) or tuple(value) != _KEYS:
        raise EntryError("an entry has exactly the members " + ", ".join(_KEYS))
    at, by, data, ledger, personal, previous, stream, type_, version = value.values()
    # These readers accept one spelling each, so `encode` gives the same bytes again.
    return Entry(
        _text("ledger", ledger),
        _uuid(_text("stream", stream)),
        _version(version),
        _text("type", type_),
        parse_time(_text("at", at)),
        _hash(_text("previous", previous)),
        _object("by", by),
        _object("data", data),
        _commitments(_object("personal", personal)),
    )


def _text(key: str, member: Json) -> str:
    if not isinstance(member, str):
        raise EntryError(f"{key} is not a string")
    return member


def _object(key: str, member: Json) -> Mapping[str, Json]:
    if not isinstance(member, dict):
        raise EntryError(f"{key} is not an object")
    return member


def _version(value: Json) -> int:
    if type(value) is not int or not 0 <= value <= MAX_INTEGER:
        raise EntryError("version is not an integer from 0 to 2^53-1")
    return value


def _hash(text: str) -> bytes:
    if not _HEX.fullmatch(text):
        raise EntryError("a hash is not 64 lower-case hex digits")
    return bytes.fromhex(text)


def _uuid(text: str) -> UUID:
    try:
        return parse_lower_uuid(text)
    except IdError as err:
        raise EntryError(f"stream is {err}") from err


def _commitments(members: Mapping[str, Json]) -> Mapping[str, str]:
    for path, member in members.items():
        if not isinstance(member, str) or not _HEX.fullmatch(member):
            raise EntryError(f"personal {path!r} is not a commitment")
    return cast(Mapping[str, str], members)
