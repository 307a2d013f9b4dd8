"""Executes one envelope after the other, as the table says, and settles in it what came of each."""

import asyncio
import logging
from datetime import timedelta
from math import inf
from typing import Final
from uuid import UUID

from infrastructure.clock import Clock
from infrastructure.execution.making import AwaitsCheckpoint, Between, Making
from infrastructure.execution.obstacles import UNFORESEEN, Obstacle, obstacle_of
from infrastructure.execution.table import AWAITS_CHECKPOINT, Claimed, ExecutionRow, ExecutionTable
from infrastructure.retries import Retry

log = logging.getLogger(__name__)

#: How soon it is looked again for a checkpoint; one is signed within seconds.
CHECKPOINT_PAUSE: Final = timedelta(seconds=0.5)

#: For how long that goes on where somebody waits; after that it is left to the workers.
CHECKPOINT_WAIT_BY_HAND_SECONDS: Final = 10.0

#: What will not pass by itself is tried so often: a file may be put back by whoever watches.
ATTEMPTS_IN_VAIN: Final = 3

_AWAITS: Final = "The executed documents are there; the certificate waits for a signed checkpoint that covers them."


class _Stopping(Exception):
    """The process ends; what is left is for the next one."""


class Executor:
    """Makes the files of the envelopes that are due, and of those that somebody asks for."""

    def __init__(self, table: ExecutionTable, making: Making, clock: Clock, retry: Retry | None = None) -> None:
        self._table = table
        self._making = making
        self._clock = clock
        self._retry = retry or Retry(attempts=12)

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
        until = inf
        while True:
            await self._attempt(claimed, between, in_vain=1)
            row = await self._table.state(envelope)
            if row is None:
                raise LookupError(f"the execution of {envelope} is not in the table any more")
            if row.reason != AWAITS_CHECKPOINT or loop.time() > until:
                return row
            until = min(until, loop.time() + CHECKPOINT_WAIT_BY_HAND_SECONDS)
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
