"""Checks the whole log in the database: every entry, leaf, chain, head, position, tile and file is computed again.

Reads one snapshot, so it may run beside a working system, and takes nothing from the database on trust
but what only it has: the heads, the counter and what was sealed, which the entries are compared with.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from domain.canonical import CanonicalError, parse_json
from domain.entry import format_time
from domain.faults import FaultKind
from domain.sealing import ledger_stream
from infrastructure.blobs import BlobStore
from infrastructure.fsck_files import FilesChecked, NamedFiles, check_files
from infrastructure.fsck_sealed import SealedTree
from infrastructure.heads_anew import check_manifest
from infrastructure.history import Columns, Head, History, Numbering
from infrastructure.snapshot import BATCH, SnapshotError, snapshot
from infrastructure.verification import NO_EXPECTATIONS, Expectations, Report

#: How often progress is told, in rows.
_STEP: Final = 1_000

#: Called with what is being read, how much of it is done and how much there is.
Progress = Callable[[str, int, int], None]

_LOG: Final = "SELECT position, stream, version, type, leaf, entry AS raw FROM log ORDER BY position"
_HEADS: Final = "SELECT stream, version, leaf, position FROM heads"
_DISCLOSURES: Final = """
    SELECT log.position, d.stream, d.version, array_agg(d.path), log.entry
    FROM disclosures AS d LEFT JOIN log USING (stream, version) GROUP BY d.stream, d.version, log.position, log.entry"""


@dataclass(frozen=True, slots=True)
class _Row:
    position: int
    stream: UUID
    version: int
    type: str
    leaf: bytes
    raw: bytes


def fsck(
    url: str,
    expectations: Expectations = NO_EXPECTATIONS,
    progress: Progress = lambda what, done, total: None,
    blobs: BlobStore | None = None,
) -> Report:
    """Checks the log in the database at `url`, and the files in `blobs`; `close` the report when it has been read.

    Raises SnapshotError if the database cannot be read, BlobsUnreadable.
    """
    began = datetime.now(UTC)
    with snapshot(url) as conn:
        found = conn.execute("SELECT ledger, position, at FROM log_head").fetchone()
        if found is None:
            raise SnapshotError("the database holds no ledger: log_head has no row")
        ledger, position, at = found
        history = History(ledger, Numbering.TABLE, known=dict(expectations.heads))
        if expectations.ledger not in (None, ledger):
            detail = f"the database holds the ledger {ledger!r}, expected was {expectations.ledger!r}"
            history.faults.add(FaultKind.FOREIGN, detail)
        sealed = SealedTree(conn, ledger, history.faults)
        _entries(conn, history, sealed, position, progress)
        history.compare_end(position, "the log's head")
        if history.last == position and history.last_at is not None and history.last_at != at and not history.faults:
            detail = f"the log's head says {format_time(at)}, the last entry {format_time(history.last_at)}"
            history.faults.add(FaultKind.HEAD_MISMATCH, detail, position=position)
        _heads(conn, history, progress)
        manifest = _manifest(conn, history, ledger)
        history.finish()
        disclosures = _disclosures(conn, history, progress)
        named = None if blobs is None else NamedFiles(conn, began)
    # To read all files takes its time, in which the database need not keep this view of everything.
    files = None if blobs is None or named is None else check_files(named, blobs, history.faults, partial(progress, "files"))
    checked = [*_checked(history, sealed, disclosures), *manifest, *([files.checked()] if files else [])]
    return Report(history, None, checked, _absent(history, sealed, files), noted=files.noted() if files else [])


def _entries(conn: psycopg.Connection[Any], history: History, sealed: SealedTree, total: int, progress: Progress) -> None:
    with conn.cursor(name="fsck_log", row_factory=class_row(_Row)) as cursor:
        cursor.itersize = BATCH
        for row in cursor.execute(_LOG, binary=True):
            history.push(row.position, row.raw, row.leaf, row=Columns(row.stream, row.version, row.type))
            sealed.push(row.raw)
            if history.entries % _STEP == 0:
                progress("entries", history.entries, total)
    history.end_of_entries()
    sealed.finish()
    progress("entries", history.entries, total)


def _heads(conn: psycopg.Connection[Any], history: History, progress: Progress) -> None:
    matched, total = 0, len(history.table)
    with conn.cursor(name="fsck_heads") as cursor:
        cursor.itersize = BATCH
        for stream, version, leaf, position in cursor.execute(_HEADS, binary=True):
            history.compare_head(stream, Head(version, leaf, position))
            matched += history.table.get(stream) is not None
            if matched % _STEP == 0:
                progress("heads", matched, total)
    if matched < total:
        _without_head(conn, history)
    progress("heads", matched, total)


def _without_head(conn: psycopg.Connection[Any], history: History) -> None:
    """Names streams that have entries and no head."""
    waiting: list[UUID] = []
    for stream, _ in history.records():
        waiting.append(stream)
        if len(waiting) == BATCH:
            _name_without_head(conn, history, waiting)
            waiting.clear()
    _name_without_head(conn, history, waiting)


def _name_without_head(conn: psycopg.Connection[Any], history: History, streams: list[UUID]) -> None:
    rows = conn.execute("SELECT unnest(%s::uuid[]) EXCEPT SELECT stream FROM heads", [streams]).fetchall()
    for (stream,) in rows:
        record = history.table.get(stream)
        position = None if record is None else record.position
        history.faults.add(FaultKind.HEAD_MISMATCH, "the stream has entries but no head", position=position, stream=stream)


def _manifest(conn: psycopg.Connection[Any], history: History, ledger: str) -> list[str]:
    """Compares the last heads manifest with the log; answers what was checked."""
    found = check_manifest(conn, ledger)
    if found is None:
        return []
    for detail in found.faults:
        history.faults.add(FaultKind.HEAD_MISMATCH, detail, position=found.entry, stream=ledger_stream(ledger))
    return [f"the heads manifest that entry {found.entry} records is that of the entries before it"]


def _disclosures(conn: psycopg.Connection[Any], history: History, progress: Progress) -> int:
    """Compares the stored disclosures with the commitments of the log, without opening them; answers how many there are.

    Entries that cannot be read are named already.
    """
    found = conn.execute("SELECT count(*) FROM disclosures").fetchone()
    total = 0 if found is None else int(found[0])
    done = 0
    with conn.cursor(name="fsck_disclosures") as cursor:
        cursor.itersize = BATCH
        for position, stream, version, paths, raw in cursor.execute(_DISCLOSURES, binary=True):
            done += len(paths)
            if done % _STEP < len(paths):
                progress("disclosures", done, total)
            for path in _stray(paths, raw):
                detail = f"a disclosure of {path} belongs to no commitment of the entry"
                history.faults.add(FaultKind.STRAY_DISCLOSURE, detail, position=position, stream=stream, version=version)
    progress("disclosures", done, total)
    return total


def _stray(paths: list[str], raw: bytes | None) -> list[str]:
    if raw is None:
        return paths
    try:
        value = parse_json(raw)
    except CanonicalError:
        return []
    personal = value.get("personal") if isinstance(value, dict) else None
    return [] if not isinstance(personal, dict) else [path for path in paths if path not in personal]


def _checked(history: History, sealed: SealedTree, disclosures: int) -> list[str]:
    checkpoints = f"each of {sealed.checkpoints} checkpoints is signed by a key that the log names, and is of the log's beginning"
    return [
        "each entry is in its one canonical spelling, hashes to its leaf, and is what its row's columns say",
        "positions count 1, 2, 3 without a gap up to the log's head, and times never decrease along them",
        "within each stream versions count 1, 2, 3 and each entry names the hash of the one before it",
        "each stream ends at its head, and no stream is without one",
        "each fact could have been decided in the state that the facts before it had led to",
        "the facts of each envelope and of its signings fit together",
        *([checkpoints, "the stored tiles are those of the entries that are sealed"] if sealed.checkpoints else []),
        f"each of {disclosures} stored disclosures belongs to a commitment in the log",
        *(f"position {position} is what the given head says" for position in sorted(history.seen)),
    ]


def _absent(history: History, sealed: SealedTree, files: FilesChecked | None) -> list[str]:
    absent = (
        []
        if history.seen
        else ["a head that someone else kept (--head): a log written anew together with its heads would look the same"]
    )
    return [
        *absent,
        *([] if sealed.checkpoints else ["checkpoint: nothing signed is compared with the log"]),
        "witness: nobody else vouches for the log's head",
        "trusted time: the times are those of the server's own clock",
        *([] if files else ["files: whether those that the log names are stored, and unaltered, was not looked at"]),
        "the contents of disclosures: they are encrypted, and were not opened and compared with their commitments",
        *(f"replay of {count} entries of the unknown type {name!r}" for name, count in sorted(history.unknown.items())),
    ]
