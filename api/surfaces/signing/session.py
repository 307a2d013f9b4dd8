"""The signing session: who the caller is here, and what that permits."""

import asyncio
from dataclasses import dataclass
from typing import Final, Literal

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from api.auth import UserCaller
from api.deps import Deps
from api.http import send_answer
from api.standing import person_of, standing_of
from api.surfaces.signing.access import User
from api.surfaces.signing.answers import Failed, Row, answer, deps_of, in_milliseconds
from api.surfaces.signing.documentation import documented
from api.surfaces.signing.records import SignerRecord, opened, references, signer_record
from domain.directory import Access, Module, Place, Tier, Tiers, VaultRight
from projections import signers
from projections.directory import AppointmentRow, Standing
from projections.signers import Assignment

router: Final = APIRouter(prefix="/v1/signing", tags=["Session"])

#: As many signer rows as the queue shows.
MAX_SIGNERS: Final = 100

TierWord = Literal["none", "read", "write", "full"]

NOT_LINKED: Final = "Your account has no manager, admin or signer role here."
FORBIDDEN: Final = "Your role does not permit this."


class ModuleCaps(Row):
    """The tier of each module, and the rights in the vault."""

    signings: TierWord
    templates: TierWord
    flows: TierWord
    reports: TierWord
    settings: TierWord
    vault: dict[str, bool] = Field(description="The vault's rights by name.")


class RoleRecord(Row):
    """The row that makes somebody a manager or an admin."""

    id: str
    organization_id: str
    created_at: str


class Caps(Row):
    """What client guards ask for, flat."""

    manager: ModuleCaps | None
    admin: ModuleCaps | None
    can_list_organizations: bool
    can_view_signer_assignments: bool


class Session(Row):
    """The caller, the caller's roles, and what they permit."""

    user_id: str
    manager: RoleRecord | None
    admin: RoleRecord | None
    signers: list[SignerRecord]
    resolved_roles: list[Literal["manager", "admin", "signer"]]
    manager_modules: ModuleCaps | None
    admin_modules: ModuleCaps | None
    caps: Caps


@dataclass(frozen=True, slots=True)
class Visitor:
    """A caller with what the directory says of them."""

    caller: UserCaller
    standing: Standing

    @property
    def access(self) -> Access:
        return self.standing.access

    @property
    def scope(self) -> Literal["managed", "global"]:
        """How lists are marked."""
        return "global" if self.access.admin else "managed"

    def require_role(self) -> None:
        """Raises Failed 403 for somebody who is neither manager nor admin."""
        if not self.access.admin and not self.access.manager:
            raise Failed(403, FORBIDDEN)

    def require(self, module: Module, at_least: Tier, place: Place | None = None) -> None:
        """Raises Failed 403 unless the module's tier is that high, at `place` or anywhere."""
        if not self.access.allows(module, at_least, place):
            raise Failed(403, FORBIDDEN)


async def visitor_of(request: Request, caller: UserCaller) -> Visitor:
    """What the directory says of the caller now."""
    return Visitor(caller, await standing_of(deps_of(request), caller))


async def _assignments(request: Request, caller: UserCaller) -> tuple[Assignment, ...]:
    deps = deps_of(request)
    subject = await person_of(deps, caller)
    if subject is None:
        return ()
    await deps.gate.wait({"signers", "envelopes"}, deps.settings.read_wait_seconds)
    async with deps.reads.connection() as conn:
        return await signers.of_person(conn, caller.tenant, caller.mode, subject, MAX_SIGNERS)


@router.get("/session", summary="Your session and capabilities", **documented(200, Session, 403))
@router.get("/me", summary="Your session and capabilities (older name)", **documented(200, Session, 403))
async def session(request: Request, caller: User) -> Response:
    """Who you are here: your rows, your roles and what they permit. 403 without any."""
    visitor, assignments = await asyncio.gather(visitor_of(request, caller), _assignments(request, caller))
    if not assignments and not visitor.standing.appointments:
        raise Failed(403, NOT_LINKED)
    return send_answer(answer(200, await _session(deps_of(request), visitor, assignments)))


async def _session(deps: Deps, visitor: Visitor, assignments: tuple[Assignment, ...]) -> Session:
    appointments = visitor.standing.appointments
    manager = next((it for it in appointments if not it.admin), None)
    admin = next((it for it in appointments if it.admin), None)
    texts = await opened(deps, references(signers=[it.signer for it in assignments]))
    manager_modules = None if manager is None else _modules(visitor.access.as_manager)
    admin_modules = None if admin is None else _modules(visitor.access)
    held: list[tuple[Literal["manager", "admin", "signer"], bool]] = [
        ("manager", manager is not None),
        ("admin", admin is not None),
        ("signer", bool(assignments)),
    ]
    numbers = {it.organization.id: it.organization.number for it in visitor.standing.memberships}
    return Session(
        user_id=visitor.caller.user.subject,
        manager=None if manager is None else _role(manager, numbers[manager.organization]),
        admin=None if admin is None else _role(admin, numbers[admin.organization]),
        signers=[signer_record(it.signer, it.envelope, texts) for it in assignments],
        resolved_roles=[role for role, holds in held if holds],
        manager_modules=manager_modules,
        admin_modules=admin_modules,
        caps=Caps(
            manager=manager_modules,
            admin=admin_modules,
            can_list_organizations=bool(appointments),
            can_view_signer_assignments=bool(assignments),
        ),
    )


def _role(row: AppointmentRow, organization: int) -> RoleRecord:
    return RoleRecord(id=str(row.number), organization_id=str(organization), created_at=in_milliseconds(row.created_at))


def _modules(access: Access) -> ModuleCaps:
    tiers: Tiers = access.tiers()
    words = {module.value: tiers.of(module).value for module in Module}
    return ModuleCaps.model_validate({**words, "vault": {right.value: right in access.vault for right in VaultRight}})
