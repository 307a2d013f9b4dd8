"""The loop that every follower of the log shares.

A follower takes the next entries after its position, does its work, and moves the position in the
same transaction (DESIGN section 2). Of all processes that run the same follower one is active; the
others wait for its advisory lock, which PostgreSQL releases when the holder's connection ends. The lock
only saves work. What makes an entry count once is the position, which moves from one known value to
the next or not at all.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

import psycopg

from infrastructure.database import connect
from infrastructure.notifications import LogListener

log = logging.getLogger(__name__)

#: A blocking connection in autocommit, as a follower's step gets it.
Connection: TypeAlias = psycopg.Connection[Any]

#: One portion of work; true when there may be more at once. It commits what it did itself.
Step: TypeAlias = Callable[[Connection], bool]

#: Where a moved or stopped position is announced, as `<name> <position> <status>`.
READ_CHANNEL: Final = "countersign_read"

POLL_SECONDS: Final = 1.0
#: How often a waiting follower asks for the lock, hence how soon it takes over.
TAKEOVER_SECONDS: Final = 0.5
#: The server ends the connection of an active follower that has been silent for so long: its process is
#: frozen or its host has vanished, and the others should not wait for it.
FROZEN_SECONDS: Final = 30
_RETRY_SECONDS: Final = (0.1, 0.5, 1.0, 2.0, 5.0)

#: SQLSTATE classes of what may pass by itself: connection, conflict between transactions, resources,
#: operator intervention, system error (PostgreSQL documentation, appendix A); and a lock that was not granted.
_TRANSIENT_CLASSES: Final = frozenset(("08", "40", "53", "57", "58"))
_LOCK_NOT_AVAILABLE: Final = "55P03"


def transient(err: BaseException) -> bool:
    """Whether doing the same again on a new connection may succeed."""
    if not isinstance(err, psycopg.OperationalError | psycopg.InterfaceError):
        return False
    return err.sqlstate is None or err.sqlstate[:2] in _TRANSIENT_CLASSES or err.sqlstate == _LOCK_NOT_AVAILABLE


class LogEntry(NamedTuple):
    """One row of the log; `stream` is a UUID as text, `entry` the canonical bytes."""

    position: int
    stream: str
    version: int
    type: str
    entry: bytes


def read_entries(conn: Connection, after: int, until: int, leave_out: Sequence[str] = ()) -> list[LogEntry]:
    """The entries at positions `after` + 1 to `until`, in order, but for those of the types to leave out."""
    with conn.cursor(binary=True, row_factory=_log_entries) as cursor:
        cursor.execute(
            "SELECT position, stream::text, version, type, entry FROM public.log"
            " WHERE position > %s AND position <= %s AND type <> ALL(%s::text[]) ORDER BY position",
            [after, until, list(leave_out)],
        )
        return cursor.fetchall()


def _log_entries(cursor: object) -> Callable[[Sequence[Any]], LogEntry]:
    return LogEntry._make


def log_position(conn: Connection) -> int:
    """The position of the last entry. All entries up to it are visible to any later statement."""
    row = conn.execute("SELECT position FROM public.log_head").fetchone()
    return int(row[0]) if row else 0


class Overtaken(Exception):
    """Another runner moved the position, or the tables were made anew: nothing was written, look again."""


@dataclass(frozen=True, slots=True)
class Place:
    """How far a follower has come. `revision` is the form of the tables it fills, empty if it has none."""

    position: int
    running: bool
    error: str | None
    revision: str


def places(conn: Connection, names: Iterable[str] | None = None) -> dict[str, Place]:
    """The places of the named followers that have begun, else of all, by name."""
    query = "SELECT projection, position, status = 'running', error, revision FROM read.positions"
    wanted = None if names is None else list(names)
    rows = conn.execute(query + " WHERE %s::text[] IS NULL OR projection = ANY(%s) ORDER BY projection", [wanted, wanted])
    return {name: Place(*place) for name, *place in rows.fetchall()}


def begin(conn: Connection, name: str, revision: str = "") -> None:
    """Gives a follower its place at the log's beginning, unless it has one."""
    conn.execute(
        "INSERT INTO read.positions (projection, position, status, revision) VALUES (%s, 0, 'running', %s) ON CONFLICT DO NOTHING",
        [name, revision],
    )


def move(conn: Connection, revisions: Mapping[str, str], position: int, to: int) -> None:
    """Moves running followers from `position` on to `to`, in the caller's transaction, and announces it.

    MUST come before the caller reads what it will change: from here to the commit nobody else moves
    them. Raises Overtaken when one of them is not where the caller believes, stopped, or of another revision.
    """
    moved = conn.execute(
        "WITH moved AS (UPDATE read.positions SET position = %s"
        " WHERE (projection, revision) IN (SELECT * FROM unnest(%s::text[], %s::text[])) AND position = %s AND status = 'running'"
        " RETURNING projection, position)"
        " SELECT pg_notify(%s, projection || ' ' || position || ' running') FROM moved",
        [to, list(revisions), list(revisions.values()), position, READ_CHANNEL],
    )
    if moved.rowcount != len(revisions):
        raise Overtaken


def stop(conn: Connection, name: str, revision: str, position: int, error: str) -> None:
    """Stops a follower at its position until `restart`; no effect if it has moved meanwhile."""
    conn.execute(
        "WITH stopped AS (UPDATE read.positions SET status = 'stopped', error = %s"
        " WHERE projection = %s AND revision = %s AND position = %s RETURNING projection, position)"
        " SELECT pg_notify(%s, projection || ' ' || position || ' stopped') FROM stopped",
        [error, name, revision, position, READ_CHANNEL],
    )


def restart(conn: Connection, name: str) -> bool:
    """Lets a stopped follower try again where it stopped; false if none of that name is stopped."""
    restarted = conn.execute(
        "WITH restarted AS (UPDATE read.positions SET status = 'running', error = NULL"
        " WHERE projection = %s AND status = 'stopped' RETURNING 1)"
        " SELECT pg_notify('countersign_log', position::text) FROM public.log_head, restarted",
        [name],
    )
    return restarted.rowcount > 0


def each_batch(name: str, work: Callable[[Connection, Sequence[LogEntry]], None], *, limit: int = 500) -> Step:
    """A step that hands `work` the next entries, in the transaction that moves the position of `name`.

    What `work` does through the connection happens exactly once; what it does elsewhere, at least once.
    """

    def step(conn: Connection) -> bool:
        place = places(conn, [name]).get(name)
        if place is None:
            begin(conn, name)
            return True
        until = min(place.position + limit, log_position(conn))
        if not place.running or until <= place.position:
            return False
        try:
            with conn.transaction():
                move(conn, {name: place.revision}, place.position, until)
                work(conn, read_entries(conn, place.position, until))
                # Crash point: up to here neither the work nor the move has happened.
        except Overtaken:
            log.info("%s was moved by another process", name)
        return True

    return step


class Follower:
    """Runs a step again and again on a thread of its own, in one process of all at a time.

    It runs when the listener wakes it and at least every `poll_seconds`. A step that raises is tried
    again, after a pause that grows with each failure. A step that works longer than `frozen_seconds`
    without a word to the database loses its connection.
    """

    def __init__(
        self,
        url: str,
        name: str,
        step: Step,
        listener: LogListener,
        *,
        poll_seconds: float = POLL_SECONDS,
        frozen_seconds: float = FROZEN_SECONDS,
    ) -> None:
        self.name = name
        self._url = url
        self._step = step
        self._listener = listener
        self._poll_seconds = poll_seconds
        self._frozen_seconds = frozen_seconds
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._active = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"countersign-{name}", daemon=True)

    @property
    def active(self) -> bool:
        """Whether this process is the one that works."""
        return self._active.is_set()

    def start(self) -> None:
        self._listener.add(self._wake.set)
        self._thread.start()

    def close(self) -> None:
        """Finishes the step in hand. Idempotent."""
        self._stopping.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._listener.remove(self._wake.set)

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                with connect(self._url) as conn:
                    self._prepare(conn)
                    self._await_turn(conn)
                    while not self._stopping.is_set():
                        self._wake.clear()
                        more = self._step(conn)
                        failures = 0
                        if not more:
                            self._wake.wait(self._poll_seconds)
            except Exception as err:
                # Whatever it is, a follower that ends for good would be noticed too late by everybody.
                pause = _RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)]
                failures += 1
                log.warning("%s failed and tries again in %s s: %s", self.name, pause, err, exc_info=not transient(err))
                self._stopping.wait(pause)
            finally:
                self._active.clear()

    def _prepare(self, conn: Connection) -> None:
        frozen = f"{int(self._frozen_seconds * 1000)}ms"
        for setting, value in (
            ("application_name", f"countersign {self.name}"),
            ("idle_session_timeout", frozen),
            ("idle_in_transaction_session_timeout", frozen),
            ("tcp_keepalives_idle", "5"),
            ("tcp_keepalives_interval", "2"),
            ("tcp_keepalives_count", "3"),
        ):
            conn.execute("SELECT set_config(%s, %s, false)", [setting, value])

    def _await_turn(self, conn: Connection) -> None:
        # Asked for again and again rather than waited for: a statement that waits holds back VACUUM.
        while not self._stopping.is_set():
            row = conn.execute(
                "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [f"countersign follower {self.name}"]
            ).fetchone()
            if row and row[0]:
                self._active.set()
                return
            self._stopping.wait(TAKEOVER_SECONDS)
