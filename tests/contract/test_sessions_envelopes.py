"""Envelopes: drafts, sending, reading, voiding; and what of them is refused."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from domain.actor import Mode
from domain.coordination import ExpireEnvelope
from infrastructure.database import DatabaseUrls, connect
from tests.contract.sessions_world import ANA, BO, opened, problem
from tests.running import Person, in_loop


@in_loop
async def test_an_envelope_is_made_sent_signed_and_read_back(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        key = await world.organization()
        how = {"subject": "Please sign", "metadata": {"deal": "7"}, "routing": "sequential", "time_zone": "America/Lima"}
        draft = await key.draft(ANA, BO, documents=2, **how)
        assert (await world.running.envelope(UUID(draft["id"].removeprefix("env_")))).zone == "America/Lima"
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


PATH = "/v1/signing_envelopes"


def body(*documents: str, **changes: Any) -> dict[str, Any]:
    return {"entity_id": "ent_1", "document_ids": list(documents), "signers": [ANA], **changes}


@in_loop
async def test_a_simulation_answers_alike_and_does_nothing(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        key = await world.organization()
        document, head = await key.document(), await world.running.head()
        made = await key.ok("POST", f"{PATH}?dry_run=true", body(document, subject="x"))
        assert (made["status"], made["subject"], made["document_ids"]) == ("draft", "x", [document])
        problem(await key("GET", f"{PATH}/{made['id']}"), 404, "not_found_resource")
        planned = await key.ok("POST", "/v1/documents?dry_run=true", {"entity_id": "ent_1", "type": "nda"})
        assert (planned["status"], planned["upload_url"]) == ("draft", None)
        consent = {"stakeholder_id": "stk_1", "hardware_capability_affirmed": True, "paper_copy_request_method": "mail"}
        assert (await key.ok("POST", "/v1/consents/esra?dry_run=true", consent))["status"] == "active"
        assert await world.running.head() == head
        draft = await key.draft(ANA)
        head = await world.running.head()
        sent = await key.ok("POST", f"{PATH}/{draft['id']}/send?dry_run=true")
        assert (sent["status"], sent["signers"][0]["status"]) == ("sent", "sent")
        voided = await key.ok("POST", f"{PATH}/{draft['id']}/void?dry_run=true", {"reason": "no"})
        assert (voided["status"], voided["void_reason"]) == ("voided", "no")
        assert await world.running.head() == head
        assert (await key.ok("GET", f"{PATH}/{draft['id']}"))["status"] == "draft"
        problem(await key("POST", f"{PATH}/{draft['id']}/send?dry_run=1"), 400, "validation_query_invalid")


@in_loop
async def test_what_an_envelope_names_has_to_be_there_and_final(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        key, live = await world.organization(), await world.organization(Mode.LIVE)
        stranger = await world.stranger()
        unfinished, document = await key.document(stored=False), await key.document()
        foreign, other_mode = await stranger.document(), await live.document()
        head = await world.running.head()
        absent = problem(await key("POST", PATH, body(document, "doc_" + "1" * 32)), 404, "not_found_resource")
        hidden = problem(await key("POST", PATH, body(document, foreign)), 404, "not_found_resource")
        assert (
            (absent["detail"], absent["param"])
            == (hidden["detail"], hidden["param"])
            == ("There is no such document.", "document_ids.1")
        )
        problem(await key("POST", PATH, body(other_mode)), 404, "not_found_in_mode")
        assert problem(await key("POST", PATH, body(unfinished)), 422, "validation_failed")["param"] == "document_ids"
        assert await world.running.head() == head


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"entity_id": None}, "entity_id", "invalid_type"),
        ({"entity_id": "1"}, "entity_id", "invalid_id"),
        ({"document_ids": []}, "document_ids", "too_short"),
        ({"document_ids": ["doc_1"]}, "document_ids.0", "invalid_id"),
        ({"signers": []}, "signers", "too_short"),
        ({"signers": [{}]}, "signers.0", "required"),
        ({"signers": [{"email": "nobody"}]}, "signers.0.email", "invalid_email"),
        ({"signers": [{"name": "a\nb"}]}, "signers.0.name", "invalid"),
        ({"signers": [{"name": "Ana", "order": 0}]}, "signers.0.order", "out_of_range"),
        ({"signers": [{"name": "Ana", "role": "r" * 65}]}, "signers.0.role", "too_long"),
        ({"signers": [{"name": "Ana", "agent_authorized": "no"}]}, "signers.0.agent_authorized", "unknown_value"),
        ({"signers": [{"name": "Ana", "document_ids": ["doc_" + "1" * 32]}]}, "signers.0.document_ids", "unknown_document"),
        ({"signers": [ANA, {**BO, "email": "ANA@example.com"}]}, "signers", "duplicate_participant"),
        ({"routing": "round"}, "routing", "unknown_value"),
        ({"time_zone": "Lima"}, "time_zone", "unknown_time_zone"),
        ({"expires_at": "2027-01-01"}, "expires_at", "invalid_type"),
        ({"expires_at": 1_800_000_000_000}, "expires_at", "out_of_range"),
        ({"expires_at": 1}, "expires_at", "deadline_in_past"),
        ({"reminder_policy": {"interval_hours": 0, "max_reminders": 1}}, "reminder_policy.interval_hours", "out_of_range"),
        ({"reminder_policy": {"interval_hours": 1}}, "reminder_policy.max_reminders", "required"),
        ({"metadata": {f"k{n}": "v" for n in range(51)}}, "metadata", "too_many_keys"),
        ({"metadata": {"matter_x": "v"}}, "metadata", "reserved_key"),
        ({"metadata": {"k y": "v"}}, "metadata", "invalid_key"),
        ({"metadata": {"k" * 41: "v"}}, "metadata", "invalid_key"),
        ({"metadata": {"k": "v" * 501}}, "metadata", "too_long"),
        ({"metadata": {"k": 1}}, "metadata.k", "invalid_type"),
        ({"subject": " "}, "subject", "invalid"),
        ({"more": 1}, "more", "unknown_field"),
    ],
)
@in_loop
async def test_every_fault_of_an_envelope_is_named(
    database: DatabaseUrls, tmp_path: Path, changes: dict[str, Any], field: str, code: str
) -> None:
    async with opened(database, tmp_path) as world:
        key = await world.organization()
        document = await key.document()
        head = await world.running.head()
        found = problem(await key("POST", PATH, body(document, **changes)), 422, "validation_failed")
        assert (found["errors"][0]["field"], found["errors"][0]["code"]) == (field, code)
        assert found["param"] == field
        assert await world.running.head() == head


@in_loop
async def test_a_transition_that_the_state_does_not_allow_names_those_it_does(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        key = await world.organization()
        draft = await key.draft(ANA)
        path = f"{PATH}/{draft['id']}"
        found = problem(await key("POST", f"{path}/remind"), 409, "invalid_state_transition")
        assert (found["current_state"], found["attempted_transition"]) == ("draft", "reminded")
        assert found["allowed_transitions"] == ["sent", "voided", "expired"]
        voided = await key.ok("POST", f"{path}/void", {"reason": "A mistake"})
        assert (voided["status"], voided["void_reason"], voided["signers"][0]["status"]) == ("voided", "A mistake", "voided")
        assert (await key.ok("GET", path))["void_reason"] == "A mistake"
        for action in ("send", "void", "remind"):
            found = problem(await key("POST", f"{path}/{action}"), 409, "invalid_state_transition")
            assert (found["current_state"], found["allowed_transitions"]) == ("voided", [])
        assert "cannot be reminded" in found["detail"]
        with connect(database.owner) as conn:
            assert not any(b"mistake" in bytes(row[0]) for row in conn.execute("SELECT entry FROM log").fetchall())


@in_loop
async def test_what_is_sent_stays_sent_and_after_the_deadline_it_is_expired(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        key, ends = await world.organization(), int(world.running.clock.now().timestamp()) + 3600
        sent = await key.sent(ANA, expires_at=ends)
        assert sent["expires_at"] == ends
        head = await world.running.head()
        assert (await key.ok("POST", f"{PATH}/{sent['id']}/send"))["status"] == "sent"
        assert await world.running.head() == head
        world.running.clock.offset += timedelta(hours=2)
        for action in ("void", "remind"):
            found = problem(await key("POST", f"{PATH}/{sent['id']}/{action}"), 409, "invalid_state_transition")
            assert found["current_state"] == "expired"
        await world.running.handle(ExpireEnvelope(UUID(hex=sent["id"].removeprefix("env_"))))
        read = await key.ok("GET", f"{PATH}/{sent['id']}")
        assert (read["status"], read["signers"][0]["status"]) == ("expired", "expired")
        assert [one["id"] for one in (await key.ok("GET", f"{PATH}?status=expired"))["data"]] == [sent["id"]]


@in_loop
async def test_a_signer_declines_with_the_session_token(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        key = await world.organization()
        sent = await key.sent(ANA, BO)
        path = f"{PATH}/{sent['id']}/decline"
        problem(await key("POST", path), 403, "invalid_session_token")
        problem(await world.nobody("POST", path, X_Signing_Session_Token="sig_x"), 403, "invalid_session_token")
        token = await world.token(sent["signers"][1])
        problem(await (await world.stranger())("POST", path, X_Signing_Session_Token=token), 404, "not_found_resource")
        response = await world.nobody("POST", path, {"reason": "Not these terms"}, X_Signing_Session_Token=token)
        declined = response.json()
        assert response.status_code == 200, response.text
        assert "ana@example.com" not in response.text
        assert (declined["envelope_status"], declined["session"]["status"]) == ("declined", "declined")
        read = await key.ok("GET", f"{PATH}/{sent['id']}")
        assert (read["status"], [one["status"] for one in read["signers"]]) == ("declined", ["voided", "declined"])
        found = problem(await world.nobody("POST", path, X_Signing_Session_Token=token), 409, "invalid_state_transition")
        assert found["current_state"] == "declined"
        problem(await key("POST", f"{PATH}/{sent['id']}/void"), 409, "invalid_state_transition")


@in_loop
async def test_reminders_are_new_invitations_as_often_as_the_policy_says(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        key, clock = await world.organization(), world.running.clock
        policy = {"interval_hours": 2, "max_reminders": 2}
        sent = await key.sent(ANA, BO, routing="sequential", reminder_policy=policy)
        assert sent["reminder_policy"] == policy
        path, first = f"{PATH}/{sent['id']}/remind", await world.token(sent["signers"][0])
        found = problem(await key("POST", path), 429, "rate_limited")
        assert 7100 < found["retry_after"] <= 7200
        clock.offset += timedelta(hours=2, minutes=1)
        await key.ok("POST", f"{path}?dry_run=true")
        assert await world.token(sent["signers"][0]) == first
        answers = await asyncio.gather(*(key("POST", path) for _ in range(4)))
        assert {answer.status_code for answer in answers} <= {202, 429}
        stream = UUID(hex=sent["signers"][0]["id"].removeprefix("sgn_"))
        assert (await world.running.types(stream)).count("invitation-resent") == 1
        second = await world.token(sent["signers"][0])
        assert second != first
        clock.offset += timedelta(hours=2, minutes=1)
        again = [await key("POST", path, Idempotency_Key="r") for _ in range(2)]
        assert [answer.status_code for answer in again] == [202, 202]
        assert again[0].content == again[1].content
        clock.offset += timedelta(hours=3)
        problem(await key("POST", path), 409, "state_reminders_exhausted")
        assert await world.running.types(UUID(hex=sent["signers"][1]["id"].removeprefix("sgn_"))) == ["process-created"]


@in_loop
async def test_what_is_anothers_or_of_the_other_mode_is_not_there(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        key, live, stranger = await world.organization(), await world.organization(Mode.LIVE), await world.stranger()
        sent = await key.sent(ANA)
        unknown = "env_" + "1" * 32
        for method, action in (("GET", ""), ("POST", "/send"), ("POST", "/void"), ("POST", "/remind")):
            absent = problem(await stranger(method, f"{PATH}/{unknown}{action}"), 404, "not_found_resource")
            hidden = problem(await stranger(method, f"{PATH}/{sent['id']}{action}"), 404, "not_found_resource")
            for body_ in (absent, hidden):
                del body_["request_id"], body_["instance"]
            assert absent == hidden
            problem(await live(method, f"{PATH}/{sent['id']}{action}"), 404, "not_found_in_mode")
            problem(await key(method, f"{PATH}/{sent['id'].upper()}{action}"), 404, "not_found_resource")
            problem(await world.nobody(method, f"{PATH}/{sent['id']}{action}"), 401, "auth_missing_credentials")
            problem(await world.person()(method, f"{PATH}/{sent['id']}{action}"), 401, "auth_token_invalid")
        assert (await stranger.ok("GET", PATH))["data"] == (await live.ok("GET", PATH))["data"] == []
        problem(await stranger("GET", f"{PATH}?starting_after={sent['id']}"), 400, "validation_query_invalid")


@in_loop
async def test_an_envelope_of_another_surface_is_shown_and_worked_with_here(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        run, key = world.running, await world.organization()
        made = await run.send(Person("Cy", "cy@example.com"), mode=Mode.TEST, documents=2, send=False)
        shown = await key.ok("GET", f"{PATH}/env_{made.id.hex}?expand[]=documents&expand[]=signers")
        assert shown["document_ids"] == [f"doc_{document.hex}" for document in made.documents]
        assert [document["id"] for document in shown["documents"]] == shown["document_ids"]
        assert (shown["entity_id"], shown["status"], shown["signers"][0]["email"]) == (None, "draft", "cy@example.com")
        assert shown["signers"][0]["signing_session"]["id"] == made.session
        assert shown["signers"][0]["stakeholder_id"] == f"stk_{made.participants[0].hex}"
        assert (await key.ok("POST", f"{PATH}/{shown['id']}/send"))["status"] == "sent"
        assert (await key.ok("POST", f"{PATH}/{shown['id']}/void"))["status"] == "voided"


@in_loop
async def test_pages_stay_right_while_envelopes_are_added(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        run, key = world.running, await world.organization()
        made = [(await run.send(Person("Cy", "cy@example.com"), mode=Mode.TEST)).id for _ in range(7)]
        ids = [f"env_{id.hex}" for id in reversed(made)]
        first = await key.ok("GET", f"{PATH}?limit=3")
        assert ([one["id"] for one in first["data"]], first["has_more"]) == (ids[:3], True)
        assert (first["object"], first["url"], first["next_cursor"]) == ("list", PATH, ids[2])
        await run.send(Person("Di", "di@example.com"), mode=Mode.TEST)
        second = await key.ok("GET", f"{PATH}?limit=3&starting_after={first['next_cursor']}")
        assert [one["id"] for one in second["data"]] == ids[3:6]
        last = await key.ok("GET", f"{PATH}?limit=3&starting_after={second['next_cursor']}")
        assert ([one["id"] for one in last["data"]], last["has_more"], last["next_cursor"]) == (ids[6:], False, None)
        back = await key.ok("GET", f"{PATH}?limit=2&ending_before={ids[4]}")
        assert ([one["id"] for one in back["data"]], back["has_more"]) == (ids[2:4], True)
        assert len((await key.ok("GET", PATH))["data"]) == 8
        for query in ("limit=0", "limit=101", "limit=x", "limit=", "status=open", "page=2", "expand[]=signers", "starting_after=env_1",
                      f"starting_after={ids[0]}&ending_before={ids[1]}", "limit=1&limit=2"):  # fmt: skip
            problem(await key("GET", f"{PATH}?{query}"), 400, "validation_query_invalid")


@in_loop
async def test_a_list_is_filtered_by_what_it_shows(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        key = await world.organization()
        made = {"draft": await key.draft(ANA), "sent": await key.sent(ANA, BO), "partially_signed": await key.sent(ANA, BO)}
        made["completed"], made["voided"] = await key.sent(ANA), await key.sent(ANA)
        for name in ("partially_signed", "completed"):
            await world.nobody.complete(made[name]["signers"][0]["signing_session"], await world.token(made[name]["signers"][0]))
        await key.ok("POST", f"{PATH}/{made['voided']['id']}/void")
        for status, envelope in made.items():
            found = (await key.ok("GET", f"{PATH}?status={status}"))["data"]
            assert [(one["id"], one["status"]) for one in found] == [(envelope["id"], status)]
            assert found[0] == await key.ok("GET", f"{PATH}/{envelope['id']}")
        assert (await key.ok("GET", f"{PATH}?status=declined"))["data"] == []


@in_loop
async def test_a_repeat_under_one_key_makes_one_envelope_even_at_once(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        key = await world.organization()
        document = await key.document()
        answers = await asyncio.gather(*(key("POST", PATH, body(document), Idempotency_Key="same") for _ in range(5)))
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.content for answer in answers}) == 1
        assert len((await key.ok("GET", PATH))["data"]) == 1
        other = await key("POST", PATH, body(document, subject="other"), Idempotency_Key="same")
        problem(other, 409, "validation_idempotency_key_conflict")
        found = problem(await key("POST", PATH, body(document), Idempotency_Key="k" * 256), 400, "validation_header_invalid")
        assert found["param"] == "Idempotency-Key"
        path = f"{PATH}/{answers[0].json()['id']}"
        for action in ("send", "void"):
            both = [await key("POST", f"{path}/{action}", Idempotency_Key=action) for _ in range(2)]
            assert both[0].content == both[1].content
            assert both[0].status_code == 202


@in_loop
async def test_sending_costs_a_credit_in_live_mode_alone(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        await world.running.deps.identity.set_credits(world.running.tenant, 1)
        for mode, statuses in ((Mode.TEST, [202, 202]), (Mode.LIVE, [202, 402])):
            key = await world.organization(mode)
            drafts = [await key.draft(ANA) for _ in range(2)]
            answers = [await key("POST", f"{PATH}/{draft['id']}/send") for draft in drafts]
            assert [answer.status_code for answer in answers] == statuses
        problem(answers[1], 402, "credits_insufficient")


@in_loop
async def test_versions_are_known_ones(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        key = await world.organization()
        known = (await world.nobody.ok("GET", "/v1/api_versions"))["data"]
        assert [one["id"] for one in known] == ["2026-05-01", "2026-06-10"]
        for version in known:
            assert (await key("GET", PATH, Matter_Version=version["id"])).status_code == 200
        for wrong in ("2026-05-02", "2026-13-01", "latest", "2026-6-1"):
            found = problem(await key("GET", PATH, Matter_Version=wrong), 400, "validation_header_invalid")
            assert found["param"] == "Matter-Version"
            assert "2026-05-01, 2026-06-10" in found["detail"]
