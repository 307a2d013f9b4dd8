"""The workspace: what somebody is told of the organizations that they belong to."""

from typing import Any
from uuid import UUID

import pytest

from domain.actor import Mode
from domain.directory import (
    MEMBER,
    CreateOrganization,
    DefineFlow,
    DefineRole,
    JoinMember,
    Permission,
    RemoveMember,
    user_subject,
)
from domain.personal import Subject, SubjectKind
from infrastructure.issuer import ISSUER
from tests.contract.partner_world import World
from tests.contract.signing_world import OPERATOR, Dealership, User, dealership, tenant, user

pytest_plugins = ["tests.contract.partner_fixtures"]

WORKSPACE = "/v1/workspace"


@pytest.fixture
def dealers(world: World) -> Dealership:
    return dealership(world)


def joined(dealers: Dealership, subject: str, role: str = MEMBER, organization: UUID | None = None) -> UUID:
    """The member that somebody with an e-mail address and a name becomes."""
    deps, member, whose = dealers.world.deps, dealers.world.deps.new_id(), user_subject(dealers.tenant, ISSUER, subject)
    shown = deps.vault.conceal({"issuer": ISSUER, "subject": subject}, whose)
    email, name = (deps.vault.conceal(text, whose) for text in (f"{subject}@dealership.com", subject.title()))
    dealers.direct(JoinMember(organization or dealers.organization, member, shown, email, name, role))
    return member


def another(dealers: Dealership, name: str) -> UUID:
    """A further organization of the tenant."""
    made = dealers.world.deps.new_id()
    subject = Subject(dealers.tenant, SubjectKind.ORGANIZATION, str(made))
    dealers.direct(CreateOrganization(dealers.tenant, dealers.mode, made, dealers.world.deps.vault.conceal(name, subject)))
    return made


def get(caller: User, path: str) -> Any:
    answered = caller("GET", f"{WORKSPACE}/{path}")
    assert answered.status == 200
    return answered.body


def test_memberships_are_an_array_with_organization_counts_and_role(dealers: Dealership) -> None:
    dealers.direct(DefineFlow(dealers.organization, dealers.world.deps.new_id(), dealers.places["north"], dealers.named("Tour")))
    owner, _ = dealers.member("owner")
    joined(dealers, "clerk")
    (membership,) = get(owner, "memberships")
    assert list(membership) == ["id", "userId", "status", "organizationId", "createdAt", "organization", "role"]
    assert (membership["userId"], membership["status"]) == ("owner", "ACTIVE")
    organization = membership["organization"]
    assert (organization["id"], organization["name"], organization["billingAccount"]) == (
        membership["organizationId"],
        "Dealers Ltd",
        None,
    )
    assert organization["counts"] == {"companies": 0, "locations": 2, "flows": 1, "members": 2}
    assert membership["role"]["slug"] == "owner"
    assert membership["role"]["permissions"] == {permission.value: True for permission in Permission}
    clerk = user(dealers.world, dealers.tenant, "clerk")
    (other,) = get(clerk, "memberships")
    assert (other["role"]["slug"], set(other["role"]["permissions"].values())) == ("member", {False})


def test_the_active_organization_is_the_alphabetically_first(dealers: Dealership) -> None:
    joined(dealers, "ana")
    ana = user(dealers.world, dealers.tenant, "ana")
    (first,) = get(ana, "memberships")
    assert get(ana, "active-org-id") == first["organizationId"]
    joined(dealers, "ana", organization=another(dealers, "zebra cars"))
    assert get(ana, "active-org-id") == first["organizationId"]
    alpha = another(dealers, "alpha Cars")
    joined(dealers, "ana", organization=alpha)
    assert [it["organization"]["name"] for it in get(ana, "memberships")] == ["Dealers Ltd", "zebra cars", "alpha Cars"]
    active = get(ana, "active-org")
    assert active == {"id": get(ana, "active-org-id"), "name": "alpha Cars"}
    menu = get(ana, "menu-core")
    assert menu["activeOrganization"] == active
    assert [entry["name"] for entry in menu["organizations"]] == ["alpha Cars", "Dealers Ltd", "zebra cars"]
    assert menu["permissions"] == {permission.value: False for permission in Permission}
    # An organization whose name was erased comes after those that have one.
    subject = Subject(dealers.tenant, SubjectKind.ORGANIZATION, str(alpha))
    dealers.world.run(dealers.world.deps.ledger.erase(subject, "gdpr-17-1-b", OPERATOR))
    assert get(ana, "active-org")["name"] == "Dealers Ltd"
    assert [entry["name"] for entry in get(ana, "menu-core")["organizations"]] == ["Dealers Ltd", "zebra cars", None]


def test_without_any_organization_there_is_none_to_show(dealers: Dealership) -> None:
    stranger = user(dealers.world, dealers.tenant, "stranger", "stranger@dealership.com")
    assert get(stranger, "memberships") == []
    assert get(stranger, "active-org-id") is None
    assert get(stranger, "active-org") is None
    profile = {"userId": "stranger", "email": "stranger@dealership.com", "name": None}
    assert get(stranger, "profile") == profile
    assert get(stranger, "menu-core") == {"profile": profile, "activeOrganization": None, "organizations": [], "permissions": {}}


def test_the_bundle_has_locations_roles_and_members_in_their_order(dealers: Dealership) -> None:
    dealers.direct(DefineRole(dealers.organization, "clerk", (Permission.BRAND,)))
    owner, _ = dealers.member("owner")
    for subject in ("zoe", "ana"):
        joined(dealers, subject, "clerk")
    (membership,) = get(owner, "memberships")
    bundle = get(owner, f"organizations/{membership['organizationId']}")
    assert list(bundle) == ["organization", "locations", "roles", "members", "membership", "role"]
    assert bundle["organization"] == membership["organization"]
    assert (bundle["membership"], bundle["role"]) == (membership, membership["role"])
    assert [row["name"] for row in bundle["locations"]] == ["north", "south"]
    assert [row["slug"] for row in bundle["roles"]] == ["clerk", "member", "owner"]
    assert [(row["userId"], row["email"], row["name"], row["role"]) for row in bundle["members"]] == [
        ("owner", None, None, "owner"),
        ("zoe", "zoe@dealership.com", "Zoe", "clerk"),
        ("ana", "ana@dealership.com", "Ana", "clerk"),
    ]


def test_an_erased_member_has_no_name_and_who_has_left_sees_nothing(dealers: Dealership) -> None:
    owner, _ = dealers.member("owner")
    joined(dealers, "ana")
    left = joined(dealers, "ben")
    path = f"organizations/{get(owner, 'memberships')[0]['organizationId']}"
    ben = user(dealers.world, dealers.tenant, "ben")
    assert len(get(ben, path)["members"]) == 3
    dealers.direct(RemoveMember(dealers.organization, left))
    assert get(ben, "memberships") == []
    assert ben("GET", f"{WORKSPACE}/{path}").status == 404
    subject = user_subject(dealers.tenant, ISSUER, "ana")
    dealers.world.run(dealers.world.deps.ledger.erase(subject, "gdpr-17-1-b", OPERATOR))
    erased = get(owner, path)["members"][1]
    assert (erased["userId"], erased["email"], erased["name"], erased["role"]) == (None, None, None, "member")
    assert get(user(dealers.world, dealers.tenant, "ana"), "memberships") == []


def test_an_organization_is_shown_to_its_members_alone(world: World, dealers: Dealership) -> None:
    owner, _ = dealers.member("owner")
    path = f"{WORKSPACE}/organizations/{get(owner, 'memberships')[0]['organizationId']}"
    test_mode = dealership(world, dealers.tenant, Mode.TEST)
    elsewhere = dealership(world, dealers.tenant)
    strangers = [
        user(world, dealers.tenant, "stranger"),
        user(world, dealers.tenant, "owner", mode=Mode.TEST),
        user(world, tenant(world), "owner"),
        test_mode.member("tester")[0],
        # An administrator of the tenant sees its packages, but is no member here.
        elsewhere.admin("root"),
    ]
    for stranger in strangers:
        answered, absent = stranger("GET", path), stranger("GET", f"{WORKSPACE}/organizations/1")
        assert (answered.status, answered.body) == (absent.status, absent.body) == (404, {"error": "Not found."})
    for bad in ("x", "-1", "1.5", "9" * 41):
        assert owner("GET", f"{WORKSPACE}/organizations/{bad}").body == {"error": "Invalid organization ID."}


def test_every_read_needs_a_token_that_holds(world: World, dealers: Dealership) -> None:
    for headers, sentence in (
        ({}, "Missing Authorization Bearer token."),
        ({"Authorization": "Bearer a.b.c"}, "Invalid or expired token."),
    ):
        nobody = User(world, dealers.tenant, headers)
        for path in ("memberships", "active-org-id", "active-org", "organizations/1", "profile", "menu-core"):
            answered = nobody("GET", f"{WORKSPACE}/{path}")
            assert (answered.status, answered.body) == (401, {"error": sentence})
