"""The directory: every rule, given facts, when a command comes, then facts or a refusal."""

from dataclasses import fields

import pytest

from domain.actor import Mode
from domain.directory import (
    FOUNDING_ROLES,
    FULL_TIERS,
    MAX_SCOPE,
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
    DirectoryTextError,
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
    Module,
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
    parse_name,
    parse_slug,
    user_subject,
)
from domain.errors import DirectoryEntryNotFound, LastOwner, OwnerRoleFixed, TooManyLocations
from domain.personal import SubjectKind
from tests.given import TENANT, Given, personal, uid

ID, COMPANY, LOT, YARD, FLOW, ANA, BEN, FIRST, SECOND, NEW = (uid(number) for number in range(7, 17))
NAME = personal("Auto House", SubjectKind.ORGANIZATION, str(ID))
USER = personal("user_1", SubjectKind.PERSON, "user:x|user_1")
WRITE = Tiers(signings=Tier.WRITE)

nothing: Given[DirectoryCommand, Organization, DirectoryFact] = Given(decide, evolve)
empty = nothing.given(OrganizationCreated(TENANT, Mode.LIVE, NAME, None), *FOUNDING_ROLES)
furnished = empty.given(
    CompanyAdded(COMPANY, NAME),
    LocationAdded(LOT, COMPANY, 4, NAME),
    LocationAdded(YARD, None, 2, NAME),
    FlowDefined(FLOW, LOT, NAME, None, True),
)
manned = furnished.given(MemberJoined(ANA, USER, None, None, OWNER), MemberJoined(BEN, USER, USER, USER, MEMBER))
managed = manned.given(ManagerAppointed(FIRST, BEN, WRITE, (VaultRight.SHARE_DEAL,), (LOT,)))


def test_an_organization_begins_with_an_owner_who_may_do_all_and_a_member_who_may_do_nothing() -> None:
    facts = nothing.when(CreateOrganization(TENANT, Mode.LIVE, ID, NAME, NAME))
    assert facts == (OrganizationCreated(TENANT, Mode.LIVE, NAME, NAME), *FOUNDING_ROLES)
    assert [(role.role, role.permissions) for role in FOUNDING_ROLES] == [(OWNER, tuple(Permission)), (MEMBER, ())]
    assert empty.when(CreateOrganization(TENANT, Mode.LIVE, ID, NAME)) == ()


@pytest.mark.parametrize(
    "command",
    [
        RenameOrganization(ID, NAME),
        AddCompany(ID, NEW, NAME),
        AddLocation(ID, NEW, NAME),
        DefineFlow(ID, NEW, LOT, NAME),
        DefineRole(ID, "clerk", ()),
        JoinMember(ID, NEW, USER, None, None, MEMBER),
        RemoveMember(ID, ANA),
        AppointAdmin(ID, NEW, ANA),
        EndAppointment(ID, FIRST),
    ],
)
def test_nothing_can_be_asked_of_an_organization_that_does_not_exist(command: DirectoryCommand) -> None:
    assert nothing.refuses(command, DirectoryEntryNotFound).kind == "organization"


@pytest.mark.parametrize(
    ("command", "kind", "id"),
    [
        (RenameCompany(ID, NEW, NAME), "company", NEW),
        (AddLocation(ID, NEW, NAME, FLOW), "company", FLOW),
        (RenameLocation(ID, COMPANY, NAME), "location", COMPANY),
        (DefineFlow(ID, NEW, COMPANY, NAME), "location", COMPANY),
        (ChangeFlow(ID, LOT, active=False), "flow", LOT),
        (JoinMember(ID, NEW, USER, None, None, "cook"), "role", "cook"),
        (ChangeMemberRole(ID, NEW, OWNER), "member", NEW),
        (ChangeMemberRole(ID, BEN, "cook"), "role", "cook"),
        (RemoveMember(ID, NEW), "member", NEW),
        (AppointAdmin(ID, NEW, FIRST), "member", FIRST),
        (AppointManager(ID, NEW, FIRST, WRITE), "member", FIRST),
        (AppointManager(ID, NEW, BEN, WRITE, (), (LOT, FLOW)), "location", FLOW),
        (EndAppointment(ID, SECOND), "appointment", SECOND),
    ],
)
def test_what_is_not_there_is_refused_by_its_name(command: DirectoryCommand, kind: str, id: object) -> None:
    refusal = managed.refuses(command, DirectoryEntryNotFound)
    assert (refusal.kind, refusal.id) == (kind, id)


def test_names_change_and_nothing_stays_nothing() -> None:
    assert empty.when(RenameOrganization(ID, NAME)) == (OrganizationRenamed(NAME, None),)
    assert empty.when(RenameOrganization(ID, None)) == ()
    assert furnished.when(RenameCompany(ID, COMPANY, NAME)) == (CompanyRenamed(COMPANY, NAME),)
    assert furnished.when(RenameLocation(ID, LOT, NAME)) == (LocationRenamed(LOT, NAME),)
    empty.cannot_be(OrganizationRenamed(None, None))


def test_a_location_comes_last_unless_its_place_is_given() -> None:
    assert empty.when(AddLocation(ID, NEW, NAME)) == (LocationAdded(NEW, None, 0, NAME),)
    assert furnished.when(AddLocation(ID, NEW, NAME, COMPANY)) == (LocationAdded(NEW, COMPANY, 5, NAME),)
    assert furnished.when(AddLocation(ID, NEW, NAME, None, 1)) == (LocationAdded(NEW, None, 1, NAME),)


@pytest.mark.parametrize(
    "command",
    [
        AddCompany(ID, COMPANY, NAME),
        AddLocation(ID, LOT, NAME),
        DefineFlow(ID, FLOW, YARD, NAME),
        JoinMember(ID, BEN, USER, None, None, OWNER),
        AppointManager(ID, FIRST, ANA, FULL_TIERS),
    ],
)
def test_an_id_is_given_once(command: DirectoryCommand) -> None:
    assert managed.when(command) == ()


def test_a_flow_changes_in_what_is_given() -> None:
    assert furnished.when(ChangeFlow(ID, FLOW, active=False)) == (FlowChanged(FLOW, None, None, False),)
    assert furnished.when(ChangeFlow(ID, FLOW, NAME, active=True)) == (FlowChanged(FLOW, NAME, None, None),)
    assert furnished.when(ChangeFlow(ID, FLOW, active=True)) == ()
    furnished.cannot_be(FlowChanged(FLOW, NAME, None, True))
    furnished.cannot_be(FlowChanged(FLOW, None, None, None))


def test_the_role_of_the_owner_cannot_change_and_others_can() -> None:
    empty.refuses(DefineRole(ID, OWNER, (Permission.BRAND,)), OwnerRoleFixed)
    assert empty.when(DefineRole(ID, OWNER, tuple(Permission))) == ()
    twice = (Permission.MEMBERS, Permission.BRAND, Permission.MEMBERS)
    assert empty.when(DefineRole(ID, MEMBER, twice)) == (RoleDefined(MEMBER, (Permission.BRAND, Permission.MEMBERS)),)
    assert empty.when(DefineRole(ID, MEMBER, ())) == ()
    empty.cannot_be(RoleDefined("clerk", (Permission.MEMBERS, Permission.BRAND)))
    empty.cannot_be(RoleDefined(OWNER, ()))


def test_the_last_owner_neither_leaves_nor_gets_another_role() -> None:
    manned.refuses(RemoveMember(ID, ANA), LastOwner)
    manned.refuses(ChangeMemberRole(ID, ANA, MEMBER), LastOwner)
    shared = manned.given(MemberRoleChanged(BEN, OWNER))
    assert shared.when(RemoveMember(ID, ANA)) == (MemberLeft(ANA),)
    assert shared.when(ChangeMemberRole(ID, ANA, MEMBER)) == (MemberRoleChanged(ANA, MEMBER),)
    assert manned.when(ChangeMemberRole(ID, ANA, OWNER)) == ()
    manned.cannot_be(MemberLeft(ANA))
    manned.cannot_be(MemberRoleChanged(ANA, MEMBER))


def test_a_member_leaves_without_appointments() -> None:
    admin = managed.given(AdminAppointed(SECOND, BEN))
    assert admin.when(RemoveMember(ID, BEN)) == (AppointmentEnded(FIRST), AppointmentEnded(SECOND), MemberLeft(BEN))
    admin.cannot_be(MemberLeft(BEN))
    gone = manned.given(MemberLeft(BEN))
    gone.cannot_be(MemberJoined(BEN, USER, None, None, MEMBER))
    assert gone.when(JoinMember(ID, BEN, USER, None, None, MEMBER)) == ()


def test_the_same_appointment_is_made_once_and_another_adds_to_it() -> None:
    rights = (VaultRight.SHARE_DEAL, VaultRight.SHARE_DEAL)
    assert managed.when(AppointManager(ID, NEW, BEN, WRITE, rights, (LOT, LOT))) == ()
    wide = managed.when(AppointManager(ID, NEW, BEN, WRITE, tuple(reversed(VaultRight)), (YARD, LOT)))
    assert wide == (ManagerAppointed(NEW, BEN, WRITE, tuple(VaultRight), (LOT, YARD)),)
    admin = managed.given(AdminAppointed(SECOND, BEN))
    assert admin.when(AppointAdmin(ID, NEW, BEN)) == ()
    assert admin.when(AppointAdmin(ID, NEW, ANA)) == (AdminAppointed(NEW, ANA),)
    admin.cannot_be(AdminAppointed(NEW, BEN))
    managed.cannot_be(ManagerAppointed(NEW, BEN, WRITE, (VaultRight.SHARE_DEAL,), (LOT,)))
    managed.cannot_be(ManagerAppointed(NEW, BEN, WRITE, (), (YARD, LOT)))
    managed.cannot_be(ManagerAppointed(NEW, BEN, WRITE, tuple(reversed(VaultRight)), None))


def test_an_appointment_ends_once_and_can_be_made_again() -> None:
    ended = managed.given(*managed.when(EndAppointment(ID, FIRST)))
    assert ended.refuses(EndAppointment(ID, FIRST), DirectoryEntryNotFound).id == FIRST
    ended.cannot_be(ManagerAppointed(FIRST, BEN, WRITE, (), None))
    assert len(ended.when(AppointManager(ID, NEW, BEN, WRITE, (VaultRight.SHARE_DEAL,), (LOT,)))) == 1


def test_an_appointment_names_a_bounded_number_of_locations() -> None:
    places = tuple(uid(1_000 + number) for number in range(MAX_SCOPE + 1))
    large = manned.given(*(LocationAdded(place, None, 0, NAME) for place in places))
    assert len(large.when(AppointManager(ID, NEW, BEN, WRITE, (), places[:MAX_SCOPE]))) == 1
    assert large.refuses(AppointManager(ID, NEW, BEN, WRITE, (), places), TooManyLocations).most == MAX_SCOPE
    large.cannot_be(ManagerAppointed(NEW, BEN, WRITE, (), places))


def test_access_is_of_the_appointments_that_stand() -> None:
    state = managed.given(AdminAppointed(SECOND, ANA)).state
    assert state is not None
    assert (state.access(ID, ANA).admin, state.access(ID, ANA).manager) == (True, False)
    (grant,) = state.access(ID, BEN).grants
    assert (grant.organization, grant.tiers, grant.locations) == (ID, WRITE, frozenset([LOT]))


@pytest.mark.parametrize(
    "fact",
    [
        OrganizationCreated(TENANT, Mode.LIVE, NAME, None),
        CompanyAdded(COMPANY, NAME),
        CompanyRenamed(LOT, NAME),
        LocationAdded(NEW, LOT, 0, NAME),
        LocationAdded(COMPANY, None, 0, NAME),
        LocationRenamed(COMPANY, NAME),
        FlowDefined(NEW, COMPANY, NAME, None, True),
        FlowChanged(LOT, NAME, None, None),
        MemberJoined(NEW, USER, None, None, "cook"),
        MemberRoleChanged(BEN, MEMBER),
        MemberRoleChanged(BEN, "cook"),
        MemberRoleChanged(NEW, OWNER),
        MemberLeft(NEW),
        ManagerAppointed(NEW, FIRST, WRITE, (), None),
        ManagerAppointed(NEW, BEN, WRITE, (), (FLOW,)),
        AdminAppointed(FIRST, ANA),
        AppointmentEnded(SECOND),
    ],
    ids=lambda fact: type(fact).__name__,
)
def test_a_history_cannot_go_on_with_what_could_not_be_decided(fact: DirectoryFact) -> None:
    managed.cannot_be(fact)


def test_an_organization_has_its_first_roles_before_anything_else() -> None:
    created = nothing.given(OrganizationCreated(TENANT, Mode.LIVE, NAME, None))
    owner, member = FOUNDING_ROLES
    for fact in (member, CompanyAdded(COMPANY, NAME), RoleDefined(OWNER, ())):
        created.cannot_be(fact)
    created.given(owner).cannot_be(CompanyAdded(COMPANY, NAME))
    assert created.given(owner, member).state == empty.state


def test_tiers_are_ordered_from_none_to_full() -> None:
    assert [tier.rank for tier in (Tier.NONE, Tier.READ, Tier.WRITE, Tier.FULL)] == [0, 1, 2, 3]
    assert {field.name for field in fields(Tiers)} == set(Module)


@pytest.mark.parametrize("text", ["", "   ", "x" * 121, "a\nb", "a\x1b[31m", "a\u2028b", "a\udcff"])
def test_a_name_is_one_line_of_bounded_length(text: str) -> None:
    with pytest.raises(DirectoryTextError, match="1 to 120"):
        parse_name(text)
    assert parse_name("  Auto Häuser & Söhne ") == "Auto Häuser & Söhne"
    assert parse_name("x" * 120) == "x" * 120


@pytest.mark.parametrize("text", ["", "-a", "a-", "A", "a b", "ä", "x" * 49, "a\n"])
def test_a_slug_is_made_of_small_letters_digits_and_hyphens(text: str) -> None:
    with pytest.raises(DirectoryTextError, match="1 to 48"):
        parse_slug(text)
    assert [parse_slug(each) for each in ("a", "auto-house-2", "x" * 48)] == ["a", "auto-house-2", "x" * 48]


@pytest.mark.parametrize(("issuer", "subject"), [("", "a"), ("a", ""), ("a|b", "c"), ("a", "x" * 256), ("a\n", "b")])
def test_a_user_is_an_issuer_and_a_subject_that_cannot_be_mistaken(issuer: str, subject: str) -> None:
    with pytest.raises(DirectoryTextError):
        user_subject(TENANT, issuer, subject)


def test_a_users_subject_tells_issuer_and_subject_apart() -> None:
    found = user_subject(TENANT, "https://id.example", "auth0|123")
    assert (found.tenant, found.kind, found.key) == (TENANT, SubjectKind.PERSON, "user:https://id.example|auth0|123")
