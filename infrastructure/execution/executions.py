"""Executions: a follower notes completed envelopes, workers make their files, the table says how it stands.

At least once: an attempt whose process dies is repeated when its lease ends, and makes only what is missing. What came of it are
facts; the table holds work to do and, of what could not be done, the reason.
"""

import asyncio
import contextlib
import logging
from datetime import timedelta
from typing import Final
from uuid import UUID

from infrastructure.clock import Clock
from infrastructure.database import DatabaseUnavailable
from infrastructure.execution.making import AwaitsCheckpoint, Between, Making
from infrastructure.execution.obstacles import UNFORESEEN, Obstacle, obstacle_of
from infrastructure.execution.table import Claimed, ExecutionRow, ExecutionTable, note_completed
from infrastructure.following import Connection, Follower, each_batch
from infrastructure.notifications import LogListener
from infrastructure.retries import Retry

log = logging.getLogger(__name__)

FOLLOWER: Final = "executions"

#: How often a worker looks for work by itself; what the follower notes wakes it at once.
POLL_SECONDS: Final = 1.0

#: How soon it is looked again for a checkpoint; one is signed within seconds.
CHECKPOINT_PAUSE: Final = timedelta(seconds=0.5)

#: For how long that goes on where somebody waits; after that it is left to the workers.
CHECKPOINT_WAIT_BY_HAND_SECONDS: Final = 10.0

#: What will not pass by itself is tried so often: a file may be put back by whoever watches.
ATTEMPTS_IN_VAIN: Final = 3

AWAITS_CHECKPOINT: Final = "awaits-checkpoint"
_AWAITS: Final = "The executed documents are there; the certificate waits for a signed checkpoint that covers them."


class _Stopping(Exception):
    """The process ends; what is left is for the next one."""


class Executions:
    """Makes the files of completed envelopes. One per process; several processes share the work.

    `url` connects as the service role. With no lanes this process notes what is to be done and leaves it to others.
    """

    def __init__(
        self,
        url: str,
        listener: LogListener,
        table: ExecutionTable,
        making: Making,
        clock: Clock,
        *,
        lanes: int,
        retry: Retry | None = None,
    ) -> None:
        self._url = url
        self._listener = listener
        self._table = table
        self._making = making
        self._clock = clock
        self._retry = retry or Retry(attempts=12)
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
                if await self.execute_next(stop):
                    continue
            except Exception as err:
                # A worker that ends for good would be noticed too late; what is due stays due.
                log.warning("executing failed and is tried again: %s", err, exc_info=not isinstance(err, DatabaseUnavailable))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(wake.wait(), POLL_SECONDS)

    async def execute_next(self, stop: asyncio.Event) -> bool:
        """Takes one execution that is due and sees it through until `stop` is set; false when none is due."""
        claimed = await self._table.claim(self._clock.now(), self._retry.lease)
        if claimed is None:
            return False

        async def between(done: int, all: int) -> None:
            if stop.is_set():
                raise _Stopping
            await self._table.hold(claimed.envelope, self._clock.now() + self._retry.lease)

        await self._attempt(claimed, between, in_vain=ATTEMPTS_IN_VAIN)
        return True

    async def execute_by_hand(self, envelope: UUID, between: Between) -> ExecutionRow:
        """Executes an envelope at once, whatever its state is, and answers how it stands then; raises NotCompleted."""
        position = await self._making.completed_at(envelope)
        claimed = await self._table.claim_by_hand(envelope, position, self._clock.now(), self._retry.lease)
        loop = asyncio.get_running_loop()
        until = loop.time() + CHECKPOINT_WAIT_BY_HAND_SECONDS
        while True:
            await self._attempt(claimed, between, in_vain=1)
            row = await self._table.state(envelope)
            if row is None:
                raise LookupError(f"the execution of {envelope} is not in the table any more")
            if row.reason != AWAITS_CHECKPOINT or loop.time() > until:
                return row
            await asyncio.sleep(CHECKPOINT_PAUSE.total_seconds())

    async def _attempt(self, claimed: Claimed, between: Between, *, in_vain: int) -> None:
        """Executes and settles the row; what will not pass is given up after the `in_vain`-th attempt."""
        envelope = claimed.envelope
        try:
            await self._making.execute(envelope, between)
        except AwaitsCheckpoint:
            until = self._clock.now() + CHECKPOINT_PAUSE
            await self._table.postpone(envelope, until, AWAITS_CHECKPOINT, _AWAITS, self._clock.now(), forgiven=1)
        except _Stopping:
            await self._table.postpone(envelope, self._clock.now(), None, None, self._clock.now(), forgiven=1)
        except Exception as err:
            obstacle = obstacle_of(err)
            log.warning(
                "attempt %s to execute envelope %s, %s: %s",
                claimed.attempt,
                envelope,
                obstacle.reason,
                obstacle.sentence,
                exc_info=obstacle is UNFORESEEN,
            )
            await self._failed(claimed, obstacle, in_vain)
        else:
            # Crash point: all is recorded, the row still waits. The next attempt finds nothing to do.
            await self._table.done(envelope, self._clock.now())

    async def _failed(self, claimed: Claimed, obstacle: Obstacle, in_vain: int) -> None:
        """Gives up after the last attempt, else tries again later."""
        envelope, now = claimed.envelope, self._clock.now()
        if claimed.attempt >= (self._retry.attempts if obstacle.passing else in_vain):
            log.error("envelope %s is not executed: `countersign execute` does it when the cause is mended", envelope)
            await self._table.failed(envelope, obstacle.reason, obstacle.sentence, now)
            return
        until = now + self._retry.pause(claimed.attempt)
        await self._table.postpone(envelope, until, obstacle.reason, obstacle.sentence, now)
