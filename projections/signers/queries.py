"""Finding signers: one, those of envelopes, and those that are one person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from domain.actor import Mode
from infrastructure.reading import AsyncConnection
from projections.envelopes import EnvelopeRow
from projections.envelopes.rows import COLUMNS as ENVELOPE_COLUMNS
from projections.envelopes.rows import read_row as read_envelope
from projections.signers.rows import COLUMNS, SignerRow, read_row

_COLUMNS: Final = ", ".join(f"s.{column}" for column in COLUMNS)
_OWN: Final = "s.tenant = %(tenant)s AND s.mode = %(mode)s"
_SELECT: Final = f"SELECT {_COLUMNS} FROM read.signers AS s WHERE {_OWN}"  # noqa: S608

#: A person's signers: those whose e-mail address is disclosed as that person's. What was never sent is not theirs to see.
_OF_PERSON: Final = f"""
    FROM public.disclosures AS d
    JOIN read.signers AS s ON s.id = d.stream
    JOIN read.envelopes AS e ON e.id = s.envelope
    WHERE d.subject = %(subject)s AND d.version = 1 AND d.path = '/email' AND e.sent_at IS NOT NULL AND {_OWN}"""


@dataclass(frozen=True, slots=True)
class Assignment:
    """A signer together with the envelope that it is of."""

    signer: SignerRow
    envelope: EnvelopeRow


async def get(conn: AsyncConnection, tenant: UUID, mode: Mode, participant: UUID) -> SignerRow | None:
    """The participant's signing, or None if the tenant has no such one in this mode."""
    rows = await _rows(conn, f"{_SELECT} AND s.id = %(id)s", {"tenant": tenant, "mode": mode, "id": participant})
    return rows[0] if rows else None


async def get_by_number(conn: AsyncConnection, tenant: UUID, mode: Mode, number: int) -> SignerRow | None:
    """As `get`, by the numeric id."""
    rows = await _rows(conn, f"{_SELECT} AND s.created_position = %(number)s", {"tenant": tenant, "mode": mode, "number": number})
    return rows[0] if rows else None


async def of_envelopes(
    conn: AsyncConnection, tenant: UUID, mode: Mode, envelopes: Sequence[UUID]
) -> dict[UUID, tuple[SignerRow, ...]]:
    """The signers of each of the envelopes, by envelope, in the order of their numbers, then of the envelope."""
    rows = await _rows(
        conn,
        f"{_SELECT} AND s.envelope = ANY(%(envelopes)s) ORDER BY s.number, s.created_position",
        {"tenant": tenant, "mode": mode, "envelopes": list(envelopes)},
    )
    signers: dict[UUID, tuple[SignerRow, ...]] = dict.fromkeys(envelopes, ())
    for signer in rows:
        signers[signer.envelope] = (*signers[signer.envelope], signer)
    return signers


async def of_envelope(conn: AsyncConnection, tenant: UUID, mode: Mode, envelope: UUID) -> tuple[SignerRow, ...]:
    """The signers of one envelope, in the order of their numbers; empty if the tenant has no such envelope."""
    return (await of_envelopes(conn, tenant, mode, [envelope]))[envelope]


async def of_person(conn: AsyncConnection, tenant: UUID, mode: Mode, subject: UUID, limit: int) -> tuple[Assignment, ...]:
    """Up to `limit` signers, of envelopes that have been sent, that are one person, most recently updated first.

    `subject` is the vault's id of the person who is found by an e-mail address. Wait for `signers` and `envelopes`.
    """
    columns = f"{_COLUMNS}, {', '.join(f'e.{column}' for column in ENVELOPE_COLUMNS)}"
    found = await conn.execute(
        f"SELECT {columns} {_OF_PERSON} ORDER BY s.updated_at DESC, s.created_position DESC LIMIT %(limit)s".encode(),
        {"tenant": tenant, "mode": mode, "subject": subject, "limit": limit},
    )
    width = len(COLUMNS)
    return tuple(Assignment(read_row(row[:width]), read_envelope(row[width:])) for row in await found.fetchall())


async def of_person_in(conn: AsyncConnection, tenant: UUID, mode: Mode, subject: UUID, envelope: UUID) -> tuple[SignerRow, ...]:
    """The signers of one envelope that are one person, in the order of their numbers; as `of_person` otherwise."""
    return await _rows(
        conn,
        f"SELECT {_COLUMNS} {_OF_PERSON} AND s.envelope = %(envelope)s ORDER BY s.number, s.created_position",
        {"tenant": tenant, "mode": mode, "subject": subject, "envelope": envelope},
    )


async def _rows(conn: AsyncConnection, query: str, values: Mapping[str, Any]) -> tuple[SignerRow, ...]:
    found = await conn.execute(query.encode(), values)
    return tuple(read_row(columns) for columns in await found.fetchall())
