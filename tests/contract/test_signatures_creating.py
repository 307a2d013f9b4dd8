"""Signature requests created: what they become in the ledger, and everything that is refused."""

import json
from typing import Any
from uuid import UUID

import pytest

from domain.actor import Mode
from domain.canonical import parse_json
from domain.entry import decode
from domain.envelope import EnvelopeCreated, OrderMode, PlacedField
from domain.field import FieldType
from infrastructure.codec import decode_fact
from tests.contract.partner_world import World
from tests.contract.signatures_world import HEIGHT, MEMBERS, WIDTH, Project, body, pdf, project, recipient

pytest_plugins = ["tests.contract.partner_fixtures"]

NOBODYS = "0193c2c3-1111-7aaa-8bbb-000000000001"


@pytest.fixture
def own(world: World) -> Project:
    """A fresh project."""
    return project(world)


@pytest.fixture(scope="module")
def shared_own(world: World) -> Project:
    """A project for requests that are refused, and so leave nothing behind."""
    return project(world)


@pytest.fixture(scope="module")
def render(shared_own: Project) -> str:
    return shared_own.render()


def field(**changes: Any) -> dict[str, Any]:
    sent = {"type": "signature", "page": 1, "x": 10, "y": 20, "width": 30, "height": 5, "recipientIndex": 0}
    return {name: value for name, value in {**sent, **changes}.items() if value is not None}


def tag(**changes: Any) -> dict[str, Any]:
    return {"anchorString": "{{sign_here}}", "type": "signature", "recipientIndex": 0, **changes}


def created(own: Project, identity: str) -> EnvelopeCreated:
    """The fact that created the request."""
    entry = decode(own.world.run(own.world.deps.recorder.read_stream(UUID(identity)))[0].raw)
    fact = decode_fact(entry.type, entry.data, entry.personal)
    assert isinstance(fact, EnvelopeCreated)
    return fact


def boxes(fields: tuple[PlacedField, ...]) -> list[tuple[int, int, int, int, int]]:
    return [(it.page, it.x_millipoints, it.y_millipoints, it.width_millipoints, it.height_millipoints) for it in fields]


def test_a_request_is_created_and_sent_at_once(own: Project) -> None:
    render = own.render()
    answered = own.create(render, recipients=[recipient(1), recipient(2, designation=None, lastName=None)])
    assert answered.status == 201
    made = answered.body
    assert list(made) == MEMBERS
    assert (made["renderId"], made["name"], made["status"]) == (render, "Charter handover — BK-12345", "sent")
    assert (made["expirationHours"], made["errorMessage"], made["completedAt"]) == (168, None, None)
    expected = [("Jane", "Doe 1", "jane1@example.com", "Signer", 1), ("Jane", "", "jane2@example.com", "Signer", 2)]
    names = ("firstName", "lastName", "email", "designation", "order")
    assert [tuple(each[name] for name in names) for each in made["recipients"]] == expected
    assert own.get(made["id"]) == made
    state = own.envelope(made["id"])
    assert (state.order, str(state.documents[0].source)) == (OrderMode.PARALLEL, render)
    assert [each["id"] for each in made["recipients"]] == [f"rcp_{str(who)[19:]}" for who in state.slots]


def test_what_is_left_out_has_the_documented_defaults(own: Project) -> None:
    render = own.render()
    made = own.signature(render, name=None, expirationHours=None)
    assert (made["name"], made["expirationHours"]) == (f"Signature request {render[:8]}", 168)
    assert own.envelope(made["id"]).zone == "UTC"
    assert own.envelope(own.signature(render, timeZone="Asia/Kolkata")["id"]).zone == "Asia/Kolkata"
    minimal = own.signature(render, expirationHours=1, lastName=None, recipients=[{"firstName": "J", "email": "j@example.com"}])
    assert minimal["expirationHours"] == 1
    nulls = dict.fromkeys(("name", "fields", "expirationHours"))
    answered = own("POST", "/v1/signatures", {**body(render), **nulls})
    assert answered.status == 201


def test_with_orders_signers_sign_in_that_order_and_a_copy_is_no_signature(own: Project) -> None:
    people = [recipient(1, order=3), recipient(2, order=2, designation="CC"), recipient(3, order=1)]
    made = own.signature(recipients=people, anchorTags=[tag(recipientIndex=0), tag(recipientIndex=2)])
    assert [(each["order"], each["designation"]) for each in made["recipients"]] == [(3, "Signer"), (2, "CC"), (1, "Signer")]
    assert own.get(made["id"]) == made
    fact = created(own, made["id"])
    assert fact.order is OrderMode.SEQUENTIAL
    assert [slot.number for slot in fact.participants] == [3, 1]
    assert len(fact.copies) == 1
    own.sign(made["id"], 1)
    own.sign(made["id"], 0)
    found = own.get(made["id"])
    assert found["status"] == "completed"
    assert ["signedAt" in each for each in found["recipients"]] == [True, False, True]


def test_percentages_land_where_they_point_to_from_the_top_left_of_the_page(own: Project) -> None:
    fields = [
        field(),
        field(page=2, x=0, y=0, width=100, height=100, type="initials", required=False),
        field(x=66.6, width=33.4, type="date", recipientIndex=None),
    ]
    made = own.signature(fields=fields, anchorTags=None)
    found = created(own, made["id"]).fields
    assert boxes(found) == [
        (1, WIDTH // 10, HEIGHT // 5, WIDTH * 3 // 10, HEIGHT // 20),
        (2, 0, 0, WIDTH, HEIGHT),
        (1, 407_592, HEIGHT // 5, WIDTH - 407_592, HEIGHT // 20),
    ]
    assert [(it.type, it.required) for it in found] == [
        (FieldType.SIGNATURE, True), (FieldType.INITIALS, False), (FieldType.DATE, True),
    ]  # fmt: skip


def test_percentages_are_of_the_page_as_it_is_displayed(own: Project) -> None:
    render = own.upload(pdf(("{{sign_here}}",), rotate=90)).body["id"]
    made = own.signature(render, fields=[field(x=50, y=50, width=50, height=50)], anchorTags=None)
    assert boxes(created(own, made["id"]).fields) == [(1, HEIGHT // 2, WIDTH // 2, HEIGHT // 2, WIDTH // 2)]


def test_an_anchor_places_a_field_at_each_place_that_has_it_and_nowhere_else(own: Project) -> None:
    render = own.render("Signed {{sign_here}} and again {{sign_here}}", "Dated {{date}}")
    tags = [tag(width=100, height=30.5), tag(anchorString="{{date}}", type="date")]
    first, again, dated = created(own, own.signature(render, anchorTags=tags)["id"]).fields
    # Helvetica of 12 points with its baseline 92 points below the top: the text's top is its ascent, 8.6 points, above that.
    for found in (first, again):
        assert (found.type, found.page, found.width_millipoints, found.height_millipoints) == (
            FieldType.SIGNATURE,
            1,
            100_000,
            30_500,
        )
        assert 80_000 < found.y_millipoints < 84_000
    # `Signed ` takes 40.7 points in Helvetica's widths (Adobe AFM), from a left edge of 72.
    assert first.x_millipoints == pytest.approx(72_000 + 40_692, abs=1_000)
    assert again.x_millipoints > first.x_millipoints + 100_000
    assert (dated.type, dated.width_millipoints, dated.height_millipoints) == (FieldType.DATE, 100_000, 18_000)
    assert 100_000 < dated.y_millipoints < 104_000


def test_a_field_of_our_own_size_is_moved_onto_the_page_and_one_of_yours_is_not(own: Project) -> None:
    render = own.upload(pdf(("{{sign_here}}",), top=5)).body["id"]
    found = created(own, own.signature(render)["id"]).fields[0]
    assert (found.x_millipoints, found.y_millipoints + found.height_millipoints) == (72_000, HEIGHT)
    issues = own.create(render, anchorTags=[tag(width=100, height=40)]).issues
    assert issues == {"anchorTags": ["anchorTags[0]: Does not fit on page 1 with its width and height"]}


INVALID: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({"renderId": "x"}, {"renderId": "Invalid uuid"}),
    ({"renderId": 1}, {"renderId": "Expected string, received number"}),
    ({"renderId": None}, {"renderId": "Required"}),
    ({"name": ""}, {"name": "at least 1 character"}),
    ({"name": "x" * 256}, {"name": "at most 255 character"}),
    ({"name": "a\nb"}, {"name": "Must be one line"}),
    ({"name": "a\u202eb"}, {"name": "control characters"}),
    ({"name": "\ud800"}, {"name": "Unicode"}),
    ({"recipients": None}, {"recipients": "Required"}),
    ({"recipients": []}, {"recipients": "at least 1 element"}),
    ({"recipients": [recipient(n) for n in range(21)]}, {"recipients": "at most 20 element"}),
    ({"recipients": [recipient(firstName="")]}, {"recipients": "recipients[0].firstName: String must contain at least 1"}),
    ({"recipients": [recipient(firstName="x" * 101)]}, {"recipients": "at most 100"}),
    ({"recipients": [recipient(firstName=" ")]}, {"recipients": "blank"}),
    ({"recipients": [recipient(lastName="x" * 101)]}, {"recipients": "recipients[0].lastName: String must contain at most 100"}),
    ({"recipients": [recipient(email=None)]}, {"recipients": "recipients[0].email: Required"}),
    ({"recipients": [recipient(email="jane")]}, {"recipients": "recipients[0].email: Invalid email"}),
    ({"recipients": [recipient(email="x" * 244 + "@example.com")]}, {"recipients": "at most 254"}),
    ({"recipients": [recipient(designation="Approver")]}, {"recipients": "recipients[0].designation: Invalid enum value. Expected 'Signer' or 'CC'"}),
    ({"timeZone": "Delhi"}, {"timeZone": "Must be the name of a time zone"}),
    ({"recipients": [recipient(order=0)]}, {"recipients": "greater than or equal to 1"}),
    ({"recipients": [recipient(order=2)]}, {"recipients": "exactly 1..1"}),
    ({"recipients": [recipient(1, order=1), recipient(2)]}, {"recipients": "exactly 1..2"}),
    ({"recipients": [recipient(1, order=1), recipient(2, order=1)]}, {"recipients": "exactly 1..2"}),
    ({"recipients": [recipient(1), recipient(2, email="JANE1@example.com")]}, {"recipients": "recipients[1]: The same person as recipients[0]"}),
    ({"recipients": [recipient(designation="CC")]}, {"recipients": "At least one recipient must be a Signer"}),
    ({"anchorTags": None}, {"": "At least one of fields and anchorTags"}),
    ({"anchorTags": [], "fields": []}, {"": "At least one of fields and anchorTags"}),
    ({"anchorTags": [tag() for _ in range(201)]}, {"anchorTags": "at most 200"}),
    ({"anchorTags": [tag(anchorString="")]}, {"anchorTags": "at least 1"}),
    ({"anchorTags": [tag(anchorString="{{nowhere}}")]}, {"anchorTags": "anchorTags[0].anchorString: The document's text does not have it"}),
    ({"anchorTags": [tag(type="stamp")]}, {"anchorTags": "Invalid enum value"}),
    ({"anchorTags": [tag(recipientIndex=1)]}, {"anchorTags": "anchorTags[0].recipientIndex: Is not the index of a recipient who signs"}),
    ({"anchorTags": [tag(type="text", width=1)]}, {"anchorTags": "anchorTags[0]: Not one letter fits into it"}),
    ({"anchorTags": [tag(width=0)]}, {"anchorTags": "greater than 0"}),
    ({"fields": [field() for _ in range(201)]}, {"fields": "at most 200"}),
    ({"fields": [field(page=0)]}, {"fields": "greater than or equal to 1"}),
    ({"fields": [field(page=3)]}, {"fields": "fields[0].page: The document has 2 page(s)"}),
    ({"fields": [field(x=-0.1)]}, {"fields": "greater than or equal to 0"}),
    ({"fields": [field(x=101)]}, {"fields": "less than or equal to 100"}),
    ({"fields": [field(x=80)]}, {"fields": "fields[0]: Lies outside the page"}),
    ({"fields": [field(y=95.1)]}, {"fields": "fields[0]: Lies outside the page"}),
    ({"fields": [field(width=0)]}, {"fields": "greater than 0"}),
    ({"fields": [field(width=0.00001)]}, {"fields": "Lies outside the page"}),
    ({"fields": [field(recipientIndex=20)]}, {"fields": "less than or equal to 19"}),
    ({"fields": [field(recipientIndex=-1)]}, {"fields": "greater than or equal to 0"}),
    ({"fields": [field(required="yes")]}, {"fields": "fields[0].required: Expected boolean, received string"}),
    ({"fields": [field(type=None)]}, {"fields": "fields[0].type: Required"}),
    ({"fields": {}}, {"fields": "Expected array, received object"}),
    ({"recipients": [recipient(1), recipient(2)], "fields": [field(recipientIndex=None)]}, {"fields": "several recipients sign"}),
    ({"recipients": [recipient(1), recipient(2, designation="CC")], "fields": [field(recipientIndex=1)]}, {"fields": "who signs"}),
    ({"expirationHours": 0}, {"expirationHours": "greater than or equal to 1"}),
    ({"expirationHours": 8761}, {"expirationHours": "less than or equal to 8760"}),
    ({"expirationHours": 1.5}, {"expirationHours": "Expected integer"}),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "expected"), INVALID)
def test_what_is_not_valid_is_named_and_nothing_is_created(
    shared_own: Project, render: str, changes: dict[str, Any], expected: dict[str, str]
) -> None:
    before = shared_own.world.head()
    sent = json.dumps(body(render, **changes), ensure_ascii=True)
    headers = {"Content-Type": "application/json"}
    issues = shared_own("POST", "/v1/signatures", content=sent, headers=headers).issues
    assert list(issues) == list(expected)
    for name, sentence in expected.items():
        assert any(sentence in found for found in issues[name]), issues
    assert shared_own.world.head() == before


def test_all_faults_are_told_at_once(shared_own: Project, render: str) -> None:
    changes = {"name": "", "recipients": [recipient(email=None)], "fields": [field(x=101)], "expirationHours": 0}
    assert list(shared_own.create(render, **changes).issues) == ["name", "recipients", "fields", "expirationHours"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff", b'{"name": NaN}', b"[" * 100_000, b'{"name": ' + b"1" * 5000 + b"}", b'{"a": "\x00"}']
)
def test_what_is_not_json_is_told_so(shared_own: Project, content: bytes) -> None:
    for path in ("/v1/signatures", f"/v1/signatures/{NOBODYS}/cancel"):
        if content or not path.endswith("cancel"):
            answered = shared_own("POST", path, content=content, headers={"Content-Type": "application/json"})
            assert (answered.status, answered.code) == (400, "invalid_json")


def test_a_body_that_is_no_object_is_not_valid(shared_own: Project) -> None:
    assert shared_own("POST", "/v1/signatures", []).issues == {"": ["Expected object, received array"]}


def test_other_types_too_much_and_other_methods_are_refused_by_their_names(shared_own: Project) -> None:
    big = b'{"name": "' + b"x" * 1024 * 1024 + b'"}'
    text, json_type = {"Content-Type": "text/plain"}, {"Content-Type": "application/json"}
    for answered, status, code in (
        (shared_own("POST", "/v1/signatures", content=b"{}", headers=text), 415, "unsupported_media_type"),
        (shared_own("POST", "/v1/renders", content=b"%PDF-", headers=text), 415, "unsupported_media_type"),
        (shared_own("POST", "/v1/signatures", content=big, headers=json_type), 413, "payload_too_large"),
        (shared_own("POST", "/v1/signatures", content=iter([big]), headers=json_type), 413, "payload_too_large"),
        (shared_own("DELETE", "/v1/signatures"), 405, "method_not_allowed"),
        (shared_own("GET", "/v1/signatures/x/y"), 404, "not_found"),
    ):
        assert (answered.status, answered.code) == (status, code)
    assert shared_own("DELETE", "/v1/signatures").headers["allow"] == "GET, POST"


def test_a_render_that_is_not_there_or_of_another_kind_is_not_found(own: Project) -> None:
    answered = own.create(NOBODYS)
    assert (answered.status, answered.code) == (404, "not_found")


def test_members_that_are_not_known_are_passed_over(own: Project) -> None:
    render = own.render()
    sent = {**body(render), "webhook": {"deep": [1e300, 10**30]}, "recipients": [{**recipient(), "phone": None}]}
    assert own("POST", "/v1/signatures", sent).status == 201


def test_a_request_costs_a_credit_in_live_mode_alone(own: Project) -> None:
    render, test = own.render(), own.other_key(Mode.TEST)
    test_render = test.render()
    own.world.run(own.world.deps.identity.set_credits(own.tenant, 1))
    assert own.create(render).status == 201
    before = own.world.head()
    answered = own.create(render)
    assert (answered.status, answered.code) == (402, "signature_credits_exhausted")
    assert own.world.head() == before
    assert test.create(test_render).status == 201
    assert own.world.run(own.world.deps.identity.credits(own.tenant)) == 0


def test_a_cancelled_request_keeps_the_reason_and_cannot_be_cancelled_again(own: Project) -> None:
    identity = own.signature()["id"]
    answered = own("POST", f"/v1/signatures/{identity}/cancel", {"reason": "Sold\nelsewhere"})
    assert (answered.status, answered.body["status"], answered.body["errorMessage"]) == (200, "cancelled", "Sold\nelsewhere")
    assert answered.body["completedAt"] is None
    assert own.get(identity) == answered.body
    before = own.world.head()
    again = own("POST", f"/v1/signatures/{identity}/cancel", {"reason": "x"})
    assert (again.status, again.code, "cancelled" in again.body["error"]["message"]) == (409, "conflict", True)
    assert own.world.head() == before


def test_a_body_of_a_cancellation_may_be_left_out(own: Project) -> None:
    render = own.render()
    for content, headers in ((b"", {}), (b"{}", {"Content-Type": "application/json"}), (b"", {"Content-Type": "text/plain"})):
        identity = own.signature(render)["id"]
        answered = own("POST", f"/v1/signatures/{identity}/cancel", content=content, headers=headers)
        assert (answered.status, answered.body["errorMessage"]) == (200, None)


def test_a_reason_that_is_not_valid_is_named_and_nothing_is_cancelled(own: Project) -> None:
    identity = own.signature()["id"]
    for reason in ("x" * 501, 5, "a\x00b"):
        assert list(own("POST", f"/v1/signatures/{identity}/cancel", {"reason": reason}).issues) == ["reason"]
    assert own.get(identity)["status"] == "sent"


def test_a_request_that_completed_cannot_be_cancelled(own: Project) -> None:
    identity = own.signature()["id"]
    own.sign(identity)
    answered = own("POST", f"/v1/signatures/{identity}/cancel")
    assert (answered.status, answered.code, "completed" in answered.body["error"]["message"]) == (409, "conflict", True)


def test_names_and_addresses_are_in_no_entry(own: Project) -> None:
    made = own.signature(recipients=[recipient(1, firstName="Xanthippe"), recipient(2, designation="CC", lastName="Zweigelt")])
    own("POST", f"/v1/signatures/{made['id']}/cancel", {"reason": "Quarrelled"})
    streams = [UUID(made["id"]), *own.participants(made["id"])]
    raw = b"".join(entry.raw for stream in streams for entry in own.world.run(own.world.deps.recorder.read_stream(stream)))
    for word in (b"Xanthippe", b"Zweigelt", b"example.com", b"Charter", b"Quarrelled"):
        assert word not in raw
    assert parse_json(own.world.run(own.world.deps.recorder.read_stream(streams[0]))[0].raw)
