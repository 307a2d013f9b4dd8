"""How far documents of the library have come, folded from the envelopes that they are in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

from domain.actor import Mode
from infrastructure.reading import AsyncConnection

#: Envelopes of one document that are named; the newest.
NAMED: Final = 10

Status = Literal["draft", "sent", "partially_signed", "executed"]


@dataclass(frozen=True, slots=True)
class Execution:
    """Of the envelopes that a document is in: how far the one that came furthest is, and the newest NAMED of them.

    What has ended otherwise than by completion counts for nothing: the document may be sent anew.
    """

    status: Status
    envelopes: tuple[UUID, ...] = ()


_SELECT: Final = """
    SELECT wanted.id, found.furthest, found.newest
    FROM unnest(%(documents)s::uuid[]) AS wanted(id) CROSS JOIN LATERAL (
        SELECT max(CASE WHEN e.status = 'completed' THEN 3 WHEN e.status <> 'sent' THEN 0 WHEN e.completed > 0 THEN 2 ELSE 1 END),
            (array_agg(e.id ORDER BY e.created_position DESC))[1:%(named)s]
        FROM read.envelope_sources AS o JOIN read.envelopes AS e ON e.id = o.envelope
        WHERE o.source = wanted.id AND o.tenant = %(tenant)s AND o.mode = %(mode)s
    ) AS found(furthest, newest)"""

_STATUSES: Final[tuple[Status, ...]] = ("draft", "sent", "partially_signed", "executed")


async def of_documents(conn: AsyncConnection, tenant: UUID, mode: Mode, documents: Sequence[UUID]) -> dict[UUID, Execution]:
    """How far each of the documents has come in the tenant's envelopes of this mode. Wait for `envelopes`."""
    found = await conn.execute(_SELECT.encode(), {"documents": list(documents), "tenant": tenant, "mode": mode, "named": NAMED})
    return {id: Execution(_STATUSES[furthest or 0], tuple(newest or ())) for id, furthest, newest in await found.fetchall()}
