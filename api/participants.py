"""What surfaces that participants use look up alike."""

import asyncio
from uuid import UUID

from api.deps import Deps, Reference
from domain.personal import Subject, person
from domain.signing import Signing


async def signing_with_person(deps: Deps, participant: UUID) -> tuple[Signing, Subject] | None:
    """A participant's signing, and whose data its evidence is: the same person's as when it was created."""
    email, phone = Reference(participant, 1, "/email"), Reference(participant, 1, "/phone")
    signing, contact = await asyncio.gather(deps.ledger.signing(participant), deps.reveal({"email": email, "phone": phone}))
    if signing is None:
        return None
    subject = person(signing.tenant, email=_text(contact["email"]), phone=_text(contact["phone"]), otherwise=participant)
    return signing, subject


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
