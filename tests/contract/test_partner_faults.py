"""Faults in a body are all named where they are, in the form and the words of the reference page, and change nothing."""

from typing import Any

import pytest

from domain.canonical import MAX_DEPTH, MAX_INTEGER
from domain.envelope import MAX_PARTICIPANTS
from tests.contract.partner_world import Client, World, body, participant

pytest_plugins = ["tests.contract.partner_fixtures"]

#: Another template's id.
ABSENT = "3f34581a-5b4a-4068-ab72-5f2b36611fa1"


@pytest.fixture(scope="module")
def known(world: World) -> tuple[Client, str, dict[str, Any]]:
    """A tenant with a template and a document."""
    client = world.tenant()
    template = client.template()
    return client, template, client.document(template)


Known = tuple[Client, str, dict[str, Any]]


def nested(value: Any, *path: str) -> Any:
    for part in reversed(path):
        value = {part: value}
    return value


def with_participant(**changes: Any) -> dict[str, Any]:
    return {"participants": [participant(1), participant(2, **changes)]}


TOO_DEEP: Any = nested("x", *["a"] * (MAX_DEPTH + 1))

#: What is changed of a good body, where the fault is said to be, and what is said.
FAULTS: dict[str, tuple[dict[str, Any], tuple[str, ...], str]] = {
    "unknown field": ({"title": "x"}, ("title",), "Unknown field."),
    "unknown field of a participant": (with_participant(role="x"), ("participants", "1", "role"), "Unknown field."),
    "unknown field of an identity": (
        with_participant(identity={"email": "a@example.com", "fax": "1"}),
        ("participants", "1", "identity", "fax"),
        "Unknown field.",
    ),
    "unknown field of a policy": (with_participant(policy={"x": 1}), ("participants", "1", "policy", "x"), "Unknown field."),
    "unknown field of the flow": ({"flowPolicy": {"x": 1}}, ("flowPolicy", "x"), "Unknown field."),
    "no participants": ({"participants": []}, ("participants",), "Shorter than minimum length 1."),
    "participants that are no list": ({"participants": {}}, ("participants",), "Not a valid list."),
    "a participant that is none": ({"participants": ["x"]}, ("participants", "0", "_schema"), "Invalid input type."),
    "participants null": ({"participants": None}, ("participants",), "Field may not be null."),
    "1,000 participants": (
        {"participants": [participant(number) for number in range(1000)]},
        ("participants",),
        f"Longer than maximum length {MAX_PARTICIPANTS}.",
    ),
    "the same address twice": (
        with_participant(identity={"email": " JUAN1@Example.com".strip()}),
        ("participants", "1", "_schema"),
        "The same person as participant 0.",
    ),
    "the same document number twice": (
        {
            "participants": [
                participant(number, signatureMode=["SIGNATURE_BIOMETRIC"], identity={"documentNumber": "1109661121"})
                for number in (1, 2)
            ]
        },
        ("participants", "1", "_schema"),
        "The same person as participant 0.",
    ),
    "the same phone twice": (
        {
            "participants": [
                participant(number, signatureMode=["SIGNATURE_SMS"], identity={"phone": phone})
                for number, phone in ((1, "+573217597071"), (2, "+57 321 759-7071"))
            ]
        },
        ("participants", "1", "_schema"),
        "The same person as participant 0.",
    ),
    "no name": (with_participant(displayName=""), ("participants", "1", "displayName"), "Shorter than minimum length 1."),
    "a blank name": (with_participant(displayName="  "), ("participants", "1", "displayName"), "Must not be blank."),
    "a long name": (
        with_participant(displayName="x" * 201),
        ("participants", "1", "displayName"),
        "Longer than maximum length 200.",
    ),
    "a name with a line break": (
        with_participant(displayName="a\nBcc: b"),
        ("participants", "1", "displayName"),
        "Must not contain line breaks or control characters.",
    ),
    "a number for a name": (with_participant(displayName=1), ("participants", "1", "displayName"), "Not a valid string."),
    "no mode": (with_participant(signatureMode=[]), ("participants", "1", "signatureMode"), "Shorter than minimum length 1."),
    "an unknown mode": (
        with_participant(signatureMode=["SIGNATURE_FAX"]),
        ("participants", "1", "signatureMode", "0"),
        "Must be one of: SIGNATURE_EMAIL, SIGNATURE_SMS, SIGNATURE_BIOMETRIC.",
    ),
    "a mode that is no list": (
        with_participant(signatureMode="SIGNATURE_EMAIL"),
        ("participants", "1", "signatureMode"),
        "Not a valid list.",
    ),
    "a mode twice": (
        with_participant(signatureMode=["SIGNATURE_EMAIL"] * 2),
        ("participants", "1", "_schema"),
        "A signature mode is named twice.",
    ),
    "e-mail without an address": (
        with_participant(identity={}),
        ("participants", "1", "_schema"),
        "Email is required for email signature.",
    ),
    "SMS without a phone": (
        with_participant(signatureMode=["SIGNATURE_SMS"]),
        ("participants", "1", "_schema"),
        "Phone is required for SMS signature.",
    ),
    "a bad address": (
        with_participant(identity={"email": "a@b"}),
        ("participants", "1", "identity", "email"),
        "Not a valid email address.",
    ),
    **{
        f"an address with {what}": (
            with_participant(identity={"email": address}),
            ("participants", "1", "identity", "email"),
            "Not a valid email address.",
        )
        for what, address in {
            "an empty label": "a@b..co",
            "a dot at its end": "a@b.co.",
            "a hyphen at a label's end": "a@b-.co",
            "a long label": f"a@{'b' * 64}.co",
            "brackets": "<a>@b.co",
            "a comma": "a,b@b.co",
        }.items()
    },
    "an address with a line break": (
        with_participant(identity={"email": "a@b.co\r\nBcc:x@y.zz"}),
        ("participants", "1", "identity", "email"),
        "Not a valid email address.",
    ),
    "a long address": (
        with_participant(identity={"email": "a" * 250 + "@example.com"}),
        ("participants", "1", "identity", "email"),
        "Not a valid email address.",
    ),
    "a bad phone": (
        with_participant(identity={"email": "a@example.com", "phone": "call me"}),
        ("participants", "1", "identity", "phone"),
        "Not a valid phone number.",
    ),
    "no attempts": (
        with_participant(policy={"attemptsMax": 0}),
        ("participants", "1", "policy", "attemptsMax"),
        "Must be greater than or equal to 1.",
    ),
    "many attempts": (
        with_participant(policy={"attemptsMax": 101}),
        ("participants", "1", "policy", "attemptsMax"),
        "Must be less than or equal to 100.",
    ),
    "attempts as text": (
        with_participant(policy={"attemptsMax": "3"}),
        ("participants", "1", "policy", "attemptsMax"),
        "Not a valid integer.",
    ),
    "attempts as a truth value": (
        with_participant(policy={"attemptsMax": True}),
        ("participants", "1", "policy", "attemptsMax"),
        "Not a valid integer.",
    ),
    "a negative cooldown": (
        with_participant(policy={"cooldownSeconds": -1}),
        ("participants", "1", "policy", "cooldownSeconds"),
        "Must be greater than or equal to 0.",
    ),
    "a long cooldown": (
        with_participant(policy={"cooldownSeconds": 2_592_001}),
        ("participants", "1", "policy", "cooldownSeconds"),
        "Must be less than or equal to 2592000.",
    ),
    "an unknown order": ({"orderMode": "RANDOM"}, ("orderMode",), "Must be one of: PARALLEL, SEQUENTIAL."),
    "an unknown policy": (
        {"flowPolicy": {"onParticipantFail": "IGNORE"}},
        ("flowPolicy", "onParticipantFail"),
        "Must be one of: CANCEL_FLOW, CONTINUE.",
    ),
    "a past deadline": ({"deadlineAt": "2026-04-23T14:59:00Z"}, ("deadlineAt",), "Must be in the future."),
    "a deadline long past": ({"deadlineAt": "0001-01-01T00:00:00Z"}, ("deadlineAt",), "Must be in the future."),
    "a past deadline by its offset": ({"deadlineAt": "2026-04-23T16:30:00+02:00"}, ("deadlineAt",), "Must be in the future."),
    "a deadline without an offset": (
        {"deadlineAt": "2026-05-21T23:59:00"},
        ("deadlineAt",),
        "Not a valid datetime: a UTC offset is missing; end it with Z or, for example, +02:00.",
    ),
    "a deadline that is a date": ({"deadlineAt": "2026-05-21"}, ("deadlineAt",), "Not a valid datetime."),
    "a deadline that is a number": ({"deadlineAt": 1780000000}, ("deadlineAt",), "Not a valid string."),
    "a deadline that does not exist": ({"deadlineAt": "2026-02-30T00:00:00Z"}, ("deadlineAt",), "Not a valid datetime."),
    "a deadline beyond time": ({"deadlineAt": "9999-12-31T23:59:59-14:00"}, ("deadlineAt",), "Not a valid datetime."),
    "metadata that is a list": ({"metadata": []}, ("metadata",), "Not a valid mapping type."),
    "much metadata": ({"metadata": {"x": "y" * 16_384}}, ("metadata",), "Longer than maximum length 16384 bytes."),
    "deep metadata": ({"metadata": TOO_DEEP}, ("metadata",), f"Cannot be kept: nested deeper than {MAX_DEPTH} levels."),
    "metadata with a number no reader keeps": (
        {"metadata": {"x": 2**53 + 1}},
        ("metadata",),
        "Cannot be kept: an integer is beyond 2^53-1; send it as a string.",
    ),
    "a template that is no UUID": ({"templateId": "x"}, ("templateId",), "Not a valid UUID."),
    "a version that is none": (
        {"templateVersion": "latest"},
        ("templateVersion",),
        'Not a valid template version; for example "0002".',
    ),
    "version 0": ({"templateVersion": "0000"}, ("templateVersion",), 'Not a valid template version; for example "0002".'),
    "a version as a number": ({"templateVersion": 1}, ("templateVersion",), "Not a valid string."),
    "another template's version": (
        {"templateVersion": f"{ABSENT}#0001"},
        ("templateVersion",),
        "Belongs to another template than templateId.",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_in_a_document_is_named_where_it_is(known: Known, name: str) -> None:
    client, template, _ = known
    changes, path, sentence = FAULTS[name]
    before = client.world.head()
    fields = client("POST", "/v1/documents", body(template, **changes)).fields
    assert fields == nested([sentence], *path)
    assert client.world.head() == before


@pytest.mark.parametrize("missing", ["templateId", "templateVersion", "participants", "orderMode"])
def test_what_is_required_is_said_to_be_missing(known: Known, missing: str) -> None:
    client, template, _ = known
    sent = body(template)
    del sent[missing]
    assert client("POST", "/v1/documents", sent).fields == {missing: ["Missing data for required field."]}


def test_several_faults_are_answered_at_once(known: Known) -> None:
    client, template, _ = known
    sent = body(template, orderMode="x", participants=[participant(identity={"email": "x"}), {"displayName": 1}], extra=1)
    assert client("POST", "/v1/documents", sent).fields == {
        "participants": {
            "0": {"identity": {"email": ["Not a valid email address."]}},
            "1": {"displayName": ["Not a valid string."], "signatureMode": ["Missing data for required field."]},
        },
        "orderMode": ["Must be one of: PARALLEL, SEQUENTIAL."],
        "extra": ["Unknown field."],
    }


def test_many_faults_are_not_all_listed(known: Known) -> None:
    client, template, _ = known
    sent = body(template, **{f"x{number}": 1 for number in range(1000)})
    assert len(client("POST", "/v1/documents", sent).fields) == 100


def test_the_most_participants_are_accepted(client: Client) -> None:
    assert len(client.document(count=MAX_PARTICIPANTS)["participants"]) == MAX_PARTICIPANTS


FIELD = {"fieldName": "A", "fieldType": "TEXT", "page": 1, "x": 1, "y": 1}

FIELD_FAULTS: dict[str, tuple[list[Any], tuple[str, ...], str]] = {
    "unknown": ([{**FIELD, "colour": 1}], ("0", "colour"), "Unknown field."),
    "no name": ([{**FIELD, "fieldName": ""}], ("0", "fieldName"), "Shorter than minimum length 1."),
    "a long name": ([{**FIELD, "fieldName": "x" * 101}], ("0", "fieldName"), "Longer than maximum length 100."),
    "an unknown type": (
        [{**FIELD, "fieldType": "STAMP"}],
        ("0", "fieldType"),
        "Must be one of: SIGNATURE, INITIALS, TEXT, DATE, CHECKBOX, NAME, EMAIL.",
    ),
    "page 0": ([{**FIELD, "page": 0}], ("0", "page"), "Must be greater than or equal to 1."),
    "a page beyond all integers": (
        [{**FIELD, "page": MAX_INTEGER + 2}],
        ("0", "page"),
        f"Must be less than or equal to {MAX_INTEGER}.",
    ),
    "half a page": ([{**FIELD, "page": 1.5}], ("0", "page"), "Not a valid integer."),
    "a page that the PDF lacks": ([{**FIELD, "page": 3}], ("_schema",), "Field A is on page 3; the document has 2."),
    "off the page": ([{**FIELD, "x": -1}], ("0", "x"), "Must be greater than or equal to 0 and less than or equal to 14400."),
    "a position as text": ([{**FIELD, "y": "1"}], ("0", "y"), "Not a valid number."),
    "a position as a truth value": ([{**FIELD, "y": True}], ("0", "y"), "Not a valid number."),
    "no width": ([{**FIELD, "width": 0}], ("0", "width"), "Must be greater than 0 and less than or equal to 14400."),
    "less than a thousandth": (
        [{**FIELD, "height": 0.0001}],
        ("_schema",),
        "Field A needs a place from 0 and a size from 1, each at most 14400000 thousandths of a point.",
    ),
    "no such unit": ([{**FIELD, "unit": "inches"}], ("0", "unit"), "Must be one of: 'points' or 'percent'."),
    "no such participant": ([{**FIELD, "participant": 0}], ("0", "participant"), "Must be greater than or equal to 1."),
    "required as text": ([{**FIELD, "required": "yes"}], ("0", "required"), "Not a valid boolean."),
    "percent of nothing": (
        [{"fieldName": "A", "fieldType": "TEXT", "unit": "percent", "x": 1, "y": 1}],
        ("0", "_schema"),
        "A field in percent takes page, x and y.",
    ),
    "more than a page": (
        [{**FIELD, "unit": "percent", "x": 60, "width": 41}],
        ("0", "_schema"),
        "Lies outside the page: x and width must lie within 0 and 100 percent of the page.",
    ),
    "percent of a page that the PDF lacks": (
        [{**FIELD, "unit": "percent", "page": 3}],
        ("_schema",),
        "Field A is on page 3; the document has 2.",
    ),
    "out of the page": (
        [{**FIELD, "x": 612 - 159}],
        ("_schema",),
        "Field A does not lie within page 1 of the document; move it, or make it smaller.",
    ),
    "no room": ([{**FIELD, "width": 2}], ("0", "_schema"), "Not one letter fits into it; make it larger."),
    "no room for a day": (
        [{**FIELD, "fieldType": "DATE", "width": 20, "height": 6}],
        ("0", "_schema"),
        "A day does not fit into it; make it larger.",
    ),
    "an anchor and a place": (
        [{**FIELD, "anchor": {"text": "here"}}],
        ("0", "_schema"),
        "A field at an anchor takes no page, x and y, and its size in points.",
    ),
    "an anchor of two lines": (
        [{"fieldName": "A", "fieldType": "TEXT", "anchor": {"text": "a\nb"}}],
        ("0", "anchor", "text"),
        "Must not contain line breaks or control characters.",
    ),
    "an anchor that is nowhere": (
        [{"fieldName": "A", "fieldType": "TEXT", "anchor": {"text": "here"}}],
        ("_schema",),
        "The text that field A is to stand at is not in the document.",
    ),
    "a name twice": ([FIELD, FIELD], ("_schema",), "Fields 0 and 1 have the same fieldName."),
    "too many": ([{**FIELD, "fieldName": str(number)} for number in range(201)], ("_schema",), "Longer than maximum length 200."),
    "too large together": (
        [{**FIELD, "fieldName": chr(0x1F600) * 95 + str(number)} for number in range(200)],
        ("_schema",),
        "Too large to be recorded",
    ),
}


@pytest.mark.parametrize("name", FIELD_FAULTS)
def test_a_fault_in_the_fields_is_named_where_it_is(known: Known, name: str) -> None:
    client, template, _ = known
    sent, path, sentence = FIELD_FAULTS[name]
    before = client.world.head()
    fields = client("PUT", f"/v1/templates/{template}/fields", sent).fields
    for part in path:
        assert list(fields) == [part]
        fields = fields[part]
    assert fields[0].startswith(sentence)
    assert client.world.head() == before


@pytest.mark.parametrize(
    ("sent", "fields"),
    [
        ({}, {"templateName": ["Missing data for required field."]}),
        ({"templateName": None}, {"templateName": ["Field may not be null."]}),
        ({"templateName": 1}, {"templateName": ["Not a valid string."]}),
        ({"templateName": "x" * 201}, {"templateName": ["Longer than maximum length 200."]}),
        ({"templateName": "x", "description": "y" * 2001}, {"description": ["Longer than maximum length 2000."]}),
        ({"templateName": "x", "description": "\x00"}, {"description": ["Must not contain control characters."]}),
        ({"templateName": "a\u202eb"}, {"templateName": ["Must not contain line breaks or control characters."]}),
        ({"templateName": "a\u2028b"}, {"templateName": ["Must not contain line breaks or control characters."]}),
        ({"templateName": "\u3000\u200d"}, {"templateName": ["Must not be blank."]}),
        ({"templateName": "x", "name": "y"}, {"name": ["Unknown field."]}),
    ],
    ids=str,
)
def test_a_fault_in_a_template_is_named(known: Known, sent: Any, fields: Any) -> None:
    client, template, _ = known
    before = client.world.head()
    assert client("POST", "/v1/templates", sent).fields == fields
    assert client("PUT", f"/v1/templates/{template}", sent).fields == fields
    assert client.world.head() == before


@pytest.mark.parametrize(
    ("sent", "fields"),
    [
        ({}, {"newDeadlineAt": ["Missing data for required field."]}),
        ({"newDeadlineAt": None}, {"newDeadlineAt": ["Field may not be null."]}),
        (
            {"newDeadlineAt": "2026-04-01T00:00:00Z"},
            {"newDeadlineAt": ["Must be later than the present deadline, 2026-05-21T23:59:00Z."]},
        ),
        (
            {"newDeadlineAt": "2026-05-21T23:58:59Z"},
            {"newDeadlineAt": ["Must be later than the present deadline, 2026-05-21T23:59:00Z."]},
        ),
        ({"newDeadlineAt": "tomorrow"}, {"newDeadlineAt": ["Not a valid datetime."]}),
    ],
    ids=str,
)
def test_a_fault_in_an_extension_is_named(known: Known, sent: Any, fields: Any) -> None:
    client, _, document = known
    before = client.world.head()
    assert client("POST", f"/v1/documents/{document['documentId']}/extend", sent).fields == fields
    assert client.world.head() == before
