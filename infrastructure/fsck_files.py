"""What `fsck` does about files: whether each that the log names is stored, and each that is stored has the bytes of its hash.

Names are gone through by their first two digits, so a 256th of them is in memory at a time; those that the log has wait in a
temporary file. Nothing is changed, and nothing that is left over is deleted.
"""

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import psycopg

from domain.entry import EntryError, decode
from domain.envelope import CertificateIssued, DocumentAdded, DocumentExecuted, EnvelopeCreated, SealRenewed
from domain.faults import FaultKind, Faults
from domain.library import DocumentFileStored
from domain.template import FileStored
from infrastructure.blobs import BlobCorrupted, BlobStore, BlobsUnreadable, Stored
from infrastructure.codec import FACTS, KNOWN, CodecError, Fact, current_type, decode_fact
from infrastructure.snapshot import BATCH

#: An upload is finished, or its link has expired, long before that.
IN_PROGRESS: Final = timedelta(hours=1)

#: Files that nothing refers to of which the names are told.
_NAMED: Final = 5

#: Files that are read at once: enough to hide the way to a store elsewhere.
_READERS: Final = 8

_NAMING: Final = (
    EnvelopeCreated,
    DocumentAdded,
    DocumentExecuted,
    CertificateIssued,
    SealRenewed,
    FileStored,
    DocumentFileStored,
)
_TYPES: Final = sorted(name for name in KNOWN if FACTS[current_type(name)] in _NAMING)

_FACTS: Final = "SELECT position, stream, version, entry FROM log WHERE type = ANY(%s) ORDER BY position"
_NORMALISED: Final = "SELECT unnest(ARRAY[sha256, normalised_sha256]) FROM normalised_files"

#: Called with how many of the files that the log names were looked at, and how many there are.
Progress = Callable[[int, int], None]


def files_of(fact: Fact) -> tuple[str, ...]:
    """The files that a fact names by their SHA-256: those that were stored before it was recorded."""
    match fact:
        case EnvelopeCreated():
            return tuple(document.sha256 for document in fact.documents)
        case DocumentAdded():
            return (fact.document.sha256,)
        case FileStored() | DocumentFileStored():
            return _both(fact.file.sha256, fact.file.normalised_sha256)
        case DocumentExecuted():
            return _both(fact.sha256, fact.normalised_sha256)
        case CertificateIssued():
            return (fact.sha256,)
        case SealRenewed():
            return (fact.previous_sha256, fact.sha256)
        case _:
            return ()


def _both(sha256: str, normalised: str | None) -> tuple[str, ...]:
    return (sha256,) if normalised is None else (sha256, normalised)


@dataclass(slots=True)
class _Leftover:
    """Files that nothing refers to."""

    count: int = 0
    size_bytes: int = 0
    names: list[str] = field(default_factory=list)

    def add(self, blob: Stored) -> None:
        self.count += 1
        self.size_bytes += blob.size_bytes
        if len(self.names) < _NAMED:
            self.names.append(blob.sha256)

    def __str__(self) -> str:
        more = ", ..." if self.count > len(self.names) else ""
        return f"{self.count:,} stored files ({self.size_bytes:,} bytes): {', '.join(self.names)}{more}"


@dataclass(slots=True)
class FilesChecked:
    """How many files are named and how many are stored, and what is stored without being named."""

    named: int = 0
    stored: int = 0
    size_bytes: int = 0
    leftover: _Leftover = field(default_factory=_Leftover)
    young: _Leftover = field(default_factory=_Leftover)

    def checked(self) -> str:
        return (
            f"each of {self.named:,} files that the log names is stored, and each of {self.stored:,} stored files"
            f" ({self.size_bytes:,} bytes) has the bytes of its hash"
        )

    def noted(self) -> list[str]:
        """What nothing refers to, in words."""
        found = []
        if self.leftover.count:
            found.append(f"nothing refers to {self.leftover}. Such files are left by uploads and seals that were not finished")
        if self.young.count:
            found.append(f"nothing refers yet to {self.young}. They came within the last hour and may be uploads in progress")
        return found


def check_files(named: "NamedFiles", blobs: BlobStore, faults: Faults, progress: Progress) -> FilesChecked:
    """Compares the files that a log names with those in the store, and reads all that are stored; closes `named`.

    Raises BlobsUnreadable if the store cannot be listed.
    """
    found, young = FilesChecked(len(named)), named.at - IN_PROGRESS
    done = 0
    with closing(named), ThreadPoolExecutor(_READERS) as readers:
        for digits in (f"{number:02x}" for number in range(256)):
            expected = named.beginning_with(digits)
            stored = {blob.sha256: blob for blob in blobs.stored(digits)}
            for name in expected.keys() - stored.keys():
                expected[name].fault(faults, FaultKind.LOST_FILE, f"the file {name} is not stored")
            for blob, damage in zip(stored.values(), readers.map(lambda name: _damage(blobs, name), stored), strict=True):
                place = expected.get(blob.sha256)
                found.stored += 1
                found.size_bytes += blob.size_bytes
                if damage is not None:
                    (place or _NOWHERE).fault(faults, FaultKind.ALTERED_FILE, f"the file {blob.sha256}: {damage}")
                if place is None:
                    (found.young if blob.at > young else found.leftover).add(blob)
            done += len(expected)
            progress(done, found.named)
    return found


def _damage(blobs: BlobStore, name: str) -> str | None:
    try:
        blobs.check(name)
    except BlobCorrupted:
        return "its bytes are not those of its hash"
    except BlobsUnreadable as err:
        return str(err)
    return None


@dataclass(frozen=True, slots=True)
class _Place:
    """The entry that names a file first; nothing of it is known of what is only in the table of normalised forms."""

    position: int | None = None
    stream: UUID | None = None
    version: int | None = None

    def fault(self, faults: Faults, kind: FaultKind, detail: str) -> None:
        faults.add(kind, detail, position=self.position, stream=self.stream, version=self.version)


_NOWHERE: Final = _Place()


class NamedFiles:
    """The files that the log named `at` a time, in a temporary file that is gone with the process."""

    def __init__(self, conn: psycopg.Connection[Any], at: datetime) -> None:
        self.at = at
        # An empty name is SQLite's private temporary database, deleted when it is closed (sqlite.org/inmemorydb.html).
        self._file = sqlite3.connect("", isolation_level=None)
        self._file.execute("PRAGMA journal_mode = OFF")
        self._file.execute("PRAGMA synchronous = OFF")
        self._file.execute("CREATE TABLE named (name TEXT PRIMARY KEY, position INT, stream BLOB, version INT) WITHOUT ROWID")
        self._read(conn)

    def __len__(self) -> int:
        (count,) = self._file.execute("SELECT count(*) FROM named").fetchone()
        return int(count)

    def _read(self, conn: psycopg.Connection[Any]) -> None:
        """Takes in all that the log names, then the normalised forms that are kept."""
        add = "INSERT OR IGNORE INTO named VALUES (?, ?, ?, ?)"
        self._file.execute("BEGIN")
        self._file.executemany(add, _in_log(conn))
        self._file.executemany(add, ((name, None, None, None) for (name,) in _rows(conn, "fsck_normalised", _NORMALISED)))
        self._file.execute("COMMIT")

    def beginning_with(self, digits: str) -> dict[str, _Place]:
        rows = self._file.execute("SELECT * FROM named WHERE name >= ? AND name < ?", [digits, f"{digits}g"])
        return {name: _NOWHERE if at is None else _Place(at, UUID(bytes=stream), version) for name, at, stream, version in rows}

    def close(self) -> None:
        self._file.close()


def _in_log(conn: psycopg.Connection[Any]) -> Iterator[tuple[str, int, bytes, int]]:
    """Each file with the place of an entry that names it. Entries that cannot be read are named already."""
    for position, stream, version, raw in _rows(conn, "fsck_facts", _FACTS, _TYPES):
        try:
            entry = decode(raw)
            fact = decode_fact(entry.type, entry.data, entry.personal)
        except (EntryError, CodecError):
            continue
        yield from ((name, position, stream.bytes, version) for name in files_of(fact))


def _rows(conn: psycopg.Connection[Any], name: str, query: str, *parameters: object) -> Iterator[tuple[Any, ...]]:
    with conn.cursor(name=name) as cursor:
        cursor.itersize = BATCH
        yield from cursor.execute(query, parameters, binary=True)
