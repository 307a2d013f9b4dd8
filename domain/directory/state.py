"""An organization as its facts have left it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Final, TypeVar, assert_never
from uuid import UUID

from domain.actor import Mode
from domain.directory.access import Access, Grant
from domain.directory.facts import (
    MAX_SCOPE,
    MEMBER,
    OWNER,
    AdminAppointed,
    AppointmentEnded,
    CompanyAdded,
    CompanyRenamed,
    DirectoryFact,
    FlowChanged,
    FlowDefined,
    LocationAdded,
    LocationRenamed,
    ManagerAppointed,
    MemberJoined,
    MemberLeft,
    MemberRoleChanged,
    OrganizationCreated,
    OrganizationRenamed,
    Permission,
    RoleDefined,
    Tiers,
    VaultRight,
)
from domain.errors import ImpossibleHistory

#: What the creation of an organization goes on with.
FOUNDING_ROLES: Final = (RoleDefined(OWNER, tuple(Permission)), RoleDefined(MEMBER, ()))

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Location:
    """A location; `company` is None where it belongs to the organization itself."""

    company: UUID | None
    sort_order: int


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow; an inactive one is not offered for new packages."""

    location: UUID
    active: bool


@dataclass(frozen=True, slots=True)
class Appointment:
    """A member as an administrator, or, with tiers, as a manager."""

    member: UUID
    tiers: Tiers | None = None
    vault: tuple[VaultRight, ...] = ()
    locations: tuple[UUID, ...] | None = None


def _none() -> Mapping[K, V]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Organization:
    """An organization. `members` are those who have not left, by their role; `given` are all ids that it ever gave."""

    tenant: UUID
    mode: Mode
    companies: frozenset[UUID] = frozenset()
    locations: Mapping[UUID, Location] = field(default_factory=_none)
    flows: Mapping[UUID, Flow] = field(default_factory=_none)
    roles: Mapping[str, tuple[Permission, ...]] = field(default_factory=_none)
    members: Mapping[UUID, str] = field(default_factory=_none)
    appointments: Mapping[UUID, Appointment] = field(default_factory=_none)
    given: frozenset[UUID] = frozenset()

    def appointments_of(self, member: UUID) -> Mapping[UUID, Appointment]:
        """The member's appointments that have not ended, in the order they were made."""
        return {id: appointment for id, appointment in self.appointments.items() if appointment.member == member}

    def access(self, organization: UUID, member: UUID) -> Access:
        """What the member may do by the appointments in this organization, whose id is `organization`."""
        own = tuple(self.appointments_of(member).values())
        return Access(any(each.tiers is None for each in own), tuple(_grant(organization, each) for each in own if each.tiers))

    def is_last_owner(self, member: UUID) -> bool:
        """Whether nobody would be left who has every permission, were `member` gone."""
        return [id for id, role in self.members.items() if role == OWNER] == [member]


def _grant(organization: UUID, appointment: Appointment) -> Grant:
    return Grant(
        organization,
        appointment.tiers or Tiers(),
        frozenset(appointment.vault),
        None if appointment.locations is None else frozenset(appointment.locations),
    )


def evolve(state: Organization | None, fact: DirectoryFact, at: datetime) -> Organization:
    """The state after `fact`; raises ImpossibleHistory if it could not have been decided in `state`."""
    if isinstance(fact, OrganizationCreated):
        if state is not None:
            raise ImpossibleHistory("an organization is created twice")
        return Organization(fact.tenant, fact.mode)
    if state is None:
        raise ImpossibleHistory(f"{fact.TYPE} before the organization is created")
    founded = len(state.roles)
    if founded < len(FOUNDING_ROLES) and fact != FOUNDING_ROLES[founded]:
        raise ImpossibleHistory(f"{fact.TYPE} before the organization has its first roles")
    match fact:
        case OrganizationRenamed():
            _require(fact.name is not None or fact.slug is not None, "a renaming that changes nothing")
            return state
        case CompanyAdded():
            return replace(_give(state, fact.company), companies=state.companies | {fact.company})
        case CompanyRenamed():
            _require(fact.company in state.companies, "a company that does not exist is renamed")
            return state
        case LocationAdded():
            return _add_location(state, fact)
        case LocationRenamed():
            _require(fact.location in state.locations, "a location that does not exist is renamed")
            return state
        case FlowDefined():
            _require(fact.location in state.locations, "a flow of a location that does not exist")
            return replace(_give(state, fact.flow), flows=_with(state.flows, fact.flow, Flow(fact.location, fact.active)))
        case FlowChanged():
            return _change_flow(state, fact)
        case RoleDefined():
            return _define_role(state, fact)
        case MemberJoined():
            _require(fact.role in state.roles, "a member joins in a role that does not exist")
            return replace(_give(state, fact.member), members=_with(state.members, fact.member, fact.role))
        case MemberRoleChanged():
            return _change_member_role(state, fact)
        case MemberLeft():
            _require(fact.member in state.members, "somebody leaves who is no member")
            _require(not state.appointments_of(fact.member), "a member leaves with appointments")
            _require(not state.is_last_owner(fact.member), "the last owner leaves")
            return replace(state, members=_without(state.members, fact.member))
        case ManagerAppointed():
            return _appoint(state, fact.appointment, Appointment(fact.member, fact.tiers, fact.vault, fact.locations))
        case AdminAppointed():
            return _appoint(state, fact.appointment, Appointment(fact.member))
        case AppointmentEnded():
            _require(fact.appointment in state.appointments, "an appointment ends that does not stand")
            return replace(state, appointments=_without(state.appointments, fact.appointment))
        case _ as unreachable:
            assert_never(unreachable)


def _require(possible: bool, otherwise: str) -> None:
    if not possible:
        raise ImpossibleHistory(otherwise)


def _with(mapping: Mapping[K, V], key: K, value: V) -> Mapping[K, V]:
    return MappingProxyType({**mapping, key: value})


def _without(mapping: Mapping[K, V], key: K) -> Mapping[K, V]:
    return MappingProxyType({each: value for each, value in mapping.items() if each != key})


def _give(state: Organization, id: UUID) -> Organization:
    _require(id not in state.given, "an id is given twice")
    return replace(state, given=state.given | {id})


def _add_location(state: Organization, fact: LocationAdded) -> Organization:
    _require(fact.company is None or fact.company in state.companies, "a location of a company that does not exist")
    location = Location(fact.company, fact.sort_order)
    return replace(_give(state, fact.location), locations=_with(state.locations, fact.location, location))


def _change_flow(state: Organization, fact: FlowChanged) -> Organization:
    _require(fact.flow in state.flows, "a flow that does not exist is changed")
    flow = state.flows[fact.flow]
    _require(fact.active is not flow.active, "a flow becomes what it was")
    _require((fact.name, fact.steps, fact.active) != (None, None, None), "a change of a flow that changes nothing")
    if fact.active is None:
        return state
    return replace(state, flows=_with(state.flows, fact.flow, replace(flow, active=fact.active)))


def _define_role(state: Organization, fact: RoleDefined) -> Organization:
    _require(fact.role != OWNER or OWNER not in state.roles, "the role of the owner changes")
    _require(state.roles.get(fact.role) != fact.permissions, "a role becomes what it was")
    _require(fact.permissions == in_order(Permission, fact.permissions), "permissions out of their order, or twice")
    return replace(state, roles=_with(state.roles, fact.role, fact.permissions))


def _change_member_role(state: Organization, fact: MemberRoleChanged) -> Organization:
    _require(fact.member in state.members, "somebody's role changes who is no member")
    _require(fact.role in state.roles, "a member gets a role that does not exist")
    _require(fact.role != state.members[fact.member], "a member gets the role that it has")
    _require(not state.is_last_owner(fact.member), "the last owner gets another role")
    return replace(state, members=_with(state.members, fact.member, fact.role))


def _appoint(state: Organization, id: UUID, appointment: Appointment) -> Organization:
    _require(appointment.member in state.members, "somebody is appointed who is no member")
    _require(appointment not in state.appointments.values(), "the same appointment stands already")
    _require(appointment.vault == in_order(VaultRight, appointment.vault), "rights out of their order, or twice")
    if (locations := appointment.locations) is not None:
        _require(len(locations) <= MAX_SCOPE, "an appointment for too many locations")
        _require(locations == tuple(sorted(set(locations))), "locations out of their order, or twice")
        _require(all(location in state.locations for location in locations), "an appointment for a location that does not exist")
    return replace(_give(state, id), appointments=_with(state.appointments, id, appointment))


def in_order(kind: "type[K]", values: "tuple[K, ...]") -> "tuple[K, ...]":
    """The `values` of an enumeration, each once, in the order in which it lists them."""
    return tuple(each for each in kind if each in values)  # type: ignore[attr-defined]
