"""Flows: defined, listed and changed by tier and place, and tied to packages."""

from typing import Any

import pytest

from domain.actor import Mode
from domain.directory import DefineFlow
from tests.contract.partner_world import World
from tests.contract.signing_world import OPERATOR, Dealership, User, dealership, tenant, user

pytest_plugins = ["tests.contract.partner_fixtures"]

FLOWS = "/v1/signing/manager/flows"
ABSENT = {"error": "Not found."}
FORBIDDEN = {"error": "Your role does not permit this."}
STEPS = [{"title": "Read", "seconds": 1.5}, {"title": "Sign", "then": [{"go": None}]}]


@pytest.fixture
def dealers(world: World) -> Dealership:
    return dealership(world)


def defined(caller: User, dealers: Dealership, location: str = "north", **more: Any) -> dict[str, Any]:
    answered = caller("POST", FLOWS, {"locationId": dealers.location(location), "name": "Walkthrough", **more})
    assert answered.status == 201
    found: dict[str, Any] = answered.body["flow"]
    return found


def listed(caller: User, query: str = "") -> list[str]:
    return [row["name"] for row in caller("GET", FLOWS + query).body["flows"]]


def test_a_flow_is_defined_shown_and_changed(dealers: Dealership) -> None:
    boss = dealers.manager("boss", ("north",), flows="write")
    flow = defined(boss, dealers, steps=STEPS)
    assert (flow["name"], flow["steps"], flow["active"]) == ("Walkthrough", STEPS, True)
    assert flow["locationId"] == dealers.location("north")
    path = f"{FLOWS}/{flow['id']}"
    assert boss("GET", path).body == {"flow": flow}
    assert boss("GET", FLOWS).body == {"flows": [flow], "scope": "managed"}
    changed = boss("PATCH", path, {"name": "Tour", "active": False}).body
    assert changed["flow"] == {**flow, "name": "Tour", "active": False, "updatedAt": changed["flow"]["updatedAt"]}
    assert boss("GET", path).body == changed
    emptied = boss("PATCH", path, {"steps": []}).body
    assert emptied["flow"]["steps"] == []
    head = dealers.world.head()
    assert boss("PATCH", path, {"name": "Tour", "steps": [], "active": False}).body == emptied
    assert dealers.world.head() == head
    assert boss("GET", path).body == emptied


def test_lists_are_by_id_and_those_of_the_scope(dealers: Dealership) -> None:
    admin, boss = dealers.admin("root"), dealers.manager("boss", ("north",), flows="read")
    for name, location in (("one", "north"), ("two", "south"), ("three", "north")):
        defined(admin, dealers, location, name=name)
    everything = admin("GET", FLOWS).body
    assert (everything["scope"], [row["name"] for row in everything["flows"]]) == ("global", ["one", "two", "three"])
    assert listed(admin, f"?locationId={dealers.location('south')}") == ["two"]
    assert listed(boss) == ["one", "three"]
    assert boss("GET", f"{FLOWS}?locationId={dealers.location('south')}").body == FORBIDDEN
    assert admin("GET", f"{FLOWS}?locationId=x").body == {"error": "Invalid location ID."}
    assert admin("GET", f"{FLOWS}?locationId=1").body == ABSENT


def test_a_package_is_tied_to_an_active_flow_of_its_location(dealers: Dealership) -> None:
    boss = dealers.manager("boss", flows="write", signings="write")
    flow, signings = defined(boss, dealers), "/v1/signing/manager/signings"
    body = {"locationId": dealers.location("north"), "flowId": flow["id"]}
    assert boss("POST", signings, body).body["signing"]["flowId"] == flow["id"]
    assert boss("POST", signings, {**body, "locationId": dealers.location("south")}).status == 404
    boss("PATCH", f"{FLOWS}/{flow['id']}", {"active": False})
    assert boss("POST", signings, body).status == 409


@pytest.mark.parametrize(
    ("tier", "reads", "writes"), [("none", 403, 403), ("read", 200, 403), ("write", 200, 200), ("full", 200, 200)]
)
def test_each_tier_permits_what_it_says(dealers: Dealership, tier: str, reads: int, writes: int) -> None:
    path = f"{FLOWS}/{defined(dealers.admin('root'), dealers)['id']}"
    boss = dealers.manager("boss", flows=tier, signings="full", templates="full")
    north = dealers.location("north")
    head = dealers.world.head()
    assert boss("GET", FLOWS).status == reads
    assert boss("GET", path).status == reads
    assert boss("PATCH", path, {"active": True}).status == writes
    assert dealers.world.head() == head
    assert boss("POST", FLOWS, {"locationId": north, "name": "x"}).status == (201 if writes == 200 else 403)
    assert (dealers.world.head() > head) is (writes == 200)


def test_a_tier_counts_at_its_own_locations(dealers: Dealership) -> None:
    south = f"{FLOWS}/{defined(dealers.admin('root'), dealers, 'south')['id']}"
    boss = dealers.manager("boss", ("north",), flows="write")
    reader = dealers.manager("reader", ("south",), flows="read")
    head = dealers.world.head()
    assert boss("GET", south).body == ABSENT
    assert boss("PATCH", south, {"name": "x"}).body == ABSENT
    assert boss("POST", FLOWS, {"locationId": dealers.location("south"), "name": "x"}).body == FORBIDDEN
    assert boss("POST", FLOWS, {"locationId": "1", "name": "x"}).body == ABSENT
    assert reader("PATCH", south, {"name": "x"}).body == FORBIDDEN
    assert reader("POST", FLOWS, {"locationId": dealers.location("south"), "name": "x"}).body == FORBIDDEN
    assert dealers.world.head() == head


@pytest.mark.parametrize(
    "change",
    [
        {"name": None},
        {"name": ""},
        {"name": " "},
        {"name": "n" * 121},
        {"name": "a\nb"},
        {"name": 1},
        {"steps": {}},
        {"steps": [1]},
        {"steps": [{}] * 101},
        {"steps": [{"text": "a" * 65_536}]},
        {"steps": "[]"},
        {"active": "yes"},
    ],
)
def test_a_body_that_is_wrong_changes_nothing(dealers: Dealership, change: dict[str, Any]) -> None:
    boss = dealers.manager("boss", flows="write")
    path = f"{FLOWS}/{defined(boss, dealers)['id']}"
    whole = {"locationId": dealers.location("north"), "name": "Walkthrough", **change}
    head = dealers.world.head()
    for answered in (boss("POST", FLOWS, whole), boss("PATCH", path, change)):
        assert answered.status == 400
        assert answered.body["error"].startswith("Invalid body.")
    assert dealers.world.head() == head


def test_a_body_without_what_is_needed_changes_nothing(dealers: Dealership) -> None:
    boss = dealers.manager("boss", flows="write")
    path, north = f"{FLOWS}/{defined(boss, dealers)['id']}", dealers.location("north")
    head = dealers.world.head()
    for body in ({}, {"name": "x"}, {"locationId": north}, {"locationId": "x", "name": "x"}, {"locationId": True, "name": "x"}):
        assert boss("POST", FLOWS, body).status == 400
    for nothing in ({}, {"unknown": 1}, {"name": None, "steps": None, "active": None}):
        assert boss("PATCH", path, nothing).status == 400
    for content in (b"", b"{", b"[]", b'{"steps": [{"a": 1e999}]}', b'{"name": "\\ud800"}'):
        for method, where in (("POST", FLOWS), ("PATCH", path)):
            assert boss(method, where, content=content, headers={"Content-Type": "application/json"}).status == 400
    assert dealers.world.head() == head


def test_the_limits_themselves_are_accepted(dealers: Dealership) -> None:
    boss = dealers.manager("boss", flows="write")
    flow = defined(boss, dealers, name="n" * 120, steps=[{"n": number} for number in range(100)], active=False)
    assert (len(flow["name"]), len(flow["steps"]), flow["active"]) == (120, 100, False)
    assert boss("GET", f"{FLOWS}/{flow['id']}").body["flow"] == flow


def test_what_is_another_tenants_or_another_modes_is_absent(world: World, dealers: Dealership) -> None:
    path, north = f"{FLOWS}/{defined(dealers.admin('root'), dealers)['id']}", dealers.location("north")
    strangers = [dealership(world).admin("root"), dealership(world, dealers.tenant, Mode.TEST).admin("tester")]
    head = world.head()
    for stranger in strangers:
        assert stranger("GET", path).body == ABSENT
        assert stranger("PATCH", path, {"name": "x"}).body == ABSENT
        assert stranger("POST", FLOWS, {"locationId": north, "name": "x"}).body == ABSENT
        assert stranger("GET", f"{FLOWS}?locationId={north}").body == ABSENT
        assert stranger("GET", FLOWS).body["flows"] == []
        for bad in ("x", "-1", "9" * 41):
            assert stranger("GET", f"{FLOWS}/{bad}").body == {"error": "Invalid flow ID."}
    assert world.head() == head


def test_without_a_role_everything_is_forbidden(world: World, dealers: Dealership) -> None:
    path, north = f"{FLOWS}/{defined(dealers.admin('root'), dealers)['id']}", dealers.location("north")
    member, _ = dealers.member("member")
    for caller in (member, user(world, dealers.tenant, "stranger"), user(world, tenant(world), "root")):
        for method, where, body in (
            ("GET", FLOWS, None),
            ("GET", path, None),
            ("PATCH", path, {"name": "x"}),
            ("POST", FLOWS, {"locationId": north, "name": "x"}),
        ):
            answered = caller(method, where, body)
            assert (answered.status, answered.body) == (403, FORBIDDEN)


def test_steps_that_were_given_at_the_terminal_are_shown_as_they_are_and_erased_ones_are_null(dealers: Dealership) -> None:
    admin, id = dealers.admin("root"), dealers.world.deps.new_id()
    steps = dealers.named({"free": ["form"]})
    dealers.direct(DefineFlow(dealers.organization, id, dealers.places["north"], dealers.named("Theirs"), steps))
    (flow,) = admin("GET", FLOWS).body["flows"]
    assert (flow["name"], flow["steps"]) == ("Theirs", {"free": ["form"]})
    assert steps.disclosure is not None
    dealers.world.run(dealers.world.deps.ledger.erase(steps.disclosure.subject, "gdpr-17-1-b", OPERATOR))
    path = f"{FLOWS}/{flow['id']}"
    assert admin("GET", path).body["flow"] == {**flow, "name": None, "steps": None}
    assert admin("PATCH", path, {"name": "Known again"}).body["flow"]["name"] == "Known again"
    assert admin("GET", path).body["flow"]["name"] == "Known again"


def test_an_idempotency_key_gives_the_first_answer(dealers: Dealership) -> None:
    boss = dealers.manager("boss", flows="write")
    body = {"locationId": dealers.location("north"), "name": "x"}
    first = boss("POST", FLOWS, body, headers={"Idempotency-Key": "a"})
    path = f"{FLOWS}/{first.body['flow']['id']}"
    changed = boss("PATCH", path, {"name": "y"}, headers={"Idempotency-Key": "b"})
    boss("PATCH", path, {"name": "z"})
    head = dealers.world.head()
    assert boss("POST", FLOWS, body, headers={"Idempotency-Key": "a"}).raw == first.raw
    assert boss("PATCH", path, {"name": "y"}, headers={"Idempotency-Key": "b"}).raw == changed.raw
    assert boss("POST", FLOWS, {**body, "name": "other"}, headers={"Idempotency-Key": "a"}).status == 409
    assert dealers.world.head() == head
