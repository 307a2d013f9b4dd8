"""Documents: a draft waits for its PDF, is final with it, and shows how far its envelopes have come."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.actor import Mode
from infrastructure.database import DatabaseUrls, connect
from tests.contract.partner_world import pdf
from tests.contract.sessions_world import ANA, BO, World, opened, problem
from tests.running import in_loop

PATH = "/v1/documents"


@in_loop
async def test_a_document_is_final_once_its_pdf_is_stored(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        key = await world.organization()
        made = await key.ok(
            "POST",
            PATH,
            {
                "entity_id": "ent_7",
                "type": "board_consent",
                "title": "Resolution",
                "parameters": {"seats": 3},
                "metadata": {"a": "b"},
            },
        )
        assert (made["status"], made["execution_status"], made["title"]) == ("draft", "draft", "Resolution")
        waiting = await key.ok("GET", f"{PATH}/{made['id']}")
        assert waiting.pop("upload_url") != ""
        assert waiting == {name: value for name, value in made.items() if name != "upload_url"}
        assert (await world.upload(made["upload_url"], b"no pdf")).status_code == 422
        assert (await world.upload(made["upload_url"], pdf(2))).status_code == 200
        assert (await world.upload(made["upload_url"], pdf(2))).status_code == 200
        assert (await world.upload(made["upload_url"], pdf(3))).status_code == 409
        final = await key.ok("GET", f"{PATH}/{made['id']}")
        assert (final["status"], final["pages"], final["upload_url"]) == ("final", 2, None)
        assert (final["parameters"], final["metadata"], final["entity_id"]) == ({"seats": 3}, {"a": "b"}, "ent_7")
        with connect(database.owner) as conn:
            stored = b"".join(bytes(row[0]) for row in conn.execute("SELECT entry FROM log").fetchall())
        assert b"Resolution" not in stored
        assert b"seats" not in stored


@in_loop
async def test_an_upload_url_ends_with_its_time_and_with_its_key(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        key, secret = await world.running.deps.identity.create_organization_key(world.running.tenant, Mode.TEST)
        headers = {"Authorization": f"Bearer {secret}"}
        made = await world.nobody.ok("POST", PATH, {"entity_id": "ent_1", "type": "nda"}, **headers)
        world.running.clock.offset += timedelta(minutes=20)
        assert (await world.upload(made["upload_url"])).json()["code"] == "url-expired"
        again = await world.nobody.ok("GET", f"{PATH}/{made['id']}", **headers)
        await world.running.deps.identity.revoke_key(key.id)
        assert (await world.upload(again["upload_url"])).json()["code"] == "credential-revoked"
        problem(await world.nobody("GET", f"{PATH}/{made['id']}", **headers), 401, "auth_token_invalid")


async def status(world: World, document: str) -> tuple[str, str]:
    shown = await (await world.organization()).ok("GET", f"{PATH}/{document}")
    return shown["status"], shown["execution_status"]


@in_loop
async def test_the_cascade_follows_the_envelope_that_has_come_furthest(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        key = await world.organization()
        draft = await key.draft(ANA, BO)
        document = draft["document_ids"][0]
        assert await status(world, document) == ("final", "draft")
        sent = await key.ok("POST", f"/v1/signing_envelopes/{draft['id']}/send")
        assert await status(world, document) == ("final", "sent")
        await key.ok("POST", f"/v1/signing_envelopes/{sent['id']}/void")
        assert await status(world, document) == ("final", "draft")
        body = {"entity_id": "ent_1", "document_ids": [document], "signers": [ANA, BO]}
        second = await key.ok("POST", "/v1/signing_envelopes", body)
        second = await key.ok("POST", f"/v1/signing_envelopes/{second['id']}/send")
        for signer, expected in zip(second["signers"], [("final", "partially_signed"), ("signed", "executed")], strict=True):
            await world.nobody.complete(signer["signing_session"], await world.token(signer))
            assert await status(world, document) == expected
        shown = await key.ok("GET", f"{PATH}/{document}")
        assert shown["signing_envelope_ids"] == [second["id"], sent["id"]]


@in_loop
async def test_documents_are_listed_newest_first_in_pages(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        key, live, stranger = await world.organization(), await world.organization(Mode.LIVE), await world.stranger()
        ids = [await key.document(stored=False) for _ in range(5)][::-1]
        hidden = await live.document(stored=False)
        first = await key.ok("GET", f"{PATH}?limit=2")
        assert ([one["id"] for one in first["data"]], first["has_more"], first["next_cursor"]) == (ids[:2], True, ids[1])
        await key.document(stored=False)
        rest = await key.ok("GET", f"{PATH}?starting_after={ids[1]}")
        assert ([one["id"] for one in rest["data"]], rest["has_more"]) == (ids[2:], False)
        assert [one["id"] for one in (await key.ok("GET", f"{PATH}?limit=2&ending_before={ids[3]}"))["data"]] == ids[1:3]
        for cursor in (hidden, "doc_x", "doc_" + "1" * 32):
            problem(await key("GET", f"{PATH}?starting_after={cursor}"), 400, "validation_query_invalid")
        assert (await stranger.ok("GET", PATH))["data"] == []
        problem(await stranger("GET", f"{PATH}/{ids[0]}"), 404, "not_found_resource")
        problem(await live("GET", f"{PATH}/{ids[0]}"), 404, "not_found_in_mode")
        problem(await world.nobody("GET", PATH), 401, "auth_missing_credentials")


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"entity_id": "x"}, "entity_id", "invalid_id"),
        ({"type": "NDA"}, "type", "invalid_id"),
        ({"parameters": []}, "parameters", "invalid_type"),
        ({"parameters": {"x": "y" * 17_000}}, "parameters", "too_large"),
        ({"metadata": {"matter_x": "y"}}, "metadata", "reserved_key"),
        ({"title": "a\nb"}, "title", "invalid"),
        ({"file": "x"}, "file", "unknown_field"),
    ],
)
@in_loop
async def test_every_fault_of_a_document_is_named(
    database: DatabaseUrls, tmp_path: Path, changes: dict[str, Any], field: str, code: str
) -> None:
    async with opened(database, tmp_path) as world:
        key = await world.organization()
        found = problem(await key("POST", PATH, {"entity_id": "ent_1", "type": "nda", **changes}), 422, "validation_failed")
        assert (found["errors"][0]["field"], found["errors"][0]["code"]) == (field, code)
        assert await world.running.head() == 0


@in_loop
async def test_a_repeat_makes_one_document(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        key = await world.organization()
        answers = [await key("POST", PATH, {"entity_id": "ent_1", "type": "nda"}, Idempotency_Key="k") for _ in range(2)]
        assert answers[0].content == answers[1].content
        problem(
            await key("POST", PATH, {"entity_id": "ent_2", "type": "nda"}, Idempotency_Key="k"),
            409,
            "validation_idempotency_key_conflict",
        )
