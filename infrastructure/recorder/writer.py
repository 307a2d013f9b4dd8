"""The writer: one thread that drains what is waiting into one transaction (group commit, DESIGN section 6).

It answers nobody before the commit. When the connection is lost it finds out what became of the
transaction before it answers or tries again.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, Final

import psycopg
from psycopg import errors

from infrastructure.append import Appended, AppendError, RecorderBusy, RecorderUnavailable
from infrastructure.clock import Clock
from infrastructure.recorder import transaction
from infrastructure.recorder.command import Command
from infrastructure.recorder.plan import Plan, plan

log = logging.getLogger(__name__)

#: One transaction takes at most this much, so that nobody waits long behind the others.
MAX_BATCH_COMMANDS: Final = 512
MAX_BATCH_ENTRIES: Final = 4096

#: How long an append waits for a database that cannot be reached.
PATIENCE_SECONDS: Final = 10.0
_FIRST_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 1.0

#: The database's refusals after which the transaction is certainly undone and may succeed if repeated.
_REPEATABLE: Final = (errors.SerializationFailure, errors.DeadlockDetected)

Outcome = Appended | Exception


class Ticket:
    """A command in the queue, and who waits for it: `future` belongs to `loop`, or to any thread if that is None."""

    __slots__ = ("command", "future", "loop")

    def __init__(
        self, command: Command, future: "Future[Appended] | asyncio.Future[Appended]", loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        self.command = command
        self.future = future
        self.loop = loop

    def claim(self) -> bool:
        """False if whoever waited has given up; from here on a thread's future can no longer be cancelled."""
        if isinstance(self.future, Future):
            return self.future.set_running_or_notify_cancel()
        return not self.future.cancelled()


class _Lost(Exception):
    """The connection broke. `plan` is set if the commit may have been on its way."""

    def __init__(self, plan: Plan | None) -> None:
        super().__init__("the connection was lost")
        self.plan = plan


class Writer:
    """Owns one connection. `start`, then `put` from any thread, then `close`."""

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]], clock: Clock, max_waiting: int) -> None:
        self._connect = connect
        self._clock = clock
        self._max_waiting = max_waiting
        self._queue: SimpleQueue[Ticket | None] = SimpleQueue()
        self._held: Ticket | None = None
        self._connection: psycopg.Connection[Any] | None = None
        self._thread = threading.Thread(target=self._run, name="countersign-writer", daemon=True)
        self._closing = threading.Event()

    def start(self) -> None:
        """Connects first, so that a wrong address or ledger is an error here and not at the first append."""
        self._connection = self._connect()
        self._thread.start()

    def close(self) -> None:
        """Finishes what is waiting, then ends. Idempotent."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._queue.put(None)
        if self._thread.ident is not None:
            self._thread.join()
        if self._connection is not None:
            self._connection.close()

    def put(self, ticket: Ticket) -> None:
        """Raises RecorderBusy if too many are waiting, RecorderUnavailable after `close`."""
        if self._queue.qsize() >= self._max_waiting:
            raise RecorderBusy(f"{self._max_waiting} appends are waiting already")
        if self._closing.is_set() or not self._thread.is_alive():
            raise RecorderUnavailable("the recorder is not running")
        self._queue.put(ticket)

    def _run(self) -> None:
        while (batch := self._take()) is not None:
            batch = [ticket for ticket in batch if ticket.claim()]
            if not batch:
                continue
            try:
                outcomes = self._append([ticket.command for ticket in batch])
            except BaseException as err:  # nobody may be left waiting for a writer that is gone
                log.exception("an append failed in an unforeseen way")
                outcomes = [_unforeseen(err)] * len(batch)
            _deliver(batch, outcomes)

    def _take(self) -> list[Ticket] | None:
        """Waits for one command and takes all that are there; None at the end.

        A command that erases is taken alone: what it destroys is then exactly what came before it.
        """
        first, self._held = self._held or self._queue.get(), None
        if first is None:
            return None
        batch, entries = [first], len(first.command.entries)
        while not batch[-1].command.erase and len(batch) < MAX_BATCH_COMMANDS and entries < MAX_BATCH_ENTRIES:
            try:
                ticket = self._queue.get_nowait()
            except Empty:
                break
            if ticket is None:
                self._queue.put(None)
                break
            if ticket.command.erase:
                self._held = ticket
                break
            batch.append(ticket)
            entries += len(ticket.command.entries)
        return batch

    def _append(self, commands: Sequence[Command]) -> list[Outcome]:
        """One outcome per command. Tries again for as long as it is certain that nothing has happened."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        lost_commits = 0
        while True:
            try:
                return self._transact(self._connected(deadline), commands)
            except _Lost as lost:
                self._disconnect()
                if lost.plan is None:
                    continue
                lost_commits += 1
                happened = self._has_happened(lost.plan, deadline)
                if happened:
                    return lost.plan.outcomes
                if happened is None or lost_commits > 1:
                    return [RecorderUnavailable("the connection was lost while committing")] * len(commands)
            except RecorderUnavailable as err:
                return [err] * len(commands)
            except _REPEATABLE:
                if time.monotonic() > deadline:
                    return [RecorderUnavailable("the database refused again and again")] * len(commands)
            except psycopg.Error as err:
                if len(commands) == 1:
                    return [_refused(err)]
                # One of them is to blame: each for itself, so that the others do not suffer for it.
                return [outcome for command in commands for outcome in self._append([command])]

    def _transact(self, conn: psycopg.Connection[Any], commands: Sequence[Command]) -> list[Outcome]:
        made: Plan | None = None
        try:
            with conn.pipeline():
                # Crash point: nothing has happened yet, the lock falls with the connection.
                state = transaction.lock_and_read(conn, commands)
                made = plan(commands, state, self._clock.now())
                transaction.write_and_commit(conn, made)
            # Crash point: it has happened, and nobody has been told. Repeats with a key are recognised.
            return made.outcomes
        except psycopg.Error as err:
            if _is_lost(conn, err):
                raise _Lost(made) from err
            conn.execute("ROLLBACK")
            raise
        except BaseException:
            self._disconnect()
            raise

    def _has_happened(self, made: Plan, deadline: float) -> bool | None:
        """None if it cannot be known."""
        if made.writes_nothing():
            return True
        if not made.rows:
            return None
        while True:
            try:
                return transaction.has_happened(self._connected(deadline), made)
            except RecorderUnavailable:
                return None
            except psycopg.Error:
                self._disconnect()

    def _connected(self, deadline: float) -> psycopg.Connection[Any]:
        """Raises RecorderUnavailable at the deadline."""
        pause = _FIRST_PAUSE_SECONDS
        while self._connection is None:
            try:
                self._connection = self._connect()
            except psycopg.OperationalError as err:
                if time.monotonic() + pause > deadline:
                    raise RecorderUnavailable(f"the database cannot be reached: {err}") from err
                log.warning("the database cannot be reached, trying again: %s", err)
                time.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _is_lost(conn: psycopg.Connection[Any], err: psycopg.Error) -> bool:
    """Whether the connection is of no use any more; a server that became a read-only standby is as good as gone."""
    return conn.closed or conn.broken or isinstance(err, errors.ReadOnlySqlTransaction)


def _refused(err: psycopg.Error) -> AppendError:
    refusal = (
        RecorderUnavailable(f"the database could not store it: {err}")
        if isinstance(err, psycopg.OperationalError)
        else AppendError(f"the database refused it: {err}")
    )
    refusal.__cause__ = err
    return refusal


def _unforeseen(err: BaseException) -> RecorderUnavailable:
    failure = RecorderUnavailable(f"the writer failed: {err!r}")
    failure.__cause__ = err
    return failure


def _deliver(batch: Sequence[Ticket], outcomes: Sequence[Outcome]) -> None:
    """Threads are woken one by one, each event loop once for all its futures."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Appended], Outcome]]] = {}
    for ticket, outcome in zip(batch, outcomes, strict=True):
        if isinstance(ticket.future, Future):
            _settle(ticket.future, outcome)
        elif ticket.loop is not None:
            by_loop.setdefault(ticket.loop, []).append((ticket.future, outcome))
    for loop, settled in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle_all, settled)
        except RuntimeError:  # the loop was closed, and with it whoever waited
            log.warning("%d appends were finished after their event loop had closed", len(settled))


def _settle_all(settled: Sequence[tuple["asyncio.Future[Appended]", Outcome]]) -> None:
    for future, outcome in settled:
        if not future.done():
            _settle(future, outcome)


def _settle(future: "Future[Appended] | asyncio.Future[Appended]", outcome: Outcome) -> None:
    if isinstance(outcome, Appended):
        future.set_result(outcome)
    else:
        future.set_exception(outcome)
