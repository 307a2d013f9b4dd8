"""Connections: who connects as whom.

Migrations run as the owner of the tables. Everything else runs as the role `countersign_service`,
which may insert into the log and read it, and nothing more there (migrations/0001).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from infrastructure.multiplexed import ConnectionLost, Multiplexed, Row, Statement

SERVICE_ROLE: Final = "countersign_service"

#: A host that vanished without closing its connections is noticed within about half a minute
#: (PostgreSQL documentation, libpq parameter key words). Unix sockets ignore these.
_KEEPALIVE: Final = {
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}


@dataclass(frozen=True, slots=True)
class DatabaseUrls:
    """`owner` makes and changes tables; `service` is what the running processes use."""

    owner: str
    service: str

    @classmethod
    def of(cls, database_url: str, owner_url: str | None = None) -> "DatabaseUrls":
        """From DATABASE_URL, and from a URL of the owner where that is another login.

        In both cases the service's connections switch to `countersign_service`, so the login in
        `database_url` must be a member of that role; an owner that made it in a migration is.
        """
        return cls(owner=owner_url or database_url, service=as_service(database_url))


def as_service(url: str) -> str:
    """Connection parameters of `url` with the service role switched on from the start."""
    options = str(conninfo_to_dict(url).get("options") or "")
    if "role=" not in options:
        options = f"{options} -c role={SERVICE_ROLE}".strip()
    return make_conninfo(url, options=options, **_missing(url))


def connect(url: str, *, autocommit: bool = True) -> psycopg.Connection[tuple[Any, ...]]:
    """One blocking connection; raises psycopg.OperationalError if the server cannot be reached."""
    return psycopg.connect(make_conninfo(url, **_missing(url)), autocommit=autocommit)


def blocking_pool(url: str, *, max_size: int = 4) -> ConnectionPool:
    """A pool for blocking readers. Not open yet: `open()` it, `close()` it."""
    return ConnectionPool(
        url,
        min_size=0,
        max_size=max_size,
        open=False,
        kwargs={"autocommit": True},
        check=ConnectionPool.check_connection,
        timeout=10,
    )


#: Between two tries to reach the database.
_RETRY_SECONDS: Final = 0.1


class DatabaseUnavailable(Exception):
    """The database cannot be reached, or not in time; nothing was read and nothing was changed."""


class Reads(AsyncConnectionPool):
    """A pool for the event loop that tells a database out of reach from a mistake of ours.

    Beside the connections that it lends it has one that all share, for `fetch`.
    """

    _looking: "asyncio.Future[None] | None" = None
    _shared: Multiplexed | None = None
    _connecting: asyncio.Lock | None = None

    @asynccontextmanager
    async def connection(self, timeout: float | None = None) -> AsyncIterator[AsyncConnection[TupleRow]]:
        """Lends a connection; raises DatabaseUnavailable when there is none or when it is lost."""
        try:
            async with super().connection(timeout) as connection:
                yield connection
        except psycopg.OperationalError as err:
            # One lost connection often means that all are: they are looked at now instead of before each use.
            self._looking = asyncio.ensure_future(self.check())
            raise DatabaseUnavailable(str(err)) from err

    async def fetch(self, statement: Statement, *parameters: bytes | None) -> list[Row]:
        """The rows of a small query that may be done twice: when the connection is lost it is asked again on another.

        Parameters and columns are in PostgreSQL's binary formats. Raises DatabaseUnavailable.
        """
        deadline: float | None = None
        while True:
            shared = self._shared
            if shared is None or shared.lost:
                deadline = deadline or asyncio.get_running_loop().time() + self.timeout
                shared = await self._share(deadline)
            try:
                return await shared.ask(statement, parameters)
            except ConnectionLost as err:
                deadline = deadline or asyncio.get_running_loop().time() + self.timeout
                if asyncio.get_running_loop().time() > deadline:
                    raise DatabaseUnavailable(str(err)) from err

    async def close(self, timeout: float = 5) -> None:
        """Closes all connections."""
        if self._shared is not None:
            self._shared.close()
        await super().close(timeout)

    async def _share(self, deadline: float) -> Multiplexed:
        """Makes the shared connection; those who want it meanwhile wait for the one that makes it."""
        self._connecting = self._connecting or asyncio.Lock()
        async with self._connecting:
            while self._shared is None or self._shared.lost:
                if self.closed:
                    raise DatabaseUnavailable("the pool is closed")
                try:
                    self._shared = await Multiplexed.connect(str(self.conninfo))
                except psycopg.OperationalError as err:
                    if asyncio.get_running_loop().time() > deadline:
                        raise DatabaseUnavailable(str(err)) from err
                    await asyncio.sleep(_RETRY_SECONDS)
            return self._shared


def async_pool(url: str, *, min_size: int = 1, max_size: int = 8) -> Reads:
    """A pool for the event loop. Not open yet: `await pool.open()` on the loop that uses it."""
    return Reads(
        url,
        min_size=min_size,
        max_size=max_size,
        open=False,
        kwargs={"autocommit": True},
        timeout=10,
    )


def _missing(url: str) -> dict[str, str]:
    given = conninfo_to_dict(url)
    return {key: value for key, value in _KEEPALIVE.items() if key not in given}
