"""The lines of an export, written and read (docs/export-format.md).

Every line is canonical JSON and a newline: a header, one line per entry, a trailer. Reading is strict:
a line has exactly one spelling, so a changed byte is either another value or no line at all.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NoReturn
from uuid import UUID

from domain.canonical import MAX_INTEGER, CanonicalError, Json, canonical_exact, parse_json
from domain.entry import MAX_ENTRY_BYTES
from domain.ids import IdError, ProcessId, parse_uuid
from infrastructure.history import Head

FORMAT: Final = "countersign-export/1"

#: In a JSON string a byte of an entry takes two at most; the rest of a line takes less than this. A header
#: with the heads of an envelope's streams is shorter.
MAX_LINE_BYTES: Final = 2 * MAX_ENTRY_BYTES + 200

#: How every trailer begins, and no other line.
TRAILER_START: Final = b'{"count":'

_ENTRY_START: Final = b'{"entry":"'
_ENTRY_END: Final = re.compile(rb'","leaf":"([0-9a-f]{64})","position":([1-9][0-9]{0,15})\}\n')
_HEX: Final = re.compile(r"[0-9a-f]{64}")


class ScopeKind(StrEnum):
    """What part of the log an export holds."""

    LOG = "log"
    PROCESS = "process"
    ENVELOPE = "envelope"
    TEMPLATE = "template"


@dataclass(frozen=True, slots=True)
class Scope:
    """`id` is a process id or a UUID as text, None for the whole log."""

    kind: ScopeKind
    id: str | None = None

    @classmethod
    def of(cls, kind: ScopeKind, id: str) -> "Scope":
        """A part of the log by its id; raises IdError unless it is spelled as one, in either case of letters."""
        if kind is ScopeKind.PROCESS:
            return cls(kind, str(ProcessId.parse(id.lower())))
        return cls(kind, str(parse_uuid(id.lower())))

    @property
    def stream(self) -> UUID | None:
        """The stream that the scope is named after; None for the whole log."""
        if self.id is None:
            return None
        return ProcessId.parse(self.id).participant if self.kind is ScopeKind.PROCESS else UUID(self.id)


@dataclass(frozen=True, slots=True)
class Header:
    """`position` is that of the log's head at the time of the export; `heads` is None for the whole log."""

    ledger: str
    scope: Scope
    position: int
    heads: Mapping[UUID, Head] | None


@dataclass(frozen=True, slots=True)
class Trailer:
    """The number of entries, the position of the last one (0 without any), and the SHA-256 of all bytes before, in hex."""

    count: int
    position: int
    sha256: str


class LineError(ValueError):
    """The bytes are not a line of an export; the message says why."""


def header_line(header: Header) -> bytes:
    """The first line of an export."""
    scope = header.scope
    named: dict[str, Json] = {"kind": scope.kind.value} if scope.id is None else {"id": scope.id, "kind": scope.kind.value}
    members: dict[str, Json] = {"format": FORMAT, "ledger": header.ledger, "position": header.position, "scope": named}
    if header.heads is not None:
        members["heads"] = {
            str(stream): {"leaf": head.leaf.hex(), "position": head.position, "version": head.version}
            for stream, head in header.heads.items()
        }
    return canonical_exact(members) + b"\n"


def entry_line(position: int, leaf: bytes, raw: bytes) -> bytes:
    """One entry: its bytes as a JSON string, so that a line is JSON and the bytes are kept as they are.

    Bytes that are not UTF-8 cannot be an entry; they become replacement characters, which `verify` finds.
    """
    text = json.dumps(raw.decode(errors="replace"), ensure_ascii=False)
    return b'{"entry":%b,"leaf":"%b","position":%d}\n' % (text.encode(), leaf.hex().encode(), position)


def trailer_line(trailer: Trailer) -> bytes:
    """The last line of an export."""
    return canonical_exact({"count": trailer.count, "position": trailer.position, "sha256": trailer.sha256}) + b"\n"


def parse_entry_line(line: bytes) -> tuple[int, bytes, bytes]:
    """Position, leaf (32 bytes) and the entry's bytes; raises LineError."""
    tail = line.rfind(b'","leaf":"')
    end = _ENTRY_END.fullmatch(line, tail) if tail > 0 else None
    if end is None or not line.startswith(_ENTRY_START):
        raise LineError("not the line of an entry")
    spelled = line[len(_ENTRY_START) : tail]
    # An entry without a backslash has one only before each quote; unescaping and escaping shows whether that is so.
    raw = spelled.replace(b'\\"', b'"')
    if b"\\" in raw:
        raw = _unescape(spelled)
    elif raw.replace(b'"', b'\\"') != spelled:
        raise LineError("the entry is not a JSON string in canonical form")
    position = int(end[2])
    if position > MAX_INTEGER:
        raise LineError("the position is beyond 2^53-1")
    return position, bytes.fromhex(end[1].decode()), raw


def _unescape(spelled: bytes) -> bytes:
    try:
        text = parse_json(b'"' + spelled + b'"')
        if isinstance(text, str) and json.dumps(text, ensure_ascii=False).encode()[1:-1] == spelled:
            return text.encode()
    except (CanonicalError, UnicodeEncodeError) as err:
        raise LineError(f"the entry is not a JSON string: {err}") from err
    raise LineError("the entry is not a JSON string in canonical form")


def parse_trailer(line: bytes) -> Trailer:
    """Raises LineError unless `line` is exactly a trailer."""
    members = _members(line, ("count", "position", "sha256"))
    return Trailer(_number(members, "count"), _number(members, "position"), _hash(members, "sha256"))


def parse_header(line: bytes) -> Header:
    """Raises LineError unless `line` is exactly a header of this format."""
    members = _members(line, ("format", "ledger", "position", "scope"), ("heads",))
    if members["format"] != FORMAT:
        raise LineError(f"its format is {members['format']!r}, not {FORMAT}")
    ledger = members["ledger"]
    if not isinstance(ledger, str):
        _refuse("ledger is not a string")
    scope = _scope(members["scope"])
    heads = _heads(members.get("heads")) if "heads" in members else None
    if (heads is None) != (scope.kind is ScopeKind.LOG):
        _refuse("heads are given for a part of the log, and only for one")
    if heads is not None and scope.stream not in heads:
        _refuse("the stream of the scope has no head")
    return Header(ledger, scope, _number(members, "position"), heads)


def _refuse(reason: str) -> NoReturn:
    raise LineError(reason)


def _members(line: bytes, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> Mapping[str, Json]:
    """The members of a line that is a canonical JSON object with exactly these keys, and a newline."""
    if not line.endswith(b"\n"):
        _refuse("it does not end with a newline")
    try:
        value = parse_json(line[:-1])
        if canonical_exact(value) != line[:-1]:
            _refuse("it is not in canonical form")
    except CanonicalError as err:
        raise LineError(str(err)) from err
    return _object(value, required, optional)


def _object(value: Json, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> Mapping[str, Json]:
    if not isinstance(value, dict) or not set(required) <= value.keys() <= {*required, *optional}:
        _refuse("it does not have exactly the members " + ", ".join(required))
    return value


def _number(members: Mapping[str, Json], key: str) -> int:
    value = members[key]
    if type(value) is not int or not 0 <= value <= MAX_INTEGER:
        _refuse(f"{key} is not an integer from 0 to 2^53-1")
    return value


def _hash(members: Mapping[str, Json], key: str) -> str:
    value = members[key]
    if not isinstance(value, str) or not _HEX.fullmatch(value):
        _refuse(f"{key} is not a hash of 64 hex digits")
    return value


def _scope(value: Json) -> Scope:
    members = _object(value, ("kind",), ("id",))
    kind, id = members["kind"], members.get("id")
    if not isinstance(kind, str) or kind not in ScopeKind.__members__.values():
        _refuse("the scope is of no known kind")
    if kind == ScopeKind.LOG:
        if "id" in members:
            _refuse("the whole log has no id")
        return Scope(ScopeKind.LOG)
    if not isinstance(id, str):
        _refuse("the scope has no id")
    try:
        scope = Scope.of(ScopeKind(kind), id)
    except IdError as err:
        raise LineError(f"the id of the scope: {err}") from err
    return scope if scope.id == id else _refuse("the id of the scope is not in its canonical spelling")


def _heads(value: Json) -> Mapping[UUID, Head]:
    if not isinstance(value, dict):
        _refuse("heads is not an object")
    heads = {}
    for key, member in value.items():
        try:
            stream = parse_uuid(key)
        except IdError as err:
            raise LineError(f"heads: {err}") from err
        if str(stream) != key:
            _refuse("the id of a head is not in its canonical spelling")
        members = _object(member, ("leaf", "position", "version"))
        heads[stream] = Head(_number(members, "version"), bytes.fromhex(_hash(members, "leaf")), _number(members, "position"))
    return heads
