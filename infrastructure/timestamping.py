"""Time stamps of checkpoints: asked for at intervals and on demand, kept, and recorded in the log (DESIGN section 9).

A token covers all entries under its checkpoint. Its hash is an entry, so the next token covers the one before it: while that one's
certificate is good, an older token needs none that still is. An authority that fails is an entry too; this machine's clock only
decides when to ask.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from psycopg.rows import class_row

from domain.actor import Actor, ActorKind
from domain.entry import format_time
from domain.note import parse_note
from domain.sealing import (
    RecordTimeStamp,
    RecordTimeStampFailure,
    Sealing,
    SealingCommand,
    TimeStamped,
    TimeStampFailed,
    ledger_stream,
)
from infrastructure.append import RecorderUnavailable
from infrastructure.clock import Clock
from infrastructure.database import DatabaseUnavailable, Reads
from infrastructure.installation import InstallationError
from infrastructure.ledger import NO_ANSWER, Ledger
from infrastructure.sealed import Sealed, StoredCheckpoint
from infrastructure.settings import Settings, variable
from infrastructure.trusted_time import Authority, CertificatesUnusable, Reason, TimeStampRefused, read_certificates

log = logging.getLogger(__name__)

BY: Final = Actor(ActorKind.FOLLOWER, "timestamps")

#: How often it is looked whether a time stamp is due.
POLL_SECONDS: Final = 5.0
#: An authority that failed is left alone for so long, then twice as long, and at last as long as the interval.
FIRST_PAUSE: Final = timedelta(minutes=1)
_MOST_DOUBLINGS: Final = 16

#: Whoever holds this lock is the only one who asks an authority. It goes with the connection.
_LOCK: Final = "hashtextextended('countersign timestamp', 0)"

_COLUMNS: Final = "SELECT size, authority, token, time, certificate_ends, received_at FROM public.timestamps"
_OTHERS: Final = "SELECT EXISTS (SELECT FROM public.log WHERE position > %s AND position <= %s AND stream <> %s)"
_KEEP: Final = (
    "INSERT INTO public.timestamps (size, authority, token, time, certificate_ends, received_at) VALUES (%s, %s, %s, %s, %s, %s)"
)
_FAILURES: Final = "SELECT failures, left_alone_to FROM public.timestamp_failures WHERE authority = %s"
_FAILED: Final = (
    "INSERT INTO public.timestamp_failures (authority, failures, left_alone_to) VALUES (%s, %s, %s)"
    " ON CONFLICT (authority) DO UPDATE SET (failures, left_alone_to) = (excluded.failures, excluded.left_alone_to)"
)
_RECOVERED: Final = "DELETE FROM public.timestamp_failures WHERE authority = %s"


@dataclass(frozen=True, slots=True)
class StoredToken:
    """A kept token (DER) over the checkpoint of `size`, by the authority at that URL. `time` is what the token says."""

    size: int
    authority: str
    token: bytes
    time: datetime
    certificate_ends: datetime
    received_at: datetime

    @property
    def token_sha256(self) -> str:
        """What the log holds of it, in hex."""
        return sha256(self.token).hexdigest()


class Timestamps:
    """The kept tokens, over the service's pool: also those of an authority that is no longer configured.

    Raises DatabaseUnavailable where the database cannot be asked.
    """

    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def tokens(self, sizes: Collection[int]) -> tuple[StoredToken, ...]:
        """Those over checkpoints of these sizes, by size and authority."""
        return tuple(await self._find("WHERE size = ANY(%s::bigint[]) ORDER BY size, authority", [list(sizes)]))

    async def earliest_covering(self, position: int) -> StoredToken | None:
        """The one with the earliest time of those that cover the entry at `position`."""
        found = await self._find("WHERE size >= %s ORDER BY time, size, authority LIMIT 1", [position])
        return found[0] if found else None

    async def newest(self) -> StoredToken | None:
        """The last received of those over the largest checkpoint."""
        found = await self._find("ORDER BY size DESC, received_at DESC LIMIT 1", [])
        return found[0] if found else None

    async def _find(self, which: str, parameters: Sequence[Any]) -> list[StoredToken]:
        async with self._reads.connection() as conn:
            cursor = await conn.cursor(row_factory=class_row(StoredToken)).execute(f"{_COLUMNS} {which}".encode(), parameters)
            return await cursor.fetchall()


class NothingToStamp(Exception):
    """No checkpoint has been published yet."""


def authority_of(settings: Settings) -> Authority | None:
    """The authority that the settings name, if they do; raises InstallationError if its certificates cannot be used."""
    if settings.tsa_url is None or settings.tsa_certificates is None:
        return None
    try:
        anchors = read_certificates(settings.tsa_certificates)
    except CertificatesUnusable as err:
        raise InstallationError(f"{variable('tsa_certificates')}: {err}") from err
    return Authority(settings.tsa_url, anchors, settings.tsa_timeout_seconds, settings.tsa_policy)


class Timestamping:
    """Has checkpoints of the ledger `origin` stamped. Belongs to one event loop; of all processes one asks at a time."""

    def __init__(
        self,
        reads: Reads,
        ledger: Ledger,
        authority: Authority,
        clock: Clock,
        origin: str,
        every: timedelta,
        *,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._reads = reads
        self._sealed = Sealed(reads)
        self._timestamps = Timestamps(reads)
        self._ledger = ledger
        self._authority = authority
        self._clock = clock
        self._stream = ledger_stream(origin)
        self._every = every
        self._poll_seconds = poll_seconds

    async def run(self, stop: asyncio.Event) -> None:
        """Stamps what is due, until `stop` is set."""
        recovered = False
        while not stop.is_set():
            try:
                if not recovered:
                    await self.recover()
                    recovered = True
                await self.stamp_if_due()
            except TimeStampRefused as err:
                log.warning("the newest checkpoint was not stamped (%s): %s", err.reason, err)
            except Exception as err:
                # Whatever it is, a follower that ends for good would be noticed too late by everybody.
                passing = isinstance(err, DatabaseUnavailable | RecorderUnavailable)
                log.warning("cannot look for checkpoints to stamp, trying again: %s", err, exc_info=not passing)
                recovered = False
            try:
                await asyncio.wait_for(stop.wait(), self._poll_seconds)
            except TimeoutError:
                continue

    async def recover(self) -> None:
        """Appends the entry of a token that was kept by a process which died before it appended it."""
        async with self._turn("pg_try_advisory_lock") as mine:
            if mine:
                await self._record_newest()

    async def stamp_if_due(self) -> StoredToken | None:
        """Has the newest checkpoint stamped if that is due; raises TimeStampRefused, which is recorded."""
        if await self._due() is None:
            return None
        async with self._turn("pg_try_advisory_lock") as mine:
            checkpoint = await self._due() if mine else None
            return None if checkpoint is None else await self._stamp(checkpoint)

    async def stamp_now(self) -> StoredToken:
        """The newest checkpoint's token by this authority, asked for unless there is one already.

        Raises NothingToStamp, and TimeStampRefused, which is recorded.
        """
        async with self._turn("pg_advisory_lock"):
            checkpoint = await self._sealed.latest()
            if checkpoint is None:
                raise NothingToStamp
            for token in await self._timestamps.tokens([checkpoint.size]):
                if token.authority == self._authority.url:
                    await self._record_newest()
                    return token
            return await self._stamp(checkpoint)

    async def _due(self) -> StoredCheckpoint | None:
        """The checkpoint to have stamped now.

        The newest, if it covers entries of others than the ledger itself that no token covers; or when nine tenths of the
        time have passed between the last token and its certificate's end.
        """
        checkpoint, last, now = await self._sealed.latest(), await self._timestamps.newest(), self._clock.now()
        if checkpoint is None or (last is not None and checkpoint.size <= last.size):
            return None
        if last is not None and now < last.received_at + self._every:
            return None
        async with self._reads.connection() as conn:
            failing = await (await conn.execute(_FAILURES, [self._authority.url])).fetchone()
            if failing is not None and now < failing[1]:
                return None
            if last is not None and now >= last.received_at + (last.certificate_ends - last.received_at) * 9 / 10:
                return checkpoint
            covered = 0 if last is None else last.size
            others = await (await conn.execute(_OTHERS, [covered, checkpoint.size, self._stream])).fetchone()
        return checkpoint if others is not None and others[0] else None

    async def _stamp(self, checkpoint: StoredCheckpoint) -> StoredToken:
        await self._record_newest()
        try:
            # What is stamped is what the log's keys sign.
            stamped = await self._authority.stamp(parse_note(checkpoint.note).text.encode())
        except TimeStampRefused as err:
            await self._record_failure(checkpoint, err.reason)
            raise
        url, now = self._authority.url, self._clock.now()
        kept = StoredToken(checkpoint.size, url, stamped.token, stamped.time, stamped.certificate_ends, now)
        async with self._reads.connection() as conn, conn.transaction():
            await conn.execute(_KEEP, [kept.size, kept.authority, kept.token, kept.time, kept.certificate_ends, kept.received_at])
            await conn.execute(_RECOVERED, [url])
        # Crash point: the token is kept, and no entry says so. Nobody is asked again before it has one.
        await self._record(kept, checkpoint)
        return kept

    async def _record_newest(self) -> None:
        """Appends the entry of the last token kept; "already so" appends nothing."""
        kept = await self._timestamps.newest()
        if kept is None:
            return
        state = await self._ledger.state(Sealing, self._stream)
        if state is not None and state.size > kept.size:
            return  # since then another one was asked for, which happens only after this one had its entry
        checkpoint = await self._sealed.at(kept.size)
        if checkpoint is None:
            raise LookupError(f"the checkpoint of {kept.size} entries, which was stamped, is not there")
        await self._record(kept, checkpoint)

    async def _record(self, kept: StoredToken, checkpoint: StoredCheckpoint) -> None:
        stamp = TimeStamped(kept.size, checkpoint.root.hex(), kept.authority, kept.token_sha256, format_time(kept.time))
        await self._append(RecordTimeStamp(self._stream, stamp))

    async def _record_failure(self, checkpoint: StoredCheckpoint, reason: Reason) -> None:
        """The pause comes first: a process that dies over and over would else fill the log."""
        url = self._authority.url
        async with self._reads.connection() as conn:
            row = await (await conn.execute(_FAILURES, [url])).fetchone()
            failures = 1 if row is None else int(row[0]) + 1
            pause = FIRST_PAUSE * 2 ** min(failures - 1, _MOST_DOUBLINGS)
            left_alone_to = self._clock.now() + min(pause, max(self._every, FIRST_PAUSE))
            await conn.execute(_FAILED, [url, failures, left_alone_to])
        # Crash point: the authority is left alone for a while, and no entry says why. The next failure has one.
        await self._append(RecordTimeStampFailure(self._stream, TimeStampFailed(checkpoint.size, url, reason.fault)))

    async def _append(self, command: SealingCommand) -> None:
        await self._ledger.handle(command, BY, lambda outcome: NO_ANSWER)

    @asynccontextmanager
    async def _turn(self, how: str) -> AsyncIterator[bool]:
        """Whether it is this task's turn, by the function that takes the lock; the turn ends with the block."""
        async with self._reads.connection() as conn:
            row = await (await conn.execute(f"SELECT {how}({_LOCK})".encode())).fetchone()
            mine = row is not None and row[0] is not False  # the function that waits answers nothing
            try:
                yield mine
            finally:
                if mine:
                    await conn.execute(f"SELECT pg_advisory_unlock({_LOCK})".encode())
