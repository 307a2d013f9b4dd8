"""Who signs, by the credentials beside the token: the signer, an agent, a person in person; and what each mode allows."""

from pathlib import Path

import pytest

from domain.actor import Mode
from infrastructure.database import DatabaseUrls
from tests.contract.sessions_world import ANA, opened, problem
from tests.running import in_loop

FORBIDDEN = {**ANA, "agent_authorized": "forbidden"}


@pytest.mark.parametrize("mode", list(Mode))
@in_loop
async def test_the_token_alone_is_the_signers_and_with_a_key_beside_it_an_agents(
    database: DatabaseUrls, tmp_path: Path, mode: Mode
) -> None:
    async with opened(database, tmp_path) as world:
        key = await world.organization(mode)
        for caller, method, identity in ((world.nobody, "session_token", "token"), (key, "agent_authorized", "agent")):
            envelope = await key.sent(ANA)
            assert envelope["signers"][0]["agent_authorized"] == "allowed"
            token = await world.token(envelope["signers"][0])
            done = await caller.complete(envelope["signers"][0]["signing_session"], token)
            assert done.status_code == 200, done.text
            evidence = done.json()["acknowledgement"]
            assert (evidence["signing_method"], evidence["provenance"]["identity"]) == (method, identity)
            assert evidence["method"] == "typed"


@in_loop
async def test_in_live_mode_a_signer_may_forbid_agents_and_in_test_mode_that_does_not_count(
    database: DatabaseUrls, tmp_path: Path
) -> None:
    async with opened(database, tmp_path) as world:
        test, live = await world.organization(Mode.TEST), await world.organization(Mode.LIVE)
        envelope = await test.sent(FORBIDDEN)
        assert envelope["signers"][0]["agent_authorized"] == "forbidden"
        session, token = envelope["signers"][0]["signing_session"], await world.token(envelope["signers"][0])
        assert (await test.complete(session, token)).status_code == 200

        envelope = await live.sent(FORBIDDEN)
        session, token = envelope["signers"][0]["signing_session"], await world.token(envelope["signers"][0])
        head = await world.running.head()
        found = problem(await live.complete(session, token), 403, "human_signature_required")
        assert found["authorized_by"] == {"human_principal_id": None, "agent_id": found["authorized_by"]["agent_id"]}
        assert found["authorized_by"]["agent_id"].startswith("ok_")
        assert await world.running.head() == head
        # The token alone does not do either: an agent that holds it may leave its key out.
        problem(await world.nobody.complete(session, token), 403, "human_signature_required")
        assert await world.running.head() == head


@in_loop
async def test_a_person_who_signed_in_signs_in_person_whoever_passes_the_token_on(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        live = await world.organization(Mode.LIVE)
        await live.consent()
        envelope = await live.sent(FORBIDDEN)
        signer = envelope["signers"][0]
        body = {"stakeholder_id": signer["stakeholder_id"], "signing_envelope_id": envelope["id"], "signer_id": signer["id"]}
        opened_session = await world.person(mode=Mode.LIVE).ok("POST", "/v1/signing_sessions", body)
        done = await live.complete(opened_session["id"], opened_session["signature_token"])
        assert done.status_code == 200, done.text
        assert done.json()["acknowledgement"]["signing_method"] == "human_oauth"
