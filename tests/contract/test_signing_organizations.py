"""The organization tree: who sees which organizations, companies and locations."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from domain.actor import Mode
from domain.directory import AddCompany, AddLocation, RenameLocation
from tests.contract.partner_world import World
from tests.contract.signing_world import OPERATOR, Dealership, User, dealership, tenant, user

pytest_plugins = ["tests.contract.partner_fixtures"]

ROOT = "/v1/signing"
LOCATIONS = f"{ROOT}/manager/locations"
ABSENT = {"error": "Not found."}


@dataclass
class Tree:
    """A dealership with two companies: `motors` has the location `yard`, `boats` has `pier`."""

    dealers: Dealership
    companies: Mapping[str, UUID]


@pytest.fixture
def tree(world: World) -> Tree:
    return grown(dealership(world))


def grown(dealers: Dealership) -> Tree:
    companies = {}
    for company, location in (("motors", "yard"), ("boats", "pier")):
        companies[company], dealers.places[location] = dealers.world.deps.new_id(), dealers.world.deps.new_id()
        dealers.direct(AddCompany(dealers.organization, companies[company], dealers.named(company)))
        dealers.direct(AddLocation(dealers.organization, dealers.places[location], dealers.named(location), companies[company]))
    return Tree(dealers, companies)


def by_name(rows: list[dict[str, Any]]) -> dict[str, str]:
    return {row["name"]: row["id"] for row in rows}


def paths(admin: User) -> list[str]:
    """Every path of the tree, with the ids that the administrator sees."""
    (organization,) = admin("GET", f"{ROOT}/organizations").body["organizations"]
    company = admin("GET", f"{ROOT}/companies").body["companies"][0]["id"]
    location = admin("GET", LOCATIONS).body["locations"][0]["id"]
    return [
        f"{ROOT}/organizations",
        f"{ROOT}/companies",
        f"{ROOT}/companies?organizationId={organization['id']}",
        f"{ROOT}/companies/{company}",
        LOCATIONS,
        f"{LOCATIONS}?organizationId={organization['id']}",
        f"{LOCATIONS}/{location}",
    ]


def test_an_administrator_sees_everything_in_the_tenant(world: World, tree: Tree) -> None:
    other = grown(dealership(world, tree.dealers.tenant))
    admin = tree.dealers.admin("root")
    organizations = admin("GET", f"{ROOT}/organizations").body
    assert organizations["scope"] == "global"
    assert [row["name"] for row in organizations["organizations"]] == ["Dealers Ltd", "Dealers Ltd"]
    ids = [int(row["id"]) for row in organizations["organizations"]]
    assert ids == sorted(ids)
    companies = admin("GET", f"{ROOT}/companies").body
    assert (companies["scope"], [row["name"] for row in companies["companies"]]) == ("global", ["motors", "boats"] * 2)
    assert {row["organizationId"] for row in companies["companies"]} == {str(id) for id in ids}
    locations = admin("GET", LOCATIONS).body
    assert [row["name"] for row in locations["locations"]] == ["north", "south", "yard", "pier"] * 2
    assert [row["sortOrder"] for row in locations["locations"]] == [0, 1, 2, 3] * 2
    assert locations["locations"][-1]["id"] == other.dealers.location("pier")
    for organization in organizations["organizations"]:
        of = admin("GET", f"{ROOT}/companies?organizationId={organization['id']}").body["companies"]
        assert [row["organizationId"] for row in of] == [organization["id"]] * 2
        of = admin("GET", f"{LOCATIONS}?organizationId={organization['id']}").body["locations"]
        assert [row["organizationId"] for row in of] == [organization["id"]] * 4


def test_a_manager_sees_what_the_appointments_are_about(tree: Tree) -> None:
    manager = tree.dealers.manager("boss", ("yard",), signings="read")
    organizations = manager("GET", f"{ROOT}/organizations").body
    assert (organizations["scope"], len(organizations["organizations"])) == ("managed", 1)
    companies = manager("GET", f"{ROOT}/companies").body
    assert (companies["scope"], [row["name"] for row in companies["companies"]]) == ("managed", ["motors"])
    locations = manager("GET", LOCATIONS).body
    assert (locations["scope"], [row["name"] for row in locations["locations"]]) == ("managed", ["yard"])
    assert locations["locations"][0]["companyId"] == companies["companies"][0]["id"]
    everything = by_name(tree.dealers.admin("root")("GET", f"{ROOT}/companies").body["companies"])
    assert manager("GET", f"{ROOT}/companies/{everything['motors']}").body == {"company": companies["companies"][0]}
    assert manager("GET", f"{ROOT}/companies/{everything['boats']}").body == ABSENT
    assert manager("GET", f"{LOCATIONS}/{tree.dealers.location('yard')}").body == {"location": locations["locations"][0]}
    for unseen in ("pier", "north"):
        assert manager("GET", f"{LOCATIONS}/{tree.dealers.location(unseen)}").body == ABSENT


def test_several_appointments_are_seen_together_and_of_the_whole_organization_later_locations_too(tree: Tree) -> None:
    manager = tree.dealers.manager("boss", None, flows="read")
    assert len(manager("GET", LOCATIONS).body["locations"]) == 4
    tree.dealers.places["dock"] = tree.dealers.world.deps.new_id()
    tree.dealers.direct(AddLocation(tree.dealers.organization, tree.dealers.places["dock"], tree.dealers.named("dock")))
    assert manager("GET", LOCATIONS).body["locations"][-1]["name"] == "dock"


@pytest.mark.parametrize("tier", ["read", "write", "full"])
@pytest.mark.parametrize("module", ["signings", "templates", "flows"])
def test_a_company_is_shown_from_read_on_in_any_of_three_modules(tree: Tree, module: str, tier: str) -> None:
    manager = tree.dealers.manager("boss", ("yard",), **{module: tier})
    (company,) = manager("GET", f"{ROOT}/companies").body["companies"]
    assert manager("GET", f"{ROOT}/companies/{company['id']}").status == 200


def test_a_manager_without_a_tier_sees_nothing_and_is_told_so(tree: Tree) -> None:
    admin, manager = tree.dealers.admin("root"), tree.dealers.manager("nobody")
    assert manager("GET", f"{ROOT}/organizations").body == {"organizations": [], "scope": "managed"}
    assert manager("GET", f"{ROOT}/companies").body == {"companies": [], "scope": "managed"}
    assert manager("GET", LOCATIONS).body == {"locations": [], "scope": "managed"}
    (company, *_) = admin("GET", f"{ROOT}/companies").body["companies"]
    assert manager("GET", f"{ROOT}/companies/{company['id']}").status == 403
    assert manager("GET", f"{LOCATIONS}/{tree.dealers.location('yard')}").status == 404
    (organization,) = admin("GET", f"{ROOT}/organizations").body["organizations"]
    assert manager("GET", f"{ROOT}/companies?organizationId={organization['id']}").status == 403
    # Reports alone make a manager, and let nobody look at a company.
    reporter = tree.dealers.manager("reporter", None, reports="full")
    assert reporter("GET", f"{ROOT}/companies/{company['id']}").status == 403


def test_without_a_role_everything_is_forbidden(tree: Tree) -> None:
    every = paths(tree.dealers.admin("root"))
    member, _ = tree.dealers.member("member")
    for caller in (member, user(tree.dealers.world, tree.dealers.tenant, "stranger")):
        for path in every:
            assert caller("GET", path).status == 403


def test_an_organization_outside_the_scope_is_forbidden_as_a_filter(world: World, tree: Tree) -> None:
    other = dealership(world, tree.dealers.tenant)
    admin, manager = other.admin("root"), tree.dealers.manager("boss", signings="read")
    ids = [row["id"] for row in admin("GET", f"{ROOT}/organizations").body["organizations"]]
    assert [manager("GET", f"{ROOT}/companies?organizationId={id}").status for id in ids] == [200, 403]
    assert [manager("GET", f"{LOCATIONS}?organizationId={id}").status for id in ids] == [200, 403]


@pytest.mark.parametrize("id", ["x", "1x", "-1", "1.5", "%20", "", "9" * 41])
def test_an_id_that_is_no_number_is_refused(tree: Tree, id: str) -> None:
    admin = tree.dealers.admin("root")
    assert admin("GET", f"{ROOT}/companies?organizationId={id}").body == {"error": "Invalid organization ID."}
    assert admin("GET", f"{LOCATIONS}?organizationId={id}").body == {"error": "Invalid organization ID."}
    if id:
        assert admin("GET", f"{ROOT}/companies/{id}").body == {"error": "Invalid company ID."}
        assert admin("GET", f"{LOCATIONS}/{id}").body == {"error": "Invalid location ID."}
    assert admin("GET", f"{ROOT}/companies/{2**63}").status == 404


def test_another_tenants_and_another_modes_tree_is_absent(world: World, tree: Tree) -> None:
    every, boss = paths(tree.dealers.admin("root")), tree.dealers.manager("boss", signings="read")
    own = {row["id"] for row in boss("GET", LOCATIONS).body["locations"]}
    for stranger in (dealership(world).admin("root"), dealership(world, tree.dealers.tenant, Mode.TEST).admin("root")):
        for path in every:
            if path[-1].isdigit():
                answered = stranger("GET", path)
                assert (answered.status, answered.body) == (404, ABSENT)
        theirs = {row["id"] for row in stranger("GET", LOCATIONS).body["locations"]}
        assert len(theirs) == 2
        assert len(own) == 4
        assert not theirs & own
    # An appointment counts in its own tenant and mode alone.
    assert user(world, tree.dealers.tenant, "boss", mode=Mode.TEST)("GET", every[0]).status == 403
    assert user(world, tenant(world), "boss")("GET", every[0]).status == 403


def test_a_new_name_is_shown_and_an_erased_one_is_null(tree: Tree) -> None:
    dealers, admin = tree.dealers, tree.dealers.admin("root")
    dealers.direct(RenameLocation(dealers.organization, dealers.places["yard"], dealers.named("The Yard")))
    path = f"{LOCATIONS}/{dealers.location('yard')}"
    assert admin("GET", path).body["location"]["name"] == "The Yard"
    subject = dealers.named("x").disclosure
    assert subject is not None
    dealers.world.run(dealers.world.deps.ledger.erase(subject.subject, "gdpr-17-1-b", OPERATOR))
    assert admin("GET", path).body["location"]["name"] is None
    assert {row["name"] for row in admin("GET", f"{ROOT}/companies").body["companies"]} == {None}
    assert {row["name"] for row in admin("GET", f"{ROOT}/organizations").body["organizations"]} == {None}
