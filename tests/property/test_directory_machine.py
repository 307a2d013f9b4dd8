"""Organizations under commands that are allowed and commands that are not, and their tampered histories."""

from collections.abc import Sequence
from dataclasses import fields, replace
from uuid import UUID

from hypothesis import assume, event, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from domain.actor import Mode
from domain.directory import (
    FOUNDING_ROLES,
    MEMBER,
    OWNER,
    AddCompany,
    AddLocation,
    AdminAppointed,
    AppointAdmin,
    AppointManager,
    AppointmentEnded,
    ChangeFlow,
    ChangeMemberRole,
    CompanyAdded,
    CompanyRenamed,
    CreateOrganization,
    DefineFlow,
    DefineRole,
    DirectoryCommand,
    DirectoryFact,
    EndAppointment,
    FlowChanged,
    FlowDefined,
    JoinMember,
    LocationAdded,
    LocationRenamed,
    ManagerAppointed,
    MemberJoined,
    MemberLeft,
    MemberRoleChanged,
    Organization,
    OrganizationCreated,
    OrganizationRenamed,
    Permission,
    RemoveMember,
    RenameCompany,
    RenameLocation,
    RenameOrganization,
    RoleDefined,
    Tier,
    Tiers,
    VaultRight,
    decide,
    evolve,
)
from domain.errors import ImpossibleHistory, Refusal
from domain.personal import SubjectKind
from tests.given import NOW, TENANT, personal, uid

ID = uid(7)
NAME = personal("Auto House", SubjectKind.ORGANIZATION, str(ID))
USER = personal("user_1", SubjectKind.PERSON, "user:x|user_1")
CREATE = CreateOrganization(TENANT, Mode.LIVE, ID, NAME)
FOUNDING = decide(CREATE, None, NOW)


# Few ids of each kind, one of them of all kinds: most commands meet something that is there.
def ids(kind: int) -> st.SearchStrategy[UUID]:
    return st.sampled_from([uid(10), uid(kind + 2), uid(kind + 3)])


companies, locations, flows, members, appointments = (ids(kind) for kind in range(10, 60, 10))
roles = st.sampled_from([OWNER, MEMBER, "clerk"])
names = st.none() | st.just(NAME)
permissions = st.lists(st.sampled_from(Permission), max_size=3).map(tuple)
tiers = st.builds(Tiers, *[st.sampled_from(Tier)] * 2)
rights = st.lists(st.sampled_from(VaultRight), max_size=2).map(tuple)
scopes = st.none() | st.lists(locations, max_size=3).map(tuple)
organization = st.just(ID)

commands: st.SearchStrategy[DirectoryCommand] = st.one_of(
    st.builds(RenameOrganization, organization, names, names),
    st.builds(AddCompany, organization, companies, st.just(NAME)),
    st.builds(RenameCompany, organization, companies, st.just(NAME)),
    st.builds(AddLocation, organization, locations, st.just(NAME), st.none() | companies, st.none() | st.integers(0, 3)),
    st.builds(RenameLocation, organization, locations, st.just(NAME)),
    st.builds(DefineFlow, organization, flows, locations, st.just(NAME), names, st.booleans()),
    st.builds(ChangeFlow, organization, flows, names, names, st.none() | st.booleans()),
    st.builds(DefineRole, organization, roles, permissions),
    st.builds(JoinMember, organization, members, st.just(USER), st.none(), st.none(), roles),
    st.builds(ChangeMemberRole, organization, members, roles),
    st.builds(RemoveMember, organization, members),
    st.builds(AppointManager, organization, appointments, members, tiers, rights, scopes),
    st.builds(AppointAdmin, organization, appointments, members),
    st.builds(EndAppointment, organization, appointments),
)

#: What most begin with: appointments need members, flows and scopes need locations.
FURNITURE: tuple[DirectoryCommand, ...] = (
    AddCompany(ID, uid(12), NAME),
    AddLocation(ID, uid(22), NAME, uid(12)),
    AddLocation(ID, uid(23), NAME),
    DefineFlow(ID, uid(32), uid(22), NAME),
    JoinMember(ID, uid(42), USER, None, None, OWNER),
    JoinMember(ID, uid(43), USER, None, None, MEMBER),
    AppointManager(ID, uid(52), uid(43), Tiers(Tier.WRITE), (), (uid(22),)),
)
furnished = st.sampled_from([(), FURNITURE, FURNITURE])


def begun(furniture: Sequence[DirectoryCommand]) -> list[DirectoryFact]:
    facts = list(FOUNDING)
    for command in furniture:
        facts += decide(command, fold(facts), NOW)
    return facts


def fold(facts: Sequence[DirectoryFact]) -> Organization:
    state: Organization | None = None
    for fact in facts:
        state = evolve(state, fact, NOW)
    assert state is not None
    return state


class DirectoryMachine(RuleBasedStateMachine):
    @initialize(furniture=furnished)
    def create(self, furniture: Sequence[DirectoryCommand]) -> None:
        self.facts = begun(furniture)
        self.had_owner = False

    @rule(command=commands)
    def attempt(self, command: DirectoryCommand) -> None:
        try:
            facts = decide(command, fold(self.facts), NOW)
        except Refusal as refusal:
            event(refusal.code)
            return
        self.facts += facts
        event(type(command).__name__ if facts else f"{type(command).__name__} was so already")
        once = (RemoveMember, EndAppointment, RenameCompany, RenameLocation, RenameOrganization)
        if not isinstance(command, once) and not (isinstance(command, ChangeFlow) and (command.name or command.steps)):
            assert decide(command, fold(self.facts), NOW) == ()

    @rule()
    def create_again(self) -> None:
        assert decide(CREATE, fold(self.facts), NOW) == ()

    @invariant()
    def everything_refers_to_what_is_there(self) -> None:
        state = fold(self.facts)
        assert {place.company for place in state.locations.values()} <= {None, *state.companies}
        assert {flow.location for flow in state.flows.values()} <= set(state.locations)
        assert set(state.members.values()) <= set(state.roles)
        assert {each.member for each in state.appointments.values()} <= set(state.members)
        assert all(set(each.locations or ()) <= set(state.locations) for each in state.appointments.values())

    @invariant()
    def owners_have_every_permission_and_the_last_one_stays(self) -> None:
        state = fold(self.facts)
        assert state.roles[OWNER] == tuple(Permission)
        has_owner = OWNER in state.members.values()
        assert has_owner or not self.had_owner
        self.had_owner = has_owner

    @invariant()
    def nothing_stands_twice(self) -> None:
        state = fold(self.facts)
        assert len(set(state.appointments.values())) == len(state.appointments)
        for member in state.members:
            assert sum(each.tiers is None for each in state.appointments_of(member).values()) <= 1

    @invariant()
    def access_is_what_the_appointments_say(self) -> None:
        state = fold(self.facts)
        for member in state.members:
            own, access = state.appointments_of(member).values(), state.access(ID, member)
            assert access.admin is any(each.tiers is None for each in own)
            assert len(access.grants) == sum(each.tiers is not None for each in own)

    @invariant()
    def the_history_could_be_decided_again(self) -> None:
        assert decidable(self.facts)


TestDirectory = DirectoryMachine.TestCase


def command_of(fact: DirectoryFact) -> DirectoryCommand:
    match fact:
        case OrganizationCreated():
            return CreateOrganization(fact.tenant, fact.mode, ID, fact.name, fact.slug)
        case OrganizationRenamed():
            return RenameOrganization(ID, fact.name, fact.slug)
        case CompanyAdded():
            return AddCompany(ID, fact.company, fact.name)
        case CompanyRenamed():
            return RenameCompany(ID, fact.company, fact.name)
        case LocationAdded():
            return AddLocation(ID, fact.location, fact.name, fact.company, fact.sort_order)
        case LocationRenamed():
            return RenameLocation(ID, fact.location, fact.name)
        case FlowDefined():
            return DefineFlow(ID, fact.flow, fact.location, fact.name, fact.steps, fact.active)
        case FlowChanged():
            return ChangeFlow(ID, fact.flow, fact.name, fact.steps, fact.active)
        case RoleDefined():
            return DefineRole(ID, fact.role, fact.permissions)
        case MemberJoined():
            return JoinMember(ID, fact.member, fact.user, fact.email, fact.name, fact.role)
        case MemberRoleChanged():
            return ChangeMemberRole(ID, fact.member, fact.role)
        case MemberLeft():
            return RemoveMember(ID, fact.member)
        case ManagerAppointed():
            return AppointManager(ID, fact.appointment, fact.member, fact.tiers, fact.vault, fact.locations)
        case AdminAppointed():
            return AppointAdmin(ID, fact.appointment, fact.member)
        case AppointmentEnded():
            return EndAppointment(ID, fact.appointment)


def decidable(facts: Sequence[DirectoryFact]) -> bool:
    """Whether the decider would write these facts again, each from the command that it tells of.

    The creation is one decision of three facts; that it was cut off tells the stream's head, not the facts.
    """
    if tuple(facts[: len(FOUNDING)]) != FOUNDING[: len(facts)]:
        return False
    for index in range(len(FOUNDING), len(facts)):
        try:
            if decide(command_of(facts[index]), fold(facts[:index]), NOW) != (facts[index],):
                return False
        except Refusal:
            return False
    return True


def foldable(facts: Sequence[DirectoryFact]) -> bool:
    try:
        fold(facts)
    except ImpossibleHistory:
        return False
    return True


@st.composite
def histories(draw: st.DrawFn) -> list[DirectoryFact]:
    facts = begun(draw(furnished))
    for command in draw(st.lists(commands, min_size=3, max_size=15)):
        try:
            facts += decide(command, fold(facts), NOW)
        except Refusal:
            continue
    return facts


#: What a forger might write, with little regard for what can be.
forgeries: st.SearchStrategy[DirectoryFact] = st.one_of(
    st.just(FOUNDING[0]),
    st.sampled_from(FOUNDING_ROLES),
    st.builds(OrganizationRenamed, names, names),
    st.builds(CompanyAdded, companies, st.just(NAME)),
    st.builds(CompanyRenamed, companies, st.just(NAME)),
    st.builds(LocationAdded, locations, st.none() | companies, st.integers(0, 3), st.just(NAME)),
    st.builds(LocationRenamed, locations, st.just(NAME)),
    st.builds(FlowDefined, flows, locations, st.just(NAME), names, st.booleans()),
    st.builds(FlowChanged, flows, names, names, st.none() | st.booleans()),
    st.builds(RoleDefined, roles, permissions),
    st.builds(MemberJoined, members, st.just(USER), st.none(), st.none(), roles),
    st.builds(MemberRoleChanged, members, roles),
    st.builds(MemberLeft, members),
    st.builds(ManagerAppointed, appointments, members, tiers, rights, scopes),
    st.builds(AdminAppointed, appointments, members),
    st.builds(AppointmentEnded, appointments),
)


@settings(max_examples=4 * settings().max_examples)
@given(histories(), st.data())
def test_a_tampered_history_folds_only_if_it_could_have_been_decided(facts: list[DirectoryFact], data: st.DataObject) -> None:
    index, to = (data.draw(st.integers(0, len(facts) - 1)) for _ in range(2))
    exchanged = list(facts)
    exchanged[index], exchanged[to] = facts[to], facts[index]
    changes: dict[str, list[DirectoryFact]] = {
        "lost": facts[:index] + facts[index + 1 :],
        "repeated": [*facts[:to], facts[index], *facts[to:]],
        "exchanged": exchanged,
        "forged": [*facts[:index], data.draw(forgeries), *facts[index:]],
        "grafted": [*facts[:index], grafted(facts[index], data), *facts[index + 1 :]],
    }
    how = data.draw(st.sampled_from(sorted(changes)))
    assume(changes[how])
    verdict = foldable(changes[how])
    event(f"{how}: {'unchanged' if changes[how] == facts else 'folds' if verdict else 'refused'}")
    assert verdict == decidable(changes[how])


def grafted(fact: DirectoryFact, data: st.DataObject) -> DirectoryFact:
    """The fact with one of its ids changed."""
    pools = {"company": companies, "location": locations, "flow": flows, "member": members, "appointment": appointments}
    named = [member.name for member in fields(fact) if member.name in pools]
    if not named:
        return fact
    chosen = data.draw(st.sampled_from(named))
    return replace(fact, **{chosen: data.draw(pools[chosen])})  # type: ignore[arg-type]
