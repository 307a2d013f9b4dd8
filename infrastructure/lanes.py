"""Work that the log asks for and that is done beside it: a follower notes it, and lanes take it up one after the other.

Several processes share the work; which of them takes what is for the table to say that it is noted in.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence

from infrastructure.database import DatabaseUnavailable
from infrastructure.following import Connection, Follower, LogEntry, each_batch
from infrastructure.notifications import LogListener

log = logging.getLogger(__name__)


class Lanes:
    """Runs the follower `name`, which notes work with `note`, and `count` lanes that do it.

    `do_next` does one piece of work and answers whether there was any; it is asked again at once then, else when something was
    noted and every `poll_seconds`. With no lanes this process notes what is to be done and leaves it to others.
    """

    def __init__(
        self,
        url: str,
        listener: LogListener,
        name: str,
        note: Callable[[Connection, Sequence[LogEntry]], None],
        do_next: Callable[[asyncio.Event], Awaitable[bool]],
        *,
        count: int,
        poll_seconds: float,
    ) -> None:
        self._url = url
        self._listener = listener
        self._name = name
        self._note = note
        self._do_next = do_next
        self._wakes = tuple(asyncio.Event() for _ in range(count))
        self._poll_seconds = poll_seconds

    async def run(self, stop: asyncio.Event) -> None:
        """Notes and works until `stop` is set; finishes what is in hand."""
        loop = asyncio.get_running_loop()
        note = each_batch(self._name, self._note)

        def step(conn: Connection) -> bool:
            more = note(conn)
            loop.call_soon_threadsafe(self._wake)
            return more

        follower = Follower(self._url, self._name, step, self._listener)
        follower.start()
        lanes = [
            asyncio.create_task(self._work(wake, stop), name=f"countersign-{self._name}-{number}")
            for number, wake in enumerate(self._wakes)
        ]
        try:
            await stop.wait()
            self._wake()
            await asyncio.gather(*lanes)
        finally:
            for lane in lanes:
                lane.cancel()
            await asyncio.gather(*lanes, return_exceptions=True)
            await asyncio.to_thread(follower.close)

    def _wake(self) -> None:
        for wake in self._wakes:
            wake.set()

    async def _work(self, wake: asyncio.Event, stop: asyncio.Event) -> None:
        while not stop.is_set():
            wake.clear()
            try:
                if await self._do_next(stop):
                    continue
            except Exception as err:
                # A lane that ends for good would be noticed too late; what is due stays due.
                expected = isinstance(err, DatabaseUnavailable)
                log.warning("%s: work failed and is tried again: %s", self._name, err, exc_info=not expected)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(wake.wait(), self._poll_seconds)
