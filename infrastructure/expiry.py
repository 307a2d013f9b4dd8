"""Expiry: ends what is due.

Commands after a deadline are refused whether or not this has run; it makes the end visible and closes
the processes. Where several processes run it, one of them records the end and the others find it so.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final, TypeAlias
from uuid import UUID

from psycopg_pool import AsyncConnectionPool

from domain.actor import Actor, ActorKind
from domain.coordination import ExpireEnvelope
from domain.errors import NotYetDue, Refusal
from infrastructure.append import Answer
from infrastructure.clock import Clock
from infrastructure.database import DatabaseUnavailable
from infrastructure.ledger import NO_ANSWER, Ledger, Outcome
from infrastructure.reading import AsyncConnection

log = logging.getLogger(__name__)

BY: Final = Actor(ActorKind.FOLLOWER, "expiry")

#: An end is recorded at most about this long after the deadline.
POLL_SECONDS: Final = 1.0
#: Envelopes ended between two looks at the list.
BATCH: Final = 100
#: How long an envelope that could not be ended is left alone, so that it does not hold up the others.
PAUSE_SECONDS: Final = 60.0

#: `(connection, now, limit)`: open envelopes whose deadline lies before `now`, the longest overdue first.
Due: TypeAlias = Callable[[AsyncConnection, datetime, int], Awaitable[Sequence[UUID]]]


class Expiry:
    """Records the end of envelopes whose deadline has passed. `due` is the read model's query."""

    def __init__(
        self, pool: AsyncConnectionPool, due: Due, ledger: Ledger, clock: Clock, *, poll_seconds: float = POLL_SECONDS
    ) -> None:
        self._pool = pool
        self._due = due
        self._ledger = ledger
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._left_alone: dict[UUID, float] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Looks every `poll_seconds` until `stop` is set."""
        while not stop.is_set():
            try:
                if await self.end_due():
                    continue
            except Exception as err:
                # Whatever it is, an expiry that ends for good would be noticed too late by everybody.
                log.warning(
                    "cannot look for what is due, trying again: %s", err, exc_info=not isinstance(err, DatabaseUnavailable)
                )
            try:
                await asyncio.wait_for(stop.wait(), self._poll_seconds)
            except TimeoutError:
                continue

    async def end_due(self) -> int:
        """Ends what is due now, up to BATCH envelopes, and answers how many it ended."""
        self._forgive()
        async with self._pool.connection() as conn:
            found = await self._due(conn, self._clock.now(), BATCH + len(self._left_alone))
        ended = 0
        for envelope in [each for each in found if each not in self._left_alone][:BATCH]:
            ended += await self._end(envelope)
        return ended

    async def _end(self, envelope: UUID) -> bool:
        try:
            # Crash point: until the append, nothing has happened; the next look finds the envelope again.
            recorded = await self._record(envelope)
        except NotYetDue:
            return False  # the deadline was extended after the list was read
        except Refusal as err:
            log.info("envelope %s was not ended: %s", envelope, err)
            return False
        except Exception:
            log.exception("envelope %s cannot be ended; it is left alone for %s s", envelope, PAUSE_SECONDS)
            self._left_alone[envelope] = asyncio.get_running_loop().time() + PAUSE_SECONDS
            return False
        return recorded

    async def _record(self, envelope: UUID) -> bool:
        recorded = 0

        def count(outcome: Outcome) -> Answer:
            nonlocal recorded
            recorded = len(outcome.recorded)
            return NO_ANSWER

        await self._ledger.handle(ExpireEnvelope(envelope), BY, count)
        return recorded > 0

    def _forgive(self) -> None:
        now = asyncio.get_running_loop().time()
        self._left_alone = {envelope: until for envelope, until in self._left_alone.items() if until > now}
