"""The ledger's own surface: what the log says of an envelope, and the administration of credentials."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import jsonschema_rs

from api.surfaces.ledger import build
from domain.actor import Mode
from domain.entry import decode
from domain.ids import ProcessId, event_id
from infrastructure.clock import SystemClock
from infrastructure.database import DatabaseUrls, connect
from infrastructure.identity import KeyKind
from projections.rebuild import ensure_tables
from tests.running import Person, Running, Sent, client_of, in_loop, running

ANA = Person("Ana Pérez", "ana@example.com", number=1)
BO = Person("Bo Li", "bo@example.com", number=2)
Headers = dict[str, str]


@dataclass
class World:
    """The surface in this process; every answer is held against its OpenAPI document."""

    running: Running
    http: httpx.AsyncClient
    document: dict[str, Any]

    async def __call__(self, method: str, path: str, headers: Headers | None = None, **more: Any) -> httpx.Response:
        response = await self.http.request(method, path, headers=headers, **more)
        self._check(method, path, response)
        return response

    def _check(self, method: str, path: str, response: httpx.Response) -> None:
        assert re.fullmatch(r"req_[0-9A-HJKMNP-TV-Z]{26}", response.headers["x-request-id"])
        for template, item in self.document["paths"].items():
            if method.lower() in item and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
                content = item[method.lower()]["responses"][str(response.status_code)]["content"]
                schema = content[response.headers["content-type"]]["schema"]
                jsonschema_rs.validator_for({**schema, "components": self.document["components"]}).validate(response.json())
                return
        assert response.status_code in (404, 405)

    async def key(self, kind: KeyKind = KeyKind.ORGANIZATION, mode: Mode = Mode.LIVE, tenant: UUID | None = None) -> Headers:
        made = await self.running.deps.identity.create_key(tenant or self.running.tenant, kind, mode)
        return {"Authorization": f"Bearer {made.secret}"}

    def administrator(self, tenant: UUID | None = None) -> Headers:
        token = self.running.deps.identity.mint_admin_token(tenant or self.running.tenant, timedelta(hours=1))
        return {"Authorization": f"Bearer {token}"}

    def user(self, email: str | None, mode: Mode = Mode.LIVE) -> Headers:
        identity = self.running.deps.identity
        token = identity.mint_user_token(self.running.tenant, f"user of {email}", mode, timedelta(hours=1), email)
        return {"Authorization": f"Bearer {token}"}

    async def partner(self) -> Headers:
        made = await self.running.deps.identity.create_partner_key(self.running.tenant, "KEY")
        return {"X-Tenant-Signly": str(self.running.tenant), "X-Auth-Signly": made.secret}

    async def other_tenant(self) -> UUID:
        return await self.running.deps.identity.create_tenant("Other Ltd")

    async def position(self, stream: UUID) -> int:
        entries = await self.running.deps.recorder.read_stream(stream)
        return entries[0].position


@asynccontextmanager
async def opened(database: DatabaseUrls, folder: Path) -> AsyncIterator[World]:
    async with running(database, folder) as run:
        app = build(run.deps)
        async with client_of(app) as http:
            yield World(run, http, app.openapi())


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document of a response, with what every one of them must have."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["detail"]
    assert body["requestId"] == response.headers["x-request-id"]
    return body


# The log


@in_loop
async def test_the_timeline_of_an_envelope_is_all_its_entries_and_recomputes(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.running.send(ANA, BO)
        await world.running.send(ANA)
        response = await world("GET", f"/v1/ledger/timeline/{sent.id}", await world.key())
        assert response.status_code == 200, response.text
        body = response.json()
        assert list(body) == ["envelopeId", "mode", "processes", "events"]
        assert (body["envelopeId"], body["mode"]) == (str(sent.id), "live")
        assert body["processes"] == sorted(str(ProcessId(sent.id, who)) for who in sent.participants)
        events = body["events"]
        assert [event["position"] for event in events] == sorted(event["position"] for event in events)
        assert {event["stream"] for event in events} == {str(sent.id), *map(str, sent.participants)}
        heads: dict[str, tuple[int, str]] = {}
        for event in events:
            raw = event["entry"].encode()
            version, before = heads.get(event["stream"], (0, "0" * 64))
            assert event["hash"] == sha256(b"\x00" + raw).hexdigest()
            assert (event["version"], event["previousHash"]) == (version + 1, before)
            entry = json.loads(raw)
            assert (entry["stream"], entry["version"], entry["type"], entry["at"]) == (
                event["stream"],
                event["version"],
                event["type"],
                event["at"],
            )
            assert event["eventId"] == event_id(decode(raw).at, bytes.fromhex(event["hash"]))
            of_envelope = event["stream"] == str(sent.id)
            assert event["processId"] == (None if of_envelope else f"{sent.id}-{event['stream']}")
            heads[event["stream"]] = event["version"], event["hash"]


@in_loop
async def test_the_entries_hold_nobodys_name_or_address(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.running.send(ANA)
        text = (await world("GET", f"/v1/ledger/timeline/{sent.id}", await world.key())).text
        assert "ana" not in text.lower()


@in_loop
async def test_every_spelling_of_an_id_gives_the_same_timeline(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.running.send(ANA, BO)
        key, who = await world.key(), sent.participants[1]
        spellings = [str(sent.id), str(sent.id).upper(), f"env_{sent.id.hex}", str(await world.position(sent.id))]
        envelope = [(await world("GET", f"/v1/ledger/timeline/{id}", key)).json() for id in spellings]
        assert envelope[0]["events"]
        assert envelope.count(envelope[0]) == len(spellings)
        spellings = [f"{sent.id}-{who}", f"sgs_{who.hex}", f"sgn_{who.hex}", str(await world.position(who))]
        process = [(await world("GET", f"/v1/ledger/timeline/{id}", key)).json() for id in spellings]
        assert process[0]["processes"] == [f"{sent.id}-{who}"]
        assert {event["stream"] for event in process[0]["events"]} == {str(who)}
        assert process.count(process[0]) == len(spellings)


@in_loop
async def test_what_is_of_another_tenant_or_mode_is_answered_like_what_does_not_exist(
    database: DatabaseUrls, tmp_path: Path
) -> None:
    async with opened(database, tmp_path) as world:
        live, test = await world.running.send(ANA), await world.running.send(ANA, mode=Mode.TEST)
        foreign = await world.running.send(ANA, tenant=await world.other_tenant())
        live_key, test_key = await world.key(), await world.key(mode=Mode.TEST)

        async def refused(id: object, key: Headers) -> object:
            response = await world("GET", f"/v1/ledger/timeline/{id}", key)
            body = problem(response, 404, "not-found")
            unlike = {"x-request-id", "x-ratelimit-remaining", "x-ratelimit-reset"}
            return [(name, value) for name, value in response.headers.items() if name not in unlike], {**body, "requestId": None}

        absent = await refused(uuid4(), live_key)

        async def spellings(sent: Sent) -> list[object]:
            who = sent.participants[0]
            numbers = [await world.position(sent.id), await world.position(who)]
            return [sent.id, f"env_{sent.id.hex}", f"{sent.id}-{who}", f"sgs_{who.hex}", *numbers]

        for hidden, key in ((foreign, live_key), (test, live_key), (live, test_key), (foreign, test_key)):
            for id in await spellings(hidden):
                assert await refused(id, key) == absent, id
        for shown, key in ((live, live_key), (test, test_key)):
            for id in await spellings(shown):
                assert (await world("GET", f"/v1/ledger/timeline/{id}", key)).status_code == 200, id


def _no_ids(sent: Sent) -> list[str]:
    envelope, who = sent.id, sent.participants[0]
    numbers = ["0", "-1", "01", "9223372036854775807", "9223372036854775808", "9" * 40, "\u0661"]
    malformed = [
        "env_",
        f"env_{envelope}",
        f"doc_{envelope.hex}",
        envelope.hex,
        f"{{{envelope}}}",
        f"{envelope}-",
        "%00",
        "x" * 5000,
    ]
    crossed = [f"{who}-{envelope}", f"{envelope}-{envelope}", str(who), f"env_{who.hex}", f"sgs_{envelope.hex}"]
    return [*numbers, *malformed, *crossed]


@in_loop
async def test_what_is_no_id_or_names_something_else_is_not_found(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        sent, key = await world.running.send(ANA), await world.key()
        for id in _no_ids(sent):
            problem(await world("GET", f"/v1/ledger/timeline/{id}", key), 404, "not-found")


@in_loop
async def test_a_number_that_is_not_a_streams_first_entry_names_nothing(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.running.send(ANA)
        second = (await world.running.deps.recorder.read_stream(sent.id))[1]
        problem(await world("GET", f"/v1/ledger/timeline/{second.position}", await world.key()), 404, "not-found")


@in_loop
async def test_the_head_is_where_the_log_ends(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        key = await world.key()
        assert (await world("GET", "/v1/ledger/head", key)).json() == {"position": 0, "at": None}
        sent = await world.running.send(ANA)
        events = (await world("GET", f"/v1/ledger/timeline/{sent.id}", key)).json()["events"]
        assert (await world("GET", "/v1/ledger/head", key)).json() == {"position": events[-1]["position"], "at": events[-1]["at"]}


@in_loop
async def test_every_kind_of_credential_reads_and_none_or_a_wrong_one_does_not(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        sent = await world.running.send(ANA)
        holders = [await world.partner(), world.administrator(), *[await world.key(kind) for kind in KeyKind]]
        for path in (f"/v1/ledger/timeline/{sent.id}", "/v1/ledger/head"):
            for headers in holders:
                assert (await world("GET", path, headers)).status_code == 200
            for headers in (
                {},
                {"Authorization": "Bearer sk_live_wrong"},
                {"Authorization": "Bearer ck_live_wrong"},
                {"Authorization": "Bearer sig_wrong"},
                {"Authorization": "Bearer a.b.c"},
                {"Authorization": "Basic YTpi"},
                {"X-Tenant-Signly": str(world.running.tenant)},
                {"X-Tenant-Signly": str(world.running.tenant), "X-Auth-Signly": "sk_live_partner_wrong"},
                {**holders[0], **holders[1]},
            ):
                refusal = await world("GET", path, headers)
                problem(refusal, 401, "unauthorized")
                assert refusal.headers["www-authenticate"] == "Bearer"


@in_loop
async def test_a_person_sees_the_envelopes_that_they_are_a_signer_of(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        sent, draft = await world.running.send(ANA, BO), await world.running.send(ANA, send=False)
        await world.running.send(Person("Cy", "cy@example.com"))
        others = await world.running.send(ANA, tenant=await world.other_tenant())
        await asyncio.to_thread(ensure_tables, database.owner)  # which fills the read models up to the head
        for id in (sent.id, f"{sent.id}-{sent.participants[1]}"):
            path = f"/v1/ledger/timeline/{id}"
            for email in ("ana@example.com", "BO@example.com"):
                assert (await world("GET", path, world.user(email))).status_code == 200
            for stranger in (world.user("cy@example.com"), world.user("new@example.com"), world.user(None)):
                problem(await world("GET", path, stranger), 404, "not-found")
            problem(await world("GET", path, world.user("ana@example.com", Mode.TEST)), 404, "not-found")
        for hidden in (draft, others):
            problem(await world("GET", f"/v1/ledger/timeline/{hidden.id}", world.user("ana@example.com")), 404, "not-found")


# Credentials


@in_loop
async def test_a_credential_made_here_works_at_once_and_its_secret_is_shown_once(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        admin = world.administrator()
        secrets: list[str] = []
        for kind, mode, prefix in (
            ("project", "live", "ck_live_"),
            ("project", "test", "ck_test_"),
            ("organization", "live", "sk_live_"),
            ("organization", "test", "sk_test_"),
        ):
            response = await world("POST", "/v1/ledger/credentials", admin, json={"kind": kind, "mode": mode})
            assert response.status_code == 201, response.text
            made = response.json()
            assert list(made) == ["id", "kind", "mode", "status", "secret"]
            assert (made["kind"], made["mode"], made["status"]) == (kind, mode, "ACTIVE")
            assert made["secret"].startswith(prefix)
            secrets.append(made["secret"])
            bearer = {"Authorization": f"Bearer {made['secret']}"}
            assert (await world("GET", "/v1/ledger/head", bearer)).status_code == 200
        listed = await world("GET", "/v1/ledger/credentials", admin)
        assert [(each["kind"], each["mode"]) for each in listed.json()["credentials"]] == [
            ("project", "live"),
            ("project", "test"),
            ("organization", "live"),
            ("organization", "test"),
        ]
        assert not [secret for secret in secrets if secret in listed.text]


@in_loop
async def test_a_partners_credential_replaces_the_one_before(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        before, admin = await world.partner(), world.administrator()
        made = (await world("POST", "/v1/ledger/credentials", admin, json={"kind": "partner", "mode": "live"})).json()
        assert (await world("GET", "/v1/ledger/head", {**before, "X-Auth-Signly": made["secret"]})).status_code == 200
        problem(await world("GET", "/v1/ledger/head", before), 401, "unauthorized")
        listed = (await world("GET", "/v1/ledger/credentials", admin)).json()["credentials"]
        assert [each["status"] for each in listed] == ["REVOKED", "ACTIVE"]


@in_loop
async def test_a_revoked_credential_is_refused_from_the_next_request_on(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        admin = world.administrator()
        made = (await world("POST", "/v1/ledger/credentials", admin, json={"kind": "project", "mode": "live"})).json()
        path, again = f"/v1/ledger/credentials/{made['id']}", {**admin, "Idempotency-Key": "revoke-1"}
        revoked = await world("DELETE", path, again)
        assert (revoked.status_code, revoked.json()) == (200, {"id": made["id"], "status": "REVOKED"})
        problem(await world("GET", "/v1/ledger/head", {"Authorization": f"Bearer {made['secret']}"}), 401, "unauthorized")
        assert (await world("DELETE", path, again)).content == revoked.content
        problem(await world("DELETE", path, admin), 404, "not-found")
        assert (await world("GET", "/v1/ledger/credentials", admin)).json()["credentials"][0]["status"] == "REVOKED"


@in_loop
async def test_a_repeat_shows_the_same_secret_though_none_is_kept(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        admin = {**world.administrator(), "Idempotency-Key": "make-1"}
        body = {"kind": "organization", "mode": "test"}
        first = await world("POST", "/v1/ledger/credentials", admin, json=body)
        second = await world("POST", "/v1/ledger/credentials", admin, json=body)
        assert (second.status_code, second.content) == (201, first.content)
        assert len((await world("GET", "/v1/ledger/credentials", admin)).json()["credentials"]) == 1
        with connect(database.owner) as conn:
            kept = [bytes(row[0]) for row in conn.execute("SELECT body FROM idempotency").fetchall()]
        assert len(kept) == 1
        assert first.json()["secret"].encode() not in kept[0]
        other = await world("POST", "/v1/ledger/credentials", admin, json={**body, "mode": "live"})
        problem(other, 422, "idempotency-key-reused")


@in_loop
async def test_only_the_tenants_administrator_administers(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        body = {"kind": "project", "mode": "live"}
        made = (await world("POST", "/v1/ledger/credentials", world.administrator(), json=body)).json()
        user = world.user("ana@example.com")
        routes = [
            ("POST", "/v1/ledger/credentials", {"json": body}),
            ("GET", "/v1/ledger/credentials", {}),
            ("DELETE", f"/v1/ledger/credentials/{made['id']}", {}),
        ]
        for method, path, more in routes:
            for headers in (await world.partner(), await world.key(), user):
                problem(await world(method, path, headers, **more), 403, "forbidden")
            problem(await world(method, path, **more), 401, "unauthorized")
            problem(await world(method, path, {"Authorization": "Bearer a.b.c"}, **more), 401, "unauthorized")
        other = world.administrator(await world.other_tenant())
        assert (await world("GET", "/v1/ledger/credentials", other)).json() == {"credentials": []}
        hidden = problem(await world("DELETE", f"/v1/ledger/credentials/{made['id']}", other), 404, "not-found")
        absent = problem(await world("DELETE", "/v1/ledger/credentials/pj_01J8XQ7M8VW2A6G2B0N7J5AZ7Q", other), 404, "not-found")
        assert {**hidden, "requestId": None} == {**absent, "requestId": None}
        assert (await world("GET", "/v1/ledger/head", {"Authorization": f"Bearer {made['secret']}"})).status_code == 200


@in_loop
async def test_an_administrator_of_a_tenant_that_does_not_exist_makes_nothing(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        nobody = world.administrator(uuid4())
        body = {"kind": "project", "mode": "live"}
        problem(await world("POST", "/v1/ledger/credentials", nobody, json=body), 403, "forbidden")
        problem(await world("DELETE", "/v1/ledger/credentials/pj_01J8XQ7M8VW2A6G2B0N7J5AZ7Q", nobody), 404, "not-found")


@in_loop
async def test_each_fault_of_a_body_is_named_and_nothing_is_made(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        admin = world.administrator()
        for body, fields in (
            ({}, ["kind", "mode"]),
            ({"kind": "account", "mode": "live"}, ["kind"]),
            ({"kind": "project", "mode": "LIVE"}, ["mode"]),
            ({"kind": "project", "mode": None}, ["mode"]),
            ({"kind": "partner", "mode": "test"}, ["mode"]),
            ({"kind": "project", "mode": "live", "tenant": "x"}, ["tenant"]),
            ([], [""]),
            ("project", [""]),
        ):
            refusal = problem(await world("POST", "/v1/ledger/credentials", admin, json=body), 422, "validation-failed")
            assert [fault["field"] for fault in refusal["errors"]] == fields
        json_type = {**admin, "Content-Type": "application/json"}
        for content, status, code in (
            (b"{", 400, "bad-request"),
            (b"", 400, "bad-request"),
            (b" " * 1_100_000, 413, "too-large"),
        ):
            problem(await world("POST", "/v1/ledger/credentials", json_type, content=content), status, code)
        problem(await world("POST", "/v1/ledger/credentials", admin, content=b"{}"), 415, "unsupported-media-type")
        long = {**admin, "Idempotency-Key": "k" * 256}
        problem(await world("POST", "/v1/ledger/credentials", long, json={"kind": "project", "mode": "live"}), 400, "bad-request")
        assert (await world("GET", "/v1/ledger/credentials", admin)).json() == {"credentials": []}


@in_loop
async def test_other_paths_and_methods_are_problems_too(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        problem(await world("GET", "/v1/ledger/nothing"), 404, "not-found")
        refusal = await world("PUT", "/v1/ledger/credentials")
        problem(refusal, 405, "method-not-allowed")
        assert refusal.headers["allow"] == "GET, POST"


@in_loop
async def test_a_list_tells_when_each_credential_was_made(database: DatabaseUrls, tmp_path: Path) -> None:
    async with opened(database, tmp_path) as world:
        await world.key()
        (shown,) = (await world("GET", "/v1/ledger/credentials", world.administrator())).json()["credentials"]
        made = datetime.fromisoformat(shown["createdAt"])
        assert timedelta(0) <= SystemClock().now() - made < timedelta(minutes=1)
        assert shown["updatedAt"] == shown["createdAt"]
