"""What the queries of the directory give. Names are references into the vault; `number` is what the surfaces show as id."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.directory import (
    Access,
    Grant,
    Module,
    Permission,
    Place,
    Tier,
    Tiers,
    VaultRight,
)
from infrastructure.vault import Reference


@dataclass(frozen=True, slots=True)
class OrganizationRow:
    id: UUID
    number: int
    name: Reference
    slug: Reference | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class CompanyRow:
    id: UUID
    number: int
    organization: UUID
    organization_number: int
    name: Reference
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class LocationRow:
    """`company` and its number are None where the location belongs to the organization itself."""

    id: UUID
    number: int
    organization: UUID
    organization_number: int
    company: UUID | None
    company_number: int | None
    sort_order: int
    name: Reference
    created_at: datetime
    updated_at: datetime

    @property
    def place(self) -> Place:
        """What access is asked about."""
        return Place(self.organization, self.id)


@dataclass(frozen=True, slots=True)
class FlowRow:
    id: UUID
    number: int
    organization: UUID
    organization_number: int
    location: UUID
    location_number: int
    name: Reference
    steps: Reference | None
    active: bool
    created_at: datetime
    updated_at: datetime

    @property
    def place(self) -> Place:
        """What access is asked about."""
        return Place(self.organization, self.location)


@dataclass(frozen=True, slots=True)
class RoleRow:
    """A role of the organization: what its members may change there. Apart from a manager's tiers."""

    slug: str
    number: int
    organization: UUID
    permissions: frozenset[Permission]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class MemberRow:
    """Somebody who has not left. `user` discloses {"issuer", "subject"}."""

    id: UUID
    number: int
    organization: UUID
    role: str
    user: Reference
    email: Reference | None
    name: Reference | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class AppointmentRow:
    """An appointment that has not ended: as an administrator, where `tiers` is None, or as a manager.

    `locations` None is the whole organization.
    """

    id: UUID
    number: int
    organization: UUID
    member: UUID
    tiers: Tiers | None
    vault: frozenset[VaultRight]
    locations: frozenset[UUID] | None
    created_at: datetime

    @property
    def admin(self) -> bool:
        return self.tiers is None

    @property
    def access(self) -> Access:
        """What this appointment alone allows."""
        if self.tiers is None:
            return Access(admin=True)
        return Access(grants=(Grant(self.organization, self.tiers, self.vault, self.locations),))


@dataclass(frozen=True, slots=True)
class Membership:
    """A member with the organization, the member's role in it, and the member's appointments."""

    organization: OrganizationRow
    member: MemberRow
    role: RoleRow
    appointments: tuple[AppointmentRow, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything that a user is in a tenant's directory, and what all of it together allows."""

    memberships: tuple[Membership, ...]
    access: Access

    @property
    def appointments(self) -> tuple[AppointmentRow, ...]:
        """All appointments, the first first."""
        found = [appointment for membership in self.memberships for appointment in membership.appointments]
        return tuple(sorted(found, key=lambda each: each.number))


@dataclass(frozen=True, slots=True)
class Counts:
    """How much an organization holds; of members those who have not left."""

    companies: int
    locations: int
    flows: int
    members: int


@dataclass(frozen=True, slots=True)
class Bundle:
    """An organization with its locations by their order, roles by their slug, members by their time of joining."""

    organization: OrganizationRow
    counts: Counts
    locations: tuple[LocationRow, ...]
    roles: tuple[RoleRow, ...]
    members: tuple[MemberRow, ...]


def organization_row(columns: Sequence[Any]) -> OrganizationRow:
    id, number, name, slug, created_at, updated_at = columns
    return OrganizationRow(id, number, Reference(id, name, "/name"), _reference(id, slug, "/slug"), created_at, updated_at)


def company_row(columns: Sequence[Any]) -> CompanyRow:
    id, number, organization, its_number, name, created_at, updated_at = columns
    return CompanyRow(id, number, organization, its_number, Reference(organization, name, "/name"), created_at, updated_at)


def location_row(columns: Sequence[Any]) -> LocationRow:
    id, number, organization, its_number, company, companys, order, name, created_at, updated_at = columns
    where = Reference(organization, name, "/name")
    return LocationRow(id, number, organization, its_number, company, companys, order, where, created_at, updated_at)


def flow_row(columns: Sequence[Any]) -> FlowRow:
    id, number, organization, its_number, location, locations, name, steps, active, created_at, updated_at = columns
    texts = Reference(organization, name, "/name"), _reference(organization, steps, "/steps")
    return FlowRow(id, number, organization, its_number, location, locations, *texts, active, created_at, updated_at)


def role_row(columns: Sequence[Any]) -> RoleRow:
    slug, number, organization, permissions, created_at, updated_at = columns
    return RoleRow(slug, number, organization, frozenset(map(Permission, permissions)), created_at, updated_at)


def member_row(columns: Sequence[Any]) -> MemberRow:
    id, number, organization, role, entry, personal, created_at, updated_at = columns
    email, name = (_reference(organization, entry if path in personal else None, path) for path in ("/email", "/name"))
    user = Reference(organization, entry, "/user")
    return MemberRow(id, number, organization, role, user, email, name, created_at, updated_at)


def appointment_row(columns: Sequence[Any]) -> AppointmentRow:
    id, number, organization, member, tiers, vault, locations, created_at = columns
    rights = frozenset(map(VaultRight, vault))
    where = None if locations is None else frozenset(locations)
    return AppointmentRow(id, number, organization, member, _tiers(tiers), rights, where, created_at)


def _tiers(stored: Mapping[str, str] | None) -> Tiers | None:
    return None if stored is None else Tiers(*(Tier(stored[module]) for module in Module))


def _reference(stream: UUID, version: int | None, path: str) -> Reference | None:
    return None if version is None else Reference(stream, version, path)
