"""Opening a session: for the signer who has just signed in, with consent, for fifteen minutes, once."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from api.surfaces import signer
from domain.actor import Mode
from infrastructure.database import DatabaseUrls, connect
from tests.contract.sessions_world import ANA, BO, STAKEHOLDER, World, opened, problem
from tests.running import client_of, in_loop

PATH = "/v1/signing_sessions"


def asked(envelope: Any, who: int = 0, stakeholder: str = STAKEHOLDER) -> dict[str, str]:
    """The body that asks for a session of a signer of an envelope."""
    return {
        "stakeholder_id": stakeholder,
        "signing_envelope_id": envelope["id"],
        "signer_id": envelope["signers"][who]["id"],
    }


async def ready(world: World, **changes: Any) -> Any:
    """A sent envelope whose first signer has consented."""
    key = await world.organization()
    await key.consent()
    return await key.sent(ANA, BO, **changes)


@in_loop
async def test_the_signer_opens_a_session_and_completes_it_in_person(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        envelope, now = await ready(world), world.running.clock.now().timestamp()
        response = await world.person()("POST", PATH, asked(envelope))
        assert response.status_code == 201, response.text
        session = response.json()
        disclosure = await (await world.organization()).ok("GET", "/v1/consents/esra")
        assert session["signature_token"].startswith("sig_")
        assert session["target"] == {
            "document_id": None,
            "signing_envelope_id": envelope["id"],
            "signer_id": envelope["signers"][0]["id"],
        }
        assert session["stakeholder_id"] == STAKEHOLDER
        assert session["human_clerk_user_id"] == "user_ana"
        assert session["disclosure_packet_hash"] == disclosure["disclosure_packet_hash"]
        assert session["status"] == "pending"
        assert session["livemode"] is False
        assert 895 <= session["expires_at"] - now <= 905
        shown = await (await world.organization()).ok("GET", f"{PATH}/{session['id']}")
        assert shown["signature_token"] is None
        assert (shown["human_clerk_user_id"], shown["expires_at"]) == ("user_ana", session["expires_at"])
        done = (await world.nobody.complete(session["id"], session["signature_token"])).json()
        assert done["acknowledgement"]["signing_method"] == "human_oauth"
        assert done["acknowledgement"]["provenance"]["identity"] == "oidc"
        assert done["session"]["human_clerk_user_id"] == "user_ana"
        problem(await world.nobody.complete(session["id"], session["signature_token"]), 409, "invalid_state_transition")
        problem(await world.person()("POST", PATH, asked(envelope)), 409, "invalid_state_transition")


@in_loop
async def test_a_further_session_ends_the_one_before_and_a_repeat_gives_the_same(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        envelope, ana = await ready(world), world.person()
        first = await ana("POST", PATH, asked(envelope), Idempotency_Key="k1")
        again = await ana("POST", PATH, asked(envelope), Idempotency_Key="k1")
        assert first.content == again.content
        token = first.json()["signature_token"]
        with connect(database.owner) as conn:
            kept = b"".join(bytes(row[0]) for row in conn.execute("SELECT body FROM idempotency").fetchall())
            stored = b"".join(bytes(row[0]) for row in conn.execute("SELECT entry FROM log").fetchall())
        assert token.encode() not in kept + stored
        assert b"user_ana" not in stored
        second = await ana.ok("POST", PATH, asked(envelope))
        assert second["signature_token"] != token
        problem(await world.nobody.complete(second["id"], token), 403, "invalid_session_token")
        invitation = await world.token(envelope["signers"][0])
        assert (await world.nobody.complete(second["id"], invitation)).status_code == 200


@in_loop
async def test_a_session_ends_after_fifteen_minutes_and_the_invitation_does_not(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        envelope = await ready(world)
        session = await world.person().ok("POST", PATH, asked(envelope))
        world.running.clock.offset += timedelta(minutes=14, seconds=50)
        by_token = await world.nobody.ok("GET", f"{PATH}/{session['id']}", X_Signing_Session_Token=session["signature_token"])
        assert by_token["status"] == "pending"
        world.running.clock.offset += timedelta(seconds=20)
        problem(await world.nobody.complete(session["id"], session["signature_token"]), 410, "session_expired")
        by_token = await world.nobody.ok("GET", f"{PATH}/{session['id']}", X_Signing_Session_Token=session["signature_token"])
        assert by_token["status"] == "expired"
        by_key = await (await world.organization()).ok("GET", f"{PATH}/{session['id']}")
        assert (by_key["status"], by_key["human_clerk_user_id"]) == ("pending", None)
        assert (await world.nobody.complete(session["id"], await world.token(envelope["signers"][0]))).status_code == 200


@in_loop
async def test_a_document_is_enough_to_name_the_session(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        envelope = await ready(world)
        document = envelope["document_ids"][0]
        session = await world.person().ok("POST", PATH, {"stakeholder_id": STAKEHOLDER, "document_id": document})
        assert session["target"]["document_id"] == document
        assert session["id"] == envelope["signers"][0]["signing_session"]
        nobody = await world.person("cy@example.com", "user_cy")(
            "POST", PATH, {"stakeholder_id": STAKEHOLDER, "document_id": document}
        )
        problem(nobody, 404, "not_found_resource")
        unknown = {"stakeholder_id": STAKEHOLDER, "document_id": "doc_" + "0" * 32}
        problem(await world.person()("POST", PATH, unknown), 404, "not_found_resource")


@in_loop
async def test_only_a_person_who_signed_in_within_five_minutes_opens_one(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        envelope, ana = await ready(world), world.person()
        key = await world.organization()
        assert problem(await key("POST", PATH, asked(envelope)), 403, "reauthentication_required")["authorized_by"]["agent_id"]
        problem(await world.nobody("POST", PATH, asked(envelope)), 401, "auth_missing_credentials")
        problem(await world.nobody("POST", PATH, asked(envelope), Authorization="Bearer a.b.c"), 401, "auth_token_invalid")
        world.running.clock.offset += timedelta(minutes=4, seconds=50)
        assert (await ana("POST", PATH, asked(envelope))).status_code == 201
        world.running.clock.offset += timedelta(seconds=20)
        found = problem(await ana("POST", PATH, asked(envelope)), 403, "reauthentication_required")
        assert found["authorized_by"]["human_principal_id"].startswith("usr_")
        world.running.clock.offset += timedelta(hours=2)
        problem(await ana("POST", PATH, asked(envelope)), 401, "auth_token_expired")


@in_loop
async def test_nobody_opens_a_session_for_somebody_else(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        envelope = await ready(world)
        key = await world.organization()
        await key.consent("stk_bo1")
        head = await world.running.head()
        for caller in (world.person("bo@example.com", "user_bo"), world.person(None, "user_ana"), world.person("x@example.com")):
            problem(await caller("POST", PATH, asked(envelope)), 404, "not_found_resource")
        # The signer's own sign-in, but the wrong name of the stakeholder, place, envelope or world.
        ana = world.person()
        problem(await ana("POST", PATH, asked(envelope, 0, "stk_bo1")), 404, "not_found_resource")
        problem(await ana("POST", PATH, asked(envelope, 1)), 404, "not_found_resource")
        other = {**asked(envelope), "signing_envelope_id": "env_" + "1" * 32}
        problem(await ana("POST", PATH, other), 404, "not_found_resource")
        problem(await world.person(mode=Mode.LIVE)("POST", PATH, asked(envelope)), 404, "not_found_in_mode")
        foreign = await world.running.deps.identity.create_tenant("Another Ltd")
        absent = await ana("POST", PATH, {**asked(envelope), "signer_id": "sgn_" + "2" * 32})
        elsewhere = await world.person(tenant=foreign)("POST", PATH, asked(envelope))
        assert problem(elsewhere, 404, "not_found_resource")["detail"] == problem(absent, 404, "not_found_resource")["detail"]
        assert await world.running.head() == head


@in_loop
async def test_an_account_that_the_organization_names_is_the_signers(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        key = await world.organization()
        await key.consent()
        envelope = await key.sent({**ANA, "email": "other@example.com", "human_clerk_user_id": "user_ana"})
        assert (await world.person(None)("POST", PATH, asked(envelope))).status_code == 201
        problem(await world.person(None, "user_bo")("POST", PATH, asked(envelope)), 404, "not_found_resource")


@in_loop
async def test_consent_has_to_hold(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        key, ana = await world.organization(), world.person()
        envelope = await key.sent(ANA)
        problem(await ana("POST", PATH, asked(envelope)), 409, "state_esra_consent_required")
        await (await world.organization(Mode.LIVE)).consent()
        problem(await ana("POST", PATH, asked(envelope)), 409, "state_esra_consent_required")
        consent = await key.consent()
        assert (await ana("POST", PATH, asked(envelope))).status_code == 201
        await key.ok("POST", f"/v1/consents/{consent['consent_id']}/withdraw")
        problem(await ana("POST", PATH, asked(envelope)), 409, "state_esra_consent_required")
        await key.consent()
        assert (await ana("POST", PATH, asked(envelope))).status_code == 201


@in_loop
async def test_a_draft_a_later_turn_and_an_ended_envelope_have_no_sessions(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        key, ana = await world.organization(), world.person()
        await key.consent()
        draft = await key.draft(ANA)
        problem(await ana("POST", PATH, asked(draft)), 409, "invalid_state_transition")
        waiting = await key.sent(BO, ANA, routing="sequential")
        found = problem(await ana("POST", PATH, asked(waiting, 1)), 409, "invalid_state_transition")
        assert (found["current_state"], found["attempted_transition"]) == ("pending", "opened")
        await key.ok("POST", f"/v1/signing_envelopes/{waiting['id']}/void")
        problem(await ana("POST", PATH, asked(waiting, 1)), 409, "invalid_state_transition")


@in_loop
async def test_what_is_asked_for_has_to_be_said_rightly(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        ana, envelope = world.person(), "env_" + "1" * 32
        for body, field in (
            ({}, "stakeholder_id"),
            ({"stakeholder_id": "stk_1"}, ""),
            ({"stakeholder_id": "stk_1", "signing_envelope_id": envelope}, ""),
            ({"stakeholder_id": "stk_1", "signing_envelope_id": envelope, "document_id": "doc_" + "1" * 32}, ""),
            ({"stakeholder_id": "ana", "document_id": "doc_" + "1" * 32}, "stakeholder_id"),
            ({"stakeholder_id": "stk_1", "document_id": "doc_1"}, "document_id"),
            ({"stakeholder_id": "stk_1", "document_id": "doc_" + "1" * 32, "redirect_url": "x"}, "redirect_url"),
            ([], ""),
        ):
            found = problem(await ana("POST", PATH, body), 422, "validation_failed")
            assert found["errors"][0]["field"] == field
        problem(await ana("POST", f"{PATH}?dry_run=true", {}), 400, "validation_query_invalid")


@in_loop
async def test_a_session_that_is_over_shows_nothing_on_the_signers_page_either(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        envelope = await ready(world)
        session = await world.person().ok("POST", PATH, asked(envelope))
        async with client_of(signer.build(world.running.deps)) as page:
            path, headers = f"/sign/{session['id']}/package", {"X-Signing-Session-Token": session["signature_token"]}
            assert (await page.get(path, headers=headers)).status_code == 200
            world.running.clock.offset += timedelta(minutes=16)
            assert (await page.get(path, headers=headers)).status_code == 410
