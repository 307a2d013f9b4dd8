"""A signature request as the reference page shows it, through its whole life, and on whichever surface it was made."""

import json
import os
import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from domain.actor import Actor, ActorKind, Mode
from domain.coordination import ExpireEnvelope, RecordCertified, RecordExecuted, SendEnvelope
from domain.envelope import CertificateIssued, DocumentExecuted
from domain.personal import person
from infrastructure.clock import FixedClock
from infrastructure.ledger import NO_ANSWER
from tests.contract.partner_world import World, projecting
from tests.contract.partner_world import body as partner_body
from tests.contract.partner_world import participant as partner_participant
from tests.contract.signatures_world import MEMBERS, Project, pdf, project, recipient
from tests.running import Person, Running, Sent
from tests.shared_data import shared

pytest_plugins = ["tests.contract.partner_fixtures"]

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


@pytest.fixture
def own(world: World) -> Project:
    """A fresh project."""
    return project(world)


def finish(own: Project, identity: str) -> tuple[bytes, bytes]:
    """Records the executed document and the certificate of a request that has completed, as a follower does."""
    document = own.envelope(identity).documents[0]
    signed, certificate = pdf(("signed", identity)), pdf(("certificate", identity))

    async def record() -> None:
        deps, by = own.world.deps, Actor(ActorKind.FOLLOWER, "executor")
        executed = DocumentExecuted(document.id, "0" * 64, await deps.blobs.put(signed))
        await deps.ledger.handle(RecordExecuted(UUID(identity), executed), by, lambda outcome: NO_ANSWER)
        issued = CertificateIssued(await deps.blobs.put(certificate))
        await deps.ledger.handle(RecordCertified(UUID(identity), issued), by, lambda outcome: NO_ANSWER)

    own.world.run(record())
    return signed, certificate


def elsewhere(own: Project, **options: Any) -> Sent:
    """An envelope made by none of the surfaces."""

    async def make() -> Sent:
        running = Running(own.world.database, own.world.deps, own.world.clock, None, own.tenant)  # type: ignore[arg-type]
        return await running.send(Person("Ana Ruiz", "ana@x.example"), **options)

    return own.world.run(make())


def test_the_curl_of_the_reference_page_gets_an_answer_like_its_sample(own: Project, tmp_path: Path) -> None:
    page = shared("reference/craftkit-get-signature.txt").read_text()
    (example,) = re.findall(r"^curl .*\\\n.*$", page, re.MULTILINE)
    sample = json.loads(page[page.index("\n200\n{") + 5 :])
    made = own.signature(recipients=[recipient(lastName="Doe", order=1)])
    own.sign(made["id"])
    finish(own, made["id"])
    (tmp_path / ".curlrc").write_text('silent\nshow-error\nwrite-out = "\\n%{http_code}"\n')
    environment = {**os.environ, "CURL_HOME": str(tmp_path), "HOME": str(tmp_path), "NO_PROXY": "127.0.0.1"}
    environment |= {"SIGNATURE_ID": made["id"], "CRAFTKIT_API_KEY": own.key}
    command = ["bash", "-c", example.replace("https://api.craftkit.dev", own.world.url)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=True)
    text, _, status = done.stdout.rpartition("\n")
    answer = json.loads(text)
    assert status == "200"
    assert list(answer) == list(sample) == MEMBERS
    (shown,), (printed,) = answer["recipients"], sample["recipients"]
    assert list(shown) == list(printed)
    assert re.fullmatch(r"rcp_[0-9a-f]{4}-[0-9a-f]{12}", shown["id"])
    assert re.fullmatch(TIME, shown["signedAt"])
    known = {"firstName": "Jane", "lastName": "Doe", "designation": "Signer", "order": 1}
    assert {name: shown[name] for name in known} == {name: printed[name] for name in known} == known
    for name in ("name", "status", "expirationHours", "errorMessage"):
        assert answer[name] == sample[name]
    for name in ("createdAt", "completedAt"):
        assert re.fullmatch(TIME, answer[name])
        assert re.fullmatch(TIME, sample[name])
    for name in ("signedDownloadUrl", "certificateUrl"):
        expected = sample[name].replace("https://api.craftkit.dev", own.world.url).replace(sample["id"], made["id"])
        assert answer[name] == expected


def test_a_request_is_sent_then_viewed_then_completed_and_its_files_come_after_that(own: Project) -> None:
    made = own.signature(recipients=[recipient(1), recipient(2)], fields=[field(0), field(1)], anchorTags=None)
    identity = made["id"]
    assert own.get(identity) == made
    assert (made["status"], made["completedAt"], made["signedDownloadUrl"], made["certificateUrl"]) == ("sent", None, None, None)
    assert "signedAt" not in made["recipients"][0]
    own.look(identity)
    assert own.get(identity)["status"] == "viewed"
    own.sign(identity, 0)
    signed_once = own.get(identity)
    assert signed_once["status"] == "viewed"
    assert ["signedAt" in each for each in signed_once["recipients"]] == [True, False]
    own.sign(identity, 1)
    completed = own.get(identity)
    assert (completed["status"], completed["signedDownloadUrl"], completed["certificateUrl"]) == ("completed", None, None)
    assert re.fullmatch(TIME, completed["completedAt"])
    for what in ("download", "certificate"):
        answered = own("GET", f"/v1/signatures/{identity}/{what}")
        assert (answered.status, answered.code) == (409, "conflict")
        assert "completed" in answered.body["error"]["message"]
    files = finish(own, identity)
    for url, what, content in zip(("signedDownloadUrl", "certificateUrl"), ("signed", "certificate"), files, strict=True):
        path = own.get(identity)[url].removeprefix(own.world.url)
        answered = own("GET", path)
        assert (answered.status, answered.raw) == (200, content)
        assert f'filename="{identity}-{what}.pdf"' in answered.headers["content-disposition"]


def test_a_request_that_was_declined_says_who_did_and_why(own: Project) -> None:
    identity = own.signature(recipients=[recipient(1), recipient(2)])["id"]
    own.decline(identity, "Wrong address")
    found = own.get(identity)
    assert (found["status"], found["errorMessage"], found["completedAt"]) == ("declined", "Wrong address", None)
    assert ["declinedAt" in each for each in found["recipients"]] == [True, False]
    answered = own("GET", f"/v1/signatures/{identity}/download")
    assert (answered.status, "declined" in answered.body["error"]["message"]) == (409, True)


def test_a_request_expires_with_its_hours_whether_or_not_that_is_recorded_yet(own_world: World) -> None:
    with projecting(own_world.database):
        own = project(own_world)
        identity = own.signature(expirationHours=1)["id"]
        own_world.clock.offset += timedelta(minutes=59)
        assert own.get(identity)["status"] == "sent"
        own_world.clock.offset += timedelta(minutes=2)
        assert own.get(identity)["status"] == "expired"
        answered = own("POST", f"/v1/signatures/{identity}/cancel")
        assert (answered.status, answered.code) == (409, "conflict")
        handle = own_world.deps.ledger.handle
        by = Actor(ActorKind.FOLLOWER, "expiry")
        own_world.run(handle(ExpireEnvelope(UUID(identity)), by, lambda outcome: NO_ANSWER))
        found = own.get(identity)
        assert (found["status"], found["expirationHours"], found["errorMessage"]) == ("expired", 1, None)


def test_what_is_not_there_or_another_projects_or_the_other_modes_is_answered_alike(own: Project) -> None:
    identity, render = own.signature()["id"], own.render()
    others = [project(own.world), own.other_key(Mode.TEST)]
    for method, path in (
        ("GET", "/v1/signatures/{}"),
        ("POST", "/v1/signatures/{}/cancel"),
        ("GET", "/v1/signatures/{}/download"),
        ("GET", "/v1/signatures/{}/certificate"),
        ("GET", "/v1/renders/{}"),
    ):
        existing = render if "renders" in path else identity
        absent = own(method, path.format("0193c2c3-2222-7aaa-8bbb-000000000002"))
        assert (absent.status, absent.code) == (404, "not_found")
        assert own(method, path.format("no-uuid")).raw == absent.raw
        for other in others:
            found = other(method, path.format(existing))
            assert (found.status, found.raw) == (404, absent.raw)
    for other in others:
        assert other("GET", "/v1/signatures").body == {"signatures": [], "nextCursor": None, "hasMore": False}
        assert other.create(render).raw == other.create("0193c2c3-2222-7aaa-8bbb-000000000002").raw
    assert own.get(identity)["status"] == "sent"
    assert own.other_key().get(identity)["id"] == identity


def test_no_credential_a_wrong_one_and_a_revoked_one_are_unauthorized(own: Project) -> None:
    identity = own.signature()["id"]
    revoked = own.other_key()
    assert revoked.get(identity)["id"] == identity
    own.world.run(own.world.deps.identity.revoke_key(revoked.id))
    bearers = ["", "Bearer", "Bearer ck_live_no", f"Basic {own.key}", f"Bearer {revoked.key}", f"Bearer {own.key}x"]
    for method, path in (("GET", f"/v1/signatures/{identity}"), ("POST", "/v1/signatures"), ("POST", "/v1/renders")):
        for bearer in bearers:
            answered = own(method, path, headers={"Authorization": bearer})
            assert (answered.status, answered.code, answered.headers["www-authenticate"]) == (401, "unauthorized", "Bearer")


def test_an_envelope_of_the_partner_surface_is_shown_here(world: World) -> None:
    client = world.tenant()
    own = project(world, tenant=client.tenant)
    people = [partner_participant(1, displayName="Juan David Otero"), partner_participant(2, displayName="Cher")]
    made = client("POST", "/v1/documents", partner_body(client.template(), participants=people, orderMode="SEQUENTIAL")).data
    identity = made["documentId"]
    found = own.get(identity)
    document = own.envelope(identity).documents[0]
    assert list(found) == MEMBERS
    assert (found["status"], found["renderId"], found["name"]) == ("sent", str(document.id), "Acuerdo de servicio")
    names = [(each["firstName"], each["lastName"], each["email"], each["order"]) for each in found["recipients"]]
    assert names == [("Juan David", "Otero", "juan1@example.com", 1), ("Cher", "", "juan2@example.com", 2)]
    assert own("GET", "/v1/signatures").body["signatures"] == [found]
    client.sign(identity, made["participants"][0]["participantId"])
    assert ["signedAt" in each for each in own.get(identity)["recipients"]] == [True, False]
    assert own("POST", f"/v1/signatures/{identity}/cancel", {"reason": "Sold"}).body["errorMessage"] == "Sold"
    assert client("GET", f"/v1/documents/{identity}").data["status"] == "CANCELLED"
    assert project(world, Mode.TEST, client.tenant)("GET", f"/v1/signatures/{identity}").status == 404


def test_a_request_is_shown_on_the_partner_surface(world: World) -> None:
    client = world.tenant()
    own = project(world, tenant=client.tenant)
    made = own.signature(recipients=[recipient(lastName=None)])
    found = client("GET", f"/v1/documents/{made['id']}").data
    assert (found["status"], found["participants"][0]["displayName"]) == ("CREATED", "Jane")


def test_a_draft_of_another_surface_is_not_there_until_it_is_sent(own: Project) -> None:
    made = elsewhere(own, send=False)
    identity = str(made.id)
    assert own("GET", f"/v1/signatures/{identity}").status == 404
    assert own("POST", f"/v1/signatures/{identity}/cancel").status == 404
    assert own("GET", "/v1/signatures").body["signatures"] == []
    by = Actor(ActorKind.OPERATOR, "test")
    own.world.run(own.world.deps.ledger.handle(SendEnvelope(made.id), by, lambda outcome: NO_ANSWER))
    found = own.get(identity)
    assert (found["status"], found["expirationHours"], found["name"]) == (
        "sent",
        None,
        f"Signature request {found['renderId'][:8]}",
    )


def test_of_an_erased_recipient_nothing_is_left_but_the_place(own: Project) -> None:
    identity = own.signature(
        recipients=[recipient(1, order=2), recipient(2, order=1)], fields=[field(0), field(1)], anchorTags=None
    )["id"]
    subject = person(own.tenant, email="jane1@example.com", otherwise=UUID(int=0))
    own.world.run(own.world.deps.ledger.erase(subject, "request", Actor(ActorKind.OPERATOR, "test")))
    first, second = own.get(identity)["recipients"]
    assert (first["firstName"], first["lastName"], first["email"], first["order"]) == ("", "", "", 2)
    assert (second["firstName"], second["lastName"], second["order"]) == ("Jane", "Doe 2", 1)


def field(index: int) -> dict[str, object]:
    return {"type": "signature", "page": 1, "x": 10, "y": 10, "width": 20, "height": 5, "recipientIndex": index}


# Lists


def listed(own: Project, render: str, query: str = "") -> list[dict[str, object]]:
    """All pages of a list, while a further request is made before each page."""
    rows: list[dict[str, object]] = []
    cursor = ""
    while True:
        page = own("GET", f"/v1/signatures?limit=2{query}{cursor}").body
        assert page["hasMore"] is (len(page["signatures"]) == 2)
        rows += page["signatures"]
        if not page["hasMore"]:
            return rows
        own.signature(render)
        cursor = f"&cursor={page['nextCursor']}"


def test_pages_are_complete_and_repeat_nothing_while_requests_are_added(own: Project) -> None:
    render = own.render()
    made = [own.signature(render)["id"] for _ in range(7)]
    rows = listed(own, render)
    assert [row["id"] for row in rows] == made[::-1]
    assert rows[0] == own.get(made[-1])


def test_a_list_of_one_render_is_complete_too(own: Project) -> None:
    render = own.render()
    made = [own.signature(render)["id"] for _ in range(5)]
    assert [row["id"] for row in listed(own, own.render(), f"&renderId={render}")] == made[::-1]
    assert own("GET", f"/v1/signatures?renderId={own.render()}").body["signatures"] == []


def test_requests_of_the_same_instant_are_all_listed(own_world: World) -> None:
    with projecting(own_world.database):
        own = project(own_world)
        render = own.upload(pdf(("{{sign_here}}",))).body["id"]
        stopped = FixedClock(datetime.now(UTC) + timedelta(days=1))
        own_world.clock._clock = stopped
        made = [own.signature(render)["id"] for _ in range(5)]
        times = {own.get(identity)["createdAt"] for identity in made}
        assert len(times) == 1
        pages, cursor = [], ""
        while True:
            page = own("GET", f"/v1/signatures?limit=2{cursor}").body
            pages.append([row["id"] for row in page["signatures"]])
            if not page["hasMore"]:
                break
            cursor = f"&cursor={page['nextCursor']}"
        assert pages == [made[:2:-1], made[2:0:-1], made[:1]]


def test_any_time_is_a_cursor_and_strictly_older_rows_follow_it(own: Project) -> None:
    first, second = own.signature(), own.signature()
    later = own("GET", "/v1/signatures?cursor=2100-01-01T00:00:00Z").body
    assert [row["id"] for row in later["signatures"]] == [second["id"], first["id"]]
    assert own("GET", "/v1/signatures?cursor=2000-01-01T00:00:00%2B02:00").body == {
        "signatures": [],
        "nextCursor": None,
        "hasMore": False,
    }


@pytest.mark.parametrize(
    ("query", "member"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("limit=", "limit"),
        ("renderId=x", "renderId"),
        ("cursor=yesterday", "cursor"),
        ("cursor=", "cursor"),
    ],
)
def test_a_parameter_that_is_not_valid_is_named(own: Project, query: str, member: str) -> None:
    assert list(own("GET", f"/v1/signatures?{query}").issues) == [member]


def test_the_default_page_has_fifty(own: Project) -> None:
    for _ in range(51):
        elsewhere(own)
    page = own("GET", "/v1/signatures").body
    assert (len(page["signatures"]), page["hasMore"]) == (50, True)
    assert len(own("GET", "/v1/signatures?limit=100").body["signatures"]) == 51
