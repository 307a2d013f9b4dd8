"""One entry by the id that APIs show for it, found in the log itself: the id is derived, so there is no table of them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from domain.actor import Mode
from domain.canonical import CanonicalError, parse_json
from domain.entry import format_time
from infrastructure.codec import current_type
from infrastructure.reading import AsyncConnection
from projections.timeline import TimelineEntry, entry_at

_MILLISECOND: Final = timedelta(milliseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

#: Times beyond the year 9999 are no times of entries.
_LAST_MILLISECOND: Final = 253_402_300_799_998

#: The first position whose entry's time is not before `time`, one beyond the end if there is none. Positions have no gaps and
#: times never decrease along them, so half of what is left is ruled out at each step. An entry begins with its time (domain.entry).
_SEARCH: Final = """
    WITH RECURSIVE search(low, high) AS (
        SELECT 1::bigint, position + 1 FROM log_head
        UNION ALL
        SELECT CASE WHEN early THEN middle + 1 ELSE low END, CASE WHEN early THEN high ELSE middle END
        FROM (SELECT low, high, (low + high) / 2 AS middle FROM search WHERE low < high) AS s
        CROSS JOIN LATERAL (SELECT substring(entry FROM 8 FOR 27) < %(time)s AS early FROM log WHERE position = middle) AS l
    ) SELECT low FROM search WHERE low = high"""

_FIND: Final = """
    SELECT position, stream, version, type, leaf, entry FROM log
    WHERE position >= %(low)s AND position < %(high)s AND substring(leaf FROM 1 FOR 10) = %(leaf)s ORDER BY position LIMIT 1"""

_FIRST: Final = "SELECT entry FROM log WHERE stream = %s AND version = 1"


@dataclass(frozen=True, slots=True)
class Found:
    """An entry with its type as it is called today, and whose stream it stands in; some streams are of no mode."""

    entry: TimelineEntry
    type: str
    tenant: UUID
    mode: Mode | None


async def by_event_id(conn: AsyncConnection, number: int) -> Found | None:
    """The entry of an event id, whoever owns it: `number` is the ULID's 128 bits (domain.ids.event_id).

    None if there is none. The caller compares `tenant` and `mode` with its own before showing anything.
    """
    milliseconds, leaf = number >> 80, (number & (1 << 80) - 1).to_bytes(10, "big")
    if milliseconds > _LAST_MILLISECOND:
        return None
    begin = _EPOCH + milliseconds * _MILLISECOND
    low, high = await _first_from(conn, begin), await _first_from(conn, begin + _MILLISECOND)
    async with conn.cursor(binary=True) as cursor:
        await cursor.execute(_FIND.encode(), {"low": low, "high": high, "leaf": leaf})
        row = await cursor.fetchone()
        if row is None:
            return None
        entry = entry_at(*row)
        await cursor.execute(_FIRST.encode(), [entry.stream])
        owner = await cursor.fetchone()
    return None if owner is None else _found(entry, owner[0])


async def _first_from(conn: AsyncConnection, time: datetime) -> int:
    async with conn.cursor(binary=True) as cursor:
        await cursor.execute(_SEARCH.encode(), {"time": format_time(time).encode()})
        row = await cursor.fetchone()
    return 1 if row is None else int(row[0])


def _found(entry: TimelineEntry, first: bytes) -> Found | None:
    try:
        value = parse_json(first)
        data = value["data"] if isinstance(value, dict) else None
        if not isinstance(data, dict) or "tenant" not in data:
            return None
        mode = data.get("mode")
        return Found(entry, current_type(entry.type), UUID(str(data["tenant"])), None if mode is None else Mode(str(mode)))
    except (CanonicalError, KeyError, ValueError):
        return None
