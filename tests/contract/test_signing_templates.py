"""Managers' templates: by tier and place, renamed, switched off, duplicated, and used for packages."""

from typing import Any
from uuid import UUID

import pytest

from domain.actor import Mode
from domain.personal import Subject, SubjectKind
from domain.template import DeleteTemplate, DuplicateTemplate
from tests.contract.partner_world import Client, World
from tests.contract.signing_world import OPERATOR, Dealership, User, dealership, tenant, user

pytest_plugins = ["tests.contract.partner_fixtures"]

TEMPLATES = "/v1/signing/manager/templates"
ABSENT = {"error": "Not found."}
FORBIDDEN = {"error": "Your role does not permit this."}


@pytest.fixture
def dealers(world: World) -> Dealership:
    return dealership(world)


def uploaded(dealers: Dealership) -> tuple[UUID, str]:
    """A template with a PDF, made on the partner surface: its id there and here."""
    made = dealers.world.run(dealers.world.deps.identity.create_partner_key(dealers.tenant, "KEY"))
    partner = Client(
        dealers.world, dealers.tenant, {"X-Tenant-Signly": str(dealers.tenant), "X-Auth-Signly": made.secret}, made.key.id
    )
    id = UUID(partner.template())
    (first, *_) = dealers.world.run(dealers.world.deps.recorder.read_stream(id))
    return id, str(first.position)


def placed(dealers: Dealership, location: str | None, name: str = "Lease") -> str:
    """The numeric id of a template without a PDF at a location."""
    deps, made = dealers.world.deps, dealers.world.deps.new_id()
    called = deps.vault.conceal(name, Subject(dealers.tenant, SubjectKind.TEMPLATE, str(made)))
    where = None if location is None else dealers.places[location]
    dealers.direct(DuplicateTemplate(dealers.tenant, dealers.mode, made, called, None, None, (), where))
    (first, *_) = dealers.world.run(deps.recorder.read_stream(made))
    return str(first.position)


def listed(caller: User, query: str = "") -> list[str]:
    return [row["name"] for row in caller("GET", TEMPLATES + query).body["templates"]]


def test_an_administrator_puts_a_partners_template_at_a_location_where_managers_find_it(dealers: Dealership) -> None:
    admin, boss = dealers.admin("root"), dealers.manager("boss", ("north",), templates="read")
    _, id = uploaded(dealers)
    path = f"{TEMPLATES}/{id}"
    before = admin("GET", path).body["template"]
    assert (before["locationId"], before["pages"], before["version"], before["active"]) == (None, 2, 1, True)
    assert admin("GET", TEMPLATES).body == {"templates": [before], "scope": "global"}
    # What all locations may use, their managers see, and an administrator changes.
    assert boss("GET", TEMPLATES).body == {"templates": [before], "scope": "managed"}
    assert boss("GET", path).body == {"template": before}
    writer = dealers.manager("writer", ("north",), templates="write")
    assert writer("PATCH", path, {"name": "Ours"}).body == FORBIDDEN
    assert writer("POST", f"{path}/duplicate").body == FORBIDDEN
    copied = writer("POST", f"{path}/duplicate", {"locationId": dealers.location("north")}).body["template"]
    assert (copied["locationId"], copied["sha256"]) == (dealers.location("north"), before["sha256"])
    moved = admin("PATCH", path, {"locationId": dealers.location("north")})
    assert moved.body["template"] == {
        **before,
        "locationId": dealers.location("north"),
        "updatedAt": moved.body["template"]["updatedAt"],
    }
    assert boss("GET", path).body == moved.body
    assert boss("GET", TEMPLATES).body == {"templates": [moved.body["template"], copied], "scope": "managed"}


def test_lists_are_by_id_and_those_of_the_scope(dealers: Dealership) -> None:
    for name, location in (("one", "north"), ("two", "south"), ("three", None), ("four", "north")):
        placed(dealers, location, name)
    admin, boss = dealers.admin("root"), dealers.manager("boss", ("north",), templates="read")
    assert listed(admin) == ["one", "two", "three", "four"]
    assert listed(admin, f"?locationId={dealers.location('south')}") == ["two"]
    assert listed(boss) == ["one", "three", "four"]
    assert listed(boss, f"?locationId={dealers.location('north')}") == ["one", "four"]
    assert boss("GET", f"{TEMPLATES}?locationId={dealers.location('south')}").body == FORBIDDEN
    assert listed(dealers.manager("chief", None, templates="read")) == ["one", "two", "three", "four"]
    for bad in ("x", "", "-1", "1.0"):
        assert admin("GET", f"{TEMPLATES}?locationId={bad}").body == {"error": "Invalid location ID."}
    assert admin("GET", f"{TEMPLATES}?locationId=1").body == ABSENT


def test_a_template_is_renamed_and_switched_off_and_on(dealers: Dealership) -> None:
    path = f"{TEMPLATES}/{placed(dealers, 'north')}"
    boss = dealers.manager("boss", ("north",), templates="write")
    before = boss("GET", path).body["template"]
    changed = boss("PATCH", path, {"name": "n" * 500, "active": False})
    assert changed.status == 200
    assert changed.body["template"] == {
        **before,
        "name": "n" * 500,
        "active": False,
        "updatedAt": changed.body["template"]["updatedAt"],
    }
    assert boss("GET", path).body == changed.body
    assert listed(boss) == ["n" * 500]
    head = dealers.world.head()
    assert boss("PATCH", path, {"name": "n" * 500, "active": False}).body == changed.body
    assert dealers.world.head() == head
    assert boss("PATCH", path, {"active": True}).body["template"]["active"] is True


def test_an_inactive_template_is_for_no_new_package(dealers: Dealership) -> None:
    boss = dealers.manager("boss", signings="write", templates="write")
    _, id = uploaded(dealers)
    dealers.admin("root")("PATCH", f"{TEMPLATES}/{id}", {"locationId": int(dealers.location("north"))})
    signing = boss("POST", "/v1/signing/manager/signings", {"locationId": dealers.location("north")}).body["signing"]
    into = f"/v1/signing/manager/signings/{signing['id']}/documents"
    boss("PATCH", f"{TEMPLATES}/{id}", {"active": False})
    assert boss("POST", into, {"templateId": id}).status == 409
    boss("PATCH", f"{TEMPLATES}/{id}", {"active": True})
    assert boss("POST", into, {"templateId": id}).status == 201


def test_a_duplicate_has_the_pdf_and_is_another_template(dealers: Dealership) -> None:
    admin, boss = dealers.admin("root"), dealers.manager("boss", templates="write")
    _, id = uploaded(dealers)
    path = f"{TEMPLATES}/{id}"
    source = admin("PATCH", path, {"locationId": dealers.location("north"), "active": False}).body["template"]
    copy = boss("POST", f"{path}/duplicate")
    assert copy.status == 201
    new = copy.body["template"]
    assert new == {
        **source,
        "id": new["id"],
        "active": True,
        "createdAt": new["createdAt"],
        "updatedAt": new["updatedAt"],
    }
    assert int(new["id"]) > int(source["id"])
    assert boss("GET", f"{TEMPLATES}/{new['id']}").body == copy.body
    other = boss("POST", f"{path}/duplicate", {"name": "Southern", "locationId": dealers.location("south")}).body["template"]
    assert (other["name"], other["locationId"], other["sha256"]) == ("Southern", dealers.location("south"), source["sha256"])
    boss("PATCH", f"{TEMPLATES}/{new['id']}", {"name": "Changed"})
    assert boss("GET", path).body["template"] == source
    assert [row["id"] for row in boss("GET", TEMPLATES).body["templates"]] == [id, new["id"], other["id"]]


@pytest.mark.parametrize(
    ("tier", "reads", "writes"), [("none", 403, 403), ("read", 200, 403), ("write", 200, 200), ("full", 200, 200)]
)
def test_each_tier_permits_what_it_says(dealers: Dealership, tier: str, reads: int, writes: int) -> None:
    path = f"{TEMPLATES}/{placed(dealers, 'north')}"
    # The other modules are open, so what is refused is refused for this one's tier.
    boss = dealers.manager("boss", templates=tier, signings="full", flows="full")
    head = dealers.world.head()
    assert boss("GET", TEMPLATES).status == reads
    assert boss("GET", path).status == reads
    assert boss("PATCH", path, {"active": True}).status == writes
    assert dealers.world.head() == head
    assert boss("POST", f"{path}/duplicate").status == (201 if writes == 200 else 403)
    assert (dealers.world.head() > head) is (writes == 200)


def test_a_tier_counts_at_its_own_locations(dealers: Dealership) -> None:
    north, south = (f"{TEMPLATES}/{placed(dealers, place)}" for place in ("north", "south"))
    boss = dealers.manager("boss", ("north",), templates="write")
    reader = dealers.manager("reader", ("south",), templates="read", signings="full")
    head = dealers.world.head()
    for method, suffix, body in (("GET", "", None), ("PATCH", "", {"name": "x"}), ("POST", "/duplicate", None)):
        answered = boss(method, south + suffix, body)
        assert (answered.status, answered.body) == (404, ABSENT)
    assert boss("PATCH", north, {"locationId": dealers.location("south")}).body == FORBIDDEN
    assert boss("POST", f"{north}/duplicate", {"locationId": dealers.location("south")}).body == FORBIDDEN
    assert boss("PATCH", north, {"locationId": "1"}).body == ABSENT
    assert reader("PATCH", south, {"name": "x"}).body == FORBIDDEN
    assert dealers.world.head() == head


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": None},
        {"name": ""},
        {"name": " "},
        {"name": "n" * 501},
        {"name": 1},
        {"name": "a\nb"},
        {"active": "no"},
        {"active": 0},
        {"locationId": "x"},
        {"locationId": 1.5},
        {"unknown": True},
    ],
)
def test_a_body_that_is_wrong_changes_nothing(dealers: Dealership, body: dict[str, Any]) -> None:
    path = f"{TEMPLATES}/{placed(dealers, 'north')}"
    boss = dealers.manager("boss", templates="write")
    head = dealers.world.head()
    answered = boss("PATCH", path, body)
    assert answered.status == 400
    assert answered.body["error"].startswith("Invalid body.")
    assert boss("PATCH", path, content=b"{", headers={"Content-Type": "application/json"}).status == 400
    assert boss("POST", f"{path}/duplicate", {"name": 1}).status == 400
    assert dealers.world.head() == head


def test_what_is_absent_is_another_tenants_or_another_modes(world: World, dealers: Dealership) -> None:
    path = f"{TEMPLATES}/{placed(dealers, 'north')}"
    test_mode = dealership(world, dealers.tenant, Mode.TEST)
    elsewhere = f"{TEMPLATES}/{placed(test_mode, 'north')}"
    strangers = [
        (dealership(world).admin("root"), path),
        (test_mode.admin("tester"), path),
        (dealers.admin("root"), elsewhere),
        (dealers.admin("chief"), f"{TEMPLATES}/1"),
    ]
    head = world.head()
    for stranger, hidden in strangers:
        for method, suffix, body in (("GET", "", None), ("PATCH", "", {"name": "x"}), ("POST", "/duplicate", None)):
            answered = stranger(method, hidden + suffix, body)
            assert (answered.status, answered.body) == (404, ABSENT)
        for bad in ("x", "1x", "-1", "9" * 41):
            assert stranger("GET", f"{TEMPLATES}/{bad}").body == {"error": "Invalid template ID."}
    assert world.head() == head
    assert listed(test_mode.admin("other")) == ["Lease"]


def test_without_a_role_everything_is_forbidden(world: World, dealers: Dealership) -> None:
    path = f"{TEMPLATES}/{placed(dealers, 'north')}"
    member, _ = dealers.member("member")
    for caller in (member, user(world, dealers.tenant, "stranger"), user(world, tenant(world), "root")):
        for method, where, body in (
            ("GET", TEMPLATES, None),
            ("GET", path, None),
            ("PATCH", path, {"name": "x"}),
            ("POST", f"{path}/duplicate", None),
        ):
            answered = caller(method, where, body)
            assert (answered.status, answered.body) == (403, FORBIDDEN)


def test_a_deleted_template_is_absent_and_an_erased_name_is_null(dealers: Dealership) -> None:
    admin = dealers.admin("root")
    id, number = uploaded(dealers)
    path = f"{TEMPLATES}/{number}"
    subject = Subject(dealers.tenant, SubjectKind.TEMPLATE, str(id))
    dealers.world.run(dealers.world.deps.ledger.erase(subject, "gdpr-17-1-b", OPERATOR))
    shown = admin("GET", path).body["template"]
    assert (shown["name"], shown["description"], shown["pages"]) == (None, None, 2)
    assert admin("GET", TEMPLATES).body["templates"] == [shown]
    assert admin("POST", f"{path}/duplicate").status == 409
    assert admin("POST", f"{path}/duplicate", {"name": "Again"}).body["template"]["name"] == "Again"
    assert admin("PATCH", path, {"name": "Known again"}).body["template"]["name"] == "Known again"
    dealers.direct(DeleteTemplate(id))
    assert admin("GET", path).body == ABSENT
    assert listed(admin) == ["Again"]


def test_an_idempotency_key_gives_the_first_answer(dealers: Dealership) -> None:
    path = f"{TEMPLATES}/{placed(dealers, 'north')}"
    boss = dealers.manager("boss", templates="write")
    keys = [{"Idempotency-Key": name} for name in ("a", "b")]
    copied, renamed = boss("POST", f"{path}/duplicate", headers=keys[0]), boss("PATCH", path, {"name": "New"}, headers=keys[1])
    boss("PATCH", path, {"name": "Newer"})
    head = dealers.world.head()
    assert boss("POST", f"{path}/duplicate", headers=keys[0]).raw == copied.raw
    assert boss("PATCH", path, {"name": "New"}, headers=keys[1]).raw == renamed.raw
    assert dealers.world.head() == head
