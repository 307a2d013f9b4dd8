"""The JSON of a bundle: its manifest, its lines and its rows, each with one spelling (docs/evidence-format.md).

Every function `read_...` raises BundleError for anything that its `spell_...` does not write.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar
from uuid import UUID

from domain.canonical import MAX_INTEGER, CanonicalError, Json, canonical, parse_canonical, parse_exact
from domain.heads import MAX_PATH_HASHES, HeadsError, parse_row
from domain.ids import IdError, is_sha256, parse_lower_uuid
from infrastructure.bundle_archive import BundleError
from infrastructure.export_format import LineError, entry_line, parse_entry_line

FORMAT: Final = "countersign-evidence/1"

_POINTER: Final = re.compile("(/([^~/]|~[01])*)*")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EntryLine:
    """An entry where it stands in the log. `leaf` (32 bytes) is what the bundle says that `raw` hashes to."""

    position: int
    leaf: bytes
    raw: bytes


@dataclass(frozen=True, slots=True)
class Disclosed:
    """The personal value at `path` of the entry at `position`, and the salt of its commitment (32 bytes)."""

    position: int
    path: str
    salt: bytes
    value: Json


@dataclass(frozen=True, slots=True)
class ErasedBy:
    """The value was destroyed; the entry at position `erased` says so."""

    position: int
    path: str
    erased: int


@dataclass(frozen=True, slots=True)
class Withheld:
    """The value exists and was left out."""

    position: int
    path: str


DisclosureLine = Disclosed | ErasedBy | Withheld


@dataclass(frozen=True, slots=True)
class HeadRow:
    """A row of the heads manifest as it is hashed, and the hashes beside its path to the root (32 bytes each)."""

    row: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Heads:
    """Rows of the manifest that the entry at `position` of the ledger's own stream commits to, sorted by stream."""

    position: int
    rows: tuple[HeadRow, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle is about. `files` is the SHA-256 of every other member, `withheld` those of documents left out, sorted."""

    ledger: str
    envelope: UUID
    process: UUID | None
    files: Mapping[str, str]
    withheld: tuple[str, ...]


def spell_manifest(manifest: Manifest) -> bytes:
    process = None if manifest.process is None else str(manifest.process)
    about: dict[str, Json] = {"envelope": str(manifest.envelope), "ledger": manifest.ledger, "process": process}
    return _spell({**about, "files": manifest.files, "format": FORMAT, "withheld": manifest.withheld})


def read_manifest(raw: bytes) -> Manifest:
    members = _members(_exact(raw), "envelope", "files", "format", "ledger", "process", "withheld")
    ledger, files, process = members["ledger"], members["files"], members["process"]
    if members["format"] != FORMAT:
        raise BundleError(f"the format is not {FORMAT}")
    if not isinstance(ledger, str):
        raise BundleError("ledger is not a string")
    if not isinstance(files, dict):
        raise BundleError("files is not an object")
    return Manifest(
        ledger,
        _uuid(members["envelope"]),
        None if process is None else _uuid(process),
        {name: _hex(hash) for name, hash in files.items()},
        tuple(map(_hex, _list(members["withheld"]))),
    )


def spell_entries(lines: Sequence[EntryLine]) -> bytes:
    for line in lines:
        _text(line.raw, f"the entry at position {line.position}")
    return b"".join(entry_line(line.position, line.leaf, line.raw) for line in lines)


def read_entries(raw: bytes) -> tuple[EntryLine, ...]:
    return _read_lines(raw, _read_entry)


def _read_entry(line: bytes) -> EntryLine:
    try:
        return EntryLine(*parse_entry_line(line))
    except LineError as err:
        raise BundleError(str(err)) from err


def spell_disclosures(lines: Sequence[DisclosureLine]) -> bytes:
    return b"".join(map(_spell_disclosure, lines))


def _spell_disclosure(line: DisclosureLine) -> bytes:
    where: dict[str, Json] = {"path": line.path, "position": line.position}
    match line:
        case Disclosed():
            return _spell({**where, "salt": line.salt.hex(), "value": line.value})
        case ErasedBy():
            return _spell({**where, "erased": line.erased})
        case Withheld():
            return _spell({**where, "withheld": True})


def read_disclosures(raw: bytes) -> tuple[DisclosureLine, ...]:
    return _read_lines(raw, _read_disclosure)


def _read_disclosure(line: bytes) -> DisclosureLine:
    value = _canonical(line, parse_canonical)
    if isinstance(value, dict) and "erased" in value:
        members = _members(value, "erased", "path", "position")
        return ErasedBy(_position(members["position"]), _path(members["path"]), _position(members["erased"]))
    if isinstance(value, dict) and "withheld" in value:
        members = _members(value, "path", "position", "withheld")
        if members["withheld"] is not True:
            raise BundleError("withheld is not true")
        return Withheld(_position(members["position"]), _path(members["path"]))
    members = _members(value, "path", "position", "salt", "value")
    salt = bytes.fromhex(_hex(members["salt"]))
    return Disclosed(_position(members["position"]), _path(members["path"]), salt, members["value"])


def spell_heads(heads: Heads) -> bytes:
    rows: list[Json] = [
        {"path": [each.hex() for each in row.path], "row": _text(row.row, "a row of the manifest")} for row in heads.rows
    ]
    return _spell({"position": heads.position, "rows": rows})


def read_heads(raw: bytes) -> Heads:
    members = _members(_exact(raw), "position", "rows")
    return Heads(_position(members["position"]), tuple(map(_read_head_row, _list(members["rows"]))))


def _read_head_row(value: Json) -> HeadRow:
    members = _members(value, "path", "row")
    row, path = members["row"], _list(members["path"])
    if not isinstance(row, str):
        raise BundleError("a row of the manifest is not a string")
    try:
        parse_row(row.encode())
    except HeadsError as err:
        raise BundleError(str(err)) from err
    if len(path) > MAX_PATH_HASHES:
        raise BundleError(f"a row's path has {len(path)} hashes; it has at most {MAX_PATH_HASHES}")
    return HeadRow(row.encode(), tuple(bytes.fromhex(_hex(each)) for each in path))


def _text(raw: bytes, what: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as err:
        raise BundleError(f"{what} is not UTF-8") from err


def _spell(value: Json) -> bytes:
    try:
        return canonical(value) + b"\n"
    except CanonicalError as err:
        raise BundleError(f"what cannot be spelled: {err}") from err


def _read_lines(raw: bytes, read: Callable[[bytes], T]) -> tuple[T, ...]:
    found = []
    *lines, rest = raw.split(b"\n")
    if rest:
        raise BundleError("the last line does not end with a newline")
    for number, line in enumerate(lines, 1):
        try:
            found.append(read(line + b"\n"))
        except BundleError as err:
            raise BundleError(f"line {number}: {err}") from err
    return tuple(found)


def _exact(raw: bytes) -> Json:
    """Without floating point numbers, as everything but a personal value is."""
    return _canonical(raw, parse_exact)


def _canonical(raw: bytes, parse: Callable[[bytes], Json]) -> Json:
    if not raw.endswith(b"\n"):
        raise BundleError("no newline at the end")
    try:
        return parse(raw[:-1])
    except CanonicalError as err:
        raise BundleError(str(err)) from err


def _members(value: Json, *names: str) -> Mapping[str, Json]:
    if not isinstance(value, dict) or set(value) != set(names):
        raise BundleError("not an object with exactly the members " + ", ".join(names))
    return value


def _list(value: Json) -> Sequence[Json]:
    if not isinstance(value, list):
        raise BundleError("not a list where one must stand")
    return value


def _uuid(value: Json) -> UUID:
    try:
        if isinstance(value, str):
            return parse_lower_uuid(value)
    except IdError as err:
        raise BundleError(str(err)) from err
    raise BundleError("not a UUID")


def _hex(value: Json) -> str:
    if not isinstance(value, str) or not is_sha256(value):
        raise BundleError("not 64 lower-case hex digits where they must stand")
    return value


def _position(value: Json) -> int:
    if type(value) is not int or not 1 <= value <= MAX_INTEGER:
        raise BundleError("a position is not an integer from 1 to 2^53-1")
    return value


def _path(value: Json) -> str:
    if not isinstance(value, str) or not is_pointer(value):
        raise BundleError("a path is not a JSON pointer")
    return value


def is_pointer(text: str) -> bool:
    """Whether the path of a personal value is a JSON pointer (RFC 6901 section 3)."""
    return _POINTER.fullmatch(text) is not None
