"""Writes the log, or some streams of it, as a file that anyone can check (docs/export-format.md).

The whole export is read in one snapshot of the database, and two exports of the same state are the
same bytes. It holds no personal data: entries have commitments only.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol
from uuid import UUID

import psycopg
from psycopg.sql import SQL

from domain.entry import EntryError, decode
from domain.envelope import EnvelopeCreated, ParticipantAdded, Slot
from domain.ids import ProcessId
from domain.signing import ProcessCreated
from domain.template import TemplateCreated
from infrastructure.codec import CodecError, decode_fact
from infrastructure.export_format import Header, Scope, ScopeKind, Trailer, entry_line, header_line, trailer_line
from infrastructure.history import Head
from infrastructure.snapshot import BATCH, snapshot

#: How often progress is told.
_STEP: Final = 1_000

#: Called with the number of entries done and the number there are.
Progress = Callable[[int, int], None]


class NothingToExport(LookupError):
    """What was asked for is not in the log; the message names it."""


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: the number of entries, the last position among them, the SHA-256 in the trailer."""

    entries: int
    position: int
    sha256: str


def export(url: str, scope: Scope, target: Path | None, progress: Progress = lambda done, total: None) -> Exported:
    """Writes an export to `target`, or to standard output for None.

    A file appears under its name only when it is complete. Raises NothingToExport, SnapshotError, OSError.
    """
    with snapshot(url) as conn:
        plan = _plan(conn, scope)
        with _output(target) as file:
            return _write(conn, plan, file, progress)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What goes into the file; `streams` is None for the whole log."""

    header: Header
    streams: tuple[UUID, ...] | None
    entries: int


def _plan(conn: psycopg.Connection[Any], scope: Scope) -> _Plan:
    row = conn.execute("SELECT ledger, position FROM log_head").fetchone()
    if row is None:
        raise NothingToExport("the database holds no ledger")
    ledger, position = row
    if scope.kind is ScopeKind.LOG:
        return _Plan(Header(ledger, scope, position, None), None, position)
    streams = _streams(conn, scope)
    rows = conn.execute("SELECT stream, version, leaf, position FROM heads WHERE stream = ANY(%s)", [list(streams)]).fetchall()
    heads = {stream: Head(version, leaf, at) for stream, version, leaf, at in rows}
    if len(heads) < len(streams):
        raise NothingToExport(f"{len(streams) - len(heads)} streams of {scope.kind} {scope.id} have no head; run fsck")
    return _Plan(Header(ledger, scope, position, heads), streams, sum(head.version for head in heads.values()))


def _streams(conn: psycopg.Connection[Any], scope: Scope) -> tuple[UUID, ...]:
    """The streams of a scope; raises NothingToExport."""
    missing = NothingToExport(f"there is no {scope.kind} {scope.id}")
    if scope.kind is ScopeKind.PROCESS:
        process = ProcessId.parse(str(scope.id))
        created = _first_fact(conn, process.participant)
        if not isinstance(created, ProcessCreated) or created.envelope != process.envelope:
            raise missing
        return (process.participant,)
    stream = UUID(scope.id)
    created = _first_fact(conn, stream)
    if scope.kind is ScopeKind.TEMPLATE and isinstance(created, TemplateCreated):
        return (stream,)
    if scope.kind is ScopeKind.ENVELOPE and isinstance(created, EnvelopeCreated):
        return (stream, *(slot.participant for slot in (*created.participants, *_added(conn, stream))))
    raise missing


def _added(conn: psycopg.Connection[Any], envelope: UUID) -> Iterator[Slot]:
    """The participants who came into the envelope later."""
    query = "SELECT entry FROM log WHERE stream = %s AND type = %s ORDER BY position"
    for (raw,) in conn.execute(query, [envelope, ParticipantAdded.TYPE]).fetchall():
        fact = _fact(raw, f"an entry of {envelope}")
        if isinstance(fact, ParticipantAdded):
            yield fact.slot


def _first_fact(conn: psycopg.Connection[Any], stream: UUID) -> object:
    row = conn.execute("SELECT entry FROM log WHERE stream = %s AND version = 1", [stream]).fetchone()
    return None if row is None else _fact(row[0], f"the first entry of {stream}")


def _fact(raw: bytes, which: str) -> object:
    try:
        entry = decode(raw)
        return decode_fact(entry.type, entry.data, entry.personal)
    except (EntryError, CodecError) as err:
        raise NothingToExport(f"{which} cannot be read ({err}); run fsck") from err


@contextmanager
def _output(target: Path | None) -> Iterator[BinaryIO]:
    """The file to write; it takes its name when all is written and safe on disk."""
    if target is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _write(conn: psycopg.Connection[Any], plan: _Plan, file: BinaryIO, progress: Progress) -> Exported:
    digest = sha256()
    _put(file, digest, header_line(plan.header))
    count = last = 0
    for position, leaf, raw in _rows(conn, plan):
        _put(file, digest, entry_line(position, leaf, raw))
        count, last = count + 1, position
        if count % _STEP == 0:
            progress(count, plan.entries)
    seal = digest.hexdigest()
    file.write(trailer_line(Trailer(count, last, seal)))
    progress(count, plan.entries)
    return Exported(count, last, seal)


def _put(file: BinaryIO, digest: _Hash, line: bytes) -> None:
    digest.update(line)
    file.write(line)


def _rows(conn: psycopg.Connection[Any], plan: _Plan) -> Iterator[tuple[int, bytes, bytes]]:
    where = SQL("") if plan.streams is None else SQL("WHERE stream = ANY(%s)")
    query = SQL("SELECT position, leaf, entry FROM log {} ORDER BY position").format(where)
    with conn.cursor(name="export") as cursor:
        cursor.itersize = BATCH
        yield from cursor.execute(query, None if plan.streams is None else [list(plan.streams)], binary=True)
