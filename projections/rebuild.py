"""Making read models anew: the same fold over the whole log into fresh tables, then a swap.

The old tables serve reads until the swap. It takes one transaction, with the position, so that a
runner that goes on meanwhile continues on the new tables from where they end, or not at all.
"""

import contextlib
import gc
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from infrastructure.database import SERVICE_ROLE, connect
from infrastructure.following import READ_CHANNEL, Connection, LogEntry, log_position, places, read_entries, transient
from projections import PROJECTIONS
from projections.projection import Item, Projection, left_out
from projections.store import Store, WriteBehind

log = logging.getLogger(__name__)

BATCH: Final = 5_000
#: Rows kept in memory: those of some ten thousand envelopes, some tens of megabytes.
ROWS_KEPT: Final = 40_000

#: So close to the head the rest is folded while the runner waits.
_CLOSE: Final = 500
_LOCK_POLL_SECONDS: Final = 0.2
_SWAP_ATTEMPTS: Final = 20

#: Hears (position, head) as the rebuild goes on.
Progress = Callable[[int, int], None]


def _silent(position: int, head: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild did: the projections by name, the entries it went over and the time it took."""

    projections: tuple[str, ...]
    entries: int
    seconds: float


def ensure_tables(
    owner_url: str, projections: Sequence[Projection] = PROJECTIONS, progress: Progress = _silent
) -> tuple[str, ...]:
    """Makes the tables that are missing or of another form, filled up to the log's head; answers their names.

    Part of starting, after the migrations. Several processes may call it at once.
    """
    with connect(owner_url) as conn:
        if not _outdated(conn, projections):
            return ()
        with _alone(conn):
            outdated = _outdated(conn, projections)
            return _rebuild(owner_url, conn, outdated, progress).projections if outdated else ()


def rebuild(owner_url: str, projections: Sequence[Projection] = PROJECTIONS, progress: Progress = _silent) -> Rebuilt:
    """Makes the projections anew from the whole log, stopped ones included, and lets them run.

    An entry that cannot be taken in raises what the fold raised, and the old tables stay.
    """
    with connect(owner_url) as conn, _alone(conn):
        return _rebuild(owner_url, conn, projections, progress)


def _outdated(conn: Connection, projections: Sequence[Projection]) -> list[Projection]:
    known = places(conn, [each.name for each in projections])
    return [each for each in projections if each.name not in known or known[each.name].revision != each.revision]


@contextlib.contextmanager
def _alone(conn: Connection) -> Iterator[None]:
    """One rebuild at a time: they share the schema that the new tables grow in. Ends with the connection."""
    while conn.execute("SELECT pg_try_advisory_lock(hashtextextended('countersign rebuild', 0))").fetchone() != (True,):
        time.sleep(_LOCK_POLL_SECONDS)
    yield


@contextlib.contextmanager
def _without_cycle_collection() -> Iterator[None]:
    """Folding makes no reference cycles, and looking for them among the rows kept took a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _rebuild(owner_url: str, conn: Connection, projections: Sequence[Projection], progress: Progress) -> Rebuilt:
    began = time.monotonic()
    with connect(owner_url) as writing, _without_cycle_collection():
        for each in (conn, writing):
            # What a crash of the server may lose here is lost with the unfinished tables anyway; the swap commits in full.
            each.execute("SELECT set_config('search_path', 'read_next', false), set_config('synchronous_commit', 'off', false)")
        _make_tables(conn, projections)
        store = WriteBehind(conn, writing, ROWS_KEPT)
        try:
            position = _fill(conn, store, projections, progress)
        finally:
            store.close()
    _run(conn, [each.indexes for each in projections])
    _run(conn, [f"ANALYZE {table}" for each in projections for table in each.tables])
    position = _swap_patiently(conn, projections, position)
    progress(position, position)
    return Rebuilt(tuple(each.name for each in projections), position, time.monotonic() - began)


def _make_tables(conn: Connection, projections: Sequence[Projection]) -> None:
    with conn.transaction():
        conn.execute("CREATE SCHEMA IF NOT EXISTS read_next")
        for each in projections:
            _run(conn, [f"DROP TABLE IF EXISTS read_next.{table}" for table in each.tables])
            _run(conn, [each.ddl])
            _run(conn, [f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {SERVICE_ROLE}" for table in each.tables])


def _run(conn: Connection, statements: Sequence[str]) -> None:
    for statement in statements:
        conn.execute(statement.encode())  # our own text


def _fill(conn: Connection, store: WriteBehind, projections: Sequence[Projection], progress: Progress) -> int:
    """Folds until the head is close; answers the position reached."""
    position, head = 0, log_position(conn)
    progress(position, head)
    while position < head:
        until = min(position + BATCH, head)
        _fold(store, projections, read_entries(conn, position, until, left_out(projections)))
        store.trim()
        position = until
        if head - position < _CLOSE:
            head = log_position(conn)
            if head - position < _CLOSE:
                break
        progress(position, head)
    store.flush()
    return position


def _fold(store: Store, projections: Sequence[Projection], entries: Sequence[LogEntry]) -> None:
    items = [Item(entry) for entry in entries]
    for each in projections:
        if taken := each.take(items):
            each.fold(store, taken)


def _swap_patiently(conn: Connection, projections: Sequence[Projection], position: int) -> int:
    """A reader or the runner may hold a table for a moment; then it goes first and this tries again."""
    for attempt in range(1, _SWAP_ATTEMPTS + 1):
        try:
            return _swap(conn, projections, position)
        except Exception as err:
            if conn.closed or not transient(err) or attempt == _SWAP_ATTEMPTS:
                raise
            log.info("the swap waits for others: %s", err)
            time.sleep(_LOCK_POLL_SECONDS)
    raise AssertionError("unreachable")


def _swap(conn: Connection, projections: Sequence[Projection], position: int) -> int:
    names = [each.name for each in projections]
    with conn.transaction():
        conn.execute("SELECT set_config('synchronous_commit', 'on', true), set_config('lock_timeout', '2s', true)")
        for each in projections:
            conn.execute(
                "INSERT INTO read.positions (projection, position, status, revision) VALUES (%s, 0, 'running', '') ON CONFLICT DO NOTHING",
                [each.name],
            )
        # From here to the commit no runner moves these, so nothing is folded into the old tables that the new ones lack.
        conn.execute("SELECT 1 FROM read.positions WHERE projection = ANY(%s) ORDER BY projection FOR UPDATE", [names])
        head = log_position(conn)
        while position < head:
            until = min(position + BATCH, head)
            _fold(Store(conn), projections, read_entries(conn, position, until, left_out(projections)))
            position = until
        for each in projections:
            for table in each.tables:
                _run(conn, [f"DROP TABLE IF EXISTS read.{table}", f"ALTER TABLE read_next.{table} SET SCHEMA read"])
            conn.execute(
                "UPDATE read.positions SET position = %s, status = 'running', error = NULL, revision = %s WHERE projection = %s",
                [position, each.revision, each.name],
            )
            conn.execute("SELECT pg_notify(%s, %s)", [READ_CHANNEL, f"{each.name} {position} running"])
        # Crash point: up to here reads and the runner use the old tables. With the commit they use the new ones.
    return position
