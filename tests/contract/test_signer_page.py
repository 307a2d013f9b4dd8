"""The signer's page over HTTP: what the bearer of an invitation's token may see and do, and nobody else."""

import asyncio
import json
import logging
import re
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urljoin
from uuid import UUID

import httpx
import pytest
from starlette.applications import Starlette

from api.dispatch import Dispatch
from api.surfaces import sessions, signer
from domain.actor import Mode
from domain.coordination import AddDocument, CancelEnvelope, ExpireEnvelope, Participate, SendEnvelope
from domain.entry import decode
from domain.envelope import Document, EnvelopeStatus, OnParticipantFail, OrderMode, PlacedField
from domain.errors import Refusal
from domain.field import FieldType
from domain.personal import Subject, SubjectKind, discloses, person
from domain.signing import DocumentReference, ResendInvitation, SigningStatus
from infrastructure.database import DatabaseUrls
from infrastructure.vault import Reference
from tests.running import BASE_URL, PARTNER, Person, Running, Sent, in_loop, running

ANA = Person("Ana Pérez", "ana@example.com", number=1)
BO = Person("Bo Li", "bo@example.com", number=2)
FOLDER = Path(signer.__file__).parent
AGENT = "Mozilla/5.0 (Tablet)"


@dataclass
class World:
    run: Running
    http: httpx.AsyncClient
    pdfs: dict[UUID, bytes]

    async def send(self, *people: Person, documents: int = 1, titles: bool = True, **how: Any) -> Sent:
        """Sends an envelope whose documents are in the blob store; `how` as for `Running.creation`."""
        command, deps = self.run.creation(*people, documents=documents, **how), self.run.deps
        about = Subject(command.created.tenant, SubjectKind.ENVELOPE, str(command.envelope))
        pdfs = []
        for number, pdf in enumerate(command.created.documents, 1):
            self.pdfs[pdf.id] = b"%PDF-1.7 " + pdf.id.bytes
            title = deps.vault.conceal(f"Lease {number}", about) if titles else None
            pdfs.append(replace(pdf, sha256=await deps.blobs.put(self.pdfs[pdf.id]), pages=number, title=title))
        papers = tuple(DocumentReference(pdf.id, pdf.sha256) for pdf in pdfs)
        created = replace(command.created, documents=tuple(pdfs))
        processes = {who: replace(process, documents=papers) for who, process in command.processes.items()}
        await self.run.handle(replace(command, created=created, processes=processes))
        return Sent(command.envelope, created.tenant, tuple(processes), tuple(pdf.id for pdf in pdfs))

    async def ask(self, sent: Sent, path: str, who: int = 0, /, **how: Any) -> httpx.Response:
        """A request of the page; `token` and `session` replace the participant's own, `json` makes it a POST."""
        participant = sent.participants[who]
        token = how.pop("token") if "token" in how else await self.run.token(participant)
        session = how.pop("session", f"sgs_{participant.hex}")
        headers = {"User-Agent": AGENT, **({"X-Signing-Session-Token": token} if token else {}), **how.pop("headers", {})}
        method = "POST" if how else "GET"
        return await self.http.request(method, f"/sign/{session}/{path}", headers=headers, **how)

    async def view(self, sent: Sent, index: int = 0, **how: Any) -> httpx.Response:
        return await self.ask(sent, f"documents/{sent.documents[index]}", **how)

    async def decline(self, sent: Sent, reason: str | None = None, *, key: str | None = None, **how: Any) -> httpx.Response:
        return await self.ask(sent, "decline", json={"reason": reason}, headers={"Idempotency-Key": key} if key else {}, **how)

    async def complete(self, sent: Sent, who: int = 0, host: str = BASE_URL) -> dict[str, Any]:
        """Completes as the page does: at the address that is relative to its own."""
        session = f"sgs_{sent.participants[who].hex}"
        answer = await self.http.post(
            urljoin(f"{host}/sign/{session}", f"../v1/signing_sessions/{session}/complete"),
            json={"electronic_signature_text": "I sign."},
            headers={"X-Signing-Session-Token": await self.run.token(sent.participants[who]), "Idempotency-Key": "k"},
        )
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def package(self, sent: Sent, who: int = 0) -> dict[str, Any]:
        answer = await self.ask(sent, "package", who)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@asynccontextmanager
async def opened(database: DatabaseUrls, folder: Path) -> AsyncIterator[World]:
    """Both surfaces that the page talks to, behind the dispatcher, under a host that is another surface's."""
    async with running(database, folder) as run:
        apps = {"signer": signer.build(run.deps), "sessions": sessions.build(run.deps)}
        app = Dispatch(apps, {"partner.example": "partner"}, lifespan=Starlette(), otherwise=Starlette())
        transport = httpx.ASGITransport(app=app, client=("192.0.2.7", 40_000), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=BASE_URL) as http:
            yield World(run, http, {})


def problem(response: httpx.Response, status: int, code: str) -> None:
    assert (response.status_code, response.json()["code"]) == (status, code), response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    assert response.json()["detail"]


# The page itself


@in_loop
async def test_the_page_is_the_same_for_everybody_and_opening_it_does_nothing(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.send(ANA)
        head = await world.run.head()
        real, made_up = await world.http.get(f"/sign/{sent.session}"), await world.http.get("/sign/anything")
        assert (real.status_code, made_up.status_code) == (200, 200)
        assert real.content == made_up.content
        assert real.headers["content-type"] == "text/html; charset=utf-8"
        assert (await world.http.head(f"/sign/{sent.session}")).status_code == 200
        assert await world.run.head() == head
        problem_free = await world.http.get("/sign/")
        assert problem_free.status_code == 404


@in_loop
async def test_the_page_may_load_its_own_script_and_style_and_nothing_else(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        page = await world.http.get("/sign/sgs_x")
        style = re.findall(r"<style>(.*?)</style>", page.text, re.DOTALL)
        digest = b64encode(sha256(style[0].encode()).digest()).decode()
        policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
        assert policy == {
            "default-src": "'none'", "script-src": "'self'", "style-src": f"'sha256-{digest}'", "connect-src": "'self'",
            "frame-src": "blob:", "object-src": "blob:", "base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'none'",
        }  # fmt: skip
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["x-content-type-options"] == "nosniff"
        assert len(style) == 1
        assert not re.search(r"https?://|\sstyle=|\son[a-z]+=|<script>", page.text)
        sources = re.findall(r'<script src="([^"]+)"', page.text)
        assert sources == ["assets/page.js"]
        script = await world.http.get(urljoin("/sign/sgs_x", sources[0]))
        assert script.headers["content-type"] == "text/javascript; charset=utf-8"
        assert script.content == (FOLDER / "page.js").read_bytes()
        assert "innerHTML" not in script.text
        assert "://" not in script.text


def test_page_and_script_agree_about_the_parts_of_the_page() -> None:
    page, script = (FOLDER / "page.html").read_text(), (FOLDER / "page.js").read_text()
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'\$\("([^"]+)"\)', script)) <= set(ids)
    assert set(re.findall(r'\b(?:for|aria-[a-z]+by)="([^"]+)"', page)) <= set(ids)
    fields = set(re.findall(r'<(?:input|textarea) id="([^"]+)"', page))
    assert fields == set(re.findall(r'\bfor="([^"]+)"', page)) == {"name", "agree", "reason", "typed", "drawn"}
    assert "<noscript>" in page


def test_the_page_has_words_for_every_end_of_a_signing() -> None:
    script = (FOLDER / "page.js").read_text()
    ends = {status.value for status in SigningStatus if status.final} - {"completed"}
    assert set(re.findall(r"^  (\w+): \[", script, re.MULTILINE)) == ends


def test_every_refusal_has_an_answer() -> None:
    assert set(signer.REFUSALS) == set(Refusal.__subclasses__())


# What is to be signed


@in_loop
async def test_the_package_says_what_is_to_be_signed_for_whom_and_until_when(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        deadline = world.run.clock.now() + timedelta(days=2)
        sent = await world.send(
            ANA, documents=2, deadline=deadline, mode=Mode.TEST, subject="Your lease", message="Please sign.\nThanks"
        )
        head = await world.run.head()
        found = await world.package(sent)
        last = (await world.run.deps.recorder.read_stream(sent.participants[0]))[-1]
        entry = json.loads(last.raw)
        assert found == {
            "session": sent.session,
            "processId": f"{sent.id}-{sent.participants[0]}",
            "status": "open",
            "test": True,
            "sender": "Example Ltd",
            "participant": "Ana Pérez",
            "subject": "Your lease",
            "message": "Please sign.\nThanks",
            "documents": [
                {"id": str(it), "title": f"Lease {n}", "pages": n, "sha256": sha256(world.pdfs[it]).hexdigest()}
                for n, it in enumerate(sent.documents, 1)
            ],
            "fields": [],
            "printable": True,
            "deadline": deadline.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "head": {"version": last.version, "hash": last.leaf.hex(), "recordedAt": entry["at"]},
        }
        assert await world.run.head() == head


@in_loop
async def test_the_package_tells_the_participants_own_fields(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        command = world.run.creation(replace(ANA, name="กข"), BO)
        who, document = [slot.participant for slot in command.created.participants], command.created.documents[0].id
        placed = (
            PlacedField(who[0], document, FieldType.TEXT, 1, 0, 0, 160_000, 18_000, True, "City"),
            PlacedField(who[1], document, FieldType.TEXT, 1, 0, 0, 160_000, 18_000, True, "Theirs"),
            PlacedField(who[0], document, FieldType.TEXT, 1, 0, 0, 160_000, 40_000, False),
            PlacedField(who[0], document, FieldType.SIGNATURE, 1, 0, 0, 160_000, 40_000, True),
        )
        await world.run.handle(replace(command, created=replace(command.created, fields=placed)))
        found = await world.package(Sent(command.envelope, world.run.tenant, tuple(who), (document,)))
        assert found["printable"] is False
        more = {"document": str(document), "page": 1}
        letters = [each.pop("letters") for each in found["fields"]]
        assert found["fields"] == [
            {"label": "City", "type": "TEXT", "required": True, "lines": False, **more},
            {"label": "3", "type": "TEXT", "required": False, "lines": True, **more},
            {"label": "4", "type": "SIGNATURE", "required": True, "lines": True, **more},
        ]
        assert 100 < letters[0] < letters[1] < 1_000
        assert letters[2] is None


@in_loop
async def test_a_document_that_was_added_to_the_draft_is_shown_with_its_title(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        draft = await world.run.send(ANA, send=False, subject="A lease")
        about = Subject(draft.tenant, SubjectKind.ENVELOPE, str(draft.id))
        pdf = await world.run.deps.blobs.put(b"%PDF-1.7 added")
        added = Document(world.run.deps.new_id(), pdf, 1, world.run.deps.vault.conceal("Annex", about))
        await world.run.handle(AddDocument(draft.id, added, draft.participants))
        await world.run.handle(SendEnvelope(draft.id))
        shown = (await world.ask(draft, "package")).json()
        assert [document["title"] for document in shown["documents"]] == [None, "Annex"]


@in_loop
async def test_what_the_sender_did_not_say_or_was_erased_is_null(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.send(ANA, titles=False)
        assert (await world.view(sent)).status_code == 200
        await world.run.deps.ledger.erase(person(sent.tenant, email=ANA.email, otherwise=sent.id), "request", PARTNER)
        found = await world.package(sent)
        assert [found[name] for name in ("participant", "subject", "message", "deadline")] == [None] * 4
        assert found["documents"][0]["title"] is None
        assert (await world.view(sent)).status_code == 200


ENDS = ("completed", "declined", "cancelled", "expired", "past the deadline")


@pytest.mark.parametrize("end", ENDS)
@in_loop
async def test_what_has_ended_is_told_and_only_what_was_signed_can_still_be_read(
    database: DatabaseUrls, tmp_path: Path, end: str
) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.send(ANA, deadline=world.run.clock.now() + timedelta(days=1))
        assert (await world.view(sent)).status_code == 200
        if end == "completed":
            head = (await world.complete(sent))["acknowledgement"]["head"]
            assert (await world.package(sent))["head"] == {
                "version": head["version"], "hash": head["hash"], "recordedAt": head["recorded_at"]
            }  # fmt: skip
        elif end == "declined":
            assert (await world.decline(sent)).status_code == 200
        elif end == "cancelled":
            await world.run.handle(CancelEnvelope(sent.id))
        else:
            world.run.clock.offset += timedelta(days=1, seconds=1)
        if end == "expired":
            await world.run.handle(ExpireEnvelope(sent.id))
        assert (await world.package(sent))["status"] == ("expired" if end == "past the deadline" else end)
        before = await world.run.head()
        again = await world.view(sent)
        if end == "completed":
            assert again.content == world.pdfs[sent.documents[0]]
        else:
            problem(again, 409, "deadline-passed" if end == "past the deadline" else "signing-closed")
        problem(await world.decline(sent), 409, "deadline-passed" if end == "past the deadline" else "signing-closed")
        assert await world.run.head() == before


# Documents


@in_loop
async def test_a_document_comes_as_it_was_uploaded_and_that_it_was_shown_is_recorded(
    database: DatabaseUrls, tmp_path: Path
) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.send(ANA, documents=2)
        response = await world.view(sent, 1)
        digest = sha256(response.content).hexdigest()
        assert response.content == world.pdfs[sent.documents[1]]
        assert response.headers["content-type"] == "application/pdf"
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["content-security-policy"] == "default-src 'none'; sandbox"
        assert response.headers["content-disposition"].startswith("attachment;")
        *_, started, viewed = await world.run.deps.recorder.read_stream(sent.participants[0])
        assert (started.type, viewed.type) == ("signing.started/1", "signing.document-viewed/1")
        entry = decode(viewed.raw)
        assert entry.data["document"] == str(sent.documents[1])
        assert entry.data["sha256"] == digest
        assert entry.by == {"kind": "signer", "id": sent.session}
        assert entry.data["provenance"] == {"identity": "token", "ip_source": "socket"}
        places = {
            "192.0.2.7": Reference(viewed.stream, viewed.version, "/provenance/ip"),
            AGENT: Reference(viewed.stream, viewed.version, "/provenance/user_agent"),
        }
        kept = await world.run.deps.vault.open(places.values())
        for value, place in places.items():
            assert kept[place].value == value
            assert discloses(value, kept[place].salt, entry.personal[place.path])


@in_loop
async def test_a_view_is_recorded_once_in_an_hour_however_often_it_is_asked_for(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.send(ANA, documents=2)
        now = world.run.clock.now()
        world.run.clock.offset = now.replace(minute=0, second=10) + timedelta(hours=1) - now  # far from the hour's end
        answers = await asyncio.gather(*(world.view(sent) for _ in range(8)))
        assert [answer.content for answer in answers] == [world.pdfs[sent.documents[0]]] * 8
        assert (await world.view(sent)).status_code == 200

        async def views() -> int:
            return (await world.run.types(sent.participants[0])).count("document-viewed")

        assert await views() == 1
        assert (await world.view(sent, 1)).status_code == 200
        assert await views() == 2
        world.run.clock.offset += timedelta(hours=1)
        assert (await world.view(sent)).status_code == 200
        assert await views() == 3


@in_loop
async def test_a_document_that_the_participant_does_not_have_is_not_found(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        sent, other = await world.send(ANA), await world.send(BO)
        head = await world.run.head()
        problem(await world.ask(sent, f"documents/{other.documents[0]}"), 404, "document-not-found")
        problem(await world.ask(sent, "documents/nonsense"), 404, "not-found")
        problem(await world.ask(sent, "nothing"), 404, "not-found")
        assert await world.run.head() == head


@in_loop
async def test_a_lost_or_damaged_file_is_not_shown_and_not_recorded_as_shown(
    database: DatabaseUrls, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.send(ANA)
        head = await world.run.head()
        digest = sha256(world.pdfs[sent.documents[0]]).hexdigest()
        file = tmp_path / "blobs" / "sha256" / digest[:2] / digest[2:]
        file.write_bytes(b"%PDF-1.7 other")
        problem(await world.view(sent), 500, "file-damaged")
        file.unlink()
        problem(await world.view(sent), 500, "file-missing")
        assert await world.run.head() == head
        assert await world.run.token(sent.participants[0]) not in caplog.text


# Whose token


@pytest.mark.parametrize("kind", ["missing", "made up", "another signer's", "another tenant's", "superseded", "expired"])
@in_loop
async def test_without_the_sessions_own_token_nothing_is_shown_or_done(
    database: DatabaseUrls, tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with opened(database, tmp_path) as world:
        run, sent = world.run, await world.send(ANA, BO, order=OrderMode.PARALLEL)
        token: str | None = await run.token(sent.participants[0])
        if kind == "missing":
            token = None
        elif kind == "made up":
            token = "sig_" + "A" * 43
        elif kind == "another signer's":
            token = await run.token(sent.participants[1])
        elif kind == "another tenant's":
            stranger = await world.send(ANA, tenant=await run.deps.identity.create_tenant("Other Ltd"))
            token = await run.token(stranger.participants[0])
        elif kind == "superseded":
            fresh = run.deps.invitations.invitation(run.clock.now())
            await run.handle(Participate(sent.id, ResendInvitation(sent.participants[0], fresh)))
        else:
            run.clock.offset += timedelta(days=30, seconds=1)
        head = await run.head()
        refused = (410, "session-expired") if kind == "expired" else (403, "session-token-invalid")
        problem(await world.ask(sent, "package", token=token), *refused)
        problem(await world.view(sent, token=token), *refused)
        problem(await world.decline(sent, "No.", token=token), *refused)
        assert await run.head() == head
        assert token is None or token not in caplog.text


@pytest.mark.parametrize("session", ["sgs_" + "0" * 32, "sgs_x", "env_" + "0" * 32, "%00"])
@in_loop
async def test_nobody_can_ask_which_sessions_exist(database: DatabaseUrls, tmp_path: Path, session: str) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.send(ANA)
        known = await world.ask(sent, "package", token="sig_x")
        unknown = await world.ask(sent, "package", token="sig_x", session=session)
        problem(unknown, 403, "session-token-invalid")
        assert known.json()["detail"] == unknown.json()["detail"]
        problem(await world.ask(sent, "package", session=f"sgs_{sent.id.hex}"), 403, "session-token-invalid")


@in_loop
async def test_before_ones_turn_no_token_opens_the_session(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.send(ANA, BO)
        token = await world.run.token(sent.participants[0])
        problem(await world.ask(sent, "package", 1, token=token), 403, "session-token-invalid")


# Declining


@in_loop
async def test_declining_ends_the_flow_and_keeps_the_reason_as_the_persons_own(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.send(ANA, BO, order=OrderMode.PARALLEL)
        answer = (await world.decline(sent, "Wrong price.\n")).json()
        entries = await world.run.deps.recorder.read_stream(sent.participants[0])
        last = entries[-1]
        assert answer == {
            "status": "declined",
            "head": {"version": last.version, "hash": last.leaf.hex(), "recordedAt": json.loads(last.raw)["at"]},
        }
        assert last.type == "signing.declined/1"
        assert b"price" not in last.raw
        place = Reference(last.stream, last.version, "/reason")
        assert (await world.run.deps.vault.open([place]))[place].value == "Wrong price.\n"
        assert (await world.run.envelope(sent.id)).status is EnvelopeStatus.DECLINED
        assert (await world.package(sent, 1))["status"] == "cancelled"
        await world.run.deps.ledger.erase(person(sent.tenant, email=ANA.email, otherwise=sent.id), "request", PARTNER)
        assert not await world.run.deps.vault.open([place])


@in_loop
async def test_where_the_flow_goes_on_the_next_one_is_invited(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.send(ANA, BO, on_fail=OnParticipantFail.CONTINUE)
        assert (await world.decline(sent, "  ")).status_code == 200
        last = (await world.run.deps.recorder.read_stream(sent.participants[0]))[-1]
        assert "/reason" not in decode(last.raw).personal
        assert (await world.run.envelope(sent.id)).status is EnvelopeStatus.SENT
        assert (await world.package(sent, 1))["status"] == "open"


@in_loop
async def test_a_repeat_of_declining_acts_once(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.send(ANA)
        first = await world.decline(sent, "No.", key="k")
        head = await world.run.head()
        again = await world.decline(sent, "No.", key="k")
        assert (again.status_code, again.content) == (200, first.content)
        problem(await world.decline(sent, "Never.", key="k"), 422, "idempotency-key-reused")
        problem(await world.decline(sent, "No."), 409, "signing-closed")
        assert await world.run.head() == head


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b'{"reason": 1}', "application/json", 422),
        (b'{"why": "x"}', "application/json", 422),
        (b"[]", "application/json", 422),
        (b'{"reason": "' + b"x" * 1001 + b'"}', "application/json", 422),
        (b"{", "application/json", 400),
        (b'{"reason": null}', "text/plain", 415),
        (b'"' + b"x" * 1_100_000 + b'"', "application/json", 413),
    ],
)
@in_loop
async def test_an_unusable_body_declines_nothing(
    database: DatabaseUrls, tmp_path: Path, body: bytes, media_type: str, status: int
) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.send(ANA)
        head = await world.run.head()
        response = await world.ask(sent, "decline", content=body, headers={"Content-Type": media_type})
        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"
        assert "xxx" not in response.text
        assert await world.run.head() == head


# Signing


@pytest.mark.parametrize("host", [BASE_URL, f"{BASE_URL}:8443", "https://partner.example"])
@in_loop
async def test_the_page_completes_the_session_where_it_is(database: DatabaseUrls, tmp_path: Path, host: str) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.send(ANA)
        await world.view(sent)
        first = await world.complete(sent, host=host)
        assert await world.complete(sent, host=host) == first
        types = await world.run.types(sent.participants[0])
        assert types[-4:] == ["started", "document-viewed", "document-signed", "completed"]


@in_loop
async def test_a_database_out_of_reach_is_said_so_and_the_token_is_not(
    database: DatabaseUrls, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with opened(database, tmp_path) as world:
        sent = await world.send(ANA)
        token = await world.run.token(sent.participants[0])
        await world.run.deps.reads.close()
        for answer in (
            await world.ask(sent, "package", token=token),
            await world.view(sent, token=token),
            await world.decline(sent, token=token),
        ):
            problem(answer, 503, "unavailable")
            assert answer.headers["retry-after"] == "2"
        assert caplog.text
        assert token not in caplog.text
