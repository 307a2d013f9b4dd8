"""From the last signature to files that hold: over HTTP, with all followers, and with `countersign execute` where a file was lost."""

import io
import zipfile
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from uuid import UUID, uuid4

import pypdfium2  # type: ignore[import-untyped]
import pytest
from typer.testing import CliRunner, Result

from api.cli import app
from domain.policy import NONE, Log, Policy, format_policy
from infrastructure.fsck import fsck
from infrastructure.log_keys import LogKeys
from infrastructure.pdf_seal.findings import Outcome
from infrastructure.settings import Settings, variable
from tests.conftest import ORIGIN, Server
from tests.contract.partner_world import Answered, Client, World, start
from tests.contract.signatures_world import Project, project
from tests.e2e.servers import eventually
from tests.evidence_attack import Reader
from tests.evidence_verdicts import expected, second_verdicts, verdicts


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("executed")


@pytest.fixture(scope="module")
def world(server: Server, migrated_template: str, data: Path) -> Iterator[World]:
    name = f"executed_{uuid4().hex[:12]}"
    urls = server.create(name, migrated_template)
    with start(urls, data, followers=True, execution_lanes=1, checkpoint_seconds=0.5, time_zone="Pacific/Kiritimati") as made:
        yield made
    server.drop(name)


def execution(client: Client | Project, envelope: str) -> Answered:
    headers = client.headers if isinstance(client, Client) else {"Authorization": f"Bearer {client.key}"}
    response = client.world.http.get(f"{client.world.url}/v1/executions/{envelope}", headers=headers)
    return Answered(response.status_code, response.json(), response.headers, response.content)


def done(client: Client | Project, envelope: str) -> Answered:
    def looked() -> Answered | None:
        found = execution(client, envelope)
        assert found.status == 200, found.body
        if found.body["status"] == "waiting":
            assert 1 <= int(found.headers["retry-after"]) <= 60
            return None
        return found

    found: Answered = eventually(looked, 60)
    return found


def text_of(content: bytes) -> str:
    pages = pypdfium2.PdfDocument(content)
    return " ".join(" ".join(page.get_textpage().get_text_range() for page in pages).split())


def test_a_document_of_a_template_with_fields_is_executed_and_certified(world: World) -> None:
    client = world.tenant()
    template = client.template()
    fields = [
        {"fieldName": "FIRST", "fieldType": "SIGNATURE", "page": 1, "x": 72, "y": 200},
        {"fieldName": "DAY", "fieldType": "DATE", "page": 2, "x": 72, "y": 300},
    ]
    assert client("PUT", f"/v1/templates/{template}/fields", fields).status == 200
    made = client.document(template)
    document, who = made["documentId"], made["participants"][0]["participantId"]
    before = execution(client, document)
    assert (before.body["status"], before.body["documents"], before.body["certificate"]) == ("not-completed", [], None)
    client.sign(document, who)
    found = done(client, document)
    assert (found.body["status"], found.body["reason"], found.body["nextAttemptAt"]) == ("done", None, None)
    (executed,), certificate = found.body["documents"], found.body["certificate"]
    for file, shows in ((executed, "/s/ Juan David Otero 1"), (certificate, "juan1@example.com")):
        answered = world.http.get(file["downloadUrl"])
        assert (answered.status_code, sha256(answered.content).hexdigest()) == (200, file["sha256"])
        assert world.run(world.deps.seals.verify(answered.content, world.clock.now())).verdict is not Outcome.FAILED
        assert shows in text_of(answered.content)
    assert "2026-04-24" in text_of(world.http.get(executed["downloadUrl"]).content)
    events = [event["eventType"] for event in client("GET", f"/v1/events/{document}").data]
    assert events[-3:] == ["DOCUMENT_COMPLETED", "DOCUMENT_EXECUTED", "CERTIFICATE_ISSUED"]
    evidence_holds(client, document, {executed["sha256"], certificate["sha256"]})
    stranger = execution(world.tenant(), document)
    assert (stranger.status, stranger.body["code"]) == (404, "not-found")
    assert execution(client, "no-id").status == 404


def evidence_holds(client: Client, envelope: str, made: set[str]) -> None:
    """Both verifiers find the bundle valid with these files in it, and `fsck` finds all files."""
    world = client.world
    bundle = world.http.get(f"{world.url}/v1/evidence/{envelope}", headers=client.headers).content
    (key,) = LogKeys(ORIGIN, world.deps.settings.data).signing()
    reader = Reader("", format_policy(Policy((Log(key.key),), (), (), NONE)))
    assert verdicts(bundle, reader) == second_verdicts(bundle, reader) == expected({}, reader)
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        assert {f"documents/{name}.pdf" for name in made} < set(archive.namelist())
    with closing(fsck(world.database.service, blobs=world.deps.blobs)) as report:
        assert (list(report.faults), report.noted) == ([], [])


def command(world: World, data: Path, *arguments: str) -> Result:
    environment: dict[str, str | None] = {variable(field): None for field in Settings.model_fields}
    environment |= {
        variable("data"): str(data),
        variable("database_url"): world.database.owner,
        variable("origin"): ORIGIN,
        variable("secret_key"): b64encode(b"s" * 32).decode(),
        variable("master_key"): b64encode(b"m" * 32).decode(),
    }
    return CliRunner().invoke(app, ["execute", *arguments], env=environment)


def test_a_request_tells_that_its_file_comes_that_it_cannot_be_made_and_where_it_is(world: World, data: Path) -> None:
    own = project(world)
    render = own.render("Sign here: {{sign_here}}", str(uuid4()))
    identity = own.signature(render)["id"]
    name = own.envelope(identity).documents[0].sha256
    normalised = world.run(world.deps.files.of(name))
    assert normalised is not None
    lost = {each: data / "blobs" / "sha256" / each[:2] / each[2:] for each in (name, normalised.sha256)}
    content = lost[name].read_bytes()
    for path in lost.values():
        path.unlink()
    own.sign(identity)

    def troubled() -> bool:
        row = world.run(world.deps.executions.state(UUID(identity)))
        return row is not None and row.troubled

    eventually(troubled)
    shown, answered = own.get(identity), own("GET", f"/v1/signatures/{identity}/download")
    assert (shown["status"], shown["signedDownloadUrl"], shown["certificateUrl"]) == ("completed", None, None)
    assert shown["errorMessage"] is None
    assert (answered.status, answered.code) == (409, "conflict")
    assert "completed" in answered.body["error"]["message"]
    assert "tried again" in answered.body["error"]["message"]
    assert 1 <= int(answered.headers["retry-after"]) <= 60
    listed = command(world, data, "--list", "--tenant", str(own.tenant))
    assert (listed.exit_code, listed.stdout.split("\t")[:4]) == (0, [identity, str(own.tenant), "live", "waiting"])

    def given_up() -> bool:
        world.clock.offset += timedelta(seconds=40)
        return own.get(identity)["errorMessage"] is not None

    eventually(given_up, 30)
    shown, answered = own.get(identity), own("GET", f"/v1/signatures/{identity}/certificate")
    assert shown["status"] == "completed"
    assert name in shown["errorMessage"]
    assert (answered.status, "retry-after" in answered.headers) == (409, False)
    assert world.http.get(f"{world.url}/health").json()["executions"] == {"waiting": 0, "failed": 1}

    failed = command(world, data, "--all-failed", "--tenant", str(own.tenant))
    assert (failed.exit_code, "missing-file" in failed.stderr) == (1, True)
    lost[name].write_bytes(content)
    executed = command(world, data, identity)
    assert executed.exit_code == 0, executed.stderr
    assert f"{identity}: done" in executed.stderr
    assert command(world, data, "--all-failed", "--tenant", str(own.tenant)).exit_code == 0
    assert command(world, data, str(uuid4())).exit_code == 1
    for url, what in (("signedDownloadUrl", "signed"), ("certificateUrl", "certificate")):
        answered = own("GET", own.get(identity)[url].removeprefix(world.url))
        assert (answered.status, answered.raw[:5]) == (200, b"%PDF-")
        assert f'filename="{identity}-{what}.pdf"' in answered.headers["content-disposition"]
    assert (own.get(identity)["errorMessage"], "executions" in world.http.get(f"{world.url}/health").json()) == (None, False)
