"""Fields of templates: placed by points, percentages and texts, and given to the participants of documents."""

from typing import Any
from uuid import UUID

import pytest

from api.zones import UNKNOWN
from domain.envelope import Envelope, PlacedField
from domain.field import SIZES, FieldType
from tests.contract.partner_world import Client, body, pdf
from tests.contract.signatures_world import pdf as lettered

pytest_plugins = ["tests.contract.partner_fixtures"]


def defined(client: Client, template: str, *fields: dict[str, Any]) -> Any:
    """What is shown of fields once they are defined."""
    answered = client("PUT", f"/v1/templates/{template}/fields", list(fields))
    assert answered.status == 200, answered.raw
    return client("GET", f"/v1/templates/{template}/fields").data


def placed(client: Client, template: str, count: int = 1, **changes: Any) -> tuple[list[str], tuple[PlacedField, ...]]:
    """The participants of a document from the template, and its fields."""
    made = client.document(template, count, **changes)
    envelope = client.world.run(client.world.deps.ledger.state(Envelope, UUID(made["documentId"])))
    assert envelope is not None
    return [each["participantId"] for each in made["participants"]], envelope.fields


def owners(client: Client, template: str, count: int) -> dict[str | None, int]:
    """Which participant, from 1, each field of a document is given to."""
    people, fields = placed(client, template, count)
    return {field.name: 1 + people.index(str(field.participant)) for field in fields}


def field(name: str, kind: str = "SIGNATURE", **more: Any) -> dict[str, Any]:
    return {"fieldName": name, "fieldType": kind, "page": 1, "x": 10, "y": 10, **more}


def at(text: str, **more: Any) -> dict[str, Any]:
    return {"fieldName": "A", "fieldType": "TEXT", "anchor": {"text": text, **more}}


def test_all_that_was_given_of_a_field_is_shown_and_nothing_else(client: Client) -> None:
    template = client.template()
    sent = [
        field("ALL", width=120.5, height=40, participant=2, required=False),
        field("PLACE"),
        {"fieldName": "NOWHERE", "fieldType": "TEXT", "width": 30},
    ]
    assert defined(client, template, *sent) == sent
    assert client("GET", f"/v1/templates/{template}").data["fields"] == sent


def test_percentages_are_points_of_the_displayed_page_from_then_on(client: Client) -> None:
    template = client.template(uploaded=False)
    client.upload(template, 1, lettered(("x",), rotate=90))  # displayed 792 wide and 612 high
    sent = field("A", "TEXT", x=50, y=25, width=25, height=10, unit="percent")
    usual = field("B", "SIGNATURE", x=0, y=90, unit="percent")
    assert defined(client, template, sent, usual) == [
        {**field("A", "TEXT"), "x": 396, "y": 153, "width": 198, "height": 61.2},
        {**field("B", "SIGNATURE"), "x": 0, "y": 550.8, "width": 200, "height": 30},
    ]


def test_a_field_at_a_text_stands_where_the_text_does(client: Client) -> None:
    template = client.template(uploaded=False)
    client.upload(template, 1, lettered(("Tenant: {{s}}", "Landlord: {{s}}")))
    first, second = (defined(client, template, at("{{s}}", occurrence=number))[0] for number in (1, 2))
    assert (first["page"], first["width"], first["height"]) == (1, 160, 18)
    assert 72 < first["x"] < second["x"] < 150  # after the words before it
    assert 78 < first["y"] < 85  # the line stands 92 points below the top
    assert second["y"] - first["y"] == 20
    moved = defined(client, template, at("{{s}}", dx=-2.5, dy=7) | {"width": 50, "participant": 1})[0]
    assert (moved["x"], moved["y"], moved["width"]) == (first["x"] - 2.5, round(first["y"] + 7, 3), 50)
    answered = client("PUT", f"/v1/templates/{template}/fields", [at("{{s}}", occurrence=3)])
    assert answered.fields == {"0": {"anchor": {"occurrence": ["The document has the text 2 time(s)."]}}}
    answered = client("PUT", f"/v1/templates/{template}/fields", [at("{{s}}", dx=-300)])
    assert answered.fields["_schema"][0].startswith("Field A does not lie within page 1")


@pytest.mark.parametrize(("sent", "member"), [(at("{{s}}"), "anchor"), (field("A", unit="percent"), "unit")])
def test_without_the_pdf_only_points_can_be_given(client: Client, sent: dict[str, Any], member: str) -> None:
    template = client.template(uploaded=False)
    before = client.world.head()
    answered = client("PUT", f"/v1/templates/{template}/fields", [sent])
    assert answered.fields == {"0": {member: ["Upload the PDF of version 1 first: the place is looked up on its pages."]}}
    assert client.world.head() == before


def test_a_pdf_that_comes_after_its_fields_must_have_room_for_them(client: Client) -> None:
    template = client.template(uploaded=False)
    defined(client, template, field("FAR", page=2, x=500))
    before = client.world.head()
    refused = client.upload(template, 1, pdf(2))
    assert (refused.status_code, refused.json()["code"]) == (422, "field-leaves-page")
    assert refused.json()["detail"].startswith("Field FAR does not lie within page 2")
    assert client.world.head() == before
    defined(client, template, field("FAR", page=2, x=412))
    assert client.upload(template, 1, pdf(2)).status_code == 200


def test_a_repeat_is_answered_alike_though_the_template_is_gone(client: Client) -> None:
    template = client.template()
    sent = [field("A", unit="percent")]
    first = client("PUT", f"/v1/templates/{template}/fields", sent, headers={"Idempotency-Key": "k"})
    client("DELETE", f"/v1/templates/{template}")
    again = client("PUT", f"/v1/templates/{template}/fields", sent, headers={"Idempotency-Key": "k"})
    assert (again.status, again.raw) == (200, first.raw)
    assert client("PUT", f"/v1/templates/{template}/fields", sent).status == 404


def test_a_document_has_the_fields_that_stand_somewhere_and_its_zone(client: Client) -> None:
    template = client.template()
    defined(
        client, template, field("S"), field("T", "TEXT", width=50, required=True), {"fieldName": "NOWHERE", "fieldType": "TEXT"}
    )
    people, (signature, text) = placed(client, template)
    assert (str(signature.participant), signature.name, signature.required) == (people[0], "S", True)
    assert (signature.width_millipoints, signature.height_millipoints) == SIZES[FieldType.SIGNATURE]
    assert (text.type, text.page, text.x_millipoints, text.y_millipoints) == (FieldType.TEXT, 1, 10_000, 10_000)
    assert (text.width_millipoints, text.height_millipoints, text.required) == (50_000, 18_000, True)
    made = client.document(template, timeZone="Europe/Madrid")
    envelope = client.world.run(client.world.deps.ledger.state(Envelope, UUID(made["documentId"])))
    assert envelope is not None
    assert envelope.zone == "Europe/Madrid"


def test_fields_go_to_the_participant_they_name_or_follow_from_their_order(client: Client) -> None:
    template = client.template()
    defined(
        client,
        template,
        field("S1"),
        field("T1", "TEXT"),
        field("S2"),
        field("N1", "NAME"),
        field("T2", "TEXT"),
        field("S3"),
        field("D", "DATE", participant=2),
        field("D1", "DATE"),
        field("C", "CHECKBOX", required=True),
    )
    assert owners(client, template, 2) == {"S1": 1, "T1": 1, "S2": 2, "N1": 1, "T2": 1, "S3": 2, "D": 2, "D1": 1, "C": 1}
    refused = client("POST", "/v1/documents", body(template))
    assert refused.fields == {"participants": ["Field D of the template is participant 2's, and there are 1; name one more."]}


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "UTC\n", "../UTC"])
def test_a_zone_that_nobody_knows_is_refused(client: Client, zone: str) -> None:
    answered = client("POST", "/v1/documents", body(client.template(), timeZone=zone))
    assert answered.fields == {"timeZone": [UNKNOWN]}
