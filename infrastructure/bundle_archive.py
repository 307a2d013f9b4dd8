"""A zip archive with one spelling: equal members are equal bytes (docs/evidence-format.md, "The archive").

PKWARE APPNOTE 6.3: local headers (4.3.7), the central directory (4.3.12), its end (4.3.16). Everything that a zip file
could say twice, or leave open, is fixed here, so an archive is read by spelling it again; nothing is ever unpacked.
"""

import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import BinaryIO, Final

#: An archive without Zip64 counts its members in 16 bits; Python's zipfile, which many will read it with, keeps offsets in 31.
MAX_MEMBERS: Final = 65_535
MAX_ARCHIVE_BYTES: Final = 2**31 - 1

#: The longest name of a member that is known has 78 characters.
_MAX_NAME: Final = 100

_CHUNK_BYTES: Final = 1 << 20

_LOCAL: Final = struct.Struct("<4s5H3I2H")
_CENTRAL: Final = struct.Struct("<4s6H3I5H2I")
_END: Final = struct.Struct("<4s4H2IH")
_VERSION: Final = 20
_UNIX: Final = 3 << 8
#: 1980-01-01, in the format of MS-DOS.
_DATE: Final = 1 << 5 | 1
_REGULAR_FILE: Final = 0o100644 << 16

#: Gives some bytes piece by piece, from the first one each time that it is called.
Chunks = Callable[[], Iterator[bytes]]


class BundleError(ValueError):
    """Not a bundle of evidence, or content that makes none; the message says why."""


@dataclass(frozen=True, slots=True)
class _Member:
    """A member by what its headers say: the CRC-32 and the number of its bytes, and where its local header begins."""

    name: bytes
    crc: int
    size: int
    offset: int

    @property
    def data(self) -> int:
        """Where its bytes begin."""
        return self.offset + _LOCAL.size + len(self.name)

    @property
    def end(self) -> int:
        return self.data + self.size

    def local_header(self) -> bytes:
        fixed = (b"PK\x03\x04", _VERSION, 0, 0, 0, _DATE, self.crc, self.size, self.size, len(self.name), 0)
        return _LOCAL.pack(*fixed) + self.name

    def central_header(self) -> bytes:
        stored = (0, 0, 0, _DATE, self.crc, self.size, self.size, len(self.name), 0, 0, 0, 0, _REGULAR_FILE, self.offset)
        return _CENTRAL.pack(b"PK\x01\x02", _VERSION | _UNIX, _VERSION, *stored) + self.name


def _end_record(count: int, start: int, size: int) -> bytes:
    return _END.pack(b"PK\x05\x06", 0, 0, count, count, size, start, 0)


def chunks_of(raw: bytes) -> Chunks:
    """Bytes at hand, as an archive takes them."""
    return lambda: iter((raw,))


def write_archive(members: Mapping[str, Chunks], file: BinaryIO) -> None:
    """Writes the members, each read twice, in the order of their names; `file` need not be seekable.

    Raises BundleError for names, numbers and sizes that the format does not have, after having written some of it.
    """
    if not 0 < len(members) <= MAX_MEMBERS:
        raise BundleError(f"{len(members):,} members; a bundle has at most {MAX_MEMBERS:,}")
    written: list[_Member] = []
    offset = 0
    for name, chunks in sorted((_spell_name(name), chunks) for name, chunks in members.items()):
        crc = size = 0
        for chunk in chunks():
            crc = zlib.crc32(chunk, crc)
            size += len(chunk)
        member = _Member(name, crc, size, offset)
        offset = member.end
        if offset > MAX_ARCHIVE_BYTES:
            raise BundleError(f"more than {MAX_ARCHIVE_BYTES:,} bytes")
        file.write(member.local_header())
        for chunk in chunks():
            file.write(chunk)
        written.append(member)
    directory = b"".join(member.central_header() for member in written)
    file.write(directory + _end_record(len(written), offset, len(directory)))


def _spell_name(name: str) -> bytes:
    if not name.isascii() or not 0 < len(name) <= _MAX_NAME:
        raise BundleError(f"a member cannot be named {name[:_MAX_NAME]!r}")
    return name.encode("ascii")


class Archive:
    """The members of an archive that is spelled as `write_archive` spells it; `file` must stay open while they are read.

    Raises BundleError for any other bytes. The members' own bytes are held to their CRC-32 when they are read.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, 2)
        if not _END.size <= self.size <= MAX_ARCHIVE_BYTES:
            raise BundleError(f"{self.size:,} bytes; a bundle has from {_END.size} to {MAX_ARCHIVE_BYTES:,}")
        members = self._directory()
        for member in members:
            if self._at(member.offset, member.data - member.offset) != member.local_header():
                raise BundleError(f"what stands before {member.name.decode()} is not the header that a bundle has there")
        self._members = {member.name.decode(): member for member in members}

    def _directory(self) -> list[_Member]:
        start = self.size - _END.size
        signature, _, _, _, count, size, offset, _ = _END.unpack(self._at(start, _END.size))
        if signature != b"PK\x05\x06" or offset + size != start:
            raise BundleError("not a zip archive that ends with its directory")
        if not 0 < count <= size // _CENTRAL.size or size > count * (_CENTRAL.size + _MAX_NAME):
            raise BundleError("the archive's directory has another size than its members need")
        directory = self._at(offset, size)
        members: list[_Member] = []
        place, end = 0, 0
        for _ in range(count):
            member = _read_central(directory, place, end)
            if members and member.name <= members[-1].name:
                raise BundleError("the members are not in ascending order of their names")
            if member.end > offset:
                raise BundleError("the archive's directory says more bytes than there are")
            members.append(member)
            place, end = place + _CENTRAL.size + len(member.name), member.end
        if end != offset or directory != b"".join(member.central_header() for member in members):
            raise BundleError("the archive's directory is not spelled as that of a bundle")
        if self._at(start, _END.size) != _end_record(count, offset, size):
            raise BundleError("the archive's end is not spelled as that of a bundle")
        return members

    def _at(self, offset: int, size: int) -> bytes:
        self._file.seek(offset)
        found = self._file.read(size)
        if len(found) != size:
            raise BundleError("the file ends within the archive")
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """In ascending order."""
        return tuple(self._members)

    def size_of(self, name: str) -> int:
        """How many bytes a member has; raises KeyError for one that is not there."""
        return self._members[name].size

    def chunks(self, name: str) -> Iterator[bytes]:
        """A member's bytes, not held to anything."""
        member = self._members[name]
        for offset in range(member.data, member.end, _CHUNK_BYTES):
            yield self._at(offset, min(_CHUNK_BYTES, member.end - offset))

    def read(self, name: str) -> bytes:
        """A member's bytes; raises BundleError if they are not those of its CRC-32."""
        raw = b"".join(self.chunks(name))
        self._compare(name, zlib.crc32(raw))
        return raw

    def digest(self, name: str, read: Callable[[int], None] = lambda count: None) -> str:
        """The SHA-256 of a member's bytes in hex, in little memory; `read` is told how many were read. Raises as `read`."""
        digest, crc = sha256(), 0
        for chunk in self.chunks(name):
            digest.update(chunk)
            crc = zlib.crc32(chunk, crc)
            read(len(chunk))
        self._compare(name, crc)
        return digest.hexdigest()

    def _compare(self, name: str, crc: int) -> None:
        if crc != self._members[name].crc:
            raise BundleError(f"{name}: the bytes are not those of the archive's checksum")


def _read_central(directory: bytes, place: int, offset: int) -> _Member:
    """What a header of the directory says that only it knows; the rest shows when it is spelled again."""
    if place + _CENTRAL.size > len(directory):
        raise BundleError("the archive's directory is cut off")
    fields = _CENTRAL.unpack_from(directory, place)
    crc, size, length = fields[7], fields[9], fields[10]
    name = directory[place + _CENTRAL.size : place + _CENTRAL.size + length]
    if len(name) != length or not 0 < length <= _MAX_NAME or not name.isascii():
        raise BundleError("a member has a name that no member of a bundle has")
    return _Member(name, crc, size, offset)
