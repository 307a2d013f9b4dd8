"""Each of the page's 23 operations answers as its samples show: member for member, status, code and message."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from tests.contract.partner_reference import differences, operations
from tests.contract.partner_world import Answered, Client, World, participant

pytest_plugins = ["tests.contract.partner_fixtures"]

FIELDS = [{"fieldName": "FIRMA_CLIENTE", "fieldType": "SIGNATURE", "page": 1, "x": 124, "y": 566}]

Call = Callable[[Client], Answered]


def administrator(client: Client) -> Client:
    return client.world.administrator(client.tenant)


def template(client: Client) -> str:
    made = client.template(2)
    client("PUT", f"/v1/templates/{made}/fields", FIELDS)
    return made


def in_progress(client: Client) -> str:
    made = client.document()
    client.look(made["documentId"], made["participants"][0]["participantId"])
    document: str = made["documentId"]
    return document


def on(method: str, path: str, make: Callable[[Client], str], sent: Any = None) -> Call:
    return lambda client: client(method, path.format(make(client)), sent)


def resend(client: Client) -> Answered:
    made = client.document()
    return client("POST", f"/v1/documents/{made['documentId']}/participants/{made['participants'][0]['participantId']}/resend")


def events(client: Client) -> Answered:
    return client("GET", f"/v1/events/{client.document()['participants'][0]['processId']}")


def create(client: Client) -> Answered:
    sent = {
        "templateId": client.template(2),
        "templateVersion": "0002",
        "participants": [participant()],
        "orderMode": "PARALLEL",
        "deadlineAt": "2026-05-21T23:59:00Z",
    }
    return client("POST", "/v1/documents", sent)


def listed_documents(client: Client) -> Answered:
    client.document()
    return client("GET", "/v1/documents?limit=10&sort=-createdAt")


def listed_templates(client: Client) -> Answered:
    client.template(2)
    return client("GET", "/v1/templates?limit=10&sort=-createdAt")


NEW = {"templateName": "Acuerdo de servicio", "description": "Version comercial vigente"}

SUCCESSES: dict[str, Call] = {
    "GET /api": lambda client: administrator(client)("GET", "/api"),
    "POST /api": lambda client: administrator(client)("POST", "/api", {"auth_method": "KEY"}),
    "DELETE /api": lambda client: administrator(client)("DELETE", "/api"),
    "GET /v1/templates": listed_templates,
    "GET /v1/templates/{templateId}": lambda client: client("GET", f"/v1/templates/{client.template(2)}"),
    "POST /v1/templates": lambda client: client("POST", "/v1/templates", NEW),
    "GET /v1/templates/{templateId}/history": on("GET", "/v1/templates/{}/history", template),
    "GET /v1/templates/{templateId}/versions/{version}": on("GET", "/v1/templates/{}/versions/2", template),
    "GET /v1/templates/{templateId}/fields": on("GET", "/v1/templates/{}/fields", template),
    "PUT /v1/templates/{templateId}/fields": on("PUT", "/v1/templates/{}/fields", lambda client: client.template(2), FIELDS),
    "POST /v1/templates/{templateId}/versions/{version}/upload-url": on(
        "POST", "/v1/templates/{}/versions/1/upload-url", template
    ),
    "PUT /v1/templates/{templateId}": on("PUT", "/v1/templates/{}", template, NEW),
    "GET /v1/templates/{templateId}/versions/{version}/download-url": on(
        "GET", "/v1/templates/{}/versions/2/download-url", template
    ),
    "DELETE /v1/templates/{templateId}/versions/{version}": on("DELETE", "/v1/templates/{}/versions/1", template),
    "DELETE /v1/templates/{templateId}": on("DELETE", "/v1/templates/{}", template),
    "GET /v1/documents": listed_documents,
    "POST /v1/documents": create,
    "GET /v1/documents/{documentId}": on("GET", "/v1/documents/{}", in_progress),
    "POST /v1/documents/{documentId}/extend": on(
        "POST", "/v1/documents/{}/extend", in_progress, {"newDeadlineAt": "2026-06-15T23:59:00Z"}
    ),
    "DELETE /v1/documents/{documentId}/cancel": on("DELETE", "/v1/documents/{}/cancel", in_progress),
    "POST /v1/documents/{documentId}/participants/{participantId}/resend": resend,
    "GET /v1/documents/{documentId}/summary": on("GET", "/v1/documents/{}/summary", in_progress),
    "GET /v1/events/{processId}": events,
}


def missing_integration(client: Client) -> Answered:
    administrator(client)("DELETE", "/api")
    return administrator(client)("GET", "/api")


def biometric_without_number(client: Client) -> Answered:
    sent = participant(signatureMode=["SIGNATURE_BIOMETRIC"])
    return client(
        "POST",
        "/v1/documents",
        {"templateId": client.template(), "templateVersion": "0001", "participants": [sent], "orderMode": "PARALLEL"},
    )


def without_credits(client: Client) -> Answered:
    made = client.template(2)
    client.world.run(client.world.deps.identity.set_credits(client.tenant, 0))
    sent = {"templateId": made, "templateVersion": "0002", "participants": [participant()], "orderMode": "PARALLEL"}
    return client("POST", "/v1/documents", sent)


FAILURES: dict[tuple[str, int], Call] = {
    ("GET /api", 404): missing_integration,
    ("POST /api", 400): lambda client: administrator(client)("POST", "/api", {"auth_method": "JWT"}),
    ("GET /v1/templates/{templateId}", 404): lambda client: client("GET", f"/v1/templates/{uuid4()}"),
    ("GET /v1/documents", 400): lambda client: client("GET", "/v1/documents?sort=creationDate"),
    ("POST /v1/documents", 400): biometric_without_number,
    ("POST /v1/documents", 402): without_credits,
    ("GET /v1/documents/{documentId}", 404): lambda client: client("GET", f"/v1/documents/{uuid4()}"),
}


def test_the_page_has_these_operations_and_these_samples_and_no_others() -> None:
    page = operations()
    assert len(page) == 23
    assert page.keys() == SUCCESSES.keys()
    failures = {(name, sample["status"]) for name, it in page.items() for sample in it.samples if not sample["success"]}
    assert failures == FAILURES.keys()


@pytest.mark.parametrize("name", SUCCESSES)
def test_a_success_is_answered_as_in_the_sample(world: World, name: str) -> None:
    sample = next(sample for sample in operations()[name].samples if sample["success"])
    answered = SUCCESSES[name](world.tenant())
    assert answered.status == sample["status"]
    assert differences(name, sample, answered.body) == []


@pytest.mark.parametrize(("name", "status"), FAILURES)
def test_a_failure_is_answered_as_in_the_sample(world: World, name: str, status: int) -> None:
    answered = FAILURES[name, status](world.tenant())
    assert answered.status == status
    assert differences(name, operations()[name].sample(status), answered.body) == []


@pytest.mark.parametrize("name", ["GET /v1/templates", "GET /v1/documents/{documentId}", "PUT /v1/templates/{templateId}/fields"])
def test_the_comparison_sees_a_missing_an_additional_and_a_changed_member(world: World, name: str) -> None:
    sample = next(sample for sample in operations()[name].samples if sample["success"])
    answered = SUCCESSES[name](world.tenant()).body
    item = answered["data"][0] if isinstance(answered["data"], list) else answered["data"]
    first = next(iter(item))
    kept = item.pop(first)
    item["surprise"] = 1
    answered["message"] = "Something else."
    assert len(differences(name, sample, answered)) == 3
    item[first] = [kept]
    assert any("of another form" in found for found in differences(name, sample, answered))
