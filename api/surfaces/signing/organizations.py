"""The organization tree that managers and administrators see: organizations, companies, locations."""

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api.http import send_answer
from api.surfaces.signing.access import User, number
from api.surfaces.signing.answers import NOT_FOUND, Failed, Row, answer, deps_of, in_milliseconds
from api.surfaces.signing.documentation import documented
from api.surfaces.signing.revealing import Values, revealed, text_at
from api.surfaces.signing.session import FORBIDDEN, Visitor, visitor_of
from domain.directory import Module, Place, Scope, Tier
from projections import directory
from projections.directory import CompanyRow, LocationRow, OrganizationRow

router: Final = APIRouter(prefix="/v1/signing", tags=["Organizations"])

#: The modules of which one has to be readable for a company to be shown.
_COMPANY_MODULES: Final = (Module.SIGNINGS, Module.TEMPLATES, Module.FLOWS)

ScopeWord = Literal["managed", "global"]


class OrganizationRecord(Row):
    """An organization."""

    id: str
    name: str | None
    slug: str | None
    created_at: str
    updated_at: str


class CompanyRecord(Row):
    """A company of an organization."""

    id: str
    organization_id: str
    name: str | None
    created_at: str
    updated_at: str


class LocationRecord(Row):
    """A location; without a company it belongs to the organization itself."""

    id: str
    organization_id: str
    company_id: str | None
    name: str | None
    sort_order: int
    created_at: str
    updated_at: str


class Organizations(Row):
    """Organizations that the caller has to do with."""

    organizations: list[OrganizationRecord]
    scope: ScopeWord


class Companies(Row):
    """Companies that the caller has to do with."""

    companies: list[CompanyRecord]
    scope: ScopeWord


class Company(Row):
    """One company."""

    company: CompanyRecord


class Locations(Row):
    """Locations in the caller's scope."""

    locations: list[LocationRecord]
    scope: ScopeWord


class Location(Row):
    """One location."""

    location: LocationRecord


def sees(visitor: Visitor, place: Place | None) -> bool:
    """Whether what is at `place` exists for the visitor; what is at no location of the directory is an administrator's alone."""
    return visitor.access.admin or (place is not None and visitor.access.scope().covers(place))


def organization_record(row: OrganizationRow, values: Values) -> OrganizationRecord:
    """An organization as this surface shows it."""
    return OrganizationRecord(
        id=str(row.number),
        name=text_at(values, row.name),
        slug=text_at(values, row.slug),
        created_at=in_milliseconds(row.created_at),
        updated_at=in_milliseconds(row.updated_at),
    )


def company_record(row: CompanyRow, values: Values) -> CompanyRecord:
    """A company as this surface shows it."""
    return CompanyRecord(
        id=str(row.number),
        organization_id=str(row.organization_number),
        name=text_at(values, row.name),
        created_at=in_milliseconds(row.created_at),
        updated_at=in_milliseconds(row.updated_at),
    )


def location_record(row: LocationRow, values: Values) -> LocationRecord:
    """A location as this surface shows it."""
    return LocationRecord(
        id=str(row.number),
        organization_id=str(row.organization_number),
        company_id=None if row.company_number is None else str(row.company_number),
        name=text_at(values, row.name),
        sort_order=row.sort_order,
        created_at=in_milliseconds(row.created_at),
        updated_at=in_milliseconds(row.updated_at),
    )


@router.get("/organizations", summary="List organizations", **documented(200, Organizations, 403))
async def list_organizations(request: Request, caller: User) -> Response:
    """Organizations that you manage or that have a location which you manage, the oldest first; at most 500."""
    deps, visitor = deps_of(request), await visitor_of(request, caller)
    visitor.require_role()
    async with deps.reads.connection() as conn:
        rows = await directory.organizations(conn, caller.tenant, caller.mode, visitor.access.scope())
    values = await revealed(deps, (reference for row in rows for reference in (row.name, row.slug)))
    records = [organization_record(row, values) for row in rows]
    return send_answer(answer(200, Organizations(organizations=records, scope=visitor.scope)))


@router.get("/companies", summary="List companies", **documented(200, Companies, 400, 403, 404))
async def list_companies(
    request: Request,
    caller: User,
    organizationId: Annotated[str | None, Query(description="Only those of this organization.")] = None,  # noqa: N803
) -> Response:
    """Companies in your scope, the oldest first; at most 500. 403 for an organization that is not in your scope."""
    deps, visitor = deps_of(request), await visitor_of(request, caller)
    visitor.require_role()
    scope = visitor.access.scope()
    organization = None if organizationId is None else await _organization(request, visitor, scope, organizationId)
    async with deps.reads.connection() as conn:
        of = None if organization is None else organization.id
        rows = await directory.companies(conn, caller.tenant, caller.mode, scope, organization=of)
    values = await revealed(deps, (row.name for row in rows))
    return send_answer(answer(200, Companies(companies=[company_record(row, values) for row in rows], scope=visitor.scope)))


@router.get("/companies/{companyId}", summary="Get one company", **documented(200, Company, 400, 403, 404))
async def get_company(request: Request, caller: User, companyId: str) -> Response:  # noqa: N803
    """A company where you may read signings, templates or flows."""
    deps, visitor = deps_of(request), await visitor_of(request, caller)
    if not any(visitor.access.allows(module, Tier.READ) for module in _COMPANY_MODULES):
        raise Failed(403, FORBIDDEN)
    wanted, scope = number(companyId, "company"), visitor.access.scope(*_COMPANY_MODULES)
    async with deps.reads.connection() as conn:
        row = await directory.company(conn, caller.tenant, caller.mode, wanted, scope)
    if row is None:
        raise Failed(404, NOT_FOUND)
    return send_answer(answer(200, Company(company=company_record(row, await revealed(deps, [row.name])))))


@router.get("/manager/locations", summary="List locations", **documented(200, Locations, 400, 403, 404))
async def list_locations(
    request: Request,
    caller: User,
    organizationId: Annotated[str | None, Query(description="Only those of this organization.")] = None,  # noqa: N803
) -> Response:
    """Locations in your scope, by organization and then in its order; at most 500."""
    deps, visitor = deps_of(request), await visitor_of(request, caller)
    visitor.require_role()
    scope = visitor.access.scope()
    organization = None if organizationId is None else await _organization(request, visitor, scope, organizationId)
    async with deps.reads.connection() as conn:
        of = None if organization is None else organization.id
        rows = await directory.locations(conn, caller.tenant, caller.mode, scope, organization=of)
    values = await revealed(deps, (row.name for row in rows))
    return send_answer(answer(200, Locations(locations=[location_record(row, values) for row in rows], scope=visitor.scope)))


@router.get("/manager/locations/{locationId}", summary="Get one location", **documented(200, Location, 400, 403, 404))
async def get_location(request: Request, caller: User, locationId: str) -> Response:  # noqa: N803
    """A location in your scope."""
    deps, visitor = deps_of(request), await visitor_of(request, caller)
    visitor.require_role()
    wanted = number(locationId, "location")
    async with deps.reads.connection() as conn:
        row = await directory.location(conn, caller.tenant, caller.mode, wanted, visitor.access.scope())
    if row is None:
        raise Failed(404, NOT_FOUND)
    return send_answer(answer(200, Location(location=location_record(row, await revealed(deps, [row.name])))))


async def _organization(request: Request, visitor: Visitor, scope: Scope, text: str) -> OrganizationRow:
    """The organization of a filter; raises Failed 400, 403 outside of `scope`, 404 for none."""
    deps, wanted, caller = deps_of(request), number(text, "organization"), visitor.caller
    async with deps.reads.connection() as conn:
        found = await directory.organization(conn, caller.tenant, caller.mode, wanted)
        within = await directory.organization(conn, caller.tenant, caller.mode, wanted, scope)
    if found is None:
        raise Failed(404, NOT_FOUND)
    if within is None:
        raise Failed(403, FORBIDDEN)
    return within
