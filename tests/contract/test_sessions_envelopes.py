"""Envelopes: drafts, sending, reading, voiding; and what of them is refused."""

from pathlib import Path

from infrastructure.database import DatabaseUrls
from tests.contract.sessions_world import ANA, BO, opened
from tests.running import in_loop


@in_loop
async def test_an_envelope_is_made_sent_signed_and_read_back(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        key = await world.organization()
        draft = await key.draft(ANA, BO, documents=2, subject="Please sign", metadata={"deal": "7"}, routing="sequential")
        assert draft["status"] == "draft"
        assert [one["status"] for one in draft["signers"]] == ["pending", "pending"]
        assert draft["metadata"] == {"deal": "7"}
        assert draft["entity_id"] == "ent_1"
        path = f"/v1/signing_envelopes/{draft['id']}"
        sent = await key.ok("POST", f"{path}/send")
        assert sent["status"] == "sent"
        assert [one["status"] for one in sent["signers"]] == ["sent", "pending"]
        read = await key.ok("GET", path)
        assert read == sent
        done = await world.nobody.complete(sent["signers"][0]["signing_session"], await world.token(sent["signers"][0]))
        assert done.status_code == 200, done.text
        assert done.json()["envelope_status"] == "partially_signed"
        assert done.json()["document_ids"] == sent["document_ids"]
        again = await key.ok("GET", path)
        assert again["status"] == "partially_signed"
        assert [one["status"] for one in again["signers"]] == ["signed", "sent"]
        document = await key.ok("GET", f"/v1/documents/{sent['document_ids'][0]}")
        assert (document["status"], document["execution_status"]) == ("final", "partially_signed")
        await world.nobody.complete(sent["signers"][1]["signing_session"], await world.token(sent["signers"][1]))
        document = await key.ok("GET", f"/v1/documents/{sent['document_ids'][0]}")
        assert (document["status"], document["execution_status"]) == ("signed", "executed")
        assert document["signing_envelope_ids"] == [draft["id"]]
