"""What is refused leaves no trace: the documented error, and the log as long as it was."""

import json
import socket
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from tests.contract.partner_world import Answered, Client, World, body, details

pytest_plugins = ["tests.contract.partner_fixtures"]

ABSENT = "3f34581a-5b4a-4068-ab72-5f2b36611fa1"


@pytest.fixture(scope="module")
def known(world: World) -> tuple[Client, str, dict[str, Any]]:
    """A tenant with a template and a document."""
    client = world.tenant()
    template = client.template()
    return client, template, client.document(template)


Known = tuple[Client, str, dict[str, Any]]


def every_route(template: str, document: dict[str, Any]) -> list[tuple[str, str, Any]]:
    """Method, path and body of each operation under `/v1`, on what exists."""
    one, who = document["documentId"], document["participants"][0]
    new = {"templateName": "x"}
    return [
        ("GET", "/v1/templates", None),
        ("POST", "/v1/templates", new),
        ("GET", f"/v1/templates/{template}", None),
        ("PUT", f"/v1/templates/{template}", new),
        ("GET", f"/v1/templates/{template}/history", None),
        ("GET", f"/v1/templates/{template}/versions/1", None),
        ("GET", f"/v1/templates/{template}/fields", None),
        ("PUT", f"/v1/templates/{template}/fields", []),
        ("POST", f"/v1/templates/{template}/versions/1/upload-url", None),
        ("GET", f"/v1/templates/{template}/versions/1/download-url", None),
        ("DELETE", f"/v1/templates/{template}/versions/1", None),
        ("DELETE", f"/v1/templates/{template}", None),
        ("GET", "/v1/documents", None),
        ("POST", "/v1/documents", body(template)),
        ("GET", f"/v1/documents/{one}", None),
        ("POST", f"/v1/documents/{one}/extend", {"newDeadlineAt": "2026-06-15T23:59:00Z"}),
        ("DELETE", f"/v1/documents/{one}/cancel", None),
        ("POST", f"/v1/documents/{one}/participants/{who['participantId']}/resend", None),
        ("GET", f"/v1/documents/{one}/summary", None),
        ("GET", f"/v1/events/{who['processId']}", None),
        ("GET", f"/v1/events/{one}", None),
    ]


def credentials(client: Client) -> dict[str, Client]:
    other = client.world.tenant()
    revoked = client.world.tenant()
    assert client.world.run(client.world.deps.identity.revoke_partner_key(revoked.tenant))
    secret = client.headers["X-Auth-Signly"]
    return {
        "none": client.without("X-Tenant-Signly", "X-Auth-Signly"),
        "no tenant": client.without("X-Tenant-Signly"),
        "no key": client.without("X-Auth-Signly"),
        "wrong key": client.with_headers(**{"X-Auth-Signly": "sk_live_partner_wrong"}),
        "another tenant's key": client.with_headers(**{"X-Auth-Signly": other.headers["X-Auth-Signly"]}),
        "another tenant": client.with_headers(**{"X-Tenant-Signly": str(other.tenant)}),
        "revoked key": revoked,
        "KEY sent as HMAC": client.with_headers(**{"X-Auth-Signly": f"HMAC {secret}"}),
        "a tenant that is not a UUID": client.with_headers(**{"X-Tenant-Signly": "acme"}),
        "an unknown tenant": client.with_headers(**{"X-Tenant-Signly": str(uuid4())}),
        "an administrator's token": client.with_headers(**client.world.administrator(client.tenant).headers),
    }


def test_without_the_right_credential_every_route_answers_401_alike(known: Known) -> None:
    client, template, document = known
    callers = credentials(client)
    before = client.world.head()
    seen = set()
    for caller in callers.values():
        for method, path, sent in every_route(template, document):
            answered = caller(method, path, sent)
            assert (answered.status, answered.body["code"], answered.error) == (
                401,
                "unauthorized",
                {"type": "authentication", "details": {}},
            )
            assert answered.body["meta"]["tenant_id"] is None
            assert answered.headers["www-authenticate"] == "X-Auth-Signly"
            seen.add(answered.body["message"])
    assert seen == {"Send X-Tenant-Signly and X-Auth-Signly.", "The tenant or the credential is not valid."}
    assert client.world.head() == before


def test_what_another_tenant_has_is_answered_like_what_does_not_exist(known: Known) -> None:
    owner, template, document = known
    stranger = owner.world.tenant()
    before = owner.world.head()
    absent = {
        "documentId": str(uuid4()),
        "participants": [{"participantId": str(uuid4()), "processId": f"{uuid4()}-{uuid4()}"}],
    }
    foreign = [route for route in every_route(template, document) if route[1] not in ("/v1/templates", "/v1/documents")]
    unknown = [route for route in every_route(str(uuid4()), absent) if route[1] not in ("/v1/templates", "/v1/documents")]
    for theirs, nobodys in zip(foreign, unknown, strict=True):
        first, second = stranger(*theirs), stranger(*nobodys)
        assert first.status == second.status == 404
        assert first.body["code"] == second.body["code"] == "not_found"
        assert first.body["message"] == second.body["message"]
        assert list(details(first)) == list(details(second))
        assert set(details(first).values()) <= set(theirs[1].split("/")) | {1}
    assert stranger("POST", "/v1/documents", body(template)).body["message"] == "Template not found."
    assert stranger("GET", "/v1/templates").data == stranger("GET", "/v1/documents").data == []
    assert owner.world.head() == before


NOT_UUIDS = ["0001", "not-a-uuid", "3F34581A5B4A4068AB725F2B36611FA1", "{" + ABSENT + "}", "%00", "x" * 300, "../../etc", "ñ"]


@pytest.mark.parametrize("spelled", NOT_UUIDS)
def test_an_id_that_is_not_a_uuid_is_not_found(known: Known, spelled: str) -> None:
    client, _, document = known
    before = client.world.head()
    part = httpx.URL(f"http://host/{spelled}").raw_path.decode().strip("/").replace("/", "%2F").replace("..", "dots")
    absent = {"documentId": part, "participants": [{"participantId": part, "processId": part}]}
    for method, path, sent in every_route(part, absent):
        if path in ("/v1/templates", "/v1/documents"):
            continue
        answered = client(method, path, sent)
        assert (answered.status, answered.body["code"], answered.error["type"]) == (404, "not_found", "not_found")
    one = document["documentId"]
    answered = client("POST", f"/v1/documents/{one}/participants/{part}/resend")
    assert (answered.status, answered.body["message"]) == (404, "Participant not found.")
    assert client.world.head() == before


@pytest.mark.parametrize("version", ["0", "3", "-1", "two", "1.0", "9" * 30, "²"])
def test_a_version_that_does_not_exist_is_not_found(known: Known, version: str) -> None:
    client, template, _ = known
    before = client.world.head()
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/upload-url"), ("GET", "/download-url")):
        answered = client(method, f"/v1/templates/{template}/versions/{version}{path}")
        assert (answered.status, answered.body["message"]) == (404, "Template version not found.")
        assert details(answered)["version"] in (version, 0, 3)
    assert client.world.head() == before


BODIES: list[tuple[str, str]] = [
    ("POST", "/v1/templates"),
    ("PUT", "/v1/templates/{template}"),
    ("PUT", "/v1/templates/{template}/fields"),
    ("POST", "/v1/documents"),
    ("POST", "/v1/documents/{document}/extend"),
]


def send(client: Client, template: str, document: dict[str, Any], route: tuple[str, str], **more: Any) -> Answered:
    return client(route[0], route[1].format(template=template, document=document["documentId"]), **more)


@pytest.mark.parametrize("route", BODIES)
@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", None]
)
def test_another_content_type_is_refused(known: Known, route: tuple[str, str], content_type: str | None) -> None:
    client = known[0]
    before = client.world.head()
    headers = {} if content_type is None else {"Content-Type": content_type}
    answered = send(*known, route, content=b'{"templateName": "x"}', headers=headers)
    assert (answered.status, answered.body["code"], answered.error["type"]) == (415, "unsupported_media_type", "validation")
    assert client.world.head() == before


MALFORMED = [
    b"",
    b"{",
    b"{'templateName': 'x'}",
    b'{"templateName": "x",}',
    b'{"templateName": "x", "templateName": "y"}',
    b'{"templateName": NaN}',
    b'{"templateName": 1e999}',
    b'{"templateName": "\\ud800"}',
    b'{"templateName": "\xff"}',
    b"\xef\xbb\xbf{}",
    b"[" * 100_000,
]


@pytest.mark.parametrize("route", BODIES)
@pytest.mark.parametrize("content", MALFORMED, ids=range(len(MALFORMED)))
def test_malformed_json_is_refused(known: Known, route: tuple[str, str], content: bytes) -> None:
    client = known[0]
    before = client.world.head()
    answered = send(*known, route, content=content, headers={"Content-Type": "application/json"})
    assert (answered.status, answered.body["code"], answered.error["type"]) == (400, "bad_request", "validation")
    assert answered.body["message"].startswith("The body cannot be read: ")
    assert client.world.head() == before


def test_a_client_that_goes_away_is_not_a_fault_in_the_log(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    address = urlsplit(client.world.url)
    headers = {**client.headers, "Host": "x", "Content-Type": "application/json", "Content-Length": "99"}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with caplog.at_level("ERROR", logger="api"):
        with socket.create_connection((address.hostname or "", address.port or 0)) as gone:
            gone.sendall(f"POST /v1/templates HTTP/1.1\r\n{head}\r\n{{".encode())
            client("GET", "/v1/templates")  # meanwhile the other request has come to its body
        for _ in range(20):
            client("GET", "/v1/templates")
    assert not caplog.records


@pytest.mark.parametrize("route", BODIES)
def test_an_oversized_body_is_refused_with_and_without_its_length(known: Known, route: tuple[str, str]) -> None:
    client = known[0]
    before = client.world.head()
    content = json.dumps({"templateName": "x" * (1024 * 1024)}).encode()
    for sent in (content, (content[start : start + 65_536] for start in range(0, len(content), 65_536))):
        answered = send(*known, route, content=sent, headers={"Content-Type": "application/json"})
        assert (answered.status, answered.body["code"], answered.error["type"]) == (413, "payload_too_large", "validation")
    assert client.world.head() == before


VALUES: list[Any] = [None, 1, "text", [], {}, [1], [[]]]
SHAPES = [(route, sent) for route in BODIES for sent in VALUES]
#: No fields are a definition of fields.
SHAPES.remove((BODIES[2], []))


@pytest.mark.parametrize(("route", "sent"), SHAPES, ids=str)
def test_a_body_of_another_shape_is_a_validation_error(known: Known, route: tuple[str, str], sent: Any) -> None:
    client = known[0]
    before = client.world.head()
    content = json.dumps(sent).encode()
    assert send(*known, route, content=content, headers={"Content-Type": "application/json"}).fields
    assert client.world.head() == before


def test_an_unknown_route_and_an_unknown_method_are_answered_in_the_same_form(known: Known) -> None:
    client = known[0]
    before = client.world.head()
    unknown = client("GET", "/v1/nothing")
    assert (unknown.status, unknown.body["code"], unknown.body["message"]) == (404, "not_found", "Route not found.")
    wrong = client("PATCH", "/v1/templates")
    assert (wrong.status, wrong.body["code"]) == (405, "method_not_allowed")
    assert wrong.headers["allow"] == "GET, POST"
    assert client("PATCH", f"/v1/templates/{known[1]}").headers["allow"] == "DELETE, GET, PUT"
    assert client("GET", "/v1/templates/").status == 404
    assert client.world.head() == before


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
def test_an_unusable_idempotency_key_is_refused(known: Known, key: str) -> None:
    client = known[0]
    before = client.world.head()
    answered = client("POST", "/v1/templates", {"templateName": "x"}, headers={"Idempotency-Key": key})
    assert (answered.status, answered.body["code"]) == (400, "bad_request")
    assert client.world.head() == before


def test_publishing_a_version_without_a_file_is_refused_with_the_reason(client: Client) -> None:
    template = client.template(uploaded=False)
    before = client.world.head()
    fields = client("POST", "/v1/documents", body(template)).fields
    assert fields == {"templateVersion": ["No PDF has been uploaded for this version of the template."]}
    absent = client("POST", "/v1/documents", body(template, templateVersion="0002"))
    assert (absent.status, absent.body["message"]) == (404, "Template version not found.")
    assert details(absent) == {"templateId": template, "version": 2}
    assert client.world.head() == before


def test_publishing_from_an_unknown_template_is_not_found(client: Client) -> None:
    answered = client("POST", "/v1/documents", body(ABSENT))
    assert (answered.status, answered.body["message"], details(answered)) == (404, "Template not found.", {"templateId": ABSENT})
