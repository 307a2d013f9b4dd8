"""POST /v1/verifications and the page before it: whoever holds a file learns what it is, and nothing of anybody."""

import asyncio
import re
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from typer.testing import CliRunner

from api.cli_verify import app as command
from api.surfaces import ledger
from api.surfaces.ledger import verifications
from domain.coordination import RecordRenewed
from domain.envelope import Envelope, SealRenewed
from infrastructure.database import connect
from infrastructure.log_keys import open_log_keys, record_keys
from tests.conftest import ORIGIN, Server
from tests.contract.filed_envelopes import Filed, file, record, sha
from tests.contract.partner_world import World, pdf, projecting, sealing, start
from tests.running import client_of

Headers = dict[str, str]


@pytest.fixture(scope="module")
def world(server: Server, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A server that signs checkpoints and executes nothing by itself."""
    name = f"verifications_{uuid4().hex[:12]}"
    urls = server.create(name, migrated_template)
    with ExitStack() as stack:
        made = stack.enter_context(start(urls, tmp_path_factory.mktemp("verifications")))
        keys = open_log_keys(made.deps.settings, urls, ORIGIN)
        made.run(record_keys(made.deps.ledger, keys))
        stack.enter_context(projecting(urls))
        stack.enter_context(sealing(made))
        yield made
    server.drop(name)


@pytest.fixture(scope="module")
def filed(world: World) -> Filed:
    return file(world.tenant(), "Acme")


def ask(world: World, content: bytes, headers: Headers | None = None) -> httpx.Response:
    sent = {"Content-Type": "application/pdf", **(headers or {})}
    return world.http.post(f"{world.url}/v1/verifications", content=content, headers=sent)


def answered(world: World, content: bytes, headers: Headers | None = None) -> dict[str, Any]:
    response = ask(world, content, headers)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def verdicts(found: dict[str, Any]) -> dict[str, str]:
    return {each["check"]: each["verdict"] for each in found["findings"]}


def test_an_executed_document_is_known_by_anybody_who_holds_it(world: World, filed: Filed) -> None:
    found = answered(world, filed.executed)
    assert found["verdict"] == "valid", found["findings"]
    assert (found["kind"], found["document"], found["mode"], found["ledger"]) == ("executed", 1, "live", ORIGIN)
    assert (found["envelopeId"], found["sha256"]) == (str(filed.envelope), sha(filed.executed))
    (process,) = found["processes"]
    assert process["processId"] == f"{filed.envelope}-{filed.participant}"
    head = world.run(world.deps.recorder.read_stream(filed.participant))[-1]
    assert (process["version"], process["hash"]) == (head.version, head.leaf.hex())
    assert found["seal"]["certificateSha256"] == filed.seal.certificate_sha256
    assert set(verdicts(found).values()) == {"valid"}
    assert [*verdicts(found)][-4:] == ["checkpoint", "inclusion", "chain", "history"]
    assert answered(world, filed.certificate)["kind"] == "certificate"


def test_the_answer_is_as_documented_and_names_nobody(world: World, filed: Filed) -> None:
    for content in (filed.executed, b"%PDF-1.7 something else"):
        response = ask(world, content)
        described = world.surfaces["ledger"].openapi()["paths"]["/v1/verifications"]["post"]["responses"]["200"]
        members = set(world.surfaces["ledger"].openapi()["components"]["schemas"]["FileVerification"]["properties"])
        assert described["content"]["application/json"]["schema"]["$ref"].endswith("/FileVerification")
        assert set(response.json()) == members
        assert not re.search("Juan|example.com|Acuerdo", response.text)


def test_a_file_that_was_altered_or_is_of_no_envelope_is_not_known(world: World, filed: Filed) -> None:
    altered = bytearray(filed.executed)
    altered[-900] ^= 1
    for content in (bytes(altered), filed.executed + b"%", filed.executed[:-40], pdf(7), b"", b"PK\x03\x04" + filed.executed):
        found = answered(world, content)
        assert (found["verdict"], found["kind"], found["envelopeId"], found["processes"]) == ("invalid", None, None, [])
        assert verdicts(found)["file"] == "invalid"
        assert found["sha256"] == sha(content)
    assert "without its seal, and what follows" in answered(world, bytes(altered))["findings"][0]["reason"]


def test_what_was_given_to_sign_is_told_without_where_it_is_used(world: World, filed: Filed) -> None:
    for content in (pdf(2), pdf(3)):  # as it was uploaded, and as it was drawn on
        found = answered(world, content)
        assert (found["verdict"], found["kind"], found["envelopeId"], found["position"]) == ("invalid", "original", None, None)
        assert str(filed.envelope) not in str(found)
    appended = answered(world, pdf(2) + b"\n% more\n%%EOF\n")
    assert appended["kind"] is None
    assert str(filed.envelope) not in str(appended)
    assert answered(world, filed.body)["kind"] == "body"


def test_a_file_of_another_tenant_is_told_alike_to_everybody(world: World, filed: Filed) -> None:
    stranger = world.tenant()
    assert answered(world, filed.executed, stranger.headers) == answered(world, filed.executed)


def test_a_form_before_its_renewal_is_still_known(world: World) -> None:
    own = file(world.tenant(), "Renewed")
    state = world.run(world.deps.ledger.state(Envelope, own.envelope))
    assert state is not None
    later = own.executed + b"% a time stamp\n%%EOF\n"
    record(
        world, RecordRenewed(own.envelope, SealRenewed(state.documents[0].id, sha(own.executed), sha(later), world.clock.now()))
    )
    found = answered(world, own.executed)
    assert (found["verdict"], found["supersededBy"]) == ("valid", sha(later))
    found = answered(world, later)  # the entry names it, and its seal does not hold: what was recorded is not what is believed
    assert (found["verdict"], verdicts(found)["file"], verdicts(found)["body"]) == ("invalid", "valid", "valid")


def test_an_entry_that_was_altered_in_the_database_is_found(world: World) -> None:
    own = file(world.tenant(), "Tampered")
    assert answered(world, own.executed)["verdict"] == "valid"
    with connect(world.database.owner) as conn:
        conn.execute("ALTER TABLE log DISABLE TRIGGER USER")
        conn.execute(
            "UPDATE log SET entry = convert_to(replace(convert_from(entry, 'UTF8'), %s, %s), 'UTF8') WHERE stream = %s",
            [sha(own.certificate), sha(b"another"), own.envelope],
        )
        conn.execute("ALTER TABLE log ENABLE TRIGGER USER")
    found = answered(world, own.executed)
    assert (found["verdict"], verdicts(found)["file"], verdicts(found)["inclusion"]) == ("invalid", "valid", "invalid")
    assert answered(world, own.certificate)["kind"] is None


def test_bodies_that_are_no_file_are_refused(world: World) -> None:
    response = ask(world, b"%PDF-", {"Content-Type": "text/html"})
    assert (response.status_code, response.json()["code"]) == (415, "unsupported-media-type")
    response = ask(world, bytes(40_000_000))
    assert (response.status_code, response.json()["code"]) == (413, "too-large")


def test_a_log_that_is_not_public_asks_for_a_credential(world: World, filed: Filed) -> None:
    settings = world.deps.settings.model_copy(update={"public_log": False})

    async def statuses() -> list[int]:
        app = ledger.build(replace(world.deps, settings=settings))
        sent = {"Content-Type": "application/pdf"}
        async with client_of(app) as client:
            given: list[Headers] = [{}, filed.client.headers]
            return [
                (await client.post("/v1/verifications", content=filed.executed, headers={**sent, **headers})).status_code
                for headers in given
            ]

    assert world.run(statuses()) == [401, 200]


def test_more_files_than_are_let_in_are_told_when_to_come_back(
    world: World, filed: Filed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifications, "MAX_ADMITTED", 2)

    async def answers() -> list[httpx.Response]:
        async with client_of(ledger.build(world.deps)) as client:
            sent = {"Content-Type": "application/pdf"}
            return await asyncio.gather(
                *(client.post("/v1/verifications", content=filed.executed, headers=sent) for _ in range(5))
            )

    found = world.run(answers())
    assert sorted(each.status_code for each in found) == [200, 200, 503, 503, 503]
    refused = next(each for each in found if each.status_code == 503)
    assert (refused.json()["code"], refused.headers["retry-after"]) == ("busy", "5")


def test_the_page_is_the_same_for_everybody_and_runs_nothing_but_its_own_script(world: World, filed: Filed) -> None:
    pages = [world.http.get(f"{world.url}/verify{path}") for path in ("", f"/{filed.envelope}", f"/{uuid4()}", "/x")]
    assert {(each.status_code, each.text) for each in pages} == {(200, pages[0].text)}
    policy = pages[0].headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'sha256-" in policy
    assert "unsafe" not in policy
    assert '<script src="/verify/assets/page.js" defer></script>' in pages[0].text
    assert not re.search(r"<script>|onclick|style=|https?://(?!THIS-SERVER)", pages[0].text)
    script = world.http.get(f"{world.url}/verify/assets/page.js")
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "innerHTML" not in script.text


def test_the_command_holds_a_file_to_the_ledger_of_the_settings(
    world: World, filed: Filed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = world.deps.settings
    monkeypatch.setenv("DATABASE_URL", world.database.service)
    monkeypatch.setenv("COUNTERSIGN_DATA", str(settings.data))
    for name, key in (("COUNTERSIGN_SECRET_KEY", b"s"), ("COUNTERSIGN_MASTER_KEY", b"m")):
        monkeypatch.setenv(name, b64encode(key * 32).decode())
    path = tmp_path / "signed.pdf"
    path.write_bytes(filed.executed)
    shown = CliRunner().invoke(command, ["verify", str(path)])
    assert shown.exit_code == 0, shown.output
    assert f"is the executed document 1 of the envelope {filed.envelope} in the ledger '{ORIGIN}'" in shown.stdout
