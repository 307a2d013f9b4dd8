"""Completing a session: the reference page's answer, and every way in which it is refused."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.surfaces.sessions import build
from domain.actor import Mode
from domain.coordination import CancelEnvelope, ExpireEnvelope, Participate
from domain.entry import decode
from domain.envelope import EnvelopeStatus, OrderMode
from domain.personal import discloses, person
from domain.signing import ResendInvitation, SigningStatus
from infrastructure.database import DatabaseUrls, connect
from infrastructure.vault import Reference
from tests.executing import drawing
from tests.running import BASE_URL, PARTNER, Person, Running, Sent, client_of, in_loop, running

ANA = Person("Ana Pérez", "ana@example.com", number=1)
BO = Person("Bo Li", "bo@example.com", number=2)
TEXT = "I, Ana Pérez, sign this.\n  \u2014 word for word "
PNG = drawing()


@dataclass
class World:
    running: Running
    http: httpx.AsyncClient

    async def complete(self, sent: Sent, who: int = 0, /, *, body: Any = None, **headers: str) -> httpx.Response:
        """Completes the session of the `who`-th participant; a header given as empty is left out."""
        participant = sent.participants[who]
        token = headers.pop("token", None)
        if token is None:
            token = await self.running.token(participant)
        sending = {"X-Signing-Session-Token": token, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return await self.http.post(
            f"/v1/signing_sessions/sgs_{participant.hex}/complete",
            json={"electronic_signature_text": TEXT} if body is None else body,
            headers={name: value for name, value in sending.items() if value},
        )

    async def organization(self, mode: Mode = Mode.LIVE, tenant: str | None = None) -> str:
        identity = self.running.deps.identity
        owner = self.running.tenant if tenant is None else await identity.create_tenant(tenant)
        _, secret = await identity.create_organization_key(owner, mode)
        return f"Bearer {secret}"


@asynccontextmanager
async def opened(database: DatabaseUrls, folder: Path) -> AsyncIterator[World]:
    async with running(database, folder) as run, client_of(build(run.deps)) as http:
        yield World(run, http)


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document of a response, with what every one of them must have."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["code"] == code
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    assert body["type"].endswith(code)
    assert body["doc_url"].startswith(f"{BASE_URL}/docs/")
    assert body["instance"] == f"/requests/{body['request_id']}"
    assert response.headers["x-request-id"] == body["request_id"]
    return body


@in_loop
async def test_a_completion_answers_in_the_shape_of_the_reference(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.running.send(ANA, documents=2)
        response = await world.complete(sent)
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == "application/json"
        body = response.json()
        assert list(body) == ["session", "acknowledgement", "envelope_status", "document_ids"]
        session = body["session"]
        assert list(session) == [
            "id", "object", "target", "stakeholder_id", "human_clerk_user_id", "created_at", "expires_at", "status",
            "signature_token", "disclosure_packet_hash", "livemode",
        ]  # fmt: skip
        participant = sent.participants[0].hex
        assert session["id"] == f"sgs_{participant}"
        assert session["object"] == "signing_session"
        assert session["target"] == {
            "document_id": None,
            "signing_envelope_id": f"env_{sent.id.hex}",
            "signer_id": f"sgn_{participant}",
        }
        assert session["stakeholder_id"] == f"stk_{participant}"
        assert session["status"] == "completed"
        assert session["signature_token"] is None
        assert session["livemode"] is True
        assert isinstance(session["created_at"], int)
        assert session["expires_at"] - session["created_at"] in range(30 * 86_400 - 2, 30 * 86_400 + 3)
        assert body["envelope_status"] == "completed"
        assert body["document_ids"] == [f"doc_{document.hex}" for document in sent.documents]


@in_loop
async def test_the_acknowledgement_names_the_entries_that_are_the_evidence(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.running.send(ANA, documents=2)
        evidence = (await world.complete(sent, user_agent="Sign/1")).json()["acknowledgement"]
        entries = {entry.version: entry for entry in await world.running.deps.recorder.read_stream(sent.participants[0])}
        assert [it["document_id"] for it in evidence["documents"]] == [f"doc_{it.hex}" for it in sent.documents]
        for signed in evidence["documents"]:
            entry = entries[signed["version"]]
            assert (signed["position"], signed["hash"]) == (entry.position, entry.leaf.hex())
            assert decode(entry.raw).personal["/attestation"] == evidence["electronic_signature_text_hash"].removeprefix(
                "sha256:"
            )
            assert decode(entry.raw).personal["/provenance/ip"] == evidence["ip_hash"].removeprefix("sha256:")
        last = entries[max(entries)]
        assert last.type == "signing.completed/1"
        assert evidence["head"]["hash"] == last.leaf.hex()
        assert evidence["head"]["version"] == last.version
        assert evidence["head"]["process_id"] == f"{sent.id}-{sent.participants[0]}"
        assert evidence["head"]["recorded_at"] == json.loads(last.raw)["at"]
        assert evidence["method"] == "typed"
        assert evidence["signature_blob_hash"] is None
        assert evidence["provenance"] == {
            "identity": "token",
            "ip_source": "socket",
            "user_agent_hash": evidence["provenance"]["user_agent_hash"],
            "client_metadata_hash": None,
        }


@in_loop
async def test_text_image_and_client_data_are_kept_word_for_word_as_disclosures(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.running.send(ANA)
        said = {"screen": {"width": 390.5}, "tags": ["a", None]}
        body = {"electronic_signature_text": TEXT, "signature_blob": PNG, "client_metadata": said}
        evidence = (await world.complete(sent, body=body, user_agent="Sign/1")).json()["acknowledgement"]
        assert evidence["method"] == "drawn"
        version, stream = evidence["documents"][0]["version"], sent.participants[0]
        expected = {
            "/attestation": (TEXT, evidence["electronic_signature_text_hash"]),
            "/image": (PNG, evidence["signature_blob_hash"]),
            "/provenance/client": (said, evidence["provenance"]["client_metadata_hash"]),
            "/provenance/ip": ("192.0.2.7", evidence["ip_hash"]),
            "/provenance/user_agent": ("Sign/1", evidence["provenance"]["user_agent_hash"]),
        }
        opened_values = await world.running.deps.vault.open(Reference(stream, version, path) for path in expected)
        for path, (value, commitment) in expected.items():
            found = opened_values[Reference(stream, version, path)]
            assert found.value == value
            assert discloses(value, found.salt, commitment.removeprefix("sha256:"))


@in_loop
async def test_nothing_personal_stands_in_the_log_or_in_the_answer(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.running.send(ANA)
        body = {"electronic_signature_text": TEXT, "signature_blob": PNG, "client_metadata": {"note": "private words"}}
        response = await world.complete(sent, body=body, user_agent="Private/1", Idempotency_Key="k")
        assert response.status_code == 200
        with connect(database.owner) as conn:
            log = [bytes(row[0]) for row in conn.execute("SELECT entry FROM log").fetchall()]
            answers = [bytes(row[0]) for row in conn.execute("SELECT body FROM idempotency").fetchall()]
        for secret in ("Pérez", "ana@example.com", "192.0.2.7", "Private/1", "private words", "sign this"):
            assert not any(secret.encode() in entry for entry in [*log, *answers])


@in_loop
async def test_the_evidence_goes_with_the_person_when_the_person_is_erased(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        run = world.running
        sent = await run.send(ANA)
        token = await run.token(sent.participants[0])
        version = (await world.complete(sent, Idempotency_Key="k")).json()["acknowledgement"]["documents"][0]["version"]
        await run.deps.ledger.erase(person(run.tenant, email=ANA.email, otherwise=sent.id), "request", PARTNER)
        places = [Reference(sent.participants[0], version, path) for path in ("/attestation", "/provenance/ip")]
        assert not await run.deps.vault.open(places)
        again = await world.complete(sent, token=token, Idempotency_Key="k")
        problem(again, 409, "idempotent_answer_erased")


@in_loop
async def test_the_first_of_two_signers_leaves_the_envelope_partially_signed(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.running.send(ANA, BO)
        assert (await world.complete(sent, 0)).json()["envelope_status"] == "partially_signed"
        assert (await world.complete(sent, 1)).json()["envelope_status"] == "completed"
        assert (await world.running.envelope(sent.id)).status is EnvelopeStatus.COMPLETED


@in_loop
async def test_signers_at_the_same_moment_all_complete(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.running.send(*(Person(f"P{n}", f"p{n}@example.com") for n in range(30)), order=OrderMode.PARALLEL)
        answers = await asyncio.gather(*(world.complete(sent, n) for n in range(30)))
        assert [answer.status_code for answer in answers] == [200] * 30
        assert sorted(answer.json()["envelope_status"] for answer in answers) == ["completed"] + ["partially_signed"] * 29


# Credentials


@in_loop
async def test_an_organization_key_alone_completes_nothing(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.running.send(ANA)
        head = await world.running.head()
        response = await world.complete(sent, token="", Authorization=await world.organization())
        assert problem(response, 403, "invalid_session_token")["param"] == "X-Signing-Session-Token"
        assert await world.running.head() == head


@pytest.mark.parametrize("kind", ["missing", "made up", "another signer's", "superseded", "not yet minted"])
@in_loop
async def test_a_token_that_is_not_the_sessions_own_is_refused(database: DatabaseUrls, tmp_path: Path, kind: str) -> None:
    async with opened(database, tmp_path) as world:
        run = world.running
        sent = await run.send(ANA, BO)
        other = await run.send(BO)
        who, token = 0, ""
        if kind == "made up":
            token = "sig_" + "A" * 43
        elif kind == "another signer's":
            token = await run.token(other.participants[0])
        elif kind == "superseded":
            token = await run.token(sent.participants[0])
            fresh = run.deps.invitations.invitation(run.clock.now())
            await run.handle(Participate(sent.id, ResendInvitation(sent.participants[0], fresh)))
        elif kind == "not yet minted":
            who, token = 1, await run.token(sent.participants[0])
        head = await run.head()
        problem(await world.complete(sent, who, token=token), 403, "invalid_session_token")
        assert await run.head() == head
        if kind == "superseded":
            assert (await world.complete(sent)).status_code == 200


@in_loop
async def test_a_key_of_the_organization_may_come_along_and_must_be_its_own(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.running.send(ANA)
        problem(await world.complete(sent, Authorization="Bearer sk_live_nonsense"), 401, "auth_token_invalid")
        problem(await world.complete(sent, Authorization="Basic abc"), 401, "auth_token_invalid")
        problem(await world.complete(sent, Authorization="Bearer  two_spaces"), 401, "auth_token_invalid")
        stranger = await world.organization(tenant="Another Ltd")
        problem(await world.complete(sent, Authorization=stranger), 404, "not_found_resource")
        problem(await world.complete(sent, Authorization=await world.organization(Mode.TEST)), 404, "not_found_in_mode")
        assert (
            await world.complete(sent, Authorization=await world.organization(), Matter_Version="2026-06-10")
        ).status_code == 200


@in_loop
async def test_a_revoked_key_is_refused(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.running.send(ANA)
        key, secret = await world.running.deps.identity.create_organization_key(world.running.tenant, Mode.LIVE)
        await world.running.deps.identity.revoke_key(key.id)
        response = await world.complete(sent, Authorization=f"Bearer {secret}")
        problem(response, 401, "auth_token_invalid")
        assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("id", ["sgs_" + "0" * 32, "sgs_xyz", "env_" + "0" * 32, "0" * 32, "sgs_" + "A" * 32, "%00"])
@in_loop
async def test_what_is_no_session_is_not_found(database: DatabaseUrls, tmp_path: Path, id: str) -> None:
    async with opened(database, tmp_path) as world:
        response = await world.http.post(
            f"/v1/signing_sessions/{id}/complete",
            json={"electronic_signature_text": "x"},
            headers={"X-Signing-Session-Token": "sig_" + "A" * 43},
        )
        problem(response, 404, "not_found_resource")


@in_loop
async def test_an_envelope_is_no_session(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.running.send(ANA)
        response = await world.http.post(
            f"/v1/signing_sessions/sgs_{sent.id.hex}/complete",
            json={"electronic_signature_text": "x"},
            headers={"X-Signing-Session-Token": "sig_" + "A" * 43},
        )
        problem(response, 404, "not_found_resource")


# States


@pytest.mark.parametrize("state", ["completed", "cancelled", "expired"])
@in_loop
async def test_a_session_that_has_ended_names_its_state(database: DatabaseUrls, tmp_path: Path, state: str) -> None:
    async with opened(database, tmp_path) as world:
        run = world.running
        sent = await run.send(ANA, deadline=run.clock.now() + timedelta(hours=1))
        if state == "completed":
            assert (await world.complete(sent)).status_code == 200
        elif state == "cancelled":
            await run.handle(CancelEnvelope(sent.id))
        else:
            run.clock.offset = timedelta(hours=2)
            await run.handle(ExpireEnvelope(sent.id))
        head = await run.head()
        body = problem(await world.complete(sent), 409, "invalid_state_transition")
        assert body["current_state"] == state
        assert body["attempted_transition"] == "completed"
        assert body["allowed_transitions"] == []
        assert f"`{state}`" in body["detail"]
        assert sent.session in body["detail"]
        assert await run.head() == head


@in_loop
async def test_after_the_deadline_the_answer_is_the_same_before_and_after_the_expiry(
    database: DatabaseUrls, tmp_path: Path
) -> None:
    async with opened(database, tmp_path) as world:
        run = world.running
        sent = await run.send(ANA, deadline=run.clock.now() + timedelta(hours=1))
        run.clock.offset = timedelta(hours=2)
        before = problem(await world.complete(sent), 409, "invalid_state_transition")
        assert (await run.signing(sent.participants[0])).status is SigningStatus.INVITED
        await run.handle(ExpireEnvelope(sent.id))
        after = problem(await world.complete(sent), 409, "invalid_state_transition")
        differing = {name for name in before if before[name] != after[name]}
        assert differing == {"instance", "request_id"}


@in_loop
async def test_a_session_whose_lifetime_is_over_is_gone_until_it_is_sent_again(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        run = world.running
        sent = await run.send(ANA)
        run.clock.offset = timedelta(days=31)
        problem(await world.complete(sent), 410, "session_expired")
        fresh = run.deps.invitations.invitation(run.clock.now())
        await run.handle(Participate(sent.id, ResendInvitation(sent.participants[0], fresh)))
        assert (await world.complete(sent)).status_code == 200


# Idempotency


@in_loop
async def test_a_repeat_under_the_same_key_gets_the_same_bytes_and_acts_once(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.running.send(ANA)
        first = await world.complete(sent, Idempotency_Key="k-1")
        head = await world.running.head()
        again = await world.complete(sent, Idempotency_Key="k-1")
        assert (first.status_code, first.content) == (again.status_code, again.content)
        assert again.status_code == 200
        assert await world.running.head() == head
        problem(await world.complete(sent, Idempotency_Key="k-2"), 409, "invalid_state_transition")


@in_loop
async def test_repeats_at_the_same_moment_act_once(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.running.send(ANA)
        answers = await asyncio.gather(*(world.complete(sent, Idempotency_Key="k") for _ in range(10)))
        assert {(answer.status_code, answer.content) for answer in answers} == {(200, answers[0].content)}
        assert (await world.running.types(sent.participants[0])).count("completed") == 1


@in_loop
async def test_the_same_key_with_another_body_is_refused(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.running.send(ANA)
        assert (await world.complete(sent, Idempotency_Key="k")).status_code == 200
        other = await world.complete(sent, body={"electronic_signature_text": "something else"}, Idempotency_Key="k")
        problem(other, 409, "validation_idempotency_key_conflict")


@in_loop
async def test_signers_who_choose_the_same_key_do_not_meet(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.running.send(ANA, BO)
        first, second = await world.complete(sent, 0, Idempotency_Key="k"), await world.complete(sent, 1, Idempotency_Key="k")
        assert (first.status_code, second.status_code) == (200, 200)
        assert first.json()["session"]["id"] != second.json()["session"]["id"]


@in_loop
async def test_a_kept_answer_is_not_given_to_who_lacks_the_token(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.running.send(ANA)
        assert (await world.complete(sent, Idempotency_Key="k")).status_code == 200
        problem(await world.complete(sent, token="sig_" + "A" * 43, Idempotency_Key="k"), 403, "invalid_session_token")


# Requests that cannot be read


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "electronic_signature_text", "required"),
        ({"electronic_signature_text": ""}, "electronic_signature_text", "too_short"),
        ({"electronic_signature_text": " \n"}, "electronic_signature_text", "blank"),
        ({"electronic_signature_text": "x" * 2001}, "electronic_signature_text", "too_long"),
        ({"electronic_signature_text": 7}, "electronic_signature_text", "invalid_type"),
        ({"electronic_signature_text": None}, "electronic_signature_text", "invalid_type"),
        ({"electronic_signature_text": "x", "extra": 1}, "extra", "unknown_field"),
        ({"electronic_signature_text": "x", "client_metadata": []}, "client_metadata", "invalid_type"),
        ({"electronic_signature_text": "x", "client_metadata": {"a": "x" * 17_000}}, "client_metadata", "too_large"),
        ({"electronic_signature_text": "x", "client_metadata": {"a": 2**60 + 1}}, "client_metadata", "invalid"),
        ({"electronic_signature_text": "x", "signature_blob": "hello"}, "signature_blob", "invalid_data_uri"),
        ({"electronic_signature_text": "x", "signature_blob": "data:image/png;base64,@@"}, "signature_blob", "invalid_data_uri"),
        (
            {"electronic_signature_text": "x", "signature_blob": "data:image/svg+xml;base64,AAAA"},
            "signature_blob",
            "invalid_data_uri",
        ),
        ({"electronic_signature_text": "x", "signature_blob": "data:image/png;base64,AAAA"}, "signature_blob", "invalid_image"),
        (
            {"electronic_signature_text": "x", "signature_blob": "data:image/png;base64," + "A" * 700_000},
            "signature_blob",
            "too_large",
        ),
        ([], "", "invalid_type"),
        ("text", "", "invalid_type"),
    ],
)
@in_loop
async def test_unusable_fields_are_listed(database: DatabaseUrls, tmp_path: Path, body: Any, field: str, code: str) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.running.send(ANA)
        head = await world.running.head()
        found = problem(await world.complete(sent, body=body), 422, "validation_failed")
        assert [(fault["field"], fault["code"]) for fault in found["errors"]] == [(field, code)]
        assert found.get("param") == (field or None)
        assert await world.running.head() == head


@pytest.mark.parametrize(
    ("content", "media_type", "status", "code"),
    [
        (b"{", "application/json", 400, "validation_body_invalid"),
        (b"", "application/json", 400, "validation_body_invalid"),
        (b"\xff", "application/json", 400, "validation_body_invalid"),
        (
            b'{"electronic_signature_text":"a","electronic_signature_text":"b"}',
            "application/json",
            400,
            "validation_body_invalid",
        ),
        (b'{"electronic_signature_text":"\\ud800"}', "application/json", 400, "validation_body_invalid"),
        (b'{"electronic_signature_text":"x"}', "text/plain", 415, "validation_content_type_invalid"),
        (b'{"electronic_signature_text":"x"}', "", 415, "validation_content_type_invalid"),
        (b'"' + b"x" * 1_100_000 + b'"', "application/json", 413, "validation_body_too_large"),
    ],
)
@in_loop
async def test_what_is_no_json_is_refused(
    database: DatabaseUrls, tmp_path: Path, content: bytes, media_type: str, status: int, code: str
) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.running.send(ANA)
        head = await world.running.head()
        token = await world.running.token(sent.participants[0])
        response = await world.http.post(
            f"/v1/signing_sessions/{sent.session}/complete",
            content=content,
            headers={"X-Signing-Session-Token": token} | ({"Content-Type": media_type} if media_type else {}),
        )
        problem(response, status, code)
        assert await world.running.head() == head


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Matter-Version", "latest"),
        ("Matter-Version", "2026-13-01"),
        ("Matter-Version", "2026-6-1"),
        ("Idempotency-Key", "k" * 256),
    ],
)
@in_loop
async def test_malformed_headers_are_named(database: DatabaseUrls, tmp_path: Path, header: str, value: str) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.running.send(ANA)
        response = await world.complete(sent, **{header.replace("-", "_"): value})
        assert problem(response, 400, "validation_header_invalid")["param"] == header


@in_loop
async def test_other_methods_and_paths_are_problems_too(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.running.send(ANA)
        response = await world.http.put(f"/v1/signing_sessions/{sent.session}/complete")
        problem(response, 405, "method_not_allowed")
        assert response.headers["allow"] == "POST"
        problem(await world.http.get("/v1/nothing"), 404, "not_found_resource")
        problem(await world.http.get(f"/v1/signing_sessions/{sent.session}/"), 404, "not_found_resource")


@in_loop
async def test_a_client_that_goes_away_is_not_a_fault_in_the_log(
    database: DatabaseUrls, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.running.send(ANA)
        token = await world.running.token(sent.participants[0])
        messages = iter(({"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}))
        answered: list[Any] = []

        async def receive() -> Any:
            return next(messages)

        async def send(message: Any) -> None:
            answered.append(message)

        path = f"/v1/signing_sessions/{sent.session}/complete"
        headers = [(b"content-type", b"application/json"), (b"x-signing-session-token", token.encode())]
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": headers,
        }
        await build(world.running.deps)(scope, receive, send)
    assert answered[0]["status"] == 400
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@in_loop
async def test_the_token_and_what_was_written_never_reach_the_log_file(
    database: DatabaseUrls, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with opened(database, tmp_path) as world:
        sent = await world.running.send(ANA)
        token = await world.running.token(sent.participants[0])
        bad = {"electronic_signature_text": "my private words", "signature_blob": "my private image"}
        problem(await world.complete(sent, body=bad), 422, "validation_failed")
        world.running.deps.recorder.close()
        problem(await world.complete(sent, body={"electronic_signature_text": "my private words"}), 503, "upstream_unavailable")
        with connect(database.owner) as conn:  # something unforeseen: the entries do not decode
            conn.execute("ALTER TABLE log RENAME COLUMN entry TO entries")
        problem_500 = await world.complete(sent, token=token, body={"electronic_signature_text": "my private words"})
        assert problem_500.status_code == 500
        assert problem_500.json()["code"] == "internal_error"
    assert caplog.records
    assert token not in caplog.text
    assert "my private" not in caplog.text
