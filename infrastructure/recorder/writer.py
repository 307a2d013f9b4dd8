"""The writer: one thread that drains what is waiting into one transaction (group commit, DESIGN section 6).

It answers nobody before the commit. When the connection is lost it finds out what became of the
transaction before it answers or tries again.
"""

import asyncio
import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Final

import psycopg
from psycopg import errors

from infrastructure.append import Appended, AppendError, RecorderBusy, RecorderUnavailable
from infrastructure.clock import Clock
from infrastructure.recorder import transaction
from infrastructure.recorder.command import Command
from infrastructure.recorder.plan import Plan, plan
from infrastructure.recorder.wire import ConnectionLost, Pipeline

log = logging.getLogger(__name__)

#: One transaction takes at most this much, so that nobody waits long behind the others.
MAX_BATCH_COMMANDS: Final = 512
MAX_BATCH_BYTES: Final = 4 * 1024 * 1024

#: How long an append waits for a database that cannot be reached.
PATIENCE_SECONDS: Final = 10.0
#: How long a committed batch's answers wait for another process to give up the lock.
_LONGEST_HOLD_BACK_SECONDS: Final = 0.002
_FIRST_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 1.0

#: The database's refusals after which the transaction is certainly undone and may succeed if repeated.
_REPEATABLE: Final = (errors.SerializationFailure, errors.DeadlockDetected)

#: A batch's threads wake in so many chains: while one has the interpreter, the next is getting there.
_CHAINS: Final = 2

Outcome = Appended | Exception


class Ticket(ABC):
    """A command in the queue, and the way to whoever waits for its outcome."""

    __slots__ = ("command",)

    def __init__(self, command: Command) -> None:
        self.command = command

    @abstractmethod
    def claim(self) -> bool:
        """False if nobody waits any more; the command is then dropped."""

    @abstractmethod
    def settle(self, outcome: Outcome) -> None: ...


class ThreadTicket(Ticket):
    """For a thread that calls `wait`.

    A bare lock takes half the time of a Future. And the threads of a batch wake one another, each one
    behind it: if all woke at once, they would queue for the interpreter's lock a second time.
    """

    __slots__ = ("_awake", "_behind", "_done", "_outcome")

    def __init__(self, command: Command) -> None:
        super().__init__(command)
        self._done = threading.Lock()
        self._done.acquire()
        self._awake = False
        self._behind: ThreadTicket | None = None
        self._outcome: Outcome | None = None

    def claim(self) -> bool:
        return True

    def settle(self, outcome: Outcome) -> None:
        self._outcome = outcome

    def wake(self) -> None:
        self._awake = True
        self._done.release()

    def wake_behind(self, behind: "ThreadTicket") -> None:
        """Has this one wake `behind` when it wakes itself; before `wake`."""
        self._behind = behind

    def wait(self) -> Appended:
        """Blocks until the outcome is known, and answers or raises it."""
        try:
            self._done.acquire()
        except BaseException:  # interrupted: those behind are woken all the same
            if self._awake:
                self._pass_on()
            else:
                threading.Thread(target=self.wait, daemon=True).start()
            raise
        self._pass_on()
        if isinstance(self._outcome, Appended):
            return self._outcome
        raise self._outcome or RecorderUnavailable("the writer gave no answer")

    def _pass_on(self) -> None:
        if self._behind is not None:
            self._behind.wake()


class FutureTicket(Ticket):
    """For whoever holds the future."""

    __slots__ = ("future",)

    def __init__(self, command: Command) -> None:
        super().__init__(command)
        self.future: Future[Appended] = Future()

    def claim(self) -> bool:
        return self.future.set_running_or_notify_cancel()

    def settle(self, outcome: Outcome) -> None:
        if isinstance(outcome, Appended):
            self.future.set_result(outcome)
        else:
            self.future.set_exception(outcome)


class TaskTicket(Ticket):
    """For a coroutine of `loop`; `settle` is called on that loop."""

    __slots__ = ("future", "loop")

    def __init__(self, command: Command) -> None:
        super().__init__(command)
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Appended] = self.loop.create_future()

    def claim(self) -> bool:
        return not self.future.cancelled()

    def settle(self, outcome: Outcome) -> None:
        if self.future.done():  # cancelled while it was being appended
            return
        if isinstance(outcome, Appended):
            self.future.set_result(outcome)
        else:
            self.future.set_exception(outcome)


class _Lost(Exception):
    """The connection broke. `plan` is set if the commit may have been on its way."""

    def __init__(self, plan: Plan | None) -> None:
        super().__init__("the connection was lost")
        self.plan = plan


class Writer:
    """Owns one connection. `start`, then `put` from any thread, then `close`."""

    def __init__(self, connect: Callable[[], Pipeline], clock: Clock, max_waiting: int) -> None:
        self._connect = connect
        self._clock = clock
        self._max_waiting = max_waiting
        self._queue: SimpleQueue[Ticket | None] = SimpleQueue()
        self._held: Ticket | None = None
        self._committed: tuple[list[Ticket], list[Outcome]] | None = None
        self._connection: Pipeline | None = None
        self._thread = threading.Thread(target=self._run, name="countersign-writer", daemon=True)
        self._gate = threading.Lock()
        self._running = False

    def start(self) -> None:
        """Connects first, so that a wrong address or ledger is an error here and not at the first append."""
        self._connection = self._connect()
        self._running = True
        self._thread.start()

    def close(self) -> None:
        """Finishes what is waiting, then ends. Idempotent."""
        with self._gate:
            self._running = False
            self._queue.put(None)
        if self._thread.ident is not None:
            self._thread.join()
        if self._connection is not None:
            self._connection.close()

    def put(self, ticket: Ticket) -> None:
        """Raises RecorderBusy if too many are waiting, RecorderUnavailable after `close`."""
        if self._queue.qsize() >= self._max_waiting:
            raise RecorderBusy(f"{self._max_waiting} appends are waiting already")
        with self._gate:  # nothing may get behind the end of the queue, where nobody would ever take it
            if not self._running:
                raise RecorderUnavailable("the recorder is not running")
            self._queue.put(ticket)

    def _run(self) -> None:
        while (batch := self._take()) is not None:
            batch = [ticket for ticket in batch if ticket.claim()]
            if not batch:
                self._answer()
                continue
            try:
                outcomes = self._append([ticket.command for ticket in batch])
            except BaseException as err:  # nobody may be left waiting for a writer that is gone
                log.exception("an append failed in an unforeseen way")
                outcomes = [_because(RecorderUnavailable(f"the writer failed: {err!r}"), err)] * len(batch)
            self._answer()
            self._committed = (batch, outcomes)
            if self._held is None and self._queue.empty():
                self._answer()
        self._answer()

    def _answer(self) -> None:
        """Tells those whose batch has been committed.

        Under load that is done while the next batch is being committed: they come back at once with
        new work, for which they need the interpreter, and that is the time when the writer does not.
        """
        if self._committed is not None:
            (batch, outcomes), self._committed = self._committed, None
            _deliver(batch, outcomes)

    def _take(self) -> list[Ticket] | None:
        """Waits for one command and takes all that are there; None at the end.

        A command that erases is taken alone: what it destroys is then exactly what came before it.
        """
        first, self._held = self._held or self._queue.get(), None
        if first is None:
            return None
        batch, size = [first], first.command.size()
        while not batch[-1].command.erase and len(batch) < MAX_BATCH_COMMANDS and size < MAX_BATCH_BYTES:
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
            size += ticket.command.size()
        return batch

    def _append(self, commands: Sequence[Command]) -> list[Outcome]:
        """One outcome per command. Tries again for as long as it is certain that nothing has happened."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        lost_commits = 0
        while True:
            try:
                return self._transact(self._connected(deadline), commands)
            except _Lost as lost:
                self._answer()
                self._disconnect()
                if time.monotonic() > deadline:
                    return [RecorderUnavailable("the connection was lost again and again")] * len(commands)
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
            except psycopg.OperationalError as err:  # a full disk, a lock that was not given up: nobody's own fault
                return [_because(RecorderUnavailable(f"the database could not store it: {err}"), err)] * len(commands)
            except psycopg.Error as err:
                if len(commands) == 1:
                    return [_because(AppendError(f"the database refused it: {err}"), err)]
                # One of them is to blame: each for itself, so that the others do not suffer for it.
                return [outcome for command in commands for outcome in self._append([command])]

    def _transact(self, pipeline: Pipeline, commands: Sequence[Command]) -> list[Outcome]:
        made: Plan | None = None
        try:
            # Crash point: nothing has happened yet, the lock falls with the connection.
            asked = transaction.lock_and_ask(pipeline, commands)
            if not pipeline.answers_within(_LONGEST_HOLD_BACK_SECONDS):
                self._answer()
            made = plan(commands, transaction.read(pipeline, asked), self._clock.now())
            transaction.write_and_commit(pipeline, made)
            self._answer()
            pipeline.collect()
            # Crash point: it has happened, and nobody has been told. Repeats with a key are recognised.
            return made.outcomes
        except ConnectionLost as err:
            raise _Lost(made) from err
        except psycopg.Error as err:
            try:
                pipeline.recover()
            except ConnectionLost:
                raise _Lost(None) from err  # the server has said that it failed
            if isinstance(err, errors.ReadOnlySqlTransaction):
                raise _Lost(None) from err  # a primary that became a standby: another one is to be found
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

    def _connected(self, deadline: float) -> Pipeline:
        """Raises RecorderUnavailable at the deadline."""
        pause = _FIRST_PAUSE_SECONDS
        while self._connection is None:
            try:
                self._connection = self._connect()
            except psycopg.OperationalError as err:
                self._answer()
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


def _because(failure: AppendError, err: BaseException) -> AppendError:
    failure.__cause__ = err
    return failure


def _deliver(batch: Sequence[Ticket], outcomes: Sequence[Outcome]) -> None:
    """Threads wake one another, beginning with the first ones; each event loop is woken once for all its tasks."""
    threads: list[ThreadTicket] = []
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[TaskTicket, Outcome]]] = {}
    for ticket, outcome in zip(batch, outcomes, strict=True):
        if isinstance(ticket, TaskTicket):
            by_loop.setdefault(ticket.loop, []).append((ticket, outcome))
            continue
        ticket.settle(outcome)
        if isinstance(ticket, ThreadTicket):
            threads.append(ticket)
    for ahead, behind in zip(threads, threads[_CHAINS:], strict=False):
        ahead.wake_behind(behind)
    for first in threads[:_CHAINS]:
        first.wake()
    for loop, settled in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle_all, settled)
        except RuntimeError:  # the loop was closed, and with it whoever waited
            log.warning("%d appends were finished after their event loop had closed", len(settled))


def _settle_all(settled: Sequence[tuple[TaskTicket, Outcome]]) -> None:
    for ticket, outcome in settled:
        ticket.settle(outcome)
