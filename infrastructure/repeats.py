"""Repeats: forgets the answers that were kept for them once their time is over.

A kept answer may hold what a person sent, in the clear, so it is not kept for longer than the settings
say. Where several processes run this, each takes what the others have not taken.
"""

import asyncio
import logging
from datetime import timedelta
from typing import Final

from psycopg_pool import AsyncConnectionPool

from infrastructure.clock import Clock
from infrastructure.database import DatabaseUnavailable

log = logging.getLogger(__name__)

#: An answer is forgotten at most about this long after its time.
POLL_SECONDS: Final = 300.0
#: Answers forgotten in one transaction: it holds up nobody who repeats one of them.
BATCH: Final = 1000

_FORGET: Final = (
    "DELETE FROM idempotency WHERE (scope, key) IN ("
    "SELECT scope, key FROM idempotency WHERE created_at < %s LIMIT %s FOR UPDATE SKIP LOCKED)"
)


class Repeats:
    """Forgets the answers to idempotency keys that are older than `kept`."""

    def __init__(self, pool: AsyncConnectionPool, clock: Clock, kept: timedelta, *, poll_seconds: float = POLL_SECONDS) -> None:
        self._pool = pool
        self._clock = clock
        self._kept = kept
        self._poll_seconds = poll_seconds

    async def run(self, stop: asyncio.Event) -> None:
        """Looks every `poll_seconds` until `stop` is set."""
        while not stop.is_set():
            try:
                if await self.forget_due():
                    continue
            except Exception as err:
                # What is not forgotten now is forgotten later, but only if this goes on.
                log.warning("cannot forget old answers, trying again: %s", err, exc_info=not isinstance(err, DatabaseUnavailable))
            try:
                await asyncio.wait_for(stop.wait(), self._poll_seconds)
            except TimeoutError:
                continue

    async def forget_due(self) -> int:
        """Forgets what is due now, up to BATCH answers, and answers how many."""
        async with self._pool.connection() as connection:
            cursor = await connection.execute(_FORGET.encode(), (self._clock.now() - self._kept, BATCH))
            return cursor.rowcount
