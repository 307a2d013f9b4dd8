"""Identifiers: UUIDs inside, and the spellings that surfaces show."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from uuid import UUID

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)

#: Crockford's base 32, as the ULID specification uses it: no I, L, O, U.
_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


_ULID: Final = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_HEX_32: Final = re.compile(r"[0-9a-f]{32}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class IdError(ValueError):
    """A text is not an identifier of the expected form."""


def is_sha256(text: str) -> bool:
    """Whether `text` spells a SHA-256 as it is stored: 64 lower-case hex digits."""
    return _SHA256.fullmatch(text) is not None


def milliseconds(at: datetime) -> int:
    """Whole milliseconds since 1970-01-01T00:00:00Z; `at` must be aware."""
    return (at - _EPOCH) // _MILLISECOND


def uuid7(at: datetime, random: bytes) -> UUID:
    """A time-ordered UUID (RFC 9562 section 5.7) from `at` and ten random bytes."""
    if len(random) != 10:
        raise ValueError("uuid7 takes ten random bytes")
    number = milliseconds(at) << 80 | int.from_bytes(random, "big")
    number = number & ~(0xF << 76) | 0x7 << 76  # version 7
    number = number & ~(0x3 << 62) | 0x2 << 62  # variant of RFC 9562
    return UUID(int=number)


def ulid(at: datetime, random: bytes) -> str:
    """A ULID: 48 bits of milliseconds, then ten bytes, as 26 characters of Crockford's base 32."""
    if len(random) != 10:
        raise ValueError("a ULID takes ten bytes")
    return _crockford(milliseconds(at) << 80 | int.from_bytes(random, "big"))


def _crockford(number: int) -> str:
    """128 bits as 26 characters."""
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


def _from_crockford(digits: str) -> int:
    number = 0
    for digit in digits:
        number = number << 5 | _CROCKFORD.index(digit)
    return number


def event_id(at: datetime, leaf: bytes) -> str:
    """The id that APIs show for an entry: the ULID of its time and the first 80 bits of its leaf hash.

    It is derived, so it needs no place in the entry and a rebuild gives the same one.
    """
    return ulid(at, leaf[:10])


@dataclass(frozen=True, slots=True)
class EventId:
    """What an event's id says of its entry: its time, as far as the millisecond (`2026-11-20T22:30:00.123`), and its leaf's first ten bytes."""

    time: str
    leaf_start: bytes


def parse_event_id(text: str) -> EventId:
    """What `event_id` put into an id; raises IdError for anything else, lower case included."""
    if not _ULID.fullmatch(text):
        raise IdError("not a ULID of 26 characters")
    number = _from_crockford(text)
    try:
        at = _EPOCH + (number >> 80) * _MILLISECOND
    except OverflowError as err:
        raise IdError("a time beyond the year 9999") from err
    return EventId(at.isoformat(timespec="milliseconds")[:23], (number & (1 << 80) - 1).to_bytes(10, "big"))


def parse_uuid(text: str) -> UUID:
    """A UUID in its canonical 36-character spelling; raises IdError for anything else.

    `uuid.UUID` also reads braces, URNs and missing hyphens; two spellings of one id would be two ids
    to a cache or a log reader, so they are refused.
    """
    try:
        value = UUID(text)
    except (ValueError, AttributeError) as err:
        raise IdError("not a UUID") from err
    if str(value) != text.lower():
        raise IdError("not a UUID in its canonical spelling")
    return value


@lru_cache(maxsize=16_384)
def parse_lower_uuid(text: str) -> UUID:
    """A UUID as entries spell it, in lower case alone; raises IdError for anything else.

    Entries name the same few again and again, so the last ones are kept.
    """
    value = parse_uuid(text)
    if str(value) != text:
        raise IdError("not a UUID in lower case")
    return value


@dataclass(frozen=True, slots=True)
class ProcessId:
    """Names one signing: `<envelopeId>-<participantId>`."""

    envelope: UUID
    participant: UUID

    def __str__(self) -> str:
        return f"{self.envelope}-{self.participant}"

    @classmethod
    def parse(cls, text: str) -> "ProcessId":
        """Raises IdError unless `text` is two canonical UUIDs joined by a hyphen."""
        if len(text) != 73 or text[36] != "-":
            raise IdError("a process id is two UUIDs joined by a hyphen")
        return cls(parse_uuid(text[:36]), parse_uuid(text[37:]))


def typed_id(prefix: str, value: UUID) -> str:
    """A UUID spelled with a type prefix, as the sessions surface shows ids: `sgs_<32 hex digits>`."""
    return f"{prefix}_{value.hex}"


def parse_typed_id(prefix: str, text: str) -> UUID:
    """The UUID of `<prefix>_<32 hex digits>`; raises IdError for anything else."""
    digits = text.removeprefix(f"{prefix}_")
    if text != f"{prefix}_{digits}" or not _HEX_32.fullmatch(digits):
        raise IdError(f"not an id of the form {prefix}_<32 hex digits>")
    return UUID(hex=digits)


def ulid_id(prefix: str, value: UUID) -> str:
    """A UUID spelled as a ULID with a type prefix: `doc_<26 characters of Crockford's base 32>`.

    A UUID of version 7 begins with the milliseconds of its time as a ULID does, so these sort alike.
    """
    return f"{prefix}_{_crockford(value.int)}"


def parse_ulid_id(prefix: str, text: str) -> UUID:
    """The UUID of what `ulid_id` spells; raises IdError for anything else, lower case included."""
    digits = text.removeprefix(f"{prefix}_")
    if text != f"{prefix}_{digits}" or not _ULID.fullmatch(digits):
        raise IdError(f"not an id of the form {prefix}_<26 characters of Crockford's base 32>")
    return UUID(int=_from_crockford(digits))
