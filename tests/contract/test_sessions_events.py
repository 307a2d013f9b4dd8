"""Events: each entry by its derived id, found in the log, with what it takes to recompute the chain."""

from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import get_args

from api.surfaces.sessions.event_words import WORDS
from domain.actor import Mode
from domain.consent import ConsentFact
from domain.entry import decode
from domain.envelope import EnvelopeFact
from domain.faults import Verdict
from domain.ids import event_id
from domain.library import LibraryFact
from domain.signing import SigningFact
from infrastructure.database import DatabaseUrls
from infrastructure.export import export
from infrastructure.export_format import Scope, ScopeKind
from infrastructure.fsck import fsck
from infrastructure.verification import verify
from tests.contract.sessions_world import ANA, BO, opened, problem
from tests.running import in_loop

PATH = "/v1/events"


def test_every_fact_that_there_is_a_resource_for_has_a_word_of_its_own() -> None:
    facts = {fact.TYPE for kind in (EnvelopeFact, SigningFact, LibraryFact, ConsentFact) for fact in get_args(kind)}
    assert set(WORDS) == facts
    words = [word.type for word in WORDS.values()]
    assert len(set(words)) == len(words)
    documented = {"signing_envelope.sent", "signing_envelope.signer_signed", "signing_envelope.completed",
                  "signing_envelope.declined", "document.generated", "document.signed", "document.executed", "document.voided"}  # fmt: skip
    assert documented <= set(words)


@in_loop
async def test_every_entry_is_found_by_its_id_and_no_other(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        key = await world.organization()
        await key.consent()
        sent = await key.sent(ANA, BO, documents=2)
        done = await world.nobody.complete(sent["signers"][0]["signing_session"], await world.token(sent["signers"][0]))
        await key.ok("POST", f"/v1/signing_envelopes/{sent['id']}/void")
        stored = await world.running.deps.recorder.read_log(0, 100)
        seen = []
        for entry in stored:
            id = f"evt_{event_id(decode(entry.raw).at, entry.leaf)}"
            event = await key.ok("GET", f"{PATH}/{id}")
            assert (event["id"], event["sequence"], event["version"]) == (id, entry.position, entry.version)
            assert event["hash"] == entry.leaf.hex() == sha256(b"\0" + event["entry"].encode()).hexdigest()
            assert event["livemode"] is False
            seen.append(event["type"])
        assert seen.count("document.signed") == 2
        assert seen[-1] == "signing_session.cancelled"
        evidence = done.json()["acknowledgement"]["documents"][0]
        event = await key.ok("GET", f"{PATH}/{evidence['event_id']}")
        assert event["data"]["object"] == {"id": evidence["document_id"], "object_type": "document"}
        assert evidence["document_id"] in sent["document_ids"]
        last = seen.index("signing_envelope.created")
        first = stored[last]
        id = event_id(decode(first.raw).at, first.leaf)
        assert (await key.ok("GET", f"{PATH}/evt_{id}"))["authorized_by"]["token_id"].startswith("ok_")
        near = id[:-1] + ("0" if id[-1] != "0" else "1")
        for wrong in (f"evt_{near}", f"evt_{'0' * 26}", f"evt_7{'Z' * 25}", f"evt_{id.lower()}", id, "evt_", f"evt_8{'0' * 25}"):
            problem(await key("GET", f"{PATH}/{wrong}"), 404, "not_found_resource")
        problem(await (await world.stranger())("GET", f"{PATH}/evt_{id}"), 404, "not_found_resource")
        problem(await (await world.organization(Mode.LIVE))("GET", f"{PATH}/evt_{id}"), 404, "not_found_in_mode")
        problem(await world.nobody("GET", f"{PATH}/evt_{id}"), 401, "auth_missing_credentials")


@in_loop
async def test_the_object_of_an_event_is_expanded_to_what_it_is_now(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        key = await world.organization()
        consent, sent = await key.consent(), await key.sent(ANA)
        paths = {
            "signing_envelope": f"/v1/signing_envelopes/{sent['id']}",
            "signing_session": f"/v1/signing_sessions/{sent['signers'][0]['signing_session']}",
            "document": f"/v1/documents/{sent['document_ids'][0]}",
            "consent": f"/v1/consents/{consent['id']}",
        }
        shown = {name: await key.ok("GET", path) for name, path in paths.items()}
        for entry in await world.running.deps.recorder.read_log(0, 100):
            id = f"evt_{event_id(decode(entry.raw).at, entry.leaf)}"
            thin = (await key.ok("GET", f"{PATH}/{id}"))["data"]["object"]
            full = (await key.ok("GET", f"{PATH}/{id}?expand[]=data.object"))["data"]["object"]
            assert full == shown[thin["object_type"]]
        problem(await key("GET", f"{PATH}/{id}?expand[]=data"), 400, "validation_query_invalid")


@in_loop
async def test_the_log_of_this_surface_is_whole_and_replays(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        key = await world.organization()
        consent, sent = await key.consent(), await key.sent(ANA, BO)
        signer = sent["signers"][0]
        body = {"stakeholder_id": signer["stakeholder_id"], "signing_envelope_id": sent["id"], "signer_id": signer["id"]}
        session = await world.person().ok("POST", "/v1/signing_sessions", body)
        await world.nobody.complete(session["id"], session["signature_token"])
        await key.ok("POST", f"/v1/consents/{consent['id']}/withdraw", {"reason": "Enough"})
        await key.complete(sent["signers"][1]["signing_session"], await world.token(sent["signers"][1]))
        head = await world.running.head()
    with closing(fsck(database.owner)) as report:
        assert (report.verdict, report.entries) == (Verdict.VALID, head)
    export(database.service, Scope(ScopeKind.LOG), tmp_path / "log.jsonl")
    with closing(verify(tmp_path / "log.jsonl")) as report:
        assert (report.verdict, report.entries) == (Verdict.VALID, head)
