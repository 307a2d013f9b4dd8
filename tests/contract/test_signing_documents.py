"""Chattel documents: made, changed, commented and deleted by their owner, and by nobody else."""

import hashlib
import re
from datetime import timedelta
from typing import Any

import pytest

from domain.actor import Mode
from domain.directory import user_subject
from infrastructure.issuer import ISSUER
from tests.contract.partner_world import World, pdf
from tests.contract.signing_world import OPERATOR, Dealership, User, dealership, tenant, together, user

pytest_plugins = ["tests.contract.partner_fixtures"]

DOCUMENTS = "/v1/documents"
ABSENT = {"error": "Not found."}
BOAT = {"title": "The boat", "chattelType": "vehicle"}
LOAN = {"providerName": "River Bank", "originalAmount": 30000, "remainingAmount": 1250.5}
PDF = {"Content-Type": "application/pdf"}
NOBODY = f"doc_{'0' * 26}"


@pytest.fixture
def ana(world: World) -> User:
    return user(world, tenant(world), "user_ana", "ana@dealership.com")


def made(caller: User, **changes: Any) -> dict[str, Any]:
    answered = caller("POST", DOCUMENTS, {**BOAT, **changes})
    assert answered.status == 201
    found: dict[str, Any] = answered.body["document"]
    return found


def listed(caller: User) -> list[str]:
    return [row["title"] for row in caller("GET", DOCUMENTS).body["documents"]]


def test_a_document_is_made_shown_changed_and_deleted(ana: User) -> None:
    document = made(ana, description="Blue.", loan=LOAN)
    assert re.fullmatch(r"doc_[0-7][0-9A-HJKMNP-TV-Z]{25}", document["id"])
    assert document["loan"] == {**LOAN, "currency": "USD", "maturityDate": None, "status": "CURRENT"}
    assert (document["title"], document["description"], document["chattelType"]) == ("The boat", "Blue.", "vehicle")
    assert document["file"] is None
    path = f"{DOCUMENTS}/{document['id']}"
    assert ana("GET", path).body == {"document": document}
    assert ana("GET", DOCUMENTS).body == {"documents": [document]}
    changed = ana("PATCH", path, {"title": "The ship", "description": None, "chattelType": "leasehold_estate"})
    assert changed.status == 200
    assert ana("GET", path).body == changed.body
    assert changed.body["document"] == {
        **document,
        "title": "The ship",
        "description": None,
        "chattelType": "leasehold_estate",
        "updatedAt": changed.body["document"]["updatedAt"],
    }
    deleted = ana("DELETE", path)
    assert (deleted.status, deleted.raw) == (204, b"")
    assert ana("GET", DOCUMENTS).body == {"documents": []}
    for method, suffix, body in (
        ("GET", "", None),
        ("PATCH", "", {"title": "x"}),
        ("DELETE", "", None),
        ("GET", "/comments", None),
        ("POST", "/comments", {"text": "x"}),
    ):
        answered = ana(method, path + suffix, body)
        assert (answered.status, answered.body) == (404, ABSENT)


def test_a_change_leaves_what_it_does_not_name_and_one_that_changes_nothing_is_not_recorded(ana: User) -> None:
    document = made(ana, description="Blue.", loan={**LOAN, "currency": "eur", "maturityDate": "2030-01-31", "status": "BEHIND"})
    assert (document["loan"]["currency"], document["loan"]["maturityDate"]) == ("EUR", "2030-01-31")
    path = f"{DOCUMENTS}/{document['id']}"
    changed = ana("PATCH", path, {"chattelType": "boat", "loan": None}).body["document"]
    assert changed == {**document, "chattelType": "boat", "updatedAt": changed["updatedAt"]}
    assert ana("PATCH", path, {"title": "The yacht"}).body["document"]["description"] == "Blue."
    shown = ana("GET", path).body
    head = ana.world.head()
    for same in ({"title": "The yacht"}, {"description": "Blue.", "chattelType": "boat"}):
        assert ana("PATCH", path, same).body == shown
    assert ana.world.head() == head


def test_the_last_updated_comes_first_and_a_comment_is_no_update(ana: User) -> None:
    first, second, third = (made(ana, title=title) for title in ("one", "two", "three"))
    assert listed(ana) == ["three", "two", "one"]
    ana("PATCH", f"{DOCUMENTS}/{first['id']}", {"description": "New."})
    assert listed(ana) == ["one", "three", "two"]
    ana("POST", f"{DOCUMENTS}/{second['id']}/comments", {"text": "Hello"})
    ana("DELETE", f"{DOCUMENTS}/{third['id']}")
    assert listed(ana) == ["one", "two"]


@pytest.mark.parametrize("kind", ["", "Vehicle", "1car", "a b", "a-b", "a" * 65, "vehicle\n", "é"])
def test_a_type_that_cannot_be_one_is_refused_in_the_documented_words(ana: User, kind: str) -> None:
    path = f"{DOCUMENTS}/{made(ana)['id']}"
    head = ana.world.head()
    for answered in (ana("POST", DOCUMENTS, {**BOAT, "chattelType": kind}), ana("PATCH", path, {"chattelType": kind})):
        assert (answered.status, answered.body) == (400, {"error": "Invalid chattelType."})
    assert ana.world.head() == head


@pytest.mark.parametrize(
    "changes",
    [
        {"title": None},
        {"title": ""},
        {"title": "  "},
        {"title": "a" * 201},
        {"title": 1},
        {"title": "a\nb"},
        {"description": "a" * 2001},
        {"description": 1},
        {"description": "\x00"},
        {"chattelType": None},
        {"chattelType": 1},
        {"loan": []},
        {"loan": {}},
        {"loan": {**LOAN, "providerName": "a" * 121}},
        {"loan": {**LOAN, "providerName": ""}},
        {"loan": {**LOAN, "originalAmount": -1}},
        {"loan": {**LOAN, "originalAmount": "1"}},
        {"loan": {**LOAN, "remainingAmount": True}},
        {"loan": {**LOAN, "remainingAmount": None}},
        {"loan": {**LOAN, "currency": "EURO"}},
        {"loan": {**LOAN, "currency": "12€"}},
        {"loan": {**LOAN, "maturityDate": "2030-02-30"}},
        {"loan": {**LOAN, "maturityDate": "20300101"}},
        {"loan": {**LOAN, "maturityDate": "2030-1-1"}},
        {"loan": {**LOAN, "status": "LATE"}},
    ],
)
def test_a_body_that_is_wrong_changes_nothing(ana: User, changes: dict[str, Any]) -> None:
    head = ana.world.head()
    answered = ana("POST", DOCUMENTS, {**BOAT, **changes})
    assert answered.status == 400
    assert answered.body["error"].startswith("Invalid body.")
    assert ana.world.head() == head


@pytest.mark.parametrize(
    "change",
    [{}, {"title": None}, {"title": ""}, {"chattelType": None}, {"description": 5}, {"loan": LOAN}, {"title": "a" * 201}],
)
def test_a_change_that_is_wrong_or_none_changes_nothing(ana: User, change: dict[str, Any]) -> None:
    path = f"{DOCUMENTS}/{made(ana)['id']}"
    head = ana.world.head()
    answered = ana("PATCH", path, change)
    assert answered.status == 400
    assert answered.body["error"].startswith("Invalid body.")
    assert ana.world.head() == head


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff", b'{"title": "\\ud800", "chattelType": "vehicle"}'])
def test_bodies_that_are_not_json_objects_change_nothing(ana: User, content: bytes) -> None:
    path = f"{DOCUMENTS}/{made(ana)['id']}"
    head = ana.world.head()
    for method, where in (("POST", DOCUMENTS), ("PATCH", path), ("POST", f"{path}/comments")):
        answered = ana(method, where, content=content, headers={"Content-Type": "application/json"})
        assert answered.status == 400
        assert answered.body["error"].startswith("Invalid body.")
    assert ana("POST", DOCUMENTS, content=b"{}", headers={"Content-Type": "text/plain"}).status == 415
    assert ana("POST", DOCUMENTS, content=b" " * (1024 * 1024 + 1), headers={"Content-Type": "application/json"}).status == 413
    assert ana.world.head() == head


def test_the_limits_themselves_are_accepted(ana: User) -> None:
    document = made(ana, title="a" * 200, description="b" * 2000, chattelType="c" * 64, loan={**LOAN, "remainingAmount": 0})
    assert (len(document["title"]), len(document["description"])) == (200, 2000)
    answered = ana("POST", f"{DOCUMENTS}/{document['id']}/comments", {"text": "d" * 2000})
    assert (answered.status, len(answered.body["comment"]["text"])) == (201, 2000)


def test_comments_are_the_last_eighty_from_the_oldest_on(ana: User) -> None:
    document = made(ana)
    path = f"{DOCUMENTS}/{document['id']}/comments"
    assert ana("GET", path).body == {"comments": []}
    sent = [ana("POST", path, {"text": f"Comment {number}"}) for number in range(82)]
    assert {answered.status for answered in sent} == {201}
    shown = ana("GET", path).body["comments"]
    assert shown == [answered.body["comment"] for answered in sent[2:]]
    assert list(shown[0]) == ["id", "documentId", "text", "authorId", "authorName", "createdAt"]
    assert (shown[0]["documentId"], shown[0]["authorId"], shown[0]["text"]) == (document["id"], "user_ana", "Comment 2")
    assert len({row["id"] for row in shown}) == 80


@pytest.mark.parametrize(
    "body", [{}, {"text": ""}, {"text": " \n"}, {"text": "a" * 2001}, {"text": 1}, {"text": None}, {"text": "\x07"}]
)
def test_a_comment_that_is_wrong_changes_nothing(ana: User, body: dict[str, Any]) -> None:
    path = f"{DOCUMENTS}/{made(ana)['id']}/comments"
    head = ana.world.head()
    answered = ana("POST", path, body)
    assert answered.status == 400
    assert answered.body["error"].startswith("Invalid body.")
    assert ana.world.head() == head


def test_the_author_has_the_name_of_the_token(world: World) -> None:
    owner = tenant(world)
    ben = user(world, owner, "user_ben")
    assert ben("POST", f"{DOCUMENTS}/{made(ben)['id']}/comments", {"text": "x"}).body["comment"]["authorName"] is None
    token = world.run(_named_token(world, ben))
    ben.headers["Authorization"] = f"Bearer {token}"
    (document,) = ben("GET", DOCUMENTS).body["documents"]
    answered = ben("POST", f"{DOCUMENTS}/{document['id']}/comments", {"text": "y"})
    assert answered.body["comment"]["authorName"] == "Ben Hall"
    names = [row["authorName"] for row in ben("GET", f"{DOCUMENTS}/{document['id']}/comments").body["comments"]]
    assert names == [None, "Ben Hall"]


async def _named_token(world: World, who: User) -> str:
    return world.deps.identity.mint_user_token(who.tenant, "user_ben", Mode.LIVE, timedelta(hours=1), None, "Ben Hall")


def every_request(path: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Each request to a document, as the arguments of a call."""
    return [
        ("GET", path, {}),
        ("PATCH", path, {"json": {"title": "Mine now"}}),
        ("DELETE", path, {}),
        ("PUT", f"{path}/file", {"content": pdf(), "headers": PDF}),
        ("GET", f"{path}/comments", {}),
        ("POST", f"{path}/comments", {"json": {"text": "Hello"}}),
    ]


def test_what_is_anothers_another_tenants_or_another_modes_is_absent(world: World, ana: User) -> None:
    path = f"{DOCUMENTS}/{made(ana)['id']}"
    mia = user(world, ana.tenant, "user_mia")
    made(mia, title="Mia's")
    strangers = [
        mia,
        user(world, ana.tenant, "user_new"),
        user(world, ana.tenant, "user_ana", mode=Mode.TEST),
        user(world, tenant(world), "user_ana", "ana@dealership.com"),
    ]
    head = world.head()
    for stranger in strangers:
        for (method, where, more), (_, nowhere, _) in zip(
            every_request(path), every_request(f"{DOCUMENTS}/{NOBODY}"), strict=True
        ):
            answered, absent = stranger(method, where, **more), stranger(method, nowhere, **more)
            assert (answered.status, answered.body) == (absent.status, absent.body) == (404, ABSENT)
        assert "The boat" not in listed(stranger)
    assert world.head() == head
    assert listed(mia) == ["Mia's"]
    assert listed(ana) == ["The boat"]


@pytest.mark.parametrize("id", ["1", "doc_1", f"doc_{'z' * 26}", f"doc_8{'0' * 25}", f"sgs_{'0' * 26}", "%20", "doc_"])
def test_an_id_of_another_form_is_absent(ana: User, id: str) -> None:
    for method, where, more in every_request(f"{DOCUMENTS}/{id}"):
        assert ana(method, where, **more).body == ABSENT


def test_every_request_needs_a_token_that_holds(ana: User) -> None:
    path = f"{DOCUMENTS}/{made(ana)['id']}"
    bad = User(ana.world, ana.tenant, {"Authorization": "Bearer a.b.c"})
    for method, where, more in [("GET", DOCUMENTS, {}), ("POST", DOCUMENTS, {"json": BOAT}), *every_request(path)]:
        answered = bad(method, where, **more)
        assert (answered.status, answered.body) == (401, {"error": "Invalid or expired token."})


def test_a_pdf_is_stored_once_and_a_package_can_use_it(world: World) -> None:
    dealers = dealership(world)
    boss = dealers.manager("boss", signings="full")
    document, content = made(boss), pdf(3)
    path = f"{DOCUMENTS}/{document['id']}"
    signing = boss("POST", "/v1/signing/manager/signings", {"locationId": dealers.location("north")}).body["signing"]
    into = f"/v1/signing/manager/signings/{signing['id']}/documents"
    assert boss("POST", into, {"documentId": document["id"]}).status == 409  # it has no PDF yet
    stored = boss("PUT", f"{path}/file", content=content, headers=PDF)
    sha256 = hashlib.sha256(content).hexdigest()
    assert stored.body["document"]["file"] == {"sha256": sha256, "sizeBytes": len(content), "pages": 3}
    assert boss("GET", path).body == stored.body
    head = world.head()
    assert boss("PUT", f"{path}/file", content=content, headers=PDF).body == stored.body
    assert boss("PUT", f"{path}/file", content=pdf(1), headers=PDF).status == 409
    assert world.head() == head
    added = boss("POST", into, {"documentId": document["id"]})
    assert (added.status, added.body["document"]["sha256"], added.body["document"]["title"]) == (201, sha256, "The boat")
    assert boss("DELETE", path).status == 204
    detail = boss("GET", f"/v1/signing/manager/signings/{signing['id']}").body
    assert detail["documents"][0]["title"] == "The boat"


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"", PDF, 400),
        (b"hello", PDF, 400),
        (b"%PDF-1.7\nnothing", PDF, 400),
        (pdf(), {"Content-Type": "application/octet-stream"}, 415),
        (pdf(), {"Content-Type": "application/json"}, 415),
        (pdf(), {**PDF, "Content-Encoding": "gzip"}, 415),
        (b"%PDF-1.7" + b" " * (25 * 1024 * 1024), PDF, 413),
    ],
)
def test_an_upload_that_is_no_pdf_to_sign_changes_nothing(
    ana: User, content: bytes, headers: dict[str, str], status: int
) -> None:
    path = f"{DOCUMENTS}/{made(ana)['id']}"
    head = ana.world.head()
    assert ana("PUT", f"{path}/file", content=content, headers=headers).status == status
    assert ana.world.head() == head
    assert ana("GET", path).body["document"]["file"] is None


def test_an_idempotency_key_gives_the_first_answer_again(ana: User) -> None:
    key = {"Idempotency-Key": "once"}
    first = ana("POST", DOCUMENTS, BOAT, headers=key)
    path = f"{DOCUMENTS}/{first.body['document']['id']}"
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("PATCH", path, {"json": {"title": "Other"}}),
        ("PUT", f"{path}/file", {"content": pdf()}),
        ("POST", f"{path}/comments", {"json": {"text": "Hello"}}),
        ("DELETE", path, {}),
    ]
    for index, (method, where, more) in enumerate(requests):
        headers = {"Idempotency-Key": f"once-{index}", **(PDF if method == "PUT" else {})}
        answered = ana(method, where, headers=headers, **more)
        head = ana.world.head()
        again = ana(method, where, headers=headers, **more)
        assert (again.status, again.raw) == (answered.status, answered.raw)
        assert answered.status < 300
        assert ana.world.head() == head
    assert ana("POST", DOCUMENTS, BOAT, headers=key).raw == first.raw
    assert ana("POST", DOCUMENTS, {**BOAT, "title": "Other"}, headers=key).status == 409
    # What was deleted is still there for who repeats its creation, and for nobody else.
    assert ana("GET", DOCUMENTS).body == {"documents": []}


def test_of_many_creations_under_one_key_one_happens(ana: User) -> None:
    key = {"Idempotency-Key": "many"}
    answers = together(*[lambda: ana("POST", DOCUMENTS, BOAT, headers=key)] * 8)
    assert {answered.status for answered in answers} == {201}
    assert len({answered.raw for answered in answers}) == 1
    assert len(listed(ana)) == 1


def test_an_erased_owner_has_no_documents_and_begins_anew(world: World, ana: User) -> None:
    document = made(ana, loan=LOAN)
    path = f"{DOCUMENTS}/{document['id']}"
    ana("POST", f"{path}/comments", {"text": "Mine"})
    subject = user_subject(ana.tenant, ISSUER, "user_ana")
    world.run(world.deps.ledger.erase(subject, "gdpr-17-1-b", OPERATOR))
    assert ana("GET", DOCUMENTS).body == {"documents": []}
    for method, where, more in every_request(path):
        assert ana(method, where, **more).status == 404
    assert made(ana, title="Anew")["title"] == "Anew"
    assert listed(ana) == ["Anew"]
    assert ana("GET", f"{path}/comments").status == 404


def test_nothing_personal_of_a_document_is_in_the_log(world: World, ana: User) -> None:
    first = world.head()
    path = f"{DOCUMENTS}/{made(ana, title='Zanzibar', description='Xylophone', loan={**LOAN, 'providerName': 'Quokka'})['id']}"
    ana("POST", f"{path}/comments", {"text": "Wombat"})
    ana("PATCH", path, {"title": "Yggdrasil"})
    entries = b"".join(entry.raw for entry in world.run(world.deps.recorder.read_log(first, 100)))
    assert entries.count(b'"document.') == 3
    for word in (b"Zanzibar", b"Xylophone", b"Quokka", b"Wombat", b"Yggdrasil", b"user_ana", b"30000"):
        assert word not in entries


@pytest.fixture
def dealers(world: World) -> Dealership:
    return dealership(world)


def test_another_managers_document_goes_into_no_package_of_mine(dealers: Dealership) -> None:
    boss, other = dealers.manager("boss", signings="full"), dealers.manager("other", signings="full")
    document = made(other)
    other("PUT", f"{DOCUMENTS}/{document['id']}/file", content=pdf(), headers=PDF)
    signing = boss("POST", "/v1/signing/manager/signings", {"locationId": dealers.location("north")}).body["signing"]
    into = f"/v1/signing/manager/signings/{signing['id']}/documents"
    assert boss("POST", into, {"documentId": document["id"]}).body == ABSENT
