"""The documents of envelopes, each by itself, with how far its signing has come.

Nothing of it is stored twice: what a document is stands in its envelope's row, who is to sign it and
who has in the signers' rows, and both are read in one statement.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from domain.actor import Mode
from infrastructure.reading import AsyncConnection
from infrastructure.vault import Reference

#: The projections that these reads wait for.
READ_MODELS: Final = ("envelopes", "signers")


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A document of an envelope as it stands. The hashes are 64 hex digits.

    `place` is its place in the envelope from 1, `number` its numeric id, `source` the document of the
    library that it was made from. Of the `assigned` participants `signed` have signed it;
    `executed_sha256` is of the signed file once there is one.
    """

    id: UUID
    envelope: UUID
    tenant: UUID
    mode: Mode
    place: int
    number: int
    sha256: str
    pages: int
    source: UUID | None
    title: Reference | None
    assigned: int
    signed: int
    executed_sha256: str | None
    created_at: datetime
    updated_at: datetime

    @property
    def complete(self) -> bool:
        """Whether everybody who is to sign it has signed it, and somebody was."""
        return 0 < self.assigned == self.signed


_SELECT: Final = """
    WITH signatures AS (
        SELECT mine.id, count(*) AS assigned, count(mine.signed_at) AS signed, max(mine.signed_at) AS signed_at
        FROM read.signers AS s CROSS JOIN LATERAL jsonb_to_recordset(s.documents) AS mine(id uuid, signed_at timestamptz)
        WHERE s.envelope = %(envelope)s GROUP BY mine.id
    )
    SELECT d.id, e.id, e.tenant, e.mode, listed.place, d.number, d.sha256, d.pages, d.source, d.title,
        coalesce(signatures.assigned, 0), coalesce(signatures.signed, 0), d.executed_sha256, d.added_at,
        greatest(d.added_at, d.executed_at, signatures.signed_at)
    FROM read.envelopes AS e
        CROSS JOIN LATERAL jsonb_array_elements(e.documents) WITH ORDINALITY AS listed(value, place)
        CROSS JOIN LATERAL jsonb_to_record(listed.value) AS d(id uuid, number bigint, sha256 text, pages integer, source uuid,
            title jsonb, executed_sha256 text, added_at timestamptz, executed_at timestamptz)
        LEFT JOIN signatures ON signatures.id = d.id
    WHERE e.id = %(envelope)s AND e.tenant = %(tenant)s AND e.mode = %(mode)s"""


async def of_envelope(conn: AsyncConnection, tenant: UUID, mode: Mode, envelope: UUID, limit: int) -> tuple[DocumentRow, ...]:
    """Up to `limit` documents of the envelope, in their places; none if the tenant has no such envelope in this mode."""
    values = {"tenant": tenant, "mode": mode, "envelope": envelope, "limit": limit}
    return await _rows(conn, f"{_SELECT} ORDER BY listed.place LIMIT %(limit)s", values)


async def get(conn: AsyncConnection, tenant: UUID, mode: Mode, envelope: UUID, document: UUID) -> DocumentRow | None:
    """The document, or None if the tenant has no such one in this envelope and mode."""
    rows = await _rows(
        conn, f"{_SELECT} AND d.id = %(id)s", {"tenant": tenant, "mode": mode, "envelope": envelope, "id": document}
    )
    return rows[0] if rows else None


async def get_by_number(conn: AsyncConnection, tenant: UUID, mode: Mode, envelope: UUID, number: int) -> DocumentRow | None:
    """As `get`, by the numeric id."""
    rows = await _rows(
        conn, f"{_SELECT} AND d.number = %(number)s", {"tenant": tenant, "mode": mode, "envelope": envelope, "number": number}
    )
    return rows[0] if rows else None


async def _rows(conn: AsyncConnection, query: str, values: Mapping[str, Any]) -> tuple[DocumentRow, ...]:
    found = await conn.execute(query.encode(), values)
    return tuple(_row(columns) for columns in await found.fetchall())


def _row(columns: Sequence[Any]) -> DocumentRow:
    values = dict(zip(DocumentRow.__dataclass_fields__, columns, strict=True))
    values["mode"], title = Mode(values["mode"]), values["title"]
    values["title"] = None if title is None else Reference(values["envelope"], title["version"], title["path"])
    return DocumentRow(**values)
