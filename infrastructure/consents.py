"""Where a stakeholder's consent to electronic records stands in the log, and which one held when somebody signed."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from domain.actor import Mode
from domain.consent import Consent, ConsentFact, evolve
from domain.entry import decode
from domain.ids import typed_id
from domain.personal import Subject, SubjectKind
from domain.signing import DocumentSigned
from infrastructure.codec import decode_fact
from infrastructure.database import Reads
from infrastructure.telling.happened import Happened, processes_of
from infrastructure.vault import Reference, Vault

_BEFORE: Final = "SELECT entry FROM public.log WHERE stream = %s AND position < %s ORDER BY version"


def consent_stream(vault: Vault, tenant: UUID, mode: Mode, stakeholder: str) -> UUID:
    """The stream of a stakeholder's consent: a keyed hash, so that the log does not tell whose it is (UUID version 8, RFC 9562)."""
    name = Subject(tenant, SubjectKind.PERSON, f"consent-stream:{mode.value}:{stakeholder}")
    number = int.from_bytes(vault.lookup(name)[:16], "big")
    number = number & ~(0xF << 76) | 0x8 << 76
    return UUID(int=number & ~(0x3 << 62) | 0x2 << 62)


def stakeholder_of(participant: UUID, details: object) -> str:
    """What the organization calls the person; without such a name, the place in the envelope is all that is known.

    `details` is what a surface remembers of the participant (`ProcessCreated.details`).
    """
    named = details.get("stakeholder_id") if isinstance(details, dict) else None
    return named if isinstance(named, str) else typed_id("stk", participant)


async def consents_when_signed(reads: Reads, vault: Vault, told: Sequence[Happened]) -> dict[UUID, Consent]:
    """By participant, the consent that held when it first signed; not of those who had none, or had withdrawn it by then."""
    first: dict[UUID, int] = {}
    for each in told:
        if isinstance(each.fact, DocumentSigned):
            first.setdefault(each.entry.stream, each.position)
    processes = processes_of(told)
    details = await vault.open(Reference(who, 1, "/details") for who in first)
    held: dict[UUID, Consent] = {}
    for who, position in first.items():
        known = details.get(Reference(who, 1, "/details"))
        stakeholder = stakeholder_of(who, None if known is None else known.value)
        stream = consent_stream(vault, processes[who].tenant, processes[who].mode, stakeholder)
        state = await _before(reads, stream, position)
        if state is not None and state.withdrawn_at is None:
            held[who] = state
    return held


async def _before(reads: Reads, stream: UUID, position: int) -> Consent | None:
    async with reads.connection() as connection:
        rows = await (await connection.execute(_BEFORE, [stream, position], binary=True)).fetchall()
    state: Consent | None = None
    for (raw,) in rows:
        entry = decode(raw)
        fact = decode_fact(entry.type, entry.data, entry.personal)
        if isinstance(fact, ConsentFact):
            state = evolve(state, fact, entry.at)
    return state
