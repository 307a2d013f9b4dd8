"""What managers do with packages: who may, in which state, and that nothing changes where it is refused."""

from typing import Any
from uuid import UUID

import pytest

from domain.actor import Mode
from tests.contract.partner_world import Client, World
from tests.contract.signing_world import Dealership, User, dealership, package, user
from tests.running import Person

pytest_plugins = ["tests.contract.partner_fixtures"]

MANAGER = "/v1/signing/manager/signings"
JORDAN = {"fullName": "Jordan Lee", "email": "jordan@dealership.com"}
FULL: dict[str, Any] = {"signings": "full", "templates": "full", "flows": "full"}


@pytest.fixture
def dealers(world: World) -> Dealership:
    return dealership(world)


def partner_of(dealers: Dealership) -> Client:
    """The same tenant on the partner surface, where templates are uploaded."""
    made = dealers.world.run(dealers.world.deps.identity.create_partner_key(dealers.tenant, "KEY"))
    headers = {"X-Tenant-Signly": str(dealers.tenant), "X-Auth-Signly": made.secret}
    return Client(dealers.world, dealers.tenant, headers, made.key.id)


def template(dealers: Dealership) -> str:
    """The numeric id of a template with a PDF."""
    id = partner_of(dealers).template()
    entries = dealers.world.run(dealers.world.deps.recorder.read_stream(UUID(id)))
    return str(entries[0].position)


def draft(manager: User, dealers: Dealership, **more: object) -> str:
    """The path of a new draft at the northern location."""
    answered = manager("POST", MANAGER, {"locationId": int(dealers.location("north")), **more})
    assert (answered.status, answered.body["signing"]["status"]) == (201, "draft")
    return f"{MANAGER}/{answered.body['signing']['id']}"


def test_a_package_is_drafted_filled_activated_and_signed(dealers: Dealership) -> None:
    manager = dealers.manager("boss", **FULL)
    path = draft(manager, dealers, title="Deal 7", note="Call first.", order="sequential")
    document = manager("POST", f"{path}/documents", {"templateId": template(dealers)})
    assert (document.status, document.body["document"]["position"], document.body["document"]["pages"]) == (201, 1, 2)
    first = manager("POST", f"{path}/signers", JORDAN)
    second = manager("POST", f"{path}/signers", {"fullName": "Sam Roe", "email": "sam@dealership.com", "role": "co-buyer"})
    assert [it.body["signer"]["number"] for it in (first, second)] == [1, 2]
    assert first.body["signer"]["documentIds"] == [document.body["document"]["id"]]

    jordan = user(dealers.world, dealers.tenant, "user_jordan", "jordan@dealership.com")
    assert jordan("GET", "/v1/signing/signer/signings").status == 404  # a draft is nobody's assignment yet
    activated = manager("POST", f"{path}/activate")
    assert (activated.status, activated.body["signing"]["status"]) == (200, "active")
    detail = manager("GET", path).body
    assert detail["signing"] == activated.body["signing"]
    assert detail["documents"] == [document.body["document"]]
    assert [row["id"] for row in detail["signers"]] == [it.body["signer"]["id"] for it in (first, second)]
    assert (detail["signing"]["title"], detail["signing"]["note"]) == ("Deal 7", "Call first.")
    assert detail["signing"]["locationId"] == dealers.location("north")

    queue = jordan("GET", "/v1/signing/signer/signings").body
    assert queue["signings"] == [detail["signing"]]
    signed = jordan(
        "POST", f"/v1/signing/signer/signings/{path.rpartition('/')[2]}/documents/{detail['documents'][0]['id']}/sign"
    )
    assert (signed.status, signed.body["vaultJobEnqueued"]) == (200, True)


def test_a_document_added_later_is_for_everybody_or_for_those_named(dealers: Dealership) -> None:
    manager, source = dealers.manager("boss", **FULL), template(dealers)
    path = draft(manager, dealers)
    jordan = manager("POST", f"{path}/signers", JORDAN).body["signer"]
    sam = manager("POST", f"{path}/signers", {"fullName": "Sam Roe", "email": "sam@dealership.com"}).body["signer"]
    assert manager("POST", f"{path}/activate").status == 409  # nobody has anything to sign yet
    both = manager("POST", f"{path}/documents", {"templateId": source}).body["document"]
    hers = manager("POST", f"{path}/documents", {"templateId": source, "signerIds": [sam["id"]], "title": "Hers"}).body[
        "document"
    ]
    assert hers["title"] == "Hers"
    signers = {row["id"]: row["documentIds"] for row in manager("GET", path).body["signers"]}
    assert signers == {jordan["id"]: [both["id"]], sam["id"]: [both["id"], hers["id"]]}
    assert manager("POST", f"{path}/activate").status == 200


def test_what_was_activated_is_frozen_and_what_has_ended_stays_so(dealers: Dealership) -> None:
    manager, source = dealers.manager("boss", **FULL), template(dealers)
    path = draft(manager, dealers)
    manager("POST", f"{path}/documents", {"templateId": source})
    manager("POST", f"{path}/signers", JORDAN)
    assert manager("POST", f"{path}/resend").status == 409
    manager("POST", f"{path}/activate")
    head = dealers.world.head()
    assert manager("POST", f"{path}/activate").status == 409
    assert manager("POST", f"{path}/documents", {"templateId": source}).status == 409
    assert manager("POST", f"{path}/signers", {"fullName": "Sam Roe", "email": "sam@dealership.com"}).status == 409
    assert dealers.world.head() == head
    resent = manager("POST", f"{path}/resend")
    assert (resent.status, resent.body["ok"], resent.body["resent"]) == (200, True, 1)
    cancelled = manager("POST", f"{path}/cancel", {"reason": "Sold elsewhere."})
    assert (cancelled.status, cancelled.body["signing"]["status"]) == (200, "cancelled")
    assert cancelled.body["signing"]["cancelReason"] == "Sold elsewhere."
    assert manager("GET", path).body["signing"] == cancelled.body["signing"]
    head = dealers.world.head()
    for action in ("cancel", "activate", "resend"):
        assert manager("POST", f"{path}/{action}").status == 409
    assert dealers.world.head() == head


def test_one_person_has_one_place(dealers: Dealership) -> None:
    manager = dealers.manager("boss", **FULL)
    path = draft(manager, dealers)
    manager("POST", f"{path}/signers", JORDAN)
    head = dealers.world.head()
    assert manager("POST", f"{path}/signers", {**JORDAN, "email": "Jordan@Dealership.com"}).status == 409
    assert dealers.world.head() == head


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("", {}),
        ("", {"locationId": "x"}),
        ("", {"locationId": -1}),
        ("", {"locationId": True}),
        ("", {"locationId": 1.5}),
        ("", {"locationId": "1", "order": "random"}),
        ("", {"locationId": "1", "title": ""}),
        ("", {"locationId": "1", "deadlineAt": "soon"}),
        ("/signers", {}),
        ("/signers", {"fullName": "A"}),
        ("/signers", {"fullName": "A", "email": "no address"}),
        ("/signers", {"fullName": " ", "email": "a@b.example"}),
        ("/signers", {"fullName": "A", "email": "a@b.example", "number": 0}),
        ("/signers", {"fullName": "A", "email": "a@b.example", "documentIds": ["17"]}),
        ("/documents", {}),
        ("/documents", {"templateId": "1", "documentId": "doc_00000000000000000000000000"}),
        ("/documents", {"documentId": "17"}),
        ("/cancel", {"reason": 1}),
        ("/cancel", {"reason": "x" * 1001}),
    ],
)
def test_a_body_that_cannot_be_used_changes_nothing(dealers: Dealership, path: str, body: dict[str, object]) -> None:
    manager = dealers.manager("boss", **FULL)
    base = draft(manager, dealers) if path else MANAGER
    if body.get("locationId") == "1":
        body = {**body, "locationId": dealers.location("north")}
    head = dealers.world.head()
    answered = manager("POST", base + path, body)
    assert answered.status == 400
    assert answered.body["error"].startswith("Invalid body.")
    assert dealers.world.head() == head


def test_a_repeat_under_a_key_gives_the_first_answer_whatever_happened_since(dealers: Dealership) -> None:
    manager, source = dealers.manager("boss", **FULL), template(dealers)
    keys = {name: {"Idempotency-Key": name} for name in ("create", "document", "signer", "activate", "cancel")}
    body = {"locationId": dealers.location("north")}
    first = manager("POST", MANAGER, body, headers=keys["create"])
    assert manager("POST", MANAGER, body, headers=keys["create"]).raw == first.raw
    assert manager("POST", MANAGER, {**body, "title": "Other"}, headers=keys["create"]).status == 409
    path = f"{MANAGER}/{first.body['signing']['id']}"
    steps = [("documents", {"templateId": source}, "document"), ("signers", JORDAN, "signer"), ("activate", None, "activate")]
    answers = [manager("POST", f"{path}/{step}", sent, headers=keys[key]) for step, sent, key in steps]
    manager("POST", f"{path}/cancel", headers=keys["cancel"])
    head = dealers.world.head()
    for (step, sent, key), before in zip(steps, answers, strict=True):
        again = manager("POST", f"{path}/{step}", sent, headers=keys[key])
        assert (again.status, again.raw) == (before.status, before.raw)
    assert manager("POST", f"{path}/cancel", headers=keys["cancel"]).status == 200
    assert dealers.world.head() == head


def test_each_tier_allows_what_it_is_for(dealers: Dealership) -> None:
    boss = dealers.manager("boss", **FULL)
    path = draft(boss, dealers)
    allowed = {"none": (403, 403), "read": (200, 403), "write": (200, 201), "full": (200, 201)}
    for tier, (reading, writing) in allowed.items():
        manager = dealers.manager(f"manager-{tier}", signings=tier)
        assert manager("GET", MANAGER).status == reading
        assert manager("GET", path).status == reading
        assert manager("POST", MANAGER, {"locationId": dealers.location("north")}).status == writing
    for nobody in (dealers.member("member")[0], user(dealers.world, dealers.tenant, "stranger")):
        assert nobody("GET", MANAGER).status == 403
        assert nobody("GET", path).status == 403
        assert nobody("POST", MANAGER, {"locationId": dealers.location("north")}).status == 403


def test_a_tier_counts_at_its_own_locations(dealers: Dealership) -> None:
    boss, admin = dealers.manager("boss", **FULL), dealers.admin("admin")
    path = draft(boss, dealers)
    southern = dealers.manager("southern", locations=("south",), **FULL)
    assert southern("GET", MANAGER).body == {"signings": [], "scope": "managed"}
    assert southern("GET", path).status == 404
    assert southern("POST", f"{path}/cancel").status == 404
    assert southern("POST", MANAGER, {"locationId": dealers.location("north")}).status == 403
    assert southern("GET", f"{MANAGER}?locationId={dealers.location('north')}").status == 403
    assert southern("POST", MANAGER, {"locationId": dealers.location("south")}).status == 201
    assert [len(each("GET", MANAGER).body["signings"]) for each in (southern, boss, admin)] == [1, 2, 2]
    assert len(boss("GET", f"{MANAGER}?locationId={dealers.location('south')}").body["signings"]) == 1
    assert admin("GET", MANAGER).body["scope"] == "global"
    assert admin("GET", f"{MANAGER}?locationId=x").status == 400


def test_a_package_of_another_surface_has_no_location_and_is_an_admins_business(dealers: Dealership) -> None:
    package(dealers.world, dealers.tenant, Person("Jordan Lee", "jordan@dealership.com"))
    boss, admin = dealers.manager("boss", **FULL), dealers.admin("admin")
    (found,) = admin("GET", MANAGER).body["signings"]
    assert (found["status"], found["locationId"]) == ("active", None)
    assert admin("GET", f"{MANAGER}/{found['id']}").status == 200
    assert boss("GET", MANAGER).body["signings"] == []
    assert boss("GET", f"{MANAGER}/{found['id']}").status == 404
    assert admin("POST", f"{MANAGER}/{found['id']}/cancel").status == 200


def test_what_is_another_tenants_or_another_modes_is_absent(dealers: Dealership) -> None:
    boss, source = dealers.manager("boss", **FULL), template(dealers)
    path = draft(boss, dealers)
    other, test = dealership(dealers.world), dealership(dealers.world, dealers.tenant, Mode.TEST)
    for stranger, theirs in ((other.admin("admin"), other), (test.admin("boss"), test)):
        absent = stranger("GET", f"{MANAGER}/1")
        assert (
            (stranger("GET", path).status, stranger("GET", path).body)
            == (absent.status, absent.body)
            == (404, {"error": "Not found."})
        )
        assert stranger("POST", MANAGER, {"locationId": dealers.location("north")}).status == 404
        own = draft(stranger, theirs)
        assert stranger("POST", f"{own}/documents", {"templateId": source}).status == 404
        assert stranger("POST", f"{path}/cancel").status == 404
        assert len(stranger("GET", MANAGER).body["signings"]) == 1


def test_a_session_shows_a_managers_tiers_and_an_admins(dealers: Dealership) -> None:
    session = dealers.manager("boss", signings="write", templates="read")("GET", "/v1/signing/session").body
    modules = {"signings": "write", "templates": "read", "flows": "none", "reports": "none", "settings": "none"}
    assert session["resolvedRoles"] == ["manager"]
    assert {key: session["managerModules"][key] for key in modules} == modules
    assert (session["caps"]["manager"], session["caps"]["canListOrganizations"]) == (session["managerModules"], True)
    assert not any(session["managerModules"]["vault"].values())
    admin = dealers.admin("root")("GET", "/v1/signing/session").body
    assert admin["resolvedRoles"] == ["admin"]
    assert {admin["adminModules"][key] for key in modules} == {"full"}
    assert all(admin["adminModules"]["vault"].values())
    assert admin["managerModules"] is None
