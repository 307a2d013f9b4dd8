"""Finding envelopes: one, and every list of the surfaces.

Lists are read from where the last page ended, along an index, so that the thousandth page costs what
the first does and none changes while envelopes are added.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from domain.actor import Mode
from domain.envelope import EnvelopeStatus
from infrastructure.reading import AsyncConnection
from projections.envelopes.rows import COLUMNS, EnvelopeRow, read_row
from projections.moment import Moment

_COLUMNS: Final = ", ".join(f"e.{column}" for column in COLUMNS)
_OWN: Final = "e.tenant = %(tenant)s AND e.mode = %(mode)s"
_SELECT: Final = f"SELECT {_COLUMNS} FROM read.envelopes AS e WHERE {_OWN}"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Window:
    """A page of a list that can be read in both directions, newest first.

    `has_more` says whether there are more rows in the direction of reading.
    """

    rows: tuple[EnvelopeRow, ...]
    has_more: bool


async def get(conn: AsyncConnection, tenant: UUID, mode: Mode, envelope: UUID) -> EnvelopeRow | None:
    """The envelope, or None if the tenant has no such one in this mode."""
    rows = await _rows(conn, f"{_SELECT} AND e.id = %(id)s", {"tenant": tenant, "mode": mode, "id": envelope})
    return rows[0] if rows else None


async def get_by_number(conn: AsyncConnection, tenant: UUID, mode: Mode, number: int) -> EnvelopeRow | None:
    """As `get`, by the numeric id."""
    rows = await _rows(conn, f"{_SELECT} AND e.created_position = %(number)s", {"tenant": tenant, "mode": mode, "number": number})
    return rows[0] if rows else None


async def of_ids(conn: AsyncConnection, tenant: UUID, mode: Mode, envelopes: Collection[UUID]) -> tuple[EnvelopeRow, ...]:
    """Those of the envelopes that the tenant has in this mode, each once, most recently updated first."""
    return await _rows(
        conn,
        f"{_SELECT} AND e.id = ANY(%(ids)s) ORDER BY e.updated_at DESC, e.created_position DESC",
        {"tenant": tenant, "mode": mode, "ids": list(envelopes)},
    )


async def page(
    conn: AsyncConnection,
    tenant: UUID,
    mode: Mode,
    limit: int,
    *,
    after: int | None = None,
    descending: bool = False,
    statuses: Collection[EnvelopeStatus] | None = None,
    started: bool | None = None,
    signed: bool | None = None,
) -> tuple[EnvelopeRow, ...]:
    """Up to `limit` envelopes in the order of their creation, from the one after `created_position` `after` on.

    With `descending` the newest come first. `statuses` restricts it, and so do `started` (a participant
    has acted) and `signed` (one has completed). A page never changes its place: what is created later
    comes after it (before it, if descending).
    """
    follows = "<" if descending else ">"
    conditions = (
        f"{_OWN}{'' if after is None else f' AND e.created_position {follows} %(after)s'}"
        f"{'' if started is None else ' AND e.started = %(started)s'}"
        f"{'' if signed is None else ' AND (e.completed > 0) = %(signed)s'}"
    )
    values = {"tenant": tenant, "mode": mode, "after": after, "started": started, "signed": signed, "limit": limit}
    order = f"ORDER BY e.created_position {'DESC' if descending else 'ASC'} LIMIT %(limit)s"
    if statuses is None:
        return await _rows(conn, f"SELECT {_COLUMNS} FROM read.envelopes AS e WHERE {conditions} {order}", values)  # noqa: S608
    return await _rows_of_each(conn, "phase", "text", conditions, order, {**values, "wanted": _phases(statuses, started, signed)})


async def window(
    conn: AsyncConnection,
    tenant: UUID,
    mode: Mode,
    limit: int,
    *,
    after: int | None = None,
    before: int | None = None,
    statuses: Collection[EnvelopeStatus] | None = None,
    started: bool | None = None,
    signed: bool | None = None,
) -> Window:
    """Up to `limit` envelopes, newest first: those that follow the one of `created_position` `after` in that order
    or, with `before`, the ones that come right before it. At most one of the two may be given.
    """
    if after is not None and before is not None:
        raise ValueError("a window begins after a row or ends before one")
    rows = await page(
        conn,
        tenant,
        mode,
        limit + 1,
        after=after if before is None else before,
        descending=before is None,
        statuses=statuses,
        started=started,
        signed=signed,
    )
    shown = rows[:limit]
    return Window(shown if before is None else shown[::-1], len(rows) > limit)


async def older(
    conn: AsyncConnection, tenant: UUID, mode: Mode, limit: int, *, than: Moment | None = None, source: UUID | None = None
) -> tuple[EnvelopeRow, ...]:
    """Up to `limit` envelopes that are no drafts, newest first, that lie beyond the moment `than`.

    With `source` those with a document that was made from that one of the library.
    """
    values = {
        "tenant": tenant,
        "mode": mode,
        "at": None if than is None else than.at,
        "position": None if than is None else than.position,
        "source": source,
        "limit": limit,
    }
    listed, condition = ("e", "true") if source is None else ("o", "o.source = %(source)s")
    place = f"({listed}.created_at, {listed}.created_position)"
    return await _rows(
        conn,
        f"SELECT {_COLUMNS} FROM read.envelopes AS e"  # noqa: S608
        f"{'' if source is None else ' JOIN read.envelope_sources AS o ON o.envelope = e.id'}"
        f" WHERE {condition} AND {listed}.tenant = %(tenant)s AND {listed}.mode = %(mode)s AND e.status <> 'draft'"
        f"{'' if than is None else f' AND {place} < (%(at)s, %(position)s)'}"
        f" ORDER BY {listed}.created_at DESC, {listed}.created_position DESC LIMIT %(limit)s",
        values,
    )


async def latest(
    conn: AsyncConnection, tenant: UUID, mode: Mode, limit: int, *, locations: Collection[UUID] | None = None
) -> tuple[EnvelopeRow, ...]:
    """Up to `limit` envelopes, drafts among them, most recently updated first; with `locations` only theirs."""
    order = "ORDER BY e.updated_at DESC, e.created_position DESC LIMIT %(limit)s"
    values: dict[str, Any] = {"tenant": tenant, "mode": mode, "limit": limit}
    if locations is None:
        return await _rows(conn, f"{_SELECT} {order}", values)
    return await _rows_of_each(conn, "location", "uuid", _OWN, order, {**values, "wanted": list(set(locations))})


async def due(conn: AsyncConnection, now: datetime, limit: int) -> tuple[UUID, ...]:
    """Up to `limit` open envelopes whose deadline has passed at `now`, of all tenants, the longest overdue first."""
    found = await conn.execute(
        "SELECT id FROM read.envelopes WHERE status IN ('draft', 'sent') AND deadline < %s ORDER BY deadline LIMIT %s",
        [now, limit],
    )
    return tuple(envelope for (envelope,) in await found.fetchall())


def _phases(statuses: Collection[EnvelopeStatus], started: bool | None, signed: bool | None) -> list[str]:
    """The values of the column `phase` that rows of these kinds have."""
    acted = [phase for phase, values in _SENT.items() if started in (None, values[0]) and signed in (None, values[1])]
    return [phase for status in set(statuses) for phase in (acted if status is EnvelopeStatus.SENT else [str(status)])]


#: What the column `phase` tells apart among the envelopes that are sent, as (started, signed).
_SENT: Final = {"sent": (False, False), "started": (True, False), "signed": (True, True)}


async def _rows_of_each(
    conn: AsyncConnection, column: str, kind: str, conditions: str, order: str, values: Mapping[str, Any]
) -> tuple[EnvelopeRow, ...]:
    """The first rows of those whose `column` is one of the `wanted`: an index gives each value's in order, and those are merged."""
    return await _rows(
        conn,
        f"SELECT {_COLUMNS} FROM unnest(%(wanted)s::{kind}[]) AS wanted(value) CROSS JOIN LATERAL"  # noqa: S608
        f" (SELECT * FROM read.envelopes AS e WHERE e.{column} = wanted.value AND {conditions} {order}) AS e {order}",
        values,
    )


async def _rows(conn: AsyncConnection, query: str, values: Mapping[str, Any]) -> tuple[EnvelopeRow, ...]:
    found = await conn.execute(query.encode(), values)
    return tuple(read_row(columns) for columns in await found.fetchall())
