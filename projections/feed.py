"""The whole log, entry by entry, read from the log itself: what monitors and other systems follow."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from domain.ids import EventId
from infrastructure.reading import AsyncConnection


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """One entry as stored: its leaf hash (32 bytes) and the canonical bytes."""

    position: int
    leaf: bytes
    raw: bytes


_AFTER: Final = "SELECT position, leaf, entry FROM public.log WHERE position > %s ORDER BY position LIMIT %s"
_AT: Final = "SELECT position, leaf, entry FROM public.log WHERE position = %s"

#: Times never decrease along the log and stand at one place in the bytes, so the millisecond of an event's id is found by halving;
#: of the entries within it, the hash tells.
_OF_EVENT: Final = """
    WITH RECURSIVE halves (low, high) AS (
        SELECT 1::bigint, position + 1 FROM public.log_head
        UNION ALL
        SELECT CASE WHEN before THEN middle + 1 ELSE low END, CASE WHEN before THEN high ELSE middle END
        FROM halves, LATERAL (SELECT (low + high) / 2 AS middle) AS m,
            LATERAL (SELECT substring(entry FROM 8 FOR 23) < %(time)s AS before FROM public.log WHERE position = middle) AS at
        WHERE low < high
    )
    SELECT l.position FROM halves, public.log AS l
    WHERE low >= high AND l.position >= low AND l.position < low + %(most)s AND substring(l.leaf FOR 10) = %(start)s
        AND substring(entry FROM 8 FOR 23) = %(time)s
    ORDER BY l.position LIMIT 1"""

#: Entries of one millisecond that are looked at.
_MOST_ALIKE: Final = 10_000


async def after(conn: AsyncConnection, position: int, limit: int) -> Sequence[FeedEntry]:
    """The entries that follow `position`, in order and without a gap, at most `limit`."""
    async with conn.cursor(binary=True) as cursor:
        await cursor.execute(_AFTER, [position, limit])
        return [FeedEntry(*row) for row in await cursor.fetchall()]


async def at(conn: AsyncConnection, position: int) -> FeedEntry | None:
    """The entry at a position."""
    async with conn.cursor(binary=True) as cursor:
        row = await (await cursor.execute(_AT, [position])).fetchone()
    return None if row is None else FeedEntry(*row)


async def position_of(conn: AsyncConnection, event: EventId) -> int | None:
    """Where the entry stands that APIs show under this id; None if there is none."""
    parameters = {"time": event.time.encode(), "start": event.leaf_start, "most": _MOST_ALIKE}
    row = await (await conn.execute(_OF_EVENT, parameters)).fetchone()
    return None if row is None else int(row[0])
