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
        url, min_size=0, max_size=max_size, open=False, kwargs={"autocommit": True}, check=ConnectionPool.check_connection, timeout=10
    )


class DatabaseUnavailable(Exception):
    """The database cannot be reached, or not in time; nothing was read and nothing was changed."""


class Reads(AsyncConnectionPool):
    """A pool for the event loop that tells a database out of reach from a mistake of ours."""

    _looking: "asyncio.Future[None] | None" = None

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
