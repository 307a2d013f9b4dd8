"""What surfaces that participants use look up alike."""

import asyncio
from uuid import UUID

from api.deps import Deps, Reference
from domain.entry import decode
from domain.envelope import DocumentAdded, EnvelopeCreated
from domain.personal import Subject, person
from domain.signing import Signing
from infrastructure.codec import current_type, decode_fact


async def signing_with_person(deps: Deps, participant: UUID) -> tuple[Signing, Subject] | None:
    """A participant's signing, and whose data its evidence is: the same person's as when it was created."""
    email, phone = Reference(participant, 1, "/email"), Reference(participant, 1, "/phone")
    signing, contact = await asyncio.gather(deps.ledger.signing(participant), deps.reveal({"email": email, "phone": phone}))
    if signing is None:
        return None
    subject = person(signing.tenant, email=_text(contact["email"]), phone=_text(contact["phone"]), otherwise=participant)
    return signing, subject


async def title_references(deps: Deps, envelope: UUID) -> dict[UUID, Reference]:
    """Where the titles of an envelope's documents stand, from the log itself; those without one too."""
    found: dict[UUID, Reference] = {}
    for stored in await deps.recorder.read_stream(envelope):
        if current_type(stored.type) not in (EnvelopeCreated.TYPE, DocumentAdded.TYPE):
            continue
        entry = decode(stored.raw)
        fact = decode_fact(entry.type, entry.data, entry.personal)
        if isinstance(fact, EnvelopeCreated):
            places = {document.id: f"/documents/{index}/title" for index, document in enumerate(fact.documents)}
            found |= {document: Reference(envelope, stored.version, path) for document, path in places.items()}
        elif isinstance(fact, DocumentAdded):
            found[fact.document.id] = Reference(envelope, stored.version, "/document/title")
    return found


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
