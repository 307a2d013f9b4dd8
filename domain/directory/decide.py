"""What follows when something is asked of an organization."""

from collections.abc import Sequence
from datetime import datetime
from typing import assert_never
from uuid import UUID

from domain.directory.commands import (
    AddCompany,
    AddLocation,
    AppointAdmin,
    AppointManager,
    ChangeFlow,
    ChangeMemberRole,
    CreateOrganization,
    DefineFlow,
    DefineRole,
    DirectoryCommand,
    EndAppointment,
    JoinMember,
    RemoveMember,
    RenameCompany,
    RenameLocation,
    RenameOrganization,
)
from domain.directory.facts import (
    MAX_SCOPE,
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
    VaultRight,
)
from domain.directory.state import FOUNDING_ROLES, Appointment, Organization, in_order
from domain.errors import DirectoryEntryNotFound, LastOwner, OwnerRoleFixed, TooManyLocations

_Facts = tuple[DirectoryFact, ...]


def decide(command: DirectoryCommand, state: Organization | None, now: datetime) -> _Facts:
    """The facts that follow from `command`; raises a Refusal. `state` is None before the first fact.

    An id that was given before makes a repeat of the command that gave it: no facts.
    """
    if isinstance(command, CreateOrganization):
        if state is not None:
            return ()
        return (OrganizationCreated(command.tenant, command.mode, command.name, command.slug), *FOUNDING_ROLES)
    if state is None:
        raise DirectoryEntryNotFound("organization", command.organization)
    match command:
        case RenameOrganization():
            nothing = command.name is None and command.slug is None
            return () if nothing else (OrganizationRenamed(command.name, command.slug),)
        case AddCompany():
            return _once(state, command.company, CompanyAdded(command.company, command.name))
        case RenameCompany():
            _require_company(state, command.company)
            return (CompanyRenamed(command.company, command.name),)
        case AddLocation():
            return _add_location(command, state)
        case RenameLocation():
            _require_locations(state, [command.location])
            return (LocationRenamed(command.location, command.name),)
        case DefineFlow():
            _require_locations(state, [command.location])
            defined = FlowDefined(command.flow, command.location, command.name, command.steps, command.active)
            return _once(state, command.flow, defined)
        case ChangeFlow():
            return _change_flow(command, state)
        case DefineRole():
            return _define_role(command, state)
        case JoinMember():
            _require_role(state, command.role)
            return _once(
                state,
                command.member,
                MemberJoined(command.member, command.user, command.email, command.name, command.role),
            )
        case ChangeMemberRole():
            return _change_member_role(command, state)
        case RemoveMember():
            return _remove_member(command, state)
        case AppointManager():
            return _appoint_manager(command, state)
        case AppointAdmin():
            _require_member(state, command.member)
            if Appointment(command.member) in state.appointments.values():
                return ()
            return _once(state, command.appointment, AdminAppointed(command.appointment, command.member))
        case EndAppointment():
            if command.appointment not in state.appointments:
                raise DirectoryEntryNotFound("appointment", command.appointment)
            return (AppointmentEnded(command.appointment),)
        case _ as unreachable:
            assert_never(unreachable)


def _once(state: Organization, id: UUID, fact: DirectoryFact) -> _Facts:
    return () if id in state.given else (fact,)


def _require_company(state: Organization, company: UUID | None) -> None:
    if company is not None and company not in state.companies:
        raise DirectoryEntryNotFound("company", company)


def _require_locations(state: Organization, locations: Sequence[UUID]) -> None:
    for location in locations:
        if location not in state.locations:
            raise DirectoryEntryNotFound("location", location)


def _require_member(state: Organization, member: UUID) -> None:
    if member not in state.members:
        raise DirectoryEntryNotFound("member", member)


def _require_role(state: Organization, role: str) -> None:
    if role not in state.roles:
        raise DirectoryEntryNotFound("role", role)


def _add_location(command: AddLocation, state: Organization) -> _Facts:
    _require_company(state, command.company)
    order = command.sort_order
    if order is None:
        order = max((location.sort_order for location in state.locations.values()), default=-1) + 1
    return _once(state, command.location, LocationAdded(command.location, command.company, order, command.name))


def _change_flow(command: ChangeFlow, state: Organization) -> _Facts:
    if command.flow not in state.flows:
        raise DirectoryEntryNotFound("flow", command.flow)
    active = None if command.active is state.flows[command.flow].active else command.active
    if command.name is None and command.steps is None and active is None:
        return ()
    return (FlowChanged(command.flow, command.name, command.steps, active),)


def _define_role(command: DefineRole, state: Organization) -> _Facts:
    permissions = in_order(Permission, command.permissions)
    if state.roles.get(command.role) == permissions:
        return ()
    if command.role == OWNER:
        raise OwnerRoleFixed
    return (RoleDefined(command.role, permissions),)


def _change_member_role(command: ChangeMemberRole, state: Organization) -> _Facts:
    _require_member(state, command.member)
    _require_role(state, command.role)
    if state.members[command.member] == command.role:
        return ()
    if state.is_last_owner(command.member):
        raise LastOwner
    return (MemberRoleChanged(command.member, command.role),)


def _remove_member(command: RemoveMember, state: Organization) -> _Facts:
    _require_member(state, command.member)
    if state.is_last_owner(command.member):
        raise LastOwner
    return (*(AppointmentEnded(id) for id in state.appointments_of(command.member)), MemberLeft(command.member))


def _appoint_manager(command: AppointManager, state: Organization) -> _Facts:
    _require_member(state, command.member)
    locations = None if command.locations is None else tuple(sorted(set(command.locations)))
    _require_locations(state, locations or ())
    if locations is not None and len(locations) > MAX_SCOPE:
        raise TooManyLocations(len(locations), MAX_SCOPE)
    vault = in_order(VaultRight, command.vault)
    if Appointment(command.member, command.tiers, vault, locations) in state.appointments.values():
        return ()
    return _once(
        state,
        command.appointment,
        ManagerAppointed(command.appointment, command.member, command.tiers, vault, locations),
    )
