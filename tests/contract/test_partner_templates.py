"""Templates: versions, fields and files."""

import hashlib
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from api.deps import Reference
from domain.actor import Actor, ActorKind
from domain.personal import Subject, SubjectKind
from domain.template import ReviseTemplate
from infrastructure.ledger import NO_ANSWER
from tests.contract.partner_world import Client, body, details, pdf

pytest_plugins = ["tests.contract.partner_fixtures"]


def fields(client: Client, template: str) -> Any:
    return client("GET", f"/v1/templates/{template}/fields").data


def test_a_template_has_versions_and_the_latest_is_the_current_one(client: Client) -> None:
    made = client("POST", "/v1/templates", {"templateName": "A"})
    template = made.data["templateId"]
    assert made.data == {"templateId": template, "templateName": "A", "description": None, "version": 1}
    updated = client("PUT", f"/v1/templates/{template}", {"templateName": "B", "description": "two\nlines"})
    assert updated.data == {"templateId": template, "templateVersion": f"{template}#0002", "version": 2}
    assert client("GET", f"/v1/templates/{template}").data == {
        "templateId": template,
        "templateName": "B",
        "description": "two\nlines",
        "templateVersion": f"{template}#0002",
        "version": 2,
        "fields": [],
    }
    listed = client("GET", "/v1/templates").data
    assert [(item["templateName"], item["version"]) for item in listed] == [("B", 2)]
    assert client("GET", f"/v1/templates/{template}/versions/1").data["templateVersion"] == f"{template}#0001"


@pytest.mark.parametrize("name", ["山田\u3000太郎", "می\u200cخواهم", "👩\u200d⚖️", "Prix\u00a0: 5", "श्री\u200dमान"])
def test_names_of_every_script_are_kept_as_they_were_sent(client: Client, name: str) -> None:
    template = client("POST", "/v1/templates", {"templateName": name, "description": name}).data["templateId"]
    found = client("GET", f"/v1/templates/{template}").data
    assert (found["templateName"], found["description"]) == (name, name)


def test_a_template_renamed_elsewhere_shows_its_new_name_here_and_in_what_is_made_from_it(client: Client) -> None:
    deps, template = client.world.deps, client.template(2)
    old = client("GET", f"/v1/templates/{template}").data
    subject = Subject(client.tenant, SubjectKind.TEMPLATE, template)
    change = ReviseTemplate(UUID(template), deps.vault.conceal("Lease", subject), uuid4(), active=False)
    client.world.run(deps.ledger.handle(change, Actor(ActorKind.USER, "u"), lambda outcome: NO_ANSWER))
    assert client("GET", f"/v1/templates/{template}").data == {**old, "templateName": "Lease"}
    assert [item["templateName"] for item in client("GET", "/v1/templates").data] == ["Lease"]
    for version, name in ((1, "Acuerdo de servicio"), (2, "Lease")):
        envelope = UUID(client.document(template, templateVersion=f"{version:04}")["documentId"])
        title = {"title": Reference(envelope, 1, "/documents/0/title")}
        assert client.world.run(deps.reveal(title)) == {"title": name}


def test_a_deleted_version_is_gone_and_its_number_is_not_given_again(client: Client) -> None:
    template = client.template(2, uploaded=False)
    assert client("DELETE", f"/v1/templates/{template}/versions/2").data == {"deleted": True}
    assert client("GET", f"/v1/templates/{template}").data["version"] == 1
    assert client("GET", f"/v1/templates/{template}/versions/2").status == 404
    assert client("DELETE", f"/v1/templates/{template}/versions/2").status == 404
    assert client("PUT", f"/v1/templates/{template}", {"templateName": "x"}).data["version"] == 3
    assert [item["version"] for item in client("GET", f"/v1/templates/{template}/history").data] == [1, 3]


def test_the_only_version_left_cannot_be_deleted(client: Client) -> None:
    template = client.template(uploaded=False)
    before = client.world.head()
    answered = client("DELETE", f"/v1/templates/{template}/versions/1")
    assert (answered.status, answered.body["code"]) == (409, "last_template_version")
    assert client.world.head() == before


def test_a_deleted_template_is_gone_and_its_documents_go_on(client: Client) -> None:
    template = client.template()
    one = client.document(template)["documentId"]
    deleted = client("DELETE", f"/v1/templates/{template}")
    assert (deleted.status, deleted.data) == (200, None)
    before = client.world.head()
    for method, path, sent in (
        ("GET", "", None),
        ("PUT", "", {"templateName": "x"}),
        ("DELETE", "", None),
        ("GET", "/history", None),
        ("GET", "/fields", None),
        ("PUT", "/fields", []),
        ("GET", "/versions/1", None),
        ("DELETE", "/versions/1", None),
        ("POST", "/versions/1/upload-url", None),
        ("GET", "/versions/1/download-url", None),
    ):
        answered = client(method, f"/v1/templates/{template}{path}", sent)
        assert (answered.status, answered.body["message"], details(answered)) == (
            404,
            "Template not found.",
            {"templateId": template},
        )
    assert client("POST", "/v1/documents", body(template)).status == 404
    assert client("GET", "/v1/templates").data == []
    assert client.world.head() == before
    assert client("GET", f"/v1/documents/{one}").data["templateId"] == template


def test_fields_are_answered_back_as_they_were_sent_and_replaced_as_a_whole(client: Client) -> None:
    template = client.template()
    sent = [
        {"fieldName": "FIRMA_CLIENTE", "fieldType": "SIGNATURE", "page": 1, "x": 124, "y": 566},
        {"fieldName": "LUGAR", "fieldType": "TEXT", "page": 2, "x": 12.5, "y": 0.001},
        {"fieldName": "NOMBRE", "fieldType": "NAME"},
    ]
    updated = client("PUT", f"/v1/templates/{template}/fields", sent)
    assert updated.data == [
        {"fieldName": "FIRMA_CLIENTE", "fieldType": "SIGNATURE", "page": 1},
        {"fieldName": "LUGAR", "fieldType": "TEXT", "page": 2},
        {"fieldName": "NOMBRE", "fieldType": "NAME"},
    ]
    assert fields(client, template) == sent
    assert client("GET", f"/v1/templates/{template}").data["fields"] == sent
    assert '"x":124,' in client("GET", f"/v1/templates/{template}/fields").raw.decode()
    assert client("PUT", f"/v1/templates/{template}/fields", sent[:1]).status == 200
    assert fields(client, template) == sent[:1]
    assert client("PUT", f"/v1/templates/{template}/fields", []).data == []
    assert fields(client, template) == []


@pytest.mark.parametrize(("sent", "kept"), [(1.23456, 1.235), (14_400, 14_400), (0.1 + 0.2, 0.3), (2.0, 2)])
def test_positions_are_kept_to_a_thousandth_of_a_point(client: Client, sent: float, kept: float) -> None:
    template = client.template(uploaded=False)
    client("PUT", f"/v1/templates/{template}/fields", [{"fieldName": "A", "fieldType": "TEXT", "page": 1, "x": sent, "y": 0}])
    assert fields(client, template)[0]["x"] == kept


def test_fields_belong_to_the_current_version(client: Client) -> None:
    template = client.template(uploaded=False)
    client("PUT", f"/v1/templates/{template}/fields", [{"fieldName": "A", "fieldType": "TEXT"}])
    client("PUT", f"/v1/templates/{template}", {"templateName": "x"})
    assert fields(client, template) == []
    client("DELETE", f"/v1/templates/{template}/versions/2")
    assert fields(client, template) == [{"fieldName": "A", "fieldType": "TEXT"}]


def test_an_uploaded_pdf_is_what_the_download_url_gives(client: Client) -> None:
    template = client.template(uploaded=False)
    absent = client("GET", f"/v1/templates/{template}/versions/1/download-url")
    assert (absent.status, absent.body["code"]) == (404, "not_found")
    assert absent.body["message"] == "No PDF has been uploaded for version 1 of the template."
    assert details(absent) == {"templateId": template, "version": 1}
    content = pdf(3)
    uploading = client("POST", f"/v1/templates/{template}/versions/1/upload-url").data
    assert (uploading["method"], uploading["expiresInSeconds"]) == ("PUT", 900)
    assert client.upload(template, 1, content).status_code < 300
    downloading = client("GET", f"/v1/templates/{template}/versions/1/download-url").data
    assert downloading["expiresInSeconds"] == 900
    got = client.world.http.get(downloading["downloadUrl"])
    assert got.status_code == 200
    assert hashlib.sha256(got.content).digest() == hashlib.sha256(content).digest()


def test_signed_urls_expire_and_are_good_for_one_method_alone(client: Client) -> None:
    template = client.template()
    up = client("POST", f"/v1/templates/{template}/versions/1/upload-url").data["uploadUrl"]
    down = client("GET", f"/v1/templates/{template}/versions/1/download-url").data["downloadUrl"]
    http = client.world.http
    before = client.world.head()
    assert http.get(up).status_code >= 400
    assert http.put(down, content=pdf()).status_code >= 400
    assert http.get(down).status_code == 200
    offset = client.world.clock.offset
    try:
        client.world.clock.offset = offset + timedelta(seconds=901)
        assert http.get(down).status_code >= 400
        assert http.put(up, content=pdf(2)).status_code >= 400
    finally:
        client.world.clock.offset = offset
    assert client.world.head() == before


def test_what_is_not_a_pdf_is_refused_and_the_version_stays_without_a_file(client: Client) -> None:
    template = client.template(uploaded=False)
    before = client.world.head()
    answered = client.upload(template, 1, b"%PDF-1.7\nnot really")
    assert answered.status_code >= 400
    assert client("GET", f"/v1/templates/{template}/versions/1/download-url").status == 404
    assert client.world.head() == before


def test_an_erased_template_is_shown_without_its_name(client: Client) -> None:
    template = client.template(uploaded=False)
    subject = Subject(client.tenant, SubjectKind.TEMPLATE, template)
    client.world.run(client.world.deps.ledger.erase(subject, "request", Actor(ActorKind.OPERATOR, "test")))
    data = client("GET", f"/v1/templates/{template}").data
    assert (data["templateName"], data["description"]) == (None, None)
    assert client("GET", "/v1/templates").data[0]["templateName"] is None
