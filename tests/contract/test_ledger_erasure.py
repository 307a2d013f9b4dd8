"""Erasure and holds on the ledger's surface: what is destroyed, what forbids it, and who is told what."""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import httpx
import jsonschema_rs
import pytest

from domain.actor import Mode
from domain.entry import decode, format_time
from domain.ids import typed_id
from domain.personal import Subject, SubjectKind
from infrastructure.database import connect
from tests.contract.partner_world import Client, World, body
from tests.contract.signatures_world import project
from tests.contract.signing_world import dealership

pytest_plugins = ["tests.contract.partner_fixtures"]

GROUND = {"ground": "gdpr-17-1-b"}


@dataclass
class Administrator:
    """Calls as a tenant's administrator; every answer is held against the OpenAPI document."""

    world: World
    tenant: UUID
    client: Client

    def __call__(self, method: str, path: str, sent: Any = None, key: str | None = None) -> httpx.Response:
        headers = {"Authorization": self.world.administrator(self.tenant).headers["X-Auth-Signly"]}
        headers |= {} if key is None else {"Idempotency-Key": key}
        response = self.world.http.request(method, f"{self.world.url}/v1/ledger{path}", json=sent, headers=headers)
        document = self.world.surfaces["ledger"].openapi()
        for template, item in document["paths"].items():
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), f"/v1/ledger{path}"):
                content = item[method.lower()]["responses"][str(response.status_code)]["content"]
                schema = content[response.headers["content-type"]]["schema"]
                jsonschema_rs.validator_for({**schema, "components": document["components"]}).validate(response.json())
        return response

    def erase(self, key: str | None = None, **named: Any) -> httpx.Response:
        return self("POST", "/erasures", {**GROUND, **named}, key)

    def hold(self, **more: Any) -> dict[str, Any]:
        response = self("POST", "/holds", {"reason": "litigation", **more})
        assert response.status_code == 201, response.text
        held: dict[str, Any] = response.json()
        return held

    def lift(self, hold: str, key: str | None = None) -> httpx.Response:
        return self("POST", f"/holds/{hold}/lift", {"ground": "settled"}, key)


@pytest.fixture
def admin(world: World) -> Administrator:
    client = world.tenant()
    return Administrator(world, client.tenant, client)


def refused(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json"), response.text
    problem: dict[str, Any] = response.json()
    assert (problem["status"], problem["code"]) == (status, code)
    return problem


def stored(world: World, table: str, where: str = "true") -> str:
    """Rows of a table as text."""
    with connect(world.database.owner) as conn:
        return "\n".join(str(row) for row in conn.execute(f"SELECT t.* FROM {table} AS t WHERE {where}".encode()))


def mail(world: World, signing: str) -> Any:
    """A file as invitations are written to where there is no mail server."""
    outbox = world.deps.settings.data / "outbox"
    outbox.mkdir(exist_ok=True)
    file = outbox / f"20260423T150000.000Z-{signing}-{uuid4()}.eml"
    file.write_text("Dear Juan")
    return file


def test_a_person_is_erased_and_the_log_says_by_whom_on_what_ground_and_where(admin: Administrator) -> None:
    world, client = admin.world, admin.client
    document = client.document(count=2)
    ana, ben = (each["participantId"] for each in document["participants"])
    hers, his = mail(world, ana), mail(world, ben)
    head = world.head()

    response = admin.erase(key="first", email="JUAN1@example.com ")

    assert response.status_code == 201, response.text
    erased = response.json()
    assert erased == {
        "ground": "gdpr-17-1-b",
        "positions": [head + 1],
        "entries": 1,
        "notReached": ["backups", "exports", "sent-mails", "documents"],
    }
    (entry,) = world.run(world.deps.recorder.read_log(head, 10))
    fact = decode(entry.raw)
    assert (fact.type, fact.data["ground"], fact.by["kind"]) == ("personal.erased/1", "gdpr-17-1-b", "administrator")
    assert fact.data["entries"] == [{"stream": ana, "version": 1}]
    assert (hers.exists(), his.exists()) == (False, True)
    shown = client("GET", f"/v1/documents/{document['documentId']}").data["participants"]
    assert [each["displayName"] for each in shown] == [None, "Juan David Otero 2"]
    _a_repeat_gives_the_first_answer(admin, response, head + 1)


def _a_repeat_gives_the_first_answer(admin: Administrator, first: httpx.Response, head: int) -> None:
    again = admin.erase(key="first", email="juan1@example.com")
    assert (again.status_code, again.content) == (201, first.content)
    refused(admin.erase(email="juan1@example.com"), 404, "subject-not-found")
    refused(admin.erase(key="first", email="juan2@example.com"), 422, "idempotency-key-reused")
    assert admin.world.head() == head
    # Nothing that is kept of the request tells the address, and no hash of it that somebody could try addresses on.
    kept = stored(admin.world, "idempotency", f"scope LIKE '%{admin.tenant}:live:administrator%'")
    assert "juan" not in kept.lower()
    spelled = json.dumps({**GROUND, "email": "juan1@example.com"}, separators=(",", ":")).encode()
    assert repr(sha256(b"POST /v1/ledger/erasures?\n" + spelled).digest()) not in kept


def test_answers_that_were_kept_for_repeats_go_with_the_person(admin: Administrator) -> None:
    sent = body(admin.client.template())
    admin.client("POST", "/v1/documents", sent, headers={"Idempotency-Key": "publish"})
    assert admin.erase(email="juan1@example.com").status_code == 201
    answered = admin.client("POST", "/v1/documents", sent, headers={"Idempotency-Key": "publish"})
    assert (answered.status, answered.body["code"]) == (409, "idempotent_answer_erased")


def test_things_are_erased_by_their_ids_as_any_surface_spells_them(admin: Administrator) -> None:
    template = admin.client.template()
    first, second = (admin.client.document(template, metadata={"case": "A-1"}) for _ in "12")
    envelope = UUID(second["documentId"])
    for named in ({"template": template}, {"envelope": first["documentId"]}, {"envelope": typed_id("env", envelope)}):
        assert admin.erase(**named).status_code == 201, named
        refused(admin.erase(**named), 404, "subject-not-found")
    assert admin.client("GET", f"/v1/documents/{envelope}").data["metadata"] is None


def test_users_and_organizations_are_erased_from_the_directory(world: World) -> None:
    dealers = dealership(world)
    admin = Administrator(world, dealers.tenant, world.tenant())
    dealers.manager("boss", email="boss@dealership.com")
    assert admin.erase(user={"subject": "boss"}).status_code == 201
    refused(admin.erase(user={"subject": "boss"}), 404, "subject-not-found")
    refused(admin.erase(user={"subject": "boss", "issuer": "https://login.example/"}), 404, "subject-not-found")
    assert admin.erase(organization=str(dealers.organization)).status_code == 201


@pytest.mark.parametrize(
    ("named", "field"),
    [
        ({}, ""),
        ({"email": "a@example.com", "phone": "+4930"}, ""),
        ({"email": None, "phone": None}, ""),
        ({"email": " "}, "email"),
        ({"email": "a\nb"}, "email"),
        ({"email": "a" * 321}, "email"),
        ({"participant": "nobody"}, "participant"),
        ({"envelope": "env_1"}, "envelope"),
        ({"document": "stk_1"}, "document"),
        ({"user": "ana"}, "user"),
        ({"user": {"subject": "ana", "issuer": "a|b"}}, "user"),
        ({"name": "Ana"}, "name"),
        ({"email": "a@example.com", "ground": "because Ana asked"}, "ground"),
    ],
)
def test_a_body_that_names_nobody_or_too_many_changes_nothing(world: World, named: Mapping[str, Any], field: str) -> None:
    admin = Administrator(world, (client := world.tenant()).tenant, client)
    before = world.head()
    faults = refused(admin.erase(**named), 422, "validation-failed")["errors"]
    assert [fault["field"] for fault in faults] == [field]
    assert world.head() == before


def test_what_is_held_is_not_erased_until_the_hold_is_lifted(admin: Administrator) -> None:
    document = admin.client.document()
    hold = admin.hold(envelopeId=document["documentId"], until="2031-12-31T23:59:59+01:00")
    assert hold["until"] == "2031-12-31T22:59:59.000000Z"
    before = admin.world.head()
    problem = refused(admin.erase(key="e", email="juan1@example.com"), 409, "erasure-held")
    assert problem["hold"] == {"id": hold["id"], "reason": "litigation", "until": hold["until"]}
    assert admin.world.head() == before
    lasting = admin.hold(reason="tax")
    assert refused(admin.erase(key="e", email="juan1@example.com"), 409, "erasure-held")["hold"]["until"] is None
    for held in (lasting, hold):
        lifted = admin.lift(held["id"]).json()
        assert (lifted["id"], lifted["ground"]) == (held["id"], "settled")
        refused(admin.lift(held["id"]), 404, "hold-not-found")
    assert admin.erase(key="e", email="juan1@example.com").status_code == 201


def test_a_hold_forbids_nothing_once_its_end_has_passed(admin: Administrator) -> None:
    admin.client.document()
    end = admin.world.deps.clock.now() + timedelta(seconds=0.7)
    hold = admin.hold(until=format_time(end))
    refused(admin.erase(email="juan1@example.com"), 409, "erasure-held")
    time.sleep(max(0.0, (end - admin.world.deps.clock.now()).total_seconds()) + 0.01)
    assert admin("GET", "/holds").json()["holds"] == [{**hold, "inForce": False}]
    assert admin.erase(email="juan1@example.com").status_code == 201


def test_holds_are_listed_in_their_order_and_a_repeat_places_and_lifts_none_again(admin: Administrator) -> None:
    envelope = admin.client.document()["documentId"]
    tax = {"reason": "tax", "envelopeId": typed_id("env", UUID(envelope))}
    first = admin("POST", "/holds", tax, key="place")
    assert admin("POST", "/holds", tax, key="place").content == first.content
    assert first.json()["envelopeId"] == envelope
    second = admin.hold()
    assert admin("GET", "/holds").json()["holds"] == [first.json(), second]
    lifted = admin.lift(second["id"], key="lift")
    assert admin.lift(second["id"], key="lift").content == lifted.content
    assert [hold["id"] for hold in admin("GET", "/holds").json()["holds"]] == [first.json()["id"]]


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({}, "reason"),
        ({"reason": "Ana is suing us"}, "reason"),
        ({"reason": "tax", "until": "2031-12-31"}, "until"),
        ({"reason": "tax", "until": "2031-12-31T23:59:59"}, "until"),
        ({"reason": "tax", "until": "2031-02-31T23:59:59Z"}, "until"),
        ({"reason": "tax", "until": "0001-01-01T00:00:00+01:00"}, "until"),
        ({"reason": "tax", "envelopeId": "A-1"}, "envelopeId"),
    ],
)
def test_a_hold_that_cannot_be_placed_is_not(world: World, sent: Mapping[str, Any], field: str) -> None:
    admin = Administrator(world, (client := world.tenant()).tenant, client)
    before = world.head()
    faults = refused(admin("POST", "/holds", sent), 422, "validation-failed")["errors"]
    assert [fault["field"] for fault in faults] == [field]
    refused(admin("POST", "/holds", {"reason": "tax", "until": "2020-12-31T23:59:59Z"}), 422, "hold-ends-in-past")
    assert world.head() == before


def test_what_is_another_tenants_is_absent(admin: Administrator, world: World) -> None:
    other = Administrator(world, (client := world.tenant()).tenant, client)
    document = client.document(metadata={"case": "A-1"})["documentId"]
    hold = other.hold(envelopeId=document)
    before = world.head()
    for id in (document, str(uuid4())):
        refused(admin("POST", "/holds", {"reason": "tax", "envelopeId": id}), 404, "envelope-not-found")
        refused(admin.erase(envelope=id), 404, "subject-not-found")
    for id in (hold["id"], str(uuid4()), "none"):
        refused(admin.lift(id), 404, "hold-not-found")
    assert admin("GET", "/holds").json() == {"holds": []}
    assert world.head() == before


def test_an_administrator_of_no_tenant_places_no_hold(world: World) -> None:
    nobody = Administrator(world, uuid4(), world.tenant())
    refused(nobody("POST", "/holds", {"reason": "tax"}), 403, "forbidden")


def test_data_of_both_modes_is_erased(admin: Administrator, world: World) -> None:
    """A person asks to be forgotten, not to be forgotten in live mode."""
    for mode in Mode:
        project(world, mode, admin.tenant).signature()
    assert admin.erase(email="jane1@example.com").json()["entries"] == 2
    subject = Subject(admin.tenant, SubjectKind.PERSON, "email:jane1@example.com")
    assert world.run(world.deps.vault.subject_id(subject)) is None
