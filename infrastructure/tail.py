"""The end of the log, for whoever waits on the event loop for the next entry.

One per process: however many wait, one connection hears of appends and one query tells how far the log goes.
"""

import asyncio
import contextlib
import logging
from types import TracebackType
from typing import Final, Self

import psycopg

from infrastructure.database import DatabaseUnavailable, Reads
from infrastructure.multiplexed import Statement
from infrastructure.notifications import CHANNEL
from infrastructure.recorder import wire

log = logging.getLogger(__name__)

#: How long a lost announcement delays those who wait.
_POLL_SECONDS: Final = 1.0
_RETRY_SECONDS: Final = 0.5

_HEAD: Final = Statement(b"tail_head", b"SELECT position FROM public.log_head")


class LogTail:
    """Open it on the loop that uses it. `url` connects as the service role."""

    def __init__(self, url: str, reads: Reads) -> None:
        self._url = url
        self._reads = reads
        self._position = 0
        #: Replaced each time that it is set: who waits for the next news waits for this one.
        self._news = asyncio.Event()
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._ended = False

    async def __aenter__(self) -> Self:
        self._tasks = (
            asyncio.create_task(self._listen(), name="countersign-tail"),
            asyncio.create_task(self._poll(), name="countersign-tail-poll"),
        )
        return self

    async def __aexit__(self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None) -> None:
        self.end()
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    @property
    def ended(self) -> bool:
        """Whether nobody should wait any more, since the process is about to end."""
        return self._ended

    def end(self) -> None:
        """Lets everybody go who waits, and whoever comes later at once. Idempotent."""
        self._ended = True
        self._news.set()

    async def wait(self, after: int, seconds: float) -> bool:
        """Whether there is an entry after position `after`, as soon as there is; false after `seconds`, or at the end."""
        deadline = asyncio.get_running_loop().time() + seconds
        while self._position <= after and not self._ended:
            news, left = self._news, deadline - asyncio.get_running_loop().time()
            if left <= 0:
                return False
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), left)
        return self._position > after

    async def _listen(self) -> None:
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as conn:
                    await conn.execute(f"LISTEN {CHANNEL}".encode())
                    async for notice in conn.notifies():
                        self._reached(int(notice.payload))
            except psycopg.Error as err:
                log.warning("not hearing of new entries, looking for them instead: %s", err)
            await asyncio.sleep(_RETRY_SECONDS)

    async def _poll(self) -> None:
        while True:
            with contextlib.suppress(DatabaseUnavailable):  # whoever waits is told by their own query
                before = self._position
                rows = await self._reads.fetch(_HEAD)
                position = wire.as_int(rows[0][0]) if rows else 0
                if position < before:  # the log was set back, so nobody is told of what it has no more
                    self._position = position
                self._reached(position)
            await asyncio.sleep(_POLL_SECONDS)

    def _reached(self, position: int) -> None:
        if position > self._position:
            self._position = position
            news, self._news = self._news, asyncio.Event()
            news.set()
