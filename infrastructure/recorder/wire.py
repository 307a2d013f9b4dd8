"""Prepared statements over one connection, several per round trip: libpq's pipeline mode through `psycopg.pq`.

The writer's few statements are on the path of every append. Cursors cost about a hundred
microseconds of the writer's thread for each, which is what limits the throughput of a group commit;
here it is a few. Parameters and results are in PostgreSQL's binary formats.

Source: PostgreSQL documentation, 32.5 "Pipeline Mode".
"""

import selectors
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg import errors, pq
from psycopg.pq.abc import PGresult

_INT8 = Struct("!q")
_INT4 = Struct("!i")
#: Dimensions, whether it holds nulls, element type; length and lower bound of the dimension.
_ARRAY = Struct("!iiIii")
_EMPTY_ARRAY = Struct("!iiI")

_BYTEA_OID: Final = 17
_INT8_OID: Final = 20
_TEXT_OID: Final = 25
_UUID_OID: Final = 2950

_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class ConnectionLost(psycopg.OperationalError):
    """The connection is gone, or the server said that it is ending it."""


class Pipeline:
    """Owns `conn`: from here on nothing else may be executed on it.

    `statements` maps names to SQL with `$1` parameters. Raises psycopg.Error if one cannot be prepared.
    """

    def __init__(self, conn: psycopg.Connection[Any], statements: dict[bytes, str]) -> None:
        self._conn = conn
        self._pg = conn.pgconn
        self._pg.nonblocking = 1
        self._pg.enter_pipeline_mode()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._pg.socket, selectors.EVENT_READ)
        self._sent = 0
        for name, query in statements.items():
            self._pg.send_prepare(name, query.encode())
            self._sent += 1
        self.exchange()

    def close(self) -> None:
        self._selector.close()
        self._conn.close()

    def send(self, name: bytes, *parameters: bytes | None) -> None:
        """Queues one statement; parameters as spelled by the functions below."""
        try:
            self._pg.send_query_prepared(name, parameters, (1,) * len(parameters), result_format=1)
        except psycopg.OperationalError as err:
            raise ConnectionLost(str(err)) from err
        self._sent += 1

    def exchange(self) -> list[PGresult]:
        """One round trip: `dispatch`, then `collect`."""
        self.dispatch()
        return self.collect()

    def dispatch(self) -> None:
        """Sends what was queued. A transaction that was begun stays open.

        It ends with a synchronisation point, without which the server would take a transaction that
        waits for us for a busy one, and never end it. Raises ConnectionLost.
        """
        try:
            self._pg.pipeline_sync()
            self._flush()
        except psycopg.OperationalError as err:
            raise ConnectionLost(str(err)) from err

    def collect(self) -> list[PGresult]:
        """Waits for the results of what was dispatched, one for each statement.

        Raises ConnectionLost, or the error of the first statement that failed; then `recover`.
        """
        sent, self._sent = self._sent, 0
        try:
            results = self._results(sent)
        except psycopg.OperationalError as err:
            raise ConnectionLost(str(err)) from err
        for result in results:
            if result.status in (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.PIPELINE_ABORTED):
                raise self._error(result)
        return results

    def answers_within(self, seconds: float) -> bool:
        """Whether the server has begun to answer, or gone, after at most so long."""
        return bool(self._selector.select(seconds))

    def recover(self) -> None:
        """Undoes the transaction after a statement failed; raises ConnectionLost."""
        if self._pg.transaction_status != pq.TransactionStatus.IDLE:
            self._pg.send_query_params(b"ROLLBACK", None)
            self._sent += 1
            self.exchange()

    def _flush(self) -> None:
        # The server may be waiting for us to read before it reads on.
        while self._pg.flush():
            self._selector.modify(self._pg.socket, selectors.EVENT_READ | selectors.EVENT_WRITE)
            for _, events in self._selector.select():
                if events & selectors.EVENT_READ:
                    self._pg.consume_input()
            self._selector.modify(self._pg.socket, selectors.EVENT_READ)

    def _results(self, count: int) -> list[PGresult]:
        """One result for each statement, each followed by nothing, and the synchronisation point at the end."""
        pg = self._pg
        results = []
        for _ in range(count):
            if pg.is_busy():
                self._wait()
            result = pg.get_result()
            if pg.is_busy():
                self._wait()
            if result is None or pg.get_result() is not None:
                raise psycopg.OperationalError(f"the server's answers do not match the questions: {pg.get_error_message()}")
            results.append(result)
        if pg.is_busy():
            self._wait()
        synced = pg.get_result()
        if synced is None or synced.status != pq.ExecStatus.PIPELINE_SYNC:
            raise psycopg.OperationalError(f"the server ended the connection: {pg.get_error_message()}")
        return results

    def _wait(self) -> None:
        while self._pg.is_busy():
            self._selector.select()
            self._pg.consume_input()

    def _error(self, result: PGresult) -> psycopg.Error:
        state = result.error_field(pq.DiagnosticField.SQLSTATE)
        severity = result.error_field(pq.DiagnosticField.SEVERITY_NONLOCALIZED)
        message = result.get_error_message()
        if state is None or severity in (b"FATAL", b"PANIC"):
            return ConnectionLost(message)
        return errors.lookup(state.decode())(message)


def int8(value: int) -> bytes:
    """A bigint."""
    return _INT8.pack(value)


def int4(value: int) -> bytes:
    """An integer."""
    return _INT4.pack(value)


def timestamptz(at: datetime) -> bytes:
    """A timestamptz; `at` is aware."""
    return _INT8.pack((at - _EPOCH) // _MICROSECOND)


def int8_array(values: Iterable[int]) -> bytes:
    """A bigint[]."""
    return _fixed_array(_INT8_OID, 8, [_INT8.pack(value) for value in values])


def uuid_array(values: Iterable[UUID]) -> bytes:
    """A uuid[]."""
    return _fixed_array(_UUID_OID, 16, [value.bytes for value in values])


def text_array(values: Iterable[str]) -> bytes:
    """A text[]."""
    return _array(_TEXT_OID, [value.encode() for value in values])


def bytea_array(values: Sequence[bytes]) -> bytes:
    """A bytea[]."""
    return _array(_BYTEA_OID, values)


def _array(oid: int, items: Sequence[bytes]) -> bytes:
    parts = [_array_head(oid, len(items))]
    for item in items:
        parts.append(_INT4.pack(len(item)))
        parts.append(item)
    return b"".join(parts)


def _fixed_array(oid: int, width: int, items: Sequence[bytes]) -> bytes:
    """Of items that are all `width` bytes: one join does it, a third of the time."""
    length = _INT4.pack(width)
    return length.join((_array_head(oid, len(items)), *items))


def _array_head(oid: int, count: int) -> bytes:
    return _ARRAY.pack(1, 0, oid, count, 1) if count else _EMPTY_ARRAY.pack(0, 0, oid)


def rows(result: PGresult) -> list[list[Any]]:
    """The rows of a result: bytes as the server sent them, None for a null."""
    columns = range(result.nfields)
    return [[result.get_value(row, column) for column in columns] for row in range(result.ntuples)]


def as_int(value: bytes) -> int:
    """Of a bigint or an integer."""
    return int.from_bytes(value, "big", signed=True)


def as_time(value: bytes) -> datetime:
    """Of a timestamptz."""
    return _EPOCH + timedelta(microseconds=as_int(value))


def as_uuid(value: bytes) -> UUID:
    """Of a uuid."""
    return UUID(bytes=value)
