"""The signer's queue, as the product's page publishes it."""

import re
from datetime import timedelta

import pytest

from domain.actor import AddressSource, IdentityMethod, Mode
from domain.coordination import CancelEnvelope
from domain.entry import decode
from domain.envelope import OrderMode
from tests.contract.partner_world import Answered, World
from tests.contract.signing_world import User, envelope, handle, package, tenant, together, user
from tests.running import Person

pytest_plugins = ["tests.contract.partner_fixtures"]

QUEUE = "/v1/signing/signer/signings"
MILLISECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
JORDAN = Person("Jordan Lee", "jordan@dealership.com", number=1)
SAM = Person("Sam Roe", "sam@dealership.com", number=2)


@pytest.fixture
def jordan(world: World) -> User:
    return user(world, tenant(world), "user_jordan", "Jordan@Dealership.com")


def paths(jordan: User) -> tuple[str, str]:
    """The path of the only package, and of its first document."""
    (signing,) = jordan("GET", QUEUE).body["signings"]
    package = f"{QUEUE}/{signing['id']}"
    return package, f"{package}/documents/{jordan('GET', f'{package}/documents').body['documents'][0]['id']}"


def test_without_any_assignment_everything_is_absent(jordan: User) -> None:
    assert jordan("GET", QUEUE).status == 404
    for path in ("/1", "/1/documents", "/1/documents/1", "/1/signers", "/1/signers/1"):
        assert jordan("GET", QUEUE + path).body == {"error": "Not found."}
    assert jordan("POST", f"{QUEUE}/1/documents/1/sign", {}).status == 404


def test_packages_are_listed_with_the_signers_own_rows_latest_first(world: World, jordan: User) -> None:
    for number in range(3):
        package(world, jordan.tenant, JORDAN, SAM, subject=f"Deal {number}")
    package(world, jordan.tenant, SAM)
    package(world, jordan.tenant, JORDAN, send=False)
    found = jordan("GET", QUEUE).body
    assert list(found) == ["signers", "signings"]
    assert [row["title"] for row in found["signings"]] == ["Deal 2", "Deal 1", "Deal 0"]
    assert {row["email"] for row in found["signers"]} == {"jordan@dealership.com"}
    assert {row["signingId"] for row in found["signers"]} == {row["id"] for row in found["signings"]}
    assert all(isinstance(row["id"], str) and row["id"].isdigit() for row in (*found["signers"], *found["signings"]))
    assert all(MILLISECONDS.fullmatch(row["updatedAt"]) for row in (*found["signers"], *found["signings"]))


def test_one_package_its_documents_and_its_signers(world: World, jordan: User) -> None:
    package(world, jordan.tenant, JORDAN, SAM, documents=3, order=OrderMode.PARALLEL)
    (signing,) = jordan("GET", QUEUE).body["signings"]
    path = f"{QUEUE}/{signing['id']}"
    assert jordan("GET", path).body == {"signing": signing}
    documents = jordan("GET", f"{path}/documents").body["documents"]
    assert [row["position"] for row in documents] == [1, 2, 3]
    assert {row["signingId"] for row in documents} == {signing["id"]}
    assert len({row["id"] for row in documents}) == 3
    for row in documents:
        assert jordan("GET", f"{path}/documents/{row['id']}").body == {"document": row}
    signers = jordan("GET", f"{path}/signers").body["signers"]
    assert [(row["number"], row["fullName"]) for row in signers] == [(1, "Jordan Lee"), (2, "Sam Roe")]
    for row in signers:
        assert jordan("GET", f"{path}/signers/{row['id']}").body == {"signer": row}
    assert jordan("GET", f"{path}/documents/{signers[0]['id']}").status == 404
    assert jordan("GET", f"{path}/signers/{documents[0]['id']}").status == 404


@pytest.mark.parametrize("id", ["x", "1x", "-1", "1.5", "+1", "%20", "٣", "9" * 41])
def test_an_id_that_is_no_number_is_refused(jordan: User, id: str) -> None:
    assert jordan("GET", f"{QUEUE}/{id}").body == {"error": "Invalid signing ID."}
    assert jordan("GET", f"{QUEUE}/1/documents/{id}").body == {"error": "Invalid document ID."}
    assert jordan("GET", f"{QUEUE}/1/signers/{id}").body == {"error": "Invalid signer ID."}
    assert jordan("POST", f"{QUEUE}/{id}/documents/1/sign", {}).status == 400
    assert jordan("GET", f"{QUEUE}/{2**63}").status == 404


def test_a_signature_is_recorded_once_and_a_repeat_tells_the_first_time(world: World, jordan: User) -> None:
    package(world, jordan.tenant, JORDAN, subject="Deal")
    path, document = paths(jordan)
    first = jordan("POST", f"{document}/sign", {"clientMeta": {"userAgent": "Mozilla/5.0"}})
    assert list(first.body) == ["ok", "firstESign", "observedAt", "document", "signer", "vaultJobEnqueued"]
    assert (first.status, first.body["ok"], first.body["firstESign"]) == (200, True, True)
    assert first.body["document"]["status"] == "signed"
    assert first.body["signer"]["status"] == "completed"
    assert first.body["signer"]["eSignRecordedAt"] == first.body["observedAt"]
    assert MILLISECONDS.fullmatch(first.body["observedAt"])
    before = world.head()
    again = jordan("POST", f"{document}/sign")
    assert again.body == {**first.body, "firstESign": False}
    assert world.head() == before
    assert jordan("GET", path).body["signing"]["status"] == "complete"
    assert jordan("GET", document).body["document"] == first.body["document"]


def test_of_many_signatures_at_once_one_is_the_first(world: World, jordan: User) -> None:
    package(world, jordan.tenant, JORDAN)
    _, document = paths(jordan)
    answers: list[Answered] = together(*[lambda: jordan("POST", f"{document}/sign", {})] * 12)
    assert [answered.status for answered in answers] == [200] * 12
    assert sorted(answered.body["firstESign"] for answered in answers) == [False] * 11 + [True]
    assert len({answered.body["observedAt"] for answered in answers}) == 1


def test_documents_are_signed_one_by_one(world: World, jordan: User) -> None:
    package(world, jordan.tenant, JORDAN, SAM, documents=2, order=OrderMode.PARALLEL)
    path, document = paths(jordan)
    answered = jordan("POST", f"{document}/sign", {})
    assert answered.body["document"]["status"] == "partially_signed"
    assert answered.body["signer"]["status"] == "started"
    second = jordan("GET", f"{path}/documents").body["documents"][1]
    answered = jordan("POST", f"{path}/documents/{second['id']}/sign", {})
    assert answered.body["signer"]["status"] == "completed"
    assert jordan("GET", path).body["signing"]["status"] == "active"


def test_out_of_turn_and_after_the_end_a_signature_is_refused(world: World, jordan: User) -> None:
    made = package(world, jordan.tenant, SAM, Person("Jordan Lee", "jordan@dealership.com", number=3))
    _, document = paths(jordan)
    before = world.head()
    assert jordan("POST", f"{document}/sign", {}).status == 409
    assert world.head() == before
    handle(world, CancelEnvelope(made.envelope))
    before = world.head()
    assert jordan("POST", f"{document}/sign", {}).status == 409
    assert world.head() == before
    path = document.partition("/documents")[0]
    assert jordan("GET", path).body["signing"]["status"] == "cancelled"


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"clientMeta": 1}', b'"x"', b'{"clientMeta": {"a": 1e400}}', b"\xff"])
def test_a_body_that_cannot_be_read_changes_nothing(world: World, jordan: User, content: bytes) -> None:
    package(world, jordan.tenant, JORDAN)
    _, document = paths(jordan)
    before = world.head()
    answered = jordan("POST", f"{document}/sign", content=content, headers={"Content-Type": "application/json"})
    assert answered.status == 400
    assert answered.body["error"].startswith("Invalid body.")
    assert world.head() == before


def test_an_idempotency_key_gives_the_first_answer(world: World, jordan: User) -> None:
    package(world, jordan.tenant, JORDAN)
    _, document = paths(jordan)
    key = {"Idempotency-Key": "key-1"}
    first = jordan("POST", f"{document}/sign", {}, headers=key)
    again = jordan("POST", f"{document}/sign", {}, headers=key)
    assert again.body["firstESign"] is False or again.raw == first.raw
    assert again.body["observedAt"] == first.body["observedAt"]


def test_the_evidence_says_who_signed_and_from_where(world: World, jordan: User) -> None:
    made = package(world, jordan.tenant, JORDAN)
    _, document = paths(jordan)
    headers = {"X-Forwarded-For": "203.0.113.9"}
    jordan("POST", f"{document}/sign", {"clientMeta": {"userAgent": "Mozilla/5.0"}}, headers=headers)
    (participant,) = made.processes
    entries = world.run(world.deps.recorder.read_stream(participant))
    (signed,) = [decode(entry.raw) for entry in entries if entry.type == "signing.document-signed/1"]
    provenance = signed.data["provenance"]
    assert isinstance(provenance, dict)
    assert provenance["identity"] == IdentityMethod.OIDC
    # Nobody trusts this client to say where it is: the connection's own address is the evidence.
    assert provenance["ip_source"] == AddressSource.SOCKET
    assert set(signed.personal) == {"/provenance/ip", "/provenance/user_agent", "/provenance/client"}


def test_what_is_another_tenants_another_modes_or_anothers_is_absent(world: World, jordan: User) -> None:
    package(world, jordan.tenant, JORDAN)
    path, document = paths(jordan)
    for stranger in (
        user(world, tenant(world), "user_jordan", "jordan@dealership.com"),
        user(world, jordan.tenant, "user_jordan", "jordan@dealership.com", Mode.TEST),
        user(world, jordan.tenant, "user_sam", "sam@dealership.com"),
        user(world, jordan.tenant, "user_nobody"),
    ):
        assert stranger("GET", QUEUE).status == 404
        for hidden in (path, f"{path}/documents", f"{path}/signers", document):
            answered, absent = stranger("GET", hidden), stranger("GET", hidden.replace(path, f"{QUEUE}/1"))
            assert (answered.status, answered.body) == (absent.status, absent.body) == (404, {"error": "Not found."})
        assert stranger("POST", f"{document}/sign", {}).status == 404
    assert not envelope(world, next(iter(package(world, jordan.tenant, JORDAN).processes.values())).envelope).status.final


def test_a_token_is_needed_and_must_hold(world: World, jordan: User) -> None:
    nobody = User(world, jordan.tenant, {})
    assert nobody("GET", QUEUE).body == {"error": "Missing Authorization Bearer token."}
    assert nobody("GET", QUEUE).status == 401
    for bad in ("Bearer", "Basic abc", "Bearer  two", "Bearer a b"):
        answered = User(world, jordan.tenant, {"Authorization": bad})("GET", QUEUE)
        assert (answered.status, answered.body) == (401, {"error": "Missing Authorization Bearer token."})
    assert User(world, jordan.tenant, {"Authorization": "Bearer a.b.c"})("GET", QUEUE).body == {
        "error": "Invalid or expired token."
    }
    short = user(world, jordan.tenant, "user_jordan", lifetime=timedelta(seconds=60))
    assert short("GET", QUEUE).status == 404
    token = jordan.headers["Authorization"]
    assert User(world, jordan.tenant, {"Authorization": token[:-4] + "AAAA"})("GET", QUEUE).status == 401


def test_the_session_shows_what_somebody_is(world: World, jordan: User) -> None:
    assert jordan("GET", "/v1/signing/session").status == 403
    package(world, jordan.tenant, JORDAN)
    session = jordan("GET", "/v1/signing/session").body
    assert session == jordan("GET", "/v1/signing/me").body
    assert (session["userId"], session["resolvedRoles"], session["manager"], session["admin"]) == (
        "user_jordan",
        ["signer"],
        None,
        None,
    )
    assert session["caps"] == {
        "manager": None,
        "admin": None,
        "canListOrganizations": False,
        "canViewSignerAssignments": True,
    }


def test_what_a_client_says_of_itself_has_to_be_what_can_be_kept(world: World, jordan: User) -> None:
    package(world, jordan.tenant, JORDAN)
    _, document = paths(jordan)
    head = world.head()
    for meta in ('{"n": 9007199254740993}', '{"n": ' + "[" * 70 + "]" * 70 + "}"):
        content = b'{"clientMeta": ' + meta.encode() + b"}"
        answered = jordan("POST", f"{document}/sign", content=content, headers={"Content-Type": "application/json"})
        assert answered.status == 400
        assert answered.body["error"].startswith("Invalid body. It cannot be kept:")
    assert world.head() == head
    unknown = b'{"other": ' + b"[" * 70 + b"]" * 70 + b"}"
    assert jordan("POST", f"{document}/sign", content=unknown, headers={"Content-Type": "application/json"}).status == 200
