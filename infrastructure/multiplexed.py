"""Many small queries at once over one connection: libpq's pipeline mode on the event loop.

A cursor of a pool's connection costs the event loop some three hundred microseconds, most of a request's time;
here a query costs some thirty, and those of concurrent requests travel together. Each query is a transaction
of its own, answered in the order asked, so a slow one holds up the others: only for what an index finds.

Source: PostgreSQL documentation, 32.5 "Pipeline Mode".
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Self, TypeAlias

import psycopg
from psycopg import errors, pq
from psycopg.pq.abc import PGresult

#: The columns of a row in PostgreSQL's binary formats; None for a null.
Row: TypeAlias = Sequence[Any]

#: Each statement is planned once, and to use an index: planning takes several times as long as the query itself, and what is
#: planned on tables that were empty then would read them whole for ever.
_SESSION: Final = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off", "jit": "off"}

_FAILED: Final = (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.PIPELINE_ABORTED)


class ConnectionLost(Exception):
    """The connection ended. Whether a query that was under way was done is not known."""


class Statement(NamedTuple):
    """A query with `$1` parameters, prepared on first use under its name."""

    name: bytes
    query: bytes


@dataclass(slots=True)
class _Asked:
    """A query under way; `prepares` names the statement if it is prepared with it, `results` are those that have come so far."""

    prepares: bytes | None
    answer: "asyncio.Future[list[Row]]"
    results: list[PGresult] = field(default_factory=list)


class Multiplexed:
    """One connection of the running event loop. Owned by a task-safe user: everything happens on that loop."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self._connection = connection
        self._pg = connection.pgconn
        self._loop = asyncio.get_running_loop()
        self._asked: deque[_Asked] = deque()
        self._prepared: set[bytes] = set()
        self._writing = False
        self.lost = False
        self._pg.nonblocking = 1
        self._pg.enter_pipeline_mode()
        self._socket = self._pg.socket
        self._loop.add_reader(self._socket, self._readable)

    @classmethod
    async def connect(cls, url: str) -> Self:
        """Raises psycopg.OperationalError."""
        connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
        try:
            for setting in _SESSION.items():
                await connection.execute("SELECT set_config(%s, %s, false)", setting)
            return cls(connection)
        except BaseException:
            await connection.close()
            raise

    def ask(self, statement: Statement, parameters: Sequence[bytes | None]) -> "asyncio.Future[list[Row]]":
        """The rows, once they are there. The future raises ConnectionLost, or psycopg.Error for a query that failed."""
        answer: asyncio.Future[list[Row]] = self._loop.create_future()
        if self.lost:
            answer.set_exception(ConnectionLost("the connection has ended"))
            return answer
        new = statement.name not in self._prepared
        self._asked.append(_Asked(statement.name if new else None, answer))
        try:
            if new:
                self._prepared.add(statement.name)
                self._pg.send_prepare(statement.name, statement.query)
            self._pg.send_query_prepared(statement.name, parameters, (1,) * len(parameters), result_format=1)
            self._pg.pipeline_sync()
            self._flush()
        except psycopg.OperationalError as err:
            self._lose(err)
        return answer

    def close(self) -> None:
        """Ends the connection, and with it what is under way. Idempotent."""
        self._lose(None)

    def _flush(self) -> None:
        if self._pg.flush():
            if not self._writing:
                self._writing = True
                self._loop.add_writer(self._socket, self._writable)
        elif self._writing:
            self._writing = False
            self._loop.remove_writer(self._socket)

    def _writable(self) -> None:
        try:
            self._flush()
        except psycopg.OperationalError as err:
            self._lose(err)

    def _readable(self) -> None:
        try:
            self._pg.consume_input()
            while self._asked and not self._pg.is_busy():
                result = self._pg.get_result()
                if result is None:  # ends the results of one statement
                    if self._pg.status == pq.ConnStatus.BAD:
                        raise psycopg.OperationalError(self._pg.get_error_message())
                elif result.status == pq.ExecStatus.PIPELINE_SYNC:
                    self._settle(self._asked.popleft())
                else:
                    self._asked[0].results.append(result)
            if not self._asked:
                self._pg.is_busy()  # reads what the server says of its own accord, such as that it shuts down
        except psycopg.OperationalError as err:
            self._lose(err)

    def _settle(self, asked: _Asked) -> None:
        failed = next((result for result in asked.results if result.status in _FAILED), None)
        if failed is not None:
            if asked.prepares is not None and failed is asked.results[0]:
                self._prepared.discard(asked.prepares)
            self._fail(asked, failed)
        elif not asked.answer.done():
            asked.answer.set_result(_rows(asked.results[-1]))

    def _fail(self, asked: _Asked, result: PGresult) -> None:
        state = result.error_field(pq.DiagnosticField.SQLSTATE)
        message = result.get_error_message()
        if not asked.answer.done():
            error = errors.lookup(state.decode())(message) if state else ConnectionLost(message)
            # The server is going away (class 57P): as good as gone, so that whoever asked tries again elsewhere.
            asked.answer.set_exception(ConnectionLost(message) if state is not None and state.startswith(b"57P") else error)

    def _lose(self, err: Exception | None) -> None:
        if self.lost:
            return
        self.lost = True
        self._loop.remove_reader(self._socket)
        if self._writing:
            self._loop.remove_writer(self._socket)
        self._pg.finish()
        for asked in self._asked:
            if not asked.answer.done():
                asked.answer.set_exception(ConnectionLost(str(err) if err else "the connection was closed"))
        self._asked.clear()


def _rows(result: PGresult) -> list[Row]:
    columns = range(result.nfields)
    return [[result.get_value(row, column) for column in columns] for row in range(result.ntuples)]
