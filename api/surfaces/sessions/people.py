"""Who a signer is, as far as it is known: from what was disclosed when the envelope was made, and who signed in since."""

import asyncio
from dataclasses import dataclass
from uuid import UUID

from api.deps import Deps, Reference, stakeholder_of
from api.surfaces.sessions.disclosure import consent_of
from domain.personal import Subject, person
from domain.signing import SessionOpened, Signing


@dataclass(frozen=True, slots=True)
class Signer:
    """A participant with the person in that place.

    `user` is the account that the organization says is the person's, `opened_by` the one that signed in for
    the session opened last. `disclosure_sha256` is of the text that the stakeholder has consented to, if that holds.
    """

    id: UUID
    signing: Signing
    subject: Subject
    stakeholder_id: str
    email: str | None
    user: str | None = None
    opened_by: str | None = None
    disclosure_sha256: str | None = None


def member(details: object, name: str) -> str | None:
    """A text of what is remembered of a person."""
    return text(details.get(name)) if isinstance(details, dict) else None


def text(value: object) -> str | None:
    """`value`, if it is a text: what was erased is None."""
    return value if isinstance(value, str) else None


async def signer(deps: Deps, participant: UUID) -> Signer | None:
    """The participant, whoever's it is; None if there is no such one."""
    wanted = {name: Reference(participant, 1, f"/{name}") for name in ("email", "phone", "details")}
    signing, known = await asyncio.gather(deps.ledger.signing(participant), deps.reveal(wanted))
    if signing is None:
        return None
    email, named = text(known["email"]), member(known["details"], "stakeholder_id")
    # Most signers have neither, and are spared the reading.
    consent = None if named is None else await consent_of(deps, signing.tenant, signing.mode, named)
    return Signer(
        id=participant,
        signing=signing,
        subject=person(signing.tenant, email=email, phone=text(known["phone"]), otherwise=participant),
        stakeholder_id=stakeholder_of(participant, known["details"]),
        email=email,
        user=member(known["details"], "human_clerk_user_id"),
        opened_by=None if signing.session is None else await _opened_by(deps, participant),
        disclosure_sha256=None if consent is None or consent.withdrawn_at is not None else consent.text.sha256,
    )


async def _opened_by(deps: Deps, participant: UUID) -> str | None:
    versions = [entry.version for entry in await deps.recorder.read_stream(participant) if entry.type == SessionOpened.TYPE]
    return text((await deps.reveal({"user": Reference(participant, versions[-1], "/user")}))["user"]) if versions else None
