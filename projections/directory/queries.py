"""The directory's queries. Each shows one tenant and mode; an id is a UUID or the number that surfaces show."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from typing import Any, Final, TypeVar
from uuid import UUID

from domain.actor import Mode
from domain.directory import NO_ACCESS, Scope
from infrastructure.reading import AsyncConnection
from projections.directory.rows import (
    AppointmentRow,
    Bundle,
    CompanyRow,
    Counts,
    FlowRow,
    LocationRow,
    MemberRow,
    Membership,
    OrganizationRow,
    RoleRow,
    Standing,
    appointment_row,
    company_row,
    flow_row,
    location_row,
    member_row,
    organization_row,
    role_row,
)

#: Rows of a list, unless fewer are asked for. What the signing surface documents for administrators.
MAX_ROWS: Final = 500

EVERYWHERE: Final = Scope(everywhere=True)

R = TypeVar("R")

_OF_TENANT: Final = "o.tenant = %(tenant)s AND o.mode = %(mode)s"
_ORGANIZATION: Final = "o.id, o.number, o.name_entry, o.slug_entry, o.created_at, o.updated_at"
_MEMBER: Final = "m.id, m.number, m.organization, m.role, m.entry, m.personal, m.created_at, m.updated_at"
_ROLE: Final = "r.slug, r.number, r.organization, r.permissions, r.created_at, r.updated_at"

_ORGANIZATIONS: Final = f"SELECT {_ORGANIZATION} FROM read.organizations o WHERE {_OF_TENANT}"  # noqa: S608
_COMPANIES: Final = f"""
    SELECT c.id, c.number, c.organization, o.number, c.name_entry, c.created_at, c.updated_at
    FROM read.companies c JOIN read.organizations o ON o.id = c.organization WHERE {_OF_TENANT}"""  # noqa: S608
_LOCATIONS: Final = f"""
    SELECT l.id, l.number, l.organization, o.number, l.company, c.number, l.sort_order, l.name_entry, l.created_at, l.updated_at
    FROM read.locations l JOIN read.organizations o ON o.id = l.organization
        LEFT JOIN read.companies c ON (c.id, c.organization) = (l.company, l.organization) WHERE {_OF_TENANT}"""  # noqa: S608
_FLOWS: Final = f"""
    SELECT f.id, f.number, f.organization, o.number, f.location, l.number, f.name_entry, f.steps_entry, f.active,
        f.created_at, f.updated_at
    FROM read.flows f JOIN read.organizations o ON o.id = f.organization
        JOIN read.locations l ON (l.id, l.organization) = (f.location, f.organization) WHERE {_OF_TENANT}"""  # noqa: S608
_ROLES: Final = f"""
    SELECT {_ROLE} FROM read.roles r JOIN read.organizations o ON o.id = r.organization WHERE {_OF_TENANT}"""  # noqa: S608
_MEMBERS: Final = f"""
    SELECT {_MEMBER} FROM read.members m JOIN read.organizations o ON o.id = m.organization
    WHERE m.left_at IS NULL AND {_OF_TENANT}"""  # noqa: S608
_APPOINTMENTS: Final = f"""
    SELECT a.id, a.number, a.organization, a.member, a.tiers, a.vault, a.locations, a.created_at
    FROM read.appointments a JOIN read.organizations o ON o.id = a.organization
    WHERE a.ended_at IS NULL AND {_OF_TENANT}"""  # noqa: S608

_SCOPED: Final = "(%(everywhere)s OR o.id = ANY(%(organizations)s) OR {})"
_ORGANIZATION_IN_SCOPE: Final = _SCOPED.format(
    "EXISTS (SELECT FROM read.locations s WHERE s.organization = o.id AND s.id = ANY(%(locations)s))"
)
_COMPANY_IN_SCOPE: Final = _SCOPED.format(
    "EXISTS (SELECT FROM read.locations s WHERE s.company = c.id AND s.organization = o.id AND s.id = ANY(%(locations)s))"
)
_LOCATION_IN_SCOPE: Final = _SCOPED.format("l.id = ANY(%(locations)s)")


def _scoped(scope: Scope) -> dict[str, object]:
    return {
        "everywhere": scope.everywhere,
        "organizations": list(scope.organizations),
        "locations": list(scope.locations),
    }


def _named(alias: str, id: UUID | int) -> str:
    """The condition that a row is the one of this id or number."""
    return f"{alias}.id = %(id)s" if isinstance(id, UUID) else f"{alias}.number = %(id)s"


async def _all(
    conn: AsyncConnection, query: str, parameters: Mapping[str, object], build: Callable[[Sequence[Any]], R]
) -> tuple[R, ...]:
    found = await conn.execute(query.encode(), parameters)
    return tuple(build(columns) for columns in await found.fetchall())


async def _one(
    conn: AsyncConnection, query: str, parameters: Mapping[str, object], build: Callable[[Sequence[Any]], R]
) -> R | None:
    columns = await (await conn.execute(query.encode(), parameters)).fetchone()
    return None if columns is None else build(columns)


async def member_of(conn: AsyncConnection, tenant: UUID, mode: Mode, subject_id: UUID) -> Standing:
    """What a user is in the directory. `subject_id` is the vault's id of the user (`domain.directory.user_subject`).

    Where a member's user is disclosed is all that ties the two together; once the user is erased there is none.
    """
    query = f"""
        SELECT {_ORGANIZATION}, {_MEMBER}, {_ROLE}
        FROM public.disclosures d
            JOIN read.members m ON (m.organization, m.entry) = (d.stream, d.version)
            JOIN read.organizations o ON o.id = m.organization
            JOIN read.roles r ON (r.organization, r.slug) = (m.organization, m.role)
        WHERE d.subject = %(subject)s AND d.path = '/user' AND m.left_at IS NULL AND {_OF_TENANT}
        ORDER BY m.number"""  # noqa: S608
    known = {"tenant": tenant, "mode": mode, "subject": subject_id}
    found = await (await conn.execute(query.encode(), known)).fetchall()
    members = [member_row(columns[6:14]) for columns in found]
    theirs = await _appointments(conn, tenant, mode, members)
    memberships = tuple(
        Membership(
            organization_row(columns[:6]),
            member,
            role_row(columns[14:]),
            tuple(each for each in theirs if (each.organization, each.member) == (member.organization, member.id)),
        )
        for columns, member in zip(found, members, strict=True)
    )
    held = (appointment.access for membership in memberships for appointment in membership.appointments)
    return Standing(memberships, reduce(lambda merged, access: merged | access, held, NO_ACCESS))


async def _appointments(
    conn: AsyncConnection, tenant: UUID, mode: Mode, members: Sequence[MemberRow]
) -> tuple[AppointmentRow, ...]:
    """The standing appointments of the members, and of who else has one of their ids elsewhere."""
    if not members:
        return ()
    query = f"{_APPOINTMENTS} AND a.organization = ANY(%(organizations)s) AND a.member = ANY(%(members)s) ORDER BY a.number"
    where = {"organizations": list({each.organization for each in members}), "members": [each.id for each in members]}
    return await _all(conn, query, {"tenant": tenant, "mode": mode, **where}, appointment_row)


async def organizations(
    conn: AsyncConnection, tenant: UUID, mode: Mode, scope: Scope = EVERYWHERE, limit: int = MAX_ROWS
) -> tuple[OrganizationRow, ...]:
    """Organizations that are in scope or have a location that is, the first first."""
    query = f"{_ORGANIZATIONS} AND {_ORGANIZATION_IN_SCOPE} ORDER BY o.number LIMIT %(limit)s"
    return await _all(conn, query, {"tenant": tenant, "mode": mode, "limit": limit, **_scoped(scope)}, organization_row)


async def organization(
    conn: AsyncConnection, tenant: UUID, mode: Mode, id: UUID | int, scope: Scope = EVERYWHERE
) -> OrganizationRow | None:
    """The organization; None if the tenant has none of this id in this mode, or if it is not in scope."""
    query = f"{_ORGANIZATIONS} AND {_named('o', id)} AND {_ORGANIZATION_IN_SCOPE}"
    return await _one(conn, query, {"tenant": tenant, "mode": mode, "id": id, **_scoped(scope)}, organization_row)


async def companies(
    conn: AsyncConnection,
    tenant: UUID,
    mode: Mode,
    scope: Scope = EVERYWHERE,
    *,
    organization: UUID | None = None,
    limit: int = MAX_ROWS,
) -> tuple[CompanyRow, ...]:
    """Companies of organizations in scope, and those with a location in scope, the first first."""
    query = f"{_COMPANIES} AND {_COMPANY_IN_SCOPE} AND (%(of)s::uuid IS NULL OR o.id = %(of)s) ORDER BY c.number LIMIT %(limit)s"
    known = {"tenant": tenant, "mode": mode, "of": organization, "limit": limit}
    return await _all(conn, query, {**known, **_scoped(scope)}, company_row)


async def company(
    conn: AsyncConnection, tenant: UUID, mode: Mode, id: UUID | int, scope: Scope = EVERYWHERE
) -> CompanyRow | None:
    """As `organization`."""
    query = f"{_COMPANIES} AND {_named('c', id)} AND {_COMPANY_IN_SCOPE}"
    return await _one(conn, query, {"tenant": tenant, "mode": mode, "id": id, **_scoped(scope)}, company_row)


async def locations(
    conn: AsyncConnection,
    tenant: UUID,
    mode: Mode,
    scope: Scope = EVERYWHERE,
    *,
    organization: UUID | None = None,
    company: UUID | None = None,
    limit: int = MAX_ROWS,
) -> tuple[LocationRow, ...]:
    """Locations in scope, by organization and then by their order."""
    query = f"""{_LOCATIONS} AND {_LOCATION_IN_SCOPE}
        AND (%(of)s::uuid IS NULL OR o.id = %(of)s) AND (%(company)s::uuid IS NULL OR l.company = %(company)s)
        ORDER BY o.number, l.sort_order, l.number LIMIT %(limit)s"""
    known = {"tenant": tenant, "mode": mode, "of": organization, "company": company, "limit": limit}
    return await _all(conn, query, {**known, **_scoped(scope)}, location_row)


async def location(
    conn: AsyncConnection, tenant: UUID, mode: Mode, id: UUID | int, scope: Scope = EVERYWHERE
) -> LocationRow | None:
    """As `organization`."""
    query = f"{_LOCATIONS} AND {_named('l', id)} AND {_LOCATION_IN_SCOPE}"
    return await _one(conn, query, {"tenant": tenant, "mode": mode, "id": id, **_scoped(scope)}, location_row)


async def location_ids(conn: AsyncConnection, tenant: UUID, mode: Mode, scope: Scope) -> frozenset[UUID] | None:
    """All locations in scope, for restricting lists of what is at a location; None if there is no restriction."""
    if scope.everywhere:
        return None
    query = f"""SELECT l.id FROM read.locations l JOIN read.organizations o ON o.id = l.organization
        WHERE {_OF_TENANT} AND {_LOCATION_IN_SCOPE}"""  # noqa: S608
    known = {"tenant": tenant, "mode": mode, **_scoped(scope)}
    return frozenset(await _all(conn, query, known, lambda columns: UUID(str(columns[0]))))


async def numbers(conn: AsyncConnection, tenant: UUID, mode: Mode, ids: Iterable[UUID]) -> Mapping[UUID, int]:
    """The numbers of those of `ids` that are locations or flows of the tenant in this mode."""
    wanted = list(set(ids))
    if not wanted:
        return {}
    tables = (
        f"SELECT t.id, t.number FROM read.{table} t JOIN read.organizations o ON o.id = t.organization"  # noqa: S608
        f" WHERE {_OF_TENANT} AND t.id = ANY(%(ids)s)"
        for table in ("locations", "flows")
    )
    found = await _all(conn, " UNION ALL ".join(tables), {"tenant": tenant, "mode": mode, "ids": wanted}, tuple)
    return dict(found)


async def flows(
    conn: AsyncConnection,
    tenant: UUID,
    mode: Mode,
    scope: Scope = EVERYWHERE,
    *,
    organization: UUID | None = None,
    location: UUID | None = None,
    limit: int = MAX_ROWS,
) -> tuple[FlowRow, ...]:
    """Flows of locations in scope, the first first."""
    query = f"""{_FLOWS} AND {_LOCATION_IN_SCOPE}
        AND (%(of)s::uuid IS NULL OR o.id = %(of)s) AND (%(at)s::uuid IS NULL OR f.location = %(at)s)
        ORDER BY f.number LIMIT %(limit)s"""
    known = {"tenant": tenant, "mode": mode, "of": organization, "at": location, "limit": limit}
    return await _all(conn, query, {**known, **_scoped(scope)}, flow_row)


async def flow(conn: AsyncConnection, tenant: UUID, mode: Mode, id: UUID | int, scope: Scope = EVERYWHERE) -> FlowRow | None:
    """As `organization`."""
    query = f"{_FLOWS} AND {_named('f', id)} AND {_LOCATION_IN_SCOPE}"
    return await _one(conn, query, {"tenant": tenant, "mode": mode, "id": id, **_scoped(scope)}, flow_row)


async def roles(conn: AsyncConnection, tenant: UUID, mode: Mode, organization: UUID) -> tuple[RoleRow, ...]:
    """The organization's roles, by slug."""
    query = f'{_ROLES} AND o.id = %(of)s ORDER BY r.slug COLLATE "C" LIMIT {MAX_ROWS}'
    return await _all(conn, query, {"tenant": tenant, "mode": mode, "of": organization}, role_row)


async def members(
    conn: AsyncConnection, tenant: UUID, mode: Mode, organization: UUID, limit: int = MAX_ROWS
) -> tuple[MemberRow, ...]:
    """Who has not left the organization, by the time of joining."""
    query = f"{_MEMBERS} AND o.id = %(of)s ORDER BY m.created_at, m.number LIMIT %(limit)s"
    return await _all(conn, query, {"tenant": tenant, "mode": mode, "of": organization, "limit": limit}, member_row)


async def member(conn: AsyncConnection, tenant: UUID, mode: Mode, id: UUID | int) -> MemberRow | None:
    """The member; None if the tenant has none of this id in this mode, or if the member has left."""
    query = f"{_MEMBERS} AND {_named('m', id)}"
    return await _one(conn, query, {"tenant": tenant, "mode": mode, "id": id}, member_row)


async def appointments(
    conn: AsyncConnection, tenant: UUID, mode: Mode, *, organization: UUID | None = None, limit: int = MAX_ROWS
) -> tuple[AppointmentRow, ...]:
    """Appointments that stand, the first first."""
    query = f"{_APPOINTMENTS} AND (%(of)s::uuid IS NULL OR o.id = %(of)s) ORDER BY a.number LIMIT %(limit)s"
    return await _all(conn, query, {"tenant": tenant, "mode": mode, "of": organization, "limit": limit}, appointment_row)


async def appointment(conn: AsyncConnection, tenant: UUID, mode: Mode, id: UUID | int) -> AppointmentRow | None:
    """The appointment; None if the tenant has none of this id in this mode, or if it has ended."""
    query = f"{_APPOINTMENTS} AND {_named('a', id)}"
    return await _one(conn, query, {"tenant": tenant, "mode": mode, "id": id}, appointment_row)


async def counts(conn: AsyncConnection, organization: UUID) -> Counts:
    """How much the organization holds; zeros for one that does not exist. The caller knows whose it is."""
    tables = ("companies", "locations", "flows")
    parts = [f"(SELECT count(*) FROM read.{table} WHERE organization = %(of)s)" for table in tables]  # noqa: S608
    parts.append("(SELECT count(*) FROM read.members WHERE organization = %(of)s AND left_at IS NULL)")
    row = await (await conn.execute(f"SELECT {', '.join(parts)}".encode(), {"of": organization})).fetchone()
    return Counts(*(row or (0, 0, 0, 0)))


async def bundle(conn: AsyncConnection, tenant: UUID, mode: Mode, id: UUID | int) -> Bundle | None:
    """The organization with what is in it; None if the tenant has none of this id in this mode."""
    found = await organization(conn, tenant, mode, id)
    if found is None:
        return None
    return Bundle(
        found,
        await counts(conn, found.id),
        await locations(conn, tenant, mode, organization=found.id),
        await roles(conn, tenant, mode, found.id),
        await members(conn, tenant, mode, found.id),
    )
