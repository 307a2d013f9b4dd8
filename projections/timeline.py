"""The timeline of a process or of an envelope, read from the log itself: there is no table to be behind.

Every entry comes with its canonical bytes, so that whoever gets the answer can recompute the leaf
hashes and the chain (DESIGN section 7).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast
from uuid import UUID

from domain.actor import Mode
from domain.canonical import CanonicalError, Json, parse_json
from domain.entry import EntryError, parse_time
from domain.envelope import EnvelopeCreated, ParticipantAdded
from domain.ids import ProcessId
from domain.signing import ProcessCreated
from infrastructure.codec import current_type
from infrastructure.reading import AsyncConnection


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One entry as stored. `leaf` is its hash as stored, `previous` the one it names (32 bytes each).

    `raw` is the canonical text that is hashed, `personal` maps paths to commitments.
    """

    position: int
    stream: UUID
    version: int
    leaf: bytes
    previous: bytes
    at: datetime
    type: str
    by: Mapping[str, Json]
    data: Mapping[str, Json]
    personal: Mapping[str, str]
    raw: str

    @property
    def current_type(self) -> str:
        """The name under which its fact would be stored today."""
        return current_type(self.type)


@dataclass(frozen=True, slots=True)
class Timeline:
    """Entries in the order of the log, of one process or of an envelope and all its processes."""

    tenant: UUID
    mode: Mode
    envelope: UUID
    entries: tuple[TimelineEntry, ...]


@dataclass(frozen=True, slots=True)
class Head:
    """The position of the log's last entry, and its time; 0 and None for an empty log."""

    position: int
    at: datetime | None


class DamagedEntry(Exception):
    """The stored bytes are not an entry, so there is no timeline to show; `countersign fsck` tells more."""

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(f"entry {position} is damaged: {reason}")
        self.position = position


_SELECT: Final = "SELECT position, stream, version, type, leaf, entry FROM public.log WHERE stream = ANY(%s) ORDER BY position"


async def of_process(conn: AsyncConnection, process: ProcessId) -> Timeline | None:
    """The timeline of one signing, whoever owns it; None if there is no such process.

    Raises DamagedEntry. The caller compares `tenant` and `mode` with its own before showing anything.
    """
    entries = await _read(conn, [process.participant])
    if not entries or entries[0].current_type != ProcessCreated.TYPE:
        return None
    if entries[0].data.get("envelope") != str(process.envelope):
        return None
    return _timeline(process.envelope, entries)


async def of_participant(conn: AsyncConnection, participant: UUID) -> Timeline | None:
    """The timeline of the one signing that a participant has; otherwise as `of_process`."""
    entries = await _read(conn, [participant])
    if not entries or entries[0].current_type != ProcessCreated.TYPE:
        return None
    try:
        return _timeline(UUID(cast(str, entries[0].data["envelope"])), entries)
    except (KeyError, TypeError, ValueError) as err:
        raise DamagedEntry(entries[0].position, f"no envelope: {err!r}") from err


async def of_number(conn: AsyncConnection, number: int) -> Timeline | None:
    """The timeline of the envelope or of the process whose first entry has the position `number`; otherwise as `of_process`."""
    found = await conn.execute("SELECT stream FROM public.log WHERE position = %s AND version = 1", [number])
    row = await found.fetchone()
    if row is None:
        return None
    return await of_envelope(conn, row[0]) or await of_participant(conn, row[0])


async def head(conn: AsyncConnection) -> Head:
    """Where the log ends now."""
    row = await (await conn.execute("SELECT position, at FROM public.log_head")).fetchone()
    if row is None:
        raise LookupError("the log has no head: the database was not migrated")
    return Head(row[0], row[1] if row[0] else None)


async def of_envelope(conn: AsyncConnection, envelope: UUID) -> Timeline | None:
    """The merged timeline of an envelope and its processes; otherwise as `of_process`."""
    first = await _read(conn, [envelope])
    if not first or first[0].current_type != EnvelopeCreated.TYPE:
        return None
    try:
        participants = [UUID(slot["participant"]) for slot in _slots(first)]
    except (KeyError, TypeError, ValueError) as err:
        raise DamagedEntry(first[0].position, f"no participants: {err!r}") from err
    # Read again as one statement, so that all streams are seen at the same moment.
    return _timeline(envelope, await _read(conn, [envelope, *participants]))


def _slots(entries: Sequence[TimelineEntry]) -> Iterator[Mapping[str, Any]]:
    """The places in an envelope, by the entries of its own stream."""
    yield from cast(Sequence[Mapping[str, Any]], entries[0].data["participants"])
    for entry in entries:
        if entry.type == ParticipantAdded.TYPE:
            yield cast(Mapping[str, Any], entry.data["slot"])


def _timeline(envelope: UUID, entries: list[TimelineEntry]) -> Timeline:
    data = cast(Mapping[str, str], entries[0].data)
    try:
        return Timeline(UUID(data["tenant"]), Mode(data["mode"]), envelope, tuple(entries))
    except (KeyError, ValueError) as err:
        raise DamagedEntry(entries[0].position, f"no tenant or mode: {err!r}") from err


async def _read(conn: AsyncConnection, streams: list[UUID]) -> list[TimelineEntry]:
    async with conn.cursor(binary=True) as cursor:
        await cursor.execute(_SELECT, [streams])
        return [entry_at(*row) for row in await cursor.fetchall()]


def entry_at(position: int, stream: UUID, version: int, type: str, leaf: bytes, raw: bytes) -> TimelineEntry:
    """Reads what is to be shown and checks no hashes: an auditor is shown what is stored, and judges it."""
    try:
        value = cast(Mapping[str, Any], parse_json(raw))
        return TimelineEntry(
            position=position,
            stream=stream,
            version=version,
            leaf=leaf,
            previous=bytes.fromhex(value["previous"]),
            at=parse_time(value["at"]),
            type=type,
            by=value["by"],
            data=value["data"],
            personal=value["personal"],
            raw=raw.decode(),
        )
    except (CanonicalError, EntryError, KeyError, TypeError, ValueError) as err:
        raise DamagedEntry(position, str(err)) from err
