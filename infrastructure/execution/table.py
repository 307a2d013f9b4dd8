"""The table of executions: which completed envelopes wait for their files, and why some have none."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from domain.actor import Mode
from domain.entry import decode
from domain.envelope import EnvelopeCompleted
from infrastructure.codec import current_type
from infrastructure.database import Reads
from infrastructure.following import Connection, LogEntry

_COLUMNS: Final = "envelope, status, attempts, next_attempt_at, reason, sentence, updated_at"

_NOTE: Final = (
    "INSERT INTO executions (envelope, position, next_attempt_at, updated_at)"
    " SELECT envelope, position, at, at FROM unnest(%s::uuid[], %s::bigint[], %s::timestamptz[]) AS noted(envelope, position, at)"
    " ON CONFLICT (envelope) DO NOTHING"
)
_CLAIM: Final = (
    "UPDATE executions SET attempts = attempts + 1, next_attempt_at = %(until)s, updated_at = %(now)s WHERE envelope = ("
    "SELECT envelope FROM executions WHERE status = 'waiting' AND next_attempt_at <= %(now)s"
    " ORDER BY next_attempt_at LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING envelope, attempts"
)
_BY_HAND: Final = (
    "INSERT INTO executions (envelope, position, attempts, next_attempt_at, updated_at)"
    " VALUES (%(envelope)s, %(position)s, 1, %(until)s, %(now)s)"
    " ON CONFLICT (envelope) DO UPDATE SET status = 'waiting', attempts = 1, next_attempt_at = %(until)s, updated_at = %(now)s"
    " RETURNING envelope, attempts"
)
_HOLD: Final = "UPDATE executions SET next_attempt_at = %(until)s WHERE envelope = %(envelope)s AND status = 'waiting'"
_DONE: Final = (
    "UPDATE executions SET status = 'done', reason = NULL, sentence = NULL, updated_at = %(now)s WHERE envelope = %(envelope)s"
)
_FAILED: Final = (
    "UPDATE executions SET status = 'failed', reason = %(reason)s, sentence = %(sentence)s, updated_at = %(now)s"
    " WHERE envelope = %(envelope)s AND status = 'waiting'"
)
_POSTPONED: Final = (
    "UPDATE executions SET next_attempt_at = %(until)s, reason = %(reason)s, sentence = %(sentence)s, updated_at = %(now)s,"
    " attempts = greatest(attempts - %(forgiven)s, 0) WHERE envelope = %(envelope)s AND status = 'waiting'"
)
_STATES: Final = f"SELECT {_COLUMNS} FROM executions WHERE envelope = ANY(%(envelopes)s)"  # noqa: S608
_COUNTS: Final = (
    "SELECT (SELECT count(*) FROM executions WHERE status = 'waiting'), (SELECT count(*) FROM executions WHERE status = 'failed')"
)
#: Whose an envelope is stands in the entry that created it.
_LIST: Final = (
    f"SELECT {_COLUMNS}, (about.created #>> '{{data,tenant}}')::uuid, about.created #>> '{{data,mode}}' FROM executions"  # noqa: S608
    " CROSS JOIN LATERAL (SELECT convert_from(entry, 'UTF8')::json AS created FROM log"
    " WHERE stream = envelope AND version = 1) AS about"
    " WHERE status = ANY(%(statuses)s) AND (%(tenant)s::uuid IS NULL OR (about.created #>> '{data,tenant}')::uuid = %(tenant)s)"
    " ORDER BY position"
)


#: The reason of an execution that lacks nothing but its certificate, which waits for a checkpoint.
AWAITS_CHECKPOINT: Final = "awaits-checkpoint"


class ExecutionStatus(StrEnum):
    """Whether the files of a completed envelope are there, to come, or not to be expected without help."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ExecutionRow:
    """How the execution of an envelope stands.

    `reason` is a code and `sentence` says the same in words: why it failed, or what it waits for; both None where nothing went wrong.
    """

    envelope: UUID
    status: ExecutionStatus
    attempts: int
    next_attempt_at: datetime
    reason: str | None
    sentence: str | None
    updated_at: datetime

    @property
    def troubled(self) -> bool:
        """Whether something stands in the way, other than that a checkpoint is still to come."""
        return self.reason not in (None, AWAITS_CHECKPOINT)


@dataclass(frozen=True, slots=True)
class Owned:
    """A row, and whose envelope it is."""

    row: ExecutionRow
    tenant: UUID
    mode: Mode


@dataclass(frozen=True, slots=True)
class Claimed:
    """An envelope that is this worker's to execute, until the lease ends; attempts count from 1."""

    envelope: UUID
    attempt: int


@dataclass(frozen=True, slots=True)
class Counts:
    """How many executions wait, and how many have failed."""

    waiting: int
    failed: int


def note_completed(conn: Connection, entries: Sequence[LogEntry]) -> None:
    """Notes the envelopes that are completed among `entries`, in the caller's transaction."""
    noted = [
        (entry.stream, stored.position, entry.at)
        for stored in entries
        if current_type(stored.type) == EnvelopeCompleted.TYPE
        for entry in (decode(stored.entry),)
    ]
    if noted:
        conn.execute(_NOTE.encode(), [list(column) for column in zip(*noted, strict=True)])


class ExecutionTable:
    """Reads and changes the rows, over the service's pool; raises DatabaseUnavailable."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def state(self, envelope: UUID) -> ExecutionRow | None:
        """How the execution of an envelope stands; None until it is noted, a moment after the envelope is completed."""
        return (await self.states([envelope])).get(envelope)

    async def states(self, envelopes: Collection[UUID]) -> Mapping[UUID, ExecutionRow]:
        """As `state`, of several; without those that are not noted."""
        if not envelopes:
            return {}
        rows = [_row(row) for row in await self._fetch(_STATES, envelopes=list(envelopes))]
        return {row.envelope: row for row in rows}

    async def counts(self) -> Counts:
        """Those of all tenants."""
        ((waiting, failed),) = await self._fetch(_COUNTS)
        return Counts(waiting, failed)

    async def listed(self, statuses: Sequence[ExecutionStatus], tenant: UUID | None = None) -> list[Owned]:
        """The rows of these states in the order of the envelopes' completion, of one tenant or of all."""
        rows = await self._fetch(_LIST, statuses=[status.value for status in statuses], tenant=tenant)
        return [Owned(_row(row[:7]), row[7], Mode(row[8])) for row in rows]

    async def claim(self, now: datetime, lease: timedelta) -> Claimed | None:
        """Takes one execution that is due, None if none is. The attempt counts before it is made: one that kills its process ends."""
        rows = await self._fetch(_CLAIM, now=now, until=now + lease)
        return Claimed(*rows[0]) if rows else None

    async def claim_by_hand(self, envelope: UUID, position: int, now: datetime, lease: timedelta) -> Claimed:
        """Takes an execution whatever its state is, and counts its attempts anew; `position` is that of the completion."""
        rows = await self._fetch(_BY_HAND, envelope=envelope, position=position, now=now, until=now + lease)
        return Claimed(*rows[0])

    async def hold(self, envelope: UUID, until: datetime) -> None:
        """Extends the lease of a claimed execution that goes on."""
        await self._change(_HOLD, envelope=envelope, until=until)

    async def done(self, envelope: UUID, now: datetime) -> None:
        """All files are there."""
        await self._change(_DONE, envelope=envelope, now=now)

    async def failed(self, envelope: UUID, reason: str, sentence: str, now: datetime) -> None:
        """It is not tried again by itself."""
        await self._change(_FAILED, envelope=envelope, reason=reason, sentence=sentence, now=now)

    async def postpone(
        self, envelope: UUID, until: datetime, reason: str | None, sentence: str | None, now: datetime, *, forgiven: int = 0
    ) -> None:
        """It is due again at `until`; `forgiven` attempts do not count."""
        await self._change(
            _POSTPONED, envelope=envelope, until=until, reason=reason, sentence=sentence, now=now, forgiven=forgiven
        )

    async def _fetch(self, query: str, **values: Any) -> list[Any]:
        async with self._reads.connection() as conn:
            return await (await conn.execute(query.encode(), values)).fetchall()

    async def _change(self, query: str, **values: Any) -> None:
        async with self._reads.connection() as conn:
            await conn.execute(query.encode(), values)


def _row(columns: Sequence[Any]) -> ExecutionRow:
    envelope, status, *rest = columns
    return ExecutionRow(envelope, ExecutionStatus(status), *rest)
