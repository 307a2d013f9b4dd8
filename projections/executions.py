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

    What has ended otherwise than by completion counts for nothing: the document may be sent anew. It is executed when its
    envelope is completed, whether or not its file is made already (docs/adr/0011).
    """

    status: Status
    envelopes: tuple[UUID, ...] = ()


_OF_DOCUMENT: Final = "o.tenant = %(tenant)s AND o.mode = %(mode)s AND o.source = wanted.id"
_HAS: Final = f"""
    WHEN EXISTS (SELECT FROM read.envelope_sources AS o JOIN read.envelopes AS e ON e.id = o.envelope WHERE {_OF_DOCUMENT} AND {{}})"""

#: A document may be in very many envelopes, so none are counted: each question ends with the first envelope that answers it.
_SELECT: Final = f"""
    SELECT wanted.id, CASE{_HAS.format("e.status = 'completed'")} THEN 3
        {_HAS.format("e.status = 'sent' AND e.completed > 0")} THEN 2
        {_HAS.format("e.status = 'sent'")} THEN 1 ELSE 0 END, ARRAY(
            SELECT o.envelope FROM read.envelope_sources AS o WHERE {_OF_DOCUMENT}
            ORDER BY o.created_at DESC, o.created_position DESC LIMIT %(named)s)
    FROM unnest(%(documents)s::uuid[]) AS wanted(id)"""  # noqa: S608

_STATUSES: Final[tuple[Status, ...]] = ("draft", "sent", "partially_signed", "executed")


async def of_documents(conn: AsyncConnection, tenant: UUID, mode: Mode, documents: Sequence[UUID]) -> dict[UUID, Execution]:
    """How far each of the documents has come in the tenant's envelopes of this mode. Wait for `envelopes`."""
    found = await conn.execute(_SELECT.encode(), {"documents": list(documents), "tenant": tenant, "mode": mode, "named": NAMED})
    return {id: Execution(_STATUSES[furthest], tuple(newest)) for id, furthest, newest in await found.fetchall()}
