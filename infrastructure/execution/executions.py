"""Executions: a follower notes completed envelopes, workers make their files, the table says how it stands.

At least once: an attempt whose process dies is repeated when its lease ends, and makes only what is missing. What came of it are
facts; the table holds work to do and, of what could not be done, the reason.
"""

import asyncio
import contextlib
import logging
from typing import Final

from infrastructure.database import DatabaseUnavailable
from infrastructure.execution.executor import Executor
from infrastructure.execution.table import note_completed
from infrastructure.following import Connection, Follower, each_batch
from infrastructure.notifications import LogListener

log = logging.getLogger(__name__)

FOLLOWER: Final = "executions"

#: How often a worker looks for work by itself; what the follower notes wakes it at once.
POLL_SECONDS: Final = 0.5


class Executions:
    """Makes the files of completed envelopes. One per process; several processes share the work.

    `url` connects as the service role. With no lanes this process notes what is to be done and leaves it to others.
    """

    def __init__(
        self,
        url: str,
        listener: LogListener,
        executor: Executor,
        *,
        lanes: int,
    ) -> None:
        self._url = url
        self._listener = listener
        self._executor = executor
        self._lanes = tuple(asyncio.Event() for _ in range(lanes))

    async def run(self, stop: asyncio.Event) -> None:
        """Notes and executes until `stop` is set; finishes the files in hand."""
        loop = asyncio.get_running_loop()
        note = each_batch(FOLLOWER, note_completed)

        def step(conn: Connection) -> bool:
            more = note(conn)
            loop.call_soon_threadsafe(self._wake)
            return more

        follower = Follower(self._url, FOLLOWER, step, self._listener)
        follower.start()
        lanes = [
            asyncio.create_task(self._execute_all(lane, stop), name=f"countersign-executions-{n}")
            for n, lane in enumerate(self._lanes)
        ]
        try:
            await stop.wait()
            self._wake()
            await asyncio.gather(*lanes)
        finally:
            for task in lanes:
                task.cancel()
            await asyncio.gather(*lanes, return_exceptions=True)
            await asyncio.to_thread(follower.close)

    def _wake(self) -> None:
        for lane in self._lanes:
            lane.set()

    async def _execute_all(self, wake: asyncio.Event, stop: asyncio.Event) -> None:
        while not stop.is_set():
            wake.clear()
            try:
                if await self._executor.execute_next(stop):
                    continue
            except Exception as err:
                # A worker that ends for good would be noticed too late; what is due stays due.
                log.warning("executing failed and is tried again: %s", err, exc_info=not isinstance(err, DatabaseUnavailable))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(wake.wait(), POLL_SECONDS)
