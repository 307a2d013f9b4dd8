"""GET /v1/evidence: who gets which bundle, what is in it, and that it verifies against the ledger's own key."""

import io
import json
import time
import zipfile
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from typer.testing import CliRunner, Result

from api.cli_evidence import app
from domain.actor import Actor, ActorKind, Mode
from domain.coordination import RecordCertified, RecordExecuted, RecordRenewed
from domain.envelope import CertificateIssued, CopyRecipient, DocumentExecuted, Envelope, OrderMode, SealRenewed
from domain.faults import Verdict
from domain.findings import Check
from domain.ids import ProcessId, typed_id
from domain.personal import Subject, SubjectKind, person
from domain.policy import NONE, Log, Policy, format_policy
from domain.seal import Obstacle, Profile, Seal
from domain.signing import DocumentReference
from infrastructure.database import DatabaseUrls
from infrastructure.evidence import Judgement, Trust, verify
from infrastructure.identity import KeyKind
from infrastructure.ledger import NO_ANSWER
from infrastructure.log_keys import LogKeys
from tests.conftest import ORIGIN, Server
from tests.contract.partner_world import Client, World, pdf, start
from tests.contract.signing_world import dealership, handle, user
from tests.running import Person, Running

Headers = dict[str, str]


@dataclass
class Estate:
    """A tenant with an envelope that two people have signed."""

    client: Client
    envelope: UUID
    people: tuple[UUID, ...]

    @property
    def world(self) -> World:
        return self.client.world

    def get(self, id: object, headers: Headers | None = None, /, **query: Any) -> httpx.Response:
        url = f"{self.world.url}/v1/evidence/{id}"
        return self.world.http.get(url, headers=self.client.headers if headers is None else headers, params=query)

    def bundle(self, id: object = None, headers: Headers | None = None, /, **query: Any) -> bytes:
        response = self.get(id or self.envelope, headers, **query)
        assert response.status_code == 200, response.text
        return response.content

    def key(self, kind: KeyKind, mode: Mode = Mode.LIVE, tenant: UUID | None = None) -> Headers:
        made = self.world.run(self.world.deps.identity.create_key(tenant or self.client.tenant, kind, mode))
        return {"Authorization": f"Bearer {made.secret}"}

    def signer(self, number: int) -> Headers:
        return user(self.world, self.client.tenant, f"user_{number}", f"juan{number}@example.com").headers

    def judge(self, raw: bytes) -> Judgement:
        """What a verifier says that believes the key in the server's data folder, and asks for no witness."""
        (key,) = LogKeys(ORIGIN, self.world.deps.settings.data).signing()
        return verify(io.BytesIO(raw), Trust(format_policy(Policy((Log(key.key),), (), (), NONE))))


@pytest.fixture(scope="module")
def world(server: Server, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One server with everything that runs in one: read models, sealer, heads."""
    name = f"evidence_{uuid4().hex[:12]}"
    urls = server.create(name, migrated_template)
    with start(urls, tmp_path_factory.mktemp("evidence"), followers=True) as made:
        yield made
    server.drop(name)


@pytest.fixture(scope="module")
def estate(world: World) -> Estate:
    return signed(world.tenant())


def signed(client: Client, *, mails: bool = True) -> Estate:
    """The estate, once invitations have left if the server sends `mails`: what is recorded of them would change a bundle."""
    id = client.document(count=2)["documentId"]
    state = client.world.run(client.world.deps.ledger.state(Envelope, UUID(id)))
    assert state is not None
    for who in state.slots:
        if mails:
            wait_for_delivery(client.world, who)
        client.look(id, str(who))
        client.sign(id, str(who))
    return Estate(client, UUID(id), tuple(state.slots))


def wait_for_delivery(world: World, who: UUID) -> None:
    for _ in range(200):
        if any(
            entry.type.startswith("signing.invitation-delivered/") for entry in world.run(world.deps.recorder.read_stream(who))
        ):
            return
        time.sleep(0.05)
    pytest.fail("no invitation was delivered")


def members(raw: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def disclosures(raw: bytes) -> list[tuple[str, str, Any]]:
    """Of each personal value the stream, the path, and what stands for it: the value, `withheld`, or the erasing position."""
    found = members(raw)
    lines = [json.loads(line) for line in found["entries.jsonl"].splitlines()]
    streams = {line["position"]: json.loads(line["entry"])["stream"] for line in lines}
    return [
        (streams[line["position"]], line["path"], "withheld" if "withheld" in line else line.get("erased", line.get("value")))
        for line in map(json.loads, found["disclosures.jsonl"].splitlines())
    ]


def problem(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


def test_the_bundle_of_an_envelope_is_found_valid_and_names_what_is_absent(estate: Estate) -> None:
    response = estate.get(estate.envelope)
    raw = response.content
    assert response.headers["content-type"] == "application/zip"
    assert response.headers["content-disposition"] == f'attachment; filename="evidence-{estate.envelope}.zip"'
    assert response.headers["cache-control"] == "private, no-cache"
    found, judged = members(raw), estate.judge(raw)
    verdicts = {finding.check: finding.verdict for finding in judged.findings}
    assert {check for check, verdict in verdicts.items() if verdict is not Verdict.VALID} == {Check.TIME}
    assert judged.verdict is Verdict.VALID
    assert judged.counts["entries"] == 19
    (paper,) = [name for name in found if name.startswith("documents/")]
    assert paper == f"documents/{sha256(found[paper]).hexdigest()}.pdf"
    assert found["verify_evidence.py"] == Path("scripts/verify_evidence.py").read_bytes()
    report = found["report.txt"].decode()
    for said in ("the envelope is completed", "Absent: no witness has cosigned", "Absent: no time-stamping authority"):
        assert said in report
    assert "Juan David Otero 1 signed Document 1" in report


def test_everybody_who_oversees_the_envelope_gets_the_same_bytes(estate: Estate) -> None:
    raw, world = estate.bundle(), estate.world
    token = world.run(_admin(world, estate.client.tenant))
    for headers in (
        estate.key(KeyKind.PROJECT),
        estate.key(KeyKind.ORGANIZATION),
        {"Authorization": f"Bearer {token}"},
        dealership(world, estate.client.tenant).admin("root").headers,
    ):
        # Appointing the admin made the log grow, and the bundle with it; but for what it stands in it is the same.
        other = members(estate.bundle(None, headers))
        assert [name for name in ("entries.jsonl", "disclosures.jsonl") if other[name] != members(raw)[name]] == []
    assert estate.bundle() == estate.bundle(None, estate.key(KeyKind.PROJECT))


async def _admin(world: World, tenant: UUID) -> str:
    return world.deps.identity.mint_admin_token(tenant, timedelta(hours=1))


def test_who_has_the_bytes_already_is_told_so(estate: Estate) -> None:
    first = estate.get(estate.envelope)
    url, tag = f"{estate.world.url}/v1/evidence/{estate.envelope}", first.headers["etag"]
    again = estate.world.http.get(url, headers={**estate.client.headers, "If-None-Match": f'"other", W/{tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    changed = estate.world.http.get(f"{url}?documents=false", headers={**estate.client.headers, "If-None-Match": tag})
    assert (changed.status_code, changed.headers["etag"] == tag) == (200, False)


def test_a_process_has_a_bundle_by_each_spelling_of_its_id(estate: Estate) -> None:
    who = estate.people[0]
    process = str(ProcessId(estate.envelope, who))
    raw = estate.bundle(process)
    judged = estate.judge(raw)
    assert (judged.verdict, judged.envelope, judged.process) == (Verdict.VALID, estate.envelope, who)
    assert {stream for stream, _, _ in disclosures(raw)} <= {str(who), str(estate.envelope)}
    for spelled in (typed_id("sgs", who), typed_id("sgn", who)):
        assert estate.bundle(spelled) == raw
    assert estate.bundle(typed_id("env", estate.envelope)) == estate.bundle()


def test_what_is_not_the_callers_is_answered_like_what_does_not_exist(estate: Estate) -> None:
    world = estate.world
    other = world.run(world.deps.identity.create_tenant("Other Ltd"))
    stranger = user(world, estate.client.tenant, "stranger", "stranger@example.com").headers
    for headers in (estate.key(KeyKind.PROJECT, tenant=other), estate.key(KeyKind.PROJECT, Mode.TEST), stranger):
        foreign, absent = estate.get(estate.envelope, headers), estate.get(uuid4(), headers)
        assert problem(foreign) == (404, "not-found")
        assert {**foreign.json(), "requestId": 0} == {**absent.json(), "requestId": 0}
    assert problem(estate.get(estate.envelope, {})) == (401, "unauthorized")


def test_who_only_signs_sees_the_values_of_the_envelope_and_of_the_own_process(estate: Estate) -> None:
    raw = estate.bundle(None, estate.signer(1))
    own, other = map(str, estate.people)
    assert estate.judge(raw).verdict is Verdict.VALID
    for stream, path, shown in disclosures(raw):
        assert (shown == "withheld") == (stream == other), path
    assert (own, "/email", "juan1@example.com") in disclosures(raw)
    assert b"juan2@example.com" not in raw
    assert b"Juan David Otero 2" not in raw


def two_papers(estate: Estate) -> tuple[UUID, dict[str, str]]:
    """An envelope in which each of two people has a paper of their own to sign; the SHA-256 of each one's paper."""
    world, people = estate.world, (Person("Ana", "ana@two.test"), Person("Bo", "bo@two.test"))
    made = Running(world.database, world.deps, world.clock, None, estate.client.tenant).creation(  # type: ignore[arg-type]
        *people, documents=2, order=OrderMode.PARALLEL, subject="Contract"
    )
    papers = [
        replace(each, sha256=world.run(world.deps.blobs.put(pdf(pages)))) for pages, each in enumerate(made.created.documents, 3)
    ]
    about = Subject(estate.client.tenant, SubjectKind.ENVELOPE, str(made.envelope))
    copied = person(estate.client.tenant, email="copy@two.test", otherwise=UUID(int=0))
    conceal = world.deps.vault.conceal
    created = replace(
        made.created,
        documents=tuple(papers),
        participants=tuple(
            replace(slot, documents=(paper.id,)) for slot, paper in zip(made.created.participants, papers, strict=True)
        ),
        metadata=conceal({"note": "for us alone"}, about),
        copies=(CopyRecipient(uuid4(), conceal("Cy", copied), conceal("copy@two.test", copied)),),
    )
    processes = {
        who: replace(process, documents=(DocumentReference(paper.id, paper.sha256),))
        for (who, process), paper in zip(made.processes.items(), papers, strict=True)
    }
    handle(world, replace(made, created=created, processes=processes))
    return made.envelope, {str(who): paper.sha256 for who, paper in zip(processes, papers, strict=True)}


def test_who_only_signs_gets_neither_the_papers_of_others_nor_what_the_sender_noted(estate: Estate) -> None:
    envelope, papers = two_papers(estate)
    (ana, own), (_, other) = papers.items()
    headers = user(estate.world, estate.client.tenant, "ana_two", "ana@two.test").headers

    def documents() -> set[str]:
        raw = estate.bundle(envelope, headers)
        assert estate.judge(raw).verdict is Verdict.VALID
        shown = {path: value for stream, path, value in disclosures(raw) if stream == str(envelope)}
        assert shown == {
            "/subject": "Contract",
            "/metadata": "withheld",
            "/copies/0/name": "withheld",
            "/copies/0/email": "withheld",
        }
        assert not [word for word in (b"for us alone", b"copy@two.test", b"bo@two.test") if word in raw]
        return {name.removeprefix("documents/").removesuffix(".pdf") for name in members(raw) if name.startswith("documents/")}

    assert documents() == set()  # where a paper that is still to be signed is shown, that is recorded
    estate.client.sign(str(envelope), ana)
    assert documents() == {own}
    everything = members(estate.bundle(envelope))
    assert {f"documents/{own}.pdf", f"documents/{other}.pdf"} < set(everything)


def test_named_values_and_the_documents_are_left_out_on_request(estate: Estate) -> None:
    who, other = estate.people
    raw = estate.bundle(withhold=["/email", f"{who}:/name"], documents="false")
    judged = estate.judge(raw)
    assert (judged.verdict, judged.counts["documents"], judged.counts["documentsWithheld"]) == (Verdict.VALID, 0, 1)
    found = disclosures(raw)
    withheld = {(stream, path) for stream, path, shown in found if shown == "withheld"}
    assert withheld == {(str(who), "/email"), (str(other), "/email"), (str(who), "/name")}
    assert b"@example.com" not in raw
    slips = ("/emial", f"{uuid4()}:/email", "email", ["/email"] * 101)
    for field, text in (*(("withhold", slip) for slip in slips), ("documents", "no")):
        refused = estate.get(estate.envelope, **{field: text})
        assert problem(refused) == (422, "validation-failed")
        assert [fault["field"] for fault in refused.json()["errors"]] == [field]


def test_what_was_erased_is_named_and_bundles_made_before_still_verify(world: World) -> None:
    estate = signed(world.tenant())
    before = estate.bundle()
    subject = person(estate.client.tenant, email="juan1@example.com", otherwise=UUID(int=0))
    operator = Actor(ActorKind.OPERATOR, "test")
    world.run(world.deps.ledger.erase(subject, "gdpr-17-1-b", operator, lambda outcome: NO_ANSWER))
    position, after = world.head(), estate.bundle()
    assert {shown for stream, _, shown in disclosures(after) if stream == str(estate.people[0])} == {position}
    assert b"juan1@example.com" not in after
    assert f"[erased by entry {position}]" in members(after)["report.txt"].decode()
    for raw in (before, after):
        assert estate.judge(raw).verdict is Verdict.VALID


def test_a_pdf_that_was_altered_is_not_given_out_and_one_that_is_gone_is_named(world: World) -> None:
    estate = signed(world.tenant())
    (name,) = [name for name in members(estate.bundle()) if name.startswith("documents/")]
    hash = name.removeprefix("documents/").removesuffix(".pdf")
    stored = world.deps.settings.data / "blobs" / "sha256" / hash[:2] / hash[2:]
    whole = stored.read_bytes()
    try:
        stored.write_bytes(whole[:-1])
        assert problem(estate.get(estate.envelope)) == (500, "file-damaged")
        stored.unlink()
        raw = estate.bundle()
    finally:
        stored.write_bytes(whole)
    assert estate.judge(raw).verdict is Verdict.INDETERMINATE
    assert "not stored any more" in members(raw)["report.txt"].decode()


def executed(estate: Estate) -> list[str]:
    """Executes the envelope, certifies it, and renews the seal of its document: the files' SHA-256 in that order."""
    world, envelope = estate.world, estate.envelope
    state = world.run(world.deps.ledger.state(Envelope, envelope))
    assert state is not None
    (document,) = state.documents
    bodies = [pdf(pages) + str(envelope).encode() for pages in (1, 2)]
    sealed = [body + b"seal" for body in bodies]
    (file, certificate, renewed) = [world.run(world.deps.blobs.put(raw)) for raw in (*sealed, sealed[0] + b"time stamp")]
    about = [(sha256(body).hexdigest(), len(body)) for body in bodies]
    seal = Seal(Profile.B_B, Obstacle.NO_AUTHORITY, "ab" * 32)
    hash, size = about[0]
    handle(world, RecordExecuted(envelope, DocumentExecuted(document.id, hash, file, size, None, seal)))
    handle(world, RecordCertified(envelope, CertificateIssued(certificate, *about[1], seal)))
    handle(world, RecordRenewed(envelope, SealRenewed(document.id, file, renewed, world.clock.now())))
    return [file, certificate, renewed]


def test_executed_files_are_there_in_their_last_form_and_begin_as_was_recorded(world: World) -> None:
    estate = signed(world.tenant())
    before = {name for name in members(estate.bundle()) if name.startswith("documents/")}
    file, certificate, renewed = executed(estate)
    raw = estate.bundle()
    judged = estate.judge(raw)
    assert judged.verdict is Verdict.VALID
    assert any("the seals in the PDFs" in absent for absent in judged.absent)
    found = members(raw)
    made = {f"documents/{name}.pdf" for name in (certificate, renewed)}
    assert {name for name in found if name.startswith("documents/")} == before | made
    report = " ".join(found["report.txt"].decode().split())
    assert report.count("sealed as PAdES B-B; not higher, since no time-stamping authority is configured") == 3
    assert f"SHA-256: {file} Where it is: not here: the form after it begins with it" in report
    # The certificate is about all signers, so it is not one signer's.
    own = estate.judge(estate.bundle(None, estate.signer(1)))
    assert (own.verdict, own.counts["documents"], own.counts["documentsWithheld"]) == (Verdict.VALID, 2, 1)
    lost = world.deps.settings.data / "blobs" / "sha256" / renewed[:2] / renewed[2:]
    lost.unlink()
    assert {it.check: it.verdict for it in estate.judge(estate.bundle()).findings}[Check.FILES] is Verdict.INDETERMINATE


def test_an_operator_takes_the_same_bytes_away_at_a_terminal(estate: Estate, tmp_path: Path) -> None:
    keys = {"COUNTERSIGN_SECRET_KEY": b64encode(b"s" * 32).decode(), "COUNTERSIGN_MASTER_KEY": b64encode(b"m" * 32).decode()}
    where = {"DATABASE_URL": estate.world.database.owner, "COUNTERSIGN_DATA": str(estate.world.deps.settings.data)}

    def run(*words: str) -> Result:
        return CliRunner().invoke(app, words, env={**where, **keys})

    target = tmp_path / "bundle.zip"
    made = run(str(estate.envelope), "--out", str(target))
    assert (made.exit_code, target.read_bytes()) == (0, estate.bundle()), made.output
    assert "the heads manifest covers positions up to" in made.stderr
    refused = run(str(estate.envelope), "--out", str(target), "--withhold", "/emial", "--no-documents")
    assert (refused.exit_code, list(tmp_path.iterdir())) == (1, [target])
    assert "names no personal value" in refused.stderr


def test_without_a_sealer_there_is_no_bundle_and_the_answer_says_what_to_do(database: DatabaseUrls, tmp_path: Path) -> None:
    with start(database, tmp_path, evidence_wait_seconds=0.1) as world:
        estate = signed(world.tenant(), mails=False)
        refused = estate.get(estate.envelope)
        assert problem(refused) == (503, "not-sealed")
        assert refused.headers["retry-after"] == "2"
        assert "start one" in refused.json()["detail"]
