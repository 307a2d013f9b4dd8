"""The workspace: the organizations that the caller belongs to, and the caller's place in them. Reads alone."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, RootModel
from starlette.responses import Response

from api.deps import Deps
from api.http import send_answer
from api.surfaces.signing.access import User, number
from api.surfaces.signing.answers import NOT_FOUND, Failed, Row, answer, deps_of, in_milliseconds
from api.surfaces.signing.documentation import documented
from api.surfaces.signing.organizations import LocationRecord, OrganizationRecord, location_record, organization_record
from api.surfaces.signing.revealing import Values, revealed, text_at, value_at
from api.surfaces.signing.session import Visitor, visitor_of
from domain.directory import Permission
from projections import directory
from projections.directory import Counts, MemberRow, Membership, RoleRow

router: Final = APIRouter(prefix="/v1/workspace", tags=["Workspace"])


class CountsRecord(Row):
    """How much an organization holds; of members those who have not left."""

    companies: int
    locations: int
    flows: int
    members: int


class MemberOrganization(OrganizationRecord):
    """An organization as its members see it."""

    billing_account: None = Field(description="Always null: billing is not done here.")
    counts: CountsRecord


class RoleRecord(Row):
    """A role of an organization: what its members may change there. It gives no access to packages."""

    id: str
    slug: str
    permissions: dict[str, bool]
    created_at: str
    updated_at: str


class MembershipRecord(Row):
    """The caller in an organization."""

    id: str
    user_id: str
    status: Literal["ACTIVE"]
    organization_id: str
    created_at: str
    organization: MemberOrganization
    role: RoleRecord


class MemberRecord(Row):
    """Somebody in an organization. What was erased is null."""

    id: str
    user_id: str | None
    email: str | None
    name: str | None
    role: str
    status: Literal["ACTIVE"]
    created_at: str


class ActiveOrganization(Row):
    """The organization that a client shows first."""

    id: str
    name: str | None


class Bundle(Row):
    """An organization with what is in it, and the caller's place."""

    organization: MemberOrganization
    locations: list[LocationRecord]
    roles: list[RoleRecord]
    members: list[MemberRecord]
    membership: MembershipRecord
    role: RoleRecord


class Profile(Row):
    """The caller, as the token says."""

    user_id: str
    email: str | None = Field(description="Null unless the issuer has verified it.")
    name: str | None


class MenuEntry(ActiveOrganization):
    """An organization in the menu."""

    role: str


class MenuCore(Row):
    """What a client's menu is built from."""

    profile: Profile
    active_organization: ActiveOrganization | None
    organizations: list[MenuEntry]
    permissions: dict[str, bool] = Field(description="Of the caller's role in the active organization.")


class Memberships(RootModel[list[MembershipRecord]]):
    """The organizations that the caller belongs to."""


class ActiveOrganizationId(RootModel[str | None]):
    """The id of the active organization, or null."""


class ActiveOrNone(RootModel[ActiveOrganization | None]):
    """The active organization, or null."""


@router.get("/memberships", summary="List your memberships", **documented(200, Memberships))
async def memberships(request: Request, caller: User) -> Response:
    """Every organization that you belong to, with your role there; the first joined first."""
    deps, visitor = deps_of(request), await visitor_of(request, caller)
    found = visitor.standing.memberships
    values = await _names(deps, found)
    return _send(Memberships([await _membership(deps, visitor, it, values) for it in found]))


@router.get("/active-org-id", summary="Get the active organization's id", **documented(200, ActiveOrganizationId))
async def active_org_id(request: Request, caller: User) -> Response:
    """Of your organizations the alphabetically first, since none can be chosen here; null without any."""
    deps, visitor = deps_of(request), await visitor_of(request, caller)
    active = _active(visitor, await _names(deps, visitor.standing.memberships))
    return _send(ActiveOrganizationId(None if active is None else str(active.organization.number)))


@router.get("/active-org", summary="Get the active organization", **documented(200, ActiveOrNone))
async def active_org(request: Request, caller: User) -> Response:
    """Its id and name; null if you belong to none."""
    deps, visitor = deps_of(request), await visitor_of(request, caller)
    values = await _names(deps, visitor.standing.memberships)
    return _send(ActiveOrNone(_shown(_active(visitor, values), values)))


@router.get("/organizations/{organizationId}", summary="Get an organization's bundle", **documented(200, Bundle, 400, 404))
async def organization(request: Request, caller: User, organizationId: str) -> Response:  # noqa: N803
    """An organization that you belong to: its locations by their order, roles by slug, members by the time of joining."""
    deps, visitor, wanted = deps_of(request), await visitor_of(request, caller), number(organizationId, "organization")
    own = next((it for it in visitor.standing.memberships if it.organization.number == wanted), None)
    if own is None:
        raise Failed(404, NOT_FOUND)
    async with deps.reads.connection() as conn:
        found = await directory.bundle(conn, caller.tenant, caller.mode, own.organization.id)
    if found is None:
        raise Failed(404, NOT_FOUND)
    people = (reference for it in found.members for reference in (it.user, it.email, it.name))
    names = (found.organization.name, found.organization.slug)
    values = await revealed(deps, (*names, *(it.name for it in found.locations), *people))
    membership = await _membership(deps, visitor, own, values)
    bundle = Bundle(
        organization=membership.organization,
        locations=[location_record(it, values) for it in found.locations],
        roles=[_role(it) for it in found.roles],
        members=[_member(it, values) for it in found.members],
        membership=membership,
        role=membership.role,
    )
    return _send(bundle)


@router.get("/profile", summary="Get your profile", **documented(200, Profile))
async def profile(request: Request, caller: User) -> Response:
    """What your token says of you."""
    return _send(_profile(caller))


@router.get("/menu-core", summary="Get the menu's payload", **documented(200, MenuCore))
async def menu_core(request: Request, caller: User) -> Response:
    """You, your organizations by name, and what your role permits in the active one."""
    deps, visitor = deps_of(request), await visitor_of(request, caller)
    values = await _names(deps, visitor.standing.memberships)
    active = _active(visitor, values)
    entries = [
        MenuEntry(id=str(it.organization.number), name=text_at(values, it.organization.name), role=it.role.slug)
        for it in _by_name(visitor, values)
    ]
    menu = MenuCore(
        profile=_profile(caller),
        active_organization=_shown(active, values),
        organizations=entries,
        permissions={} if active is None else _permissions(active.role),
    )
    return _send(menu)


def _send(content: BaseModel) -> Response:
    return send_answer(answer(200, content))


async def _names(deps: Deps, found: Iterable[Membership]) -> Values:
    return await revealed(deps, (name for it in found for name in (it.organization.name, it.organization.slug)))


def _by_name(visitor: Visitor, values: Values) -> Sequence[Membership]:
    """The caller's memberships by the organizations' names; those whose names were erased come last."""

    def place(it: Membership) -> tuple[bool, str, int]:
        name = text_at(values, it.organization.name)
        return (name is None, (name or "").casefold(), it.organization.number)

    return sorted(visitor.standing.memberships, key=place)


def _active(visitor: Visitor, values: Values) -> Membership | None:
    return next(iter(_by_name(visitor, values)), None)


def _shown(active: Membership | None, values: Values) -> ActiveOrganization | None:
    if active is None:
        return None
    return ActiveOrganization(id=str(active.organization.number), name=text_at(values, active.organization.name))


def _profile(caller: User) -> Profile:
    return Profile(user_id=caller.user.subject, email=caller.user.email, name=caller.user.name)


async def _membership(deps: Deps, visitor: Visitor, it: Membership, values: Values) -> MembershipRecord:
    async with deps.reads.connection() as conn:
        counts: Counts = await directory.counts(conn, it.organization.id)
    shown = organization_record(it.organization, values)
    held = CountsRecord.model_validate(counts, from_attributes=True)
    return MembershipRecord(
        id=str(it.member.number),
        user_id=visitor.caller.user.subject,
        status="ACTIVE",
        organization_id=shown.id,
        created_at=in_milliseconds(it.member.created_at),
        organization=MemberOrganization(**shown.model_dump(), billing_account=None, counts=held),
        role=_role(it.role),
    )


def _role(row: RoleRow) -> RoleRecord:
    return RoleRecord(
        id=str(row.number),
        slug=row.slug,
        permissions=_permissions(row),
        created_at=in_milliseconds(row.created_at),
        updated_at=in_milliseconds(row.updated_at),
    )


def _permissions(row: RoleRow) -> dict[str, bool]:
    return {permission.value: permission in row.permissions for permission in Permission}


def _member(row: MemberRow, values: Values) -> MemberRecord:
    user = value_at(values, row.user)
    subject = user.get("subject") if isinstance(user, Mapping) else None
    return MemberRecord(
        id=str(row.number),
        user_id=subject if isinstance(subject, str) else None,
        email=text_at(values, row.email),
        name=text_at(values, row.name),
        role=row.role,
        status="ACTIVE",
        created_at=in_milliseconds(row.created_at),
    )
