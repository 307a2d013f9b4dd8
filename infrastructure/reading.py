"""No stale reads: a read waits until the projections have reached the log's head as of its arrival.

DESIGN section 7. Waiting costs one query when the projections are there already, and otherwise one
more at most: the runner announces each move of a position, and one connection per process hears it.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

import psycopg
from psycopg_pool import AsyncConnectionPool

from infrastructure.database import DatabaseUnavailable
from infrastructure.following import READ_CHANNEL

log = logging.getLogger(__name__)

#: What the queries of the read models run on: a connection of the pool.
AsyncConnection: TypeAlias = psycopg.AsyncConnection[Any]

#: How soon a waiting read looks again by itself, in case an announcement was lost.
_POLL_SECONDS: Final = 0.5
_RETRY_SECONDS: Final = 0.5

_WHERE: Final = """
    SELECT head.position, at.projection, at.position, at.status, at.error
    FROM public.log_head AS head LEFT JOIN read.positions AS at ON at.projection = ANY(%s)"""


class ReadsUnavailable(Exception):
    """Reading now would show old data. `behind` is the number of entries that are missing, None if not known."""

    def __init__(self, projection: str, reason: str, behind: int | None = None) -> None:
        super().__init__(f"{projection}: {reason}")
        self.projection = projection
        self.reason = reason
        self.behind = behind


@dataclass(frozen=True, slots=True)
class _Seen:
    """The log's head and how far each projection has come, at one moment."""

    head: int
    positions: Mapping[str, int]
    stopped: Mapping[str, str]


class ReadGate:
    """Lets reads pass once the projections they use are up to date. Open it on the loop that uses it.

    `url` connects as the service role; `pool` is the reads' own pool, opened and closed by its owner.
    """

    def __init__(self, url: str, pool: AsyncConnectionPool) -> None:
        self._url = url
        self._pool = pool
        self._heard: dict[str, int] = {}
        self._waiting: set[asyncio.Event] = set()
        self._listener: asyncio.Task[None] | None = None

    async def open(self) -> None:
        self._listener = asyncio.create_task(self._listen(), name="countersign-read-gate")

    async def close(self) -> None:
        """Idempotent."""
        if self._listener is not None:
            self._listener.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listener
            self._listener = None

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def wait(self, projections: Iterable[str], timeout_seconds: float) -> None:
        """Returns once all named projections hold what the log held when this was called.

        Raises ReadsUnavailable at once if one of them is stopped, after `timeout_seconds` if one has
        not arrived, and if the database cannot be asked.
        """
        names = tuple(projections)
        deadline = asyncio.get_running_loop().time() + timeout_seconds
        woken = asyncio.Event()
        self._waiting.add(woken)  # before the first look, so that no announcement falls between
        try:
            seen = await self._look(names)
            target = seen.head
            while behind := _behind(names, target, seen.positions):
                for name in behind:
                    if name in seen.stopped:
                        raise ReadsUnavailable(name, f"stopped: {seen.stopped[name]}", behind[name])
                left = deadline - asyncio.get_running_loop().time()
                if left <= 0:
                    name, missing = max(behind.items(), key=lambda item: item[1])
                    raise ReadsUnavailable(name, f"{missing} entries behind after {timeout_seconds:g} s", missing)
                if await self._announced(woken, names, target, min(left, _POLL_SECONDS)):
                    return
                seen = await self._look(names)
        finally:
            self._waiting.discard(woken)

    async def _announced(self, woken: asyncio.Event, names: tuple[str, ...], target: int, seconds: float) -> bool:
        """Whether announcements alone say that all have arrived; False is a reason to look."""
        end = asyncio.get_running_loop().time() + seconds
        with contextlib.suppress(TimeoutError):
            while True:
                await asyncio.wait_for(woken.wait(), end - asyncio.get_running_loop().time())
                woken.clear()
                if not _behind(names, target, self._heard):
                    return True
                if not self._heard.keys() >= set(names):
                    return False
        return False

    async def _look(self, names: tuple[str, ...]) -> _Seen:
        try:
            async with self._pool.connection() as conn:
                rows = await (await conn.execute(_WHERE, [list(names)])).fetchall()
        except (psycopg.OperationalError, DatabaseUnavailable) as err:
            raise ReadsUnavailable(names[0] if names else "", f"the database cannot be asked: {err}") from err
        head = int(rows[0][0]) if rows else 0
        found = {name: (position, status, error) for _, name, position, status, error in rows if name is not None}
        return _Seen(
            head,
            {name: position for name, (position, _, _) in found.items()},
            {name: str(error) for name, (_, status, error) in found.items() if status != "running"},
        )

    async def _listen(self) -> None:
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as conn:
                    await conn.execute(f"LISTEN {READ_CHANNEL}".encode())
                    async for notice in conn.notifies():
                        self._hear(notice.payload)
            except psycopg.Error as err:
                log.warning("not hearing how far the projections are, looking instead: %s", err)
            self._heard.clear()
            await asyncio.sleep(_RETRY_SECONDS)

    def _hear(self, announcement: str) -> None:
        name, position, status = announcement.split(" ")
        if status == "running":
            self._heard[name] = int(position)
        else:
            self._heard.pop(name, None)  # so that waiting reads look, and learn why
        for woken in self._waiting:
            woken.set()


def _behind(names: Iterable[str], target: int, positions: Mapping[str, int]) -> dict[str, int]:
    """How many entries each of the named projections lacks up to `target`; those that have arrived are left out."""
    lacking = {name: target - positions.get(name, 0) for name in names}
    return {name: missing for name, missing in lacking.items() if missing > 0}
