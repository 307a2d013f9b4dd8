"""What a user may do with packages: as a signer of them, and by the roles that the directory gives."""

from uuid import UUID

from api.auth import UserCaller
from api.deps import Deps
from domain.directory import NO_ACCESS, Module, Tier, user_subject
from domain.personal import Subject, person
from projections import directory, envelopes, signers
from projections.directory import Standing

_READ_MODELS = frozenset(("directory", "envelopes", "signers"))


def email_subject(caller: UserCaller) -> Subject | None:
    """The person that participants with the caller's verified e-mail address are; None without one."""
    email = caller.user.email
    return None if not email else person(caller.tenant, email=email, otherwise=UUID(int=0))


async def person_of(deps: Deps, caller: UserCaller) -> UUID | None:
    """The vault's id of the person that the caller's verified e-mail address names; None if nothing is stored about it."""
    subject = email_subject(caller)
    return None if subject is None else await deps.vault.subject_id(subject)


async def standing_of(deps: Deps, caller: UserCaller) -> Standing:
    """What the directory says of the caller now."""
    await deps.gate.wait({"directory"}, deps.settings.read_wait_seconds)
    subject = await deps.vault.subject_id(user_subject(caller.tenant, caller.user.issuer, caller.user.subject))
    if subject is None:
        return Standing((), NO_ACCESS)
    async with deps.reads.connection() as conn:
        return await directory.member_of(conn, caller.tenant, caller.mode, subject)


async def own_signings(deps: Deps, caller: UserCaller, envelope: UUID) -> frozenset[UUID]:
    """The participants of the envelope that the caller is, once it was sent."""
    subject = await person_of(deps, caller)
    if subject is None:
        return frozenset()
    await deps.gate.wait(_READ_MODELS, deps.settings.read_wait_seconds)
    async with deps.reads.connection() as conn:
        return frozenset(signer.id for signer in await signers.of_person_in(conn, caller.tenant, caller.mode, subject, envelope))


async def oversees(deps: Deps, caller: UserCaller, envelope: UUID) -> bool:
    """Whether the caller may read signings at the envelope's location, or is an administrator."""
    standing = await standing_of(deps, caller)
    if not standing.appointments:
        return False
    await deps.gate.wait(_READ_MODELS, deps.settings.read_wait_seconds)
    async with deps.reads.connection() as conn:
        row = await envelopes.get(conn, caller.tenant, caller.mode, envelope)
        if row is None or standing.access.admin:
            return row is not None
        place = None if row.location is None else await directory.location(conn, caller.tenant, caller.mode, row.location)
    return place is not None and standing.access.allows(Module.SIGNINGS, Tier.READ, place.place)


async def may_see(deps: Deps, caller: UserCaller, envelope: UUID) -> bool:
    """Whether the caller signs the envelope, may read signings at its location, or is an administrator."""
    return bool(await own_signings(deps, caller, envelope)) or await oversees(deps, caller, envelope)
