"""A running sessions surface for tests: in this process, on a real database, with its read models kept up to date."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import jsonschema_rs
from fastapi import FastAPI

from api.surfaces import files
from api.surfaces.sessions import build
from domain.actor import Mode
from infrastructure.database import DatabaseUrls
from projections.rebuild import ensure_tables
from tests.contract.partner_world import pdf, projecting
from tests.running import BASE_URL, Running, client_of, running

Json = Any

STAKEHOLDER = "stk_ana1"
ANA = {"name": "Ana Pérez", "email": "ana@example.com", "stakeholder_id": STAKEHOLDER}
BO = {"name": "Bo Li", "email": "bo@example.com", "stakeholder_id": "stk_bo1"}
TEXT = "I, the undersigned, sign this."


@dataclass(frozen=True)
class Caller:
    """Somebody with a credential; `headers` are sent with each request."""

    world: "World"
    headers: Mapping[str, str]

    async def __call__(self, method: str, path: str, body: Json = None, **headers: str) -> httpx.Response:
        """One request; a header's underscores are hyphens. Every answer is held against the OpenAPI document."""
        given = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        response = await self.world.http.request(method, path, json=body, headers=given)
        check_documented(self.world.app, method, path, response)
        return response

    async def ok(self, method: str, path: str, body: Json = None, **headers: str) -> Json:
        """As a call, for what must succeed: the answer's body."""
        response = await self(method, path, body, **headers)
        assert response.status_code < 300, response.text
        return response.json()

    async def document(self, *, stored: bool = True, **changes: Json) -> str:
        """A document, with its PDF unless `stored` is false: its id."""
        made = await self.ok("POST", "/v1/documents", {"entity_id": "ent_1", "type": "nda", **changes})
        if stored:
            await self.world.upload(made["upload_url"])
        return str(made["id"])

    async def draft(self, *signers: Mapping[str, Json], documents: int = 1, **changes: Json) -> Json:
        """An envelope that is not sent yet."""
        ids = [await self.document() for _ in range(documents)]
        body = {"entity_id": "ent_1", "document_ids": ids, "signers": [dict(one) for one in signers or (ANA,)], **changes}
        return await self.ok("POST", "/v1/signing_envelopes", body)

    async def sent(self, *signers: Mapping[str, Json], documents: int = 1, **changes: Json) -> Json:
        """An envelope that is sent."""
        draft = await self.draft(*signers, documents=documents, **changes)
        return await self.ok("POST", f"/v1/signing_envelopes/{draft['id']}/send")

    async def complete(self, session: str, token: str, **headers: str) -> httpx.Response:
        """Completes a session by a token, with whatever credential this caller has beside it."""
        path = f"/v1/signing_sessions/{session}/complete"
        return await self("POST", path, {"electronic_signature_text": TEXT}, X_Signing_Session_Token=token, **headers)

    async def consent(self, stakeholder: str = STAKEHOLDER) -> Json:
        """The stakeholder's consent."""
        body = {
            "stakeholder_id": stakeholder,
            "hardware_capability_affirmed": True,
            "paper_copy_request_method": "By mail to legal@example.com",
        }
        return await self.ok("POST", "/v1/consents/esra", body)


@dataclass
class World:
    running: Running
    http: httpx.AsyncClient
    files: httpx.AsyncClient
    app: FastAPI
    keys: dict[tuple[UUID, Mode], Caller] = field(default_factory=dict)

    @property
    def nobody(self) -> Caller:
        return Caller(self, {})

    async def organization(self, mode: Mode = Mode.TEST, tenant: UUID | None = None) -> Caller:
        """An organization's key, the same for the same tenant and mode."""
        owner = tenant or self.running.tenant
        if (owner, mode) not in self.keys:
            _, secret = await self.running.deps.identity.create_organization_key(owner, mode)
            self.keys[owner, mode] = Caller(self, {"Authorization": f"Bearer {secret}"})
        return self.keys[owner, mode]

    async def stranger(self, mode: Mode = Mode.TEST) -> Caller:
        """A key of another organization."""
        return await self.organization(mode, await self.running.deps.identity.create_tenant("Another Ltd"))

    def person(
        self, email: str | None = "ana@example.com", subject: str = "user_ana", mode: Mode = Mode.TEST, tenant: UUID | None = None
    ) -> Caller:
        """A person who signs in now."""
        owner, hour = tenant or self.running.tenant, timedelta(hours=1)
        token = self.running.deps.identity.mint_user_token(owner, subject, mode, hour, email=email)
        return Caller(self, {"Authorization": f"Bearer {token}"})

    async def upload(self, url: str, content: bytes | None = None) -> httpx.Response:
        """Puts a PDF to an upload URL."""
        path = urlsplit(url).path
        return await self.files.put(path, content=content or pdf(), headers={"Content-Type": "application/pdf"})

    async def token(self, signer: Json) -> str:
        """The token of the latest invitation of a signer, as an envelope's answer shows the signer."""
        return await self.running.token(UUID(hex=signer["id"].removeprefix("sgn_")))


@asynccontextmanager
async def opened(database: DatabaseUrls, folder: Path) -> AsyncIterator[World]:
    """The surface with its files beside it; the read models follow."""
    ensure_tables(database.owner)
    with projecting(database):
        async with running(database, folder) as run:
            app = build(run.deps)
            async with client_of(app) as http, client_of(files.build(run.deps)) as stored:
                yield World(run, http, stored, app)


def problem(response: httpx.Response, status: int, code: str) -> Json:
    """The problem document of a response, with what every one of them must have."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert list(body)[:11] == [
        "type", "title", "status", "detail", "instance", "code", "param", "doc_url", "request_id", "retry_after", "authorized_by",
    ]  # fmt: skip
    assert body["code"] == code
    assert body["status"] == status
    assert body["type"].endswith(code)
    assert body["doc_url"].startswith(f"{BASE_URL}/docs/")
    assert body["instance"] == f"/requests/{body['request_id']}"
    assert response.headers["x-request-id"] == response.headers["matter-request-id"] == body["request_id"]
    return body


def check_documented(app: FastAPI, method: str, path: str, response: httpx.Response) -> None:
    """The OpenAPI document has this status for this operation, and its schema fits the body."""
    document = app.openapi()
    plain = path.partition("?")[0]
    for template, item in sorted(document["paths"].items(), key=lambda entry: entry[0].count("{")):
        if method.lower() in item and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), plain):
            content = item[method.lower()]["responses"][str(response.status_code)]["content"]
            schema = content[response.headers["content-type"]]["schema"]
            jsonschema_rs.validator_for({**schema, "components": document["components"]}).validate(response.json())
            return
    assert response.status_code in (404, 405)
