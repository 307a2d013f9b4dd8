"""The recorder: the only code that inserts entries (DESIGN section 6).

For the ledger it appends from the event loop (`append`) or from threads (`submit`). For the
`eventsourcing` library it is an ApplicationRecorder. Both go through the same writer.
"""

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, Final
from uuid import UUID

import psycopg
from eventsourcing.persistence import (
    ApplicationRecorder,
    DataError,
    IntegrityError,
    ListenNotifySubscription,
    Notification,
    OperationalError,
    StoredEvent,
    Subscription,
)
from psycopg.rows import class_row

from domain.entry import EntryError
from infrastructure.append import Append, Appended, RecorderUnavailable, StaleAppend
from infrastructure.clock import Clock, SystemClock
from infrastructure.database import Reads, blocking_pool
from infrastructure.notifications import LogListener
from infrastructure.recorder.command import from_append
from infrastructure.recorder.library import OutOfOrder, from_stored_events, to_notification, to_stored_event
from infrastructure.recorder.reading import LogReader, StoredEntry
from infrastructure.recorder.transaction import connect_writer
from infrastructure.recorder.writer import FutureTicket, TaskTicket, ThreadTicket, Writer

__all__ = ["LogReader", "Recorder", "StoredEntry"]

#: Beyond this many waiting appends a new one is refused at once rather than kept waiting for seconds.
MAX_WAITING: Final = 10_000

_COLUMNS: Final = "SELECT position, stream, version, type, leaf, entry AS raw FROM log"


class Recorder(LogReader, ApplicationRecorder):
    """Appends through one writer thread; reads through pools.

    `service_url` connects as the service role, `ledger` is the log's origin, `pool` serves the
    coroutines that read and is opened and closed by its owner.
    """

    def __init__(
        self,
        service_url: str,
        ledger: str,
        pool: Reads,
        clock: Clock | None = None,
        *,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        super().__init__(pool)
        self._url = service_url
        self._ledger = ledger
        self._writer = Writer(lambda: connect_writer(service_url, ledger), clock or SystemClock(), max_waiting)
        self._blocking = blocking_pool(service_url)

    @property
    def ledger(self) -> str:
        """The origin of the log that it appends to."""
        return self._ledger

    def start(self) -> None:
        """Raises psycopg.OperationalError if the database cannot be reached, ValueError if it holds another ledger."""
        self._writer.start()
        self._blocking.open()

    def close(self) -> None:
        """Finishes what is waiting. Idempotent."""
        self._writer.close()
        self._blocking.close()

    def submit(self, append: Append) -> Future[Appended]:
        """Hands an append to the writer; the future gets what `append` answers or raises.

        What is wrong with the append itself is raised here: EntryError, ValueError. So is RecorderBusy.
        """
        ticket = FutureTicket(from_append(self._ledger, append))
        self._writer.put(ticket)
        return ticket.future

    async def append(self, append: Append) -> Appended:
        """Appends, and returns once it is committed.

        Raises StaleAppend, KeyReused, AnswerErased, CreditsExhausted or AppendError: it did not happen;
        EntryError, ValueError: it cannot happen; RecorderBusy: it was not tried; RecorderUnavailable: it
        may or may not have happened. The same holds for a cancelled call.
        """
        ticket = TaskTicket(from_append(self._ledger, append))
        self._writer.put(ticket)
        return await ticket.future

    # The eventsourcing library's interface.

    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int] | None:
        """The positions of the events, once committed. Raises the library's IntegrityError on a version conflict."""
        if not stored_events:
            return []
        try:
            ticket = ThreadTicket(from_stored_events(self._ledger, stored_events))
            self._writer.put(ticket)
            appended = ticket.wait()
        except (StaleAppend, OutOfOrder) as err:
            raise IntegrityError(str(err)) from err
        except EntryError as err:
            raise DataError(str(err)) from err
        except RecorderUnavailable as err:
            raise OperationalError(str(err)) from err
        return [receipt.position for receipt in appended.receipts]

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        found = self._select(
            f"{_COLUMNS} WHERE stream = %s AND version > coalesce(%s, -1) AND version <= coalesce(%s, 9223372036854775807)"
            f" ORDER BY version {'DESC' if desc else 'ASC'} LIMIT %s",
            [originator_id, gt, lte, limit],
        )
        return [to_stored_event(entry) for entry in found]

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        first = 1 if start is None else start if inclusive_of_start else start + 1
        found = self._select(
            f"{_COLUMNS} WHERE position >= %s AND position <= coalesce(%s, 9223372036854775807)"
            f"{' AND type = ANY(%s)' if topics else ''} ORDER BY position LIMIT %s",
            [first, stop, *([list(topics)] if topics else []), limit],
        )
        return [to_notification(entry) for entry in found]

    def max_notification_id(self) -> int | None:
        with self._blocking.connection() as conn:
            row = conn.execute("SELECT position FROM log_head").fetchone()
        return row[0] if row and row[0] else None

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription[ApplicationRecorder]:
        return _Subscription(self, LogListener(self._url), gt, topics)

    def _select(self, query: str, parameters: Sequence[object]) -> list[StoredEntry]:
        try:
            with self._blocking.connection() as conn, conn.cursor(binary=True, row_factory=class_row(StoredEntry)) as cursor:
                return cursor.execute(query.encode(), parameters).fetchall()
        except psycopg.OperationalError as err:
            raise OperationalError(str(err)) from err


class _Subscription(ListenNotifySubscription[Recorder]):
    """The library's subscription, woken by our listener."""

    def __init__(self, recorder: Recorder, listener: LogListener, gt: int | None, topics: Sequence[str]) -> None:
        super().__init__(recorder=recorder, gt=gt, topics=topics)
        self._listener = listener
        listener.add(self._has_been_notified.set)
        listener.start()

    def stop(self) -> None:
        super().stop()
        self._listener.close()
