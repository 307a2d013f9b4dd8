"""A running partner surface for tests: a real server on loopback, a real database, and clients that check every answer.

Each client is a tenant of its own, so tests share the server without seeing each other.
"""

import asyncio
import io
import re
import socket
import threading
from collections.abc import Coroutine, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import httpx
import jsonschema_rs
import pikepdf
import uvicorn
from fastapi import FastAPI

from api.app import PROJECTIONS, running
from api.deps import Deps
from domain.actor import Actor, ActorKind, IdentityMethod, Provenance
from domain.coordination import ParticipantCommand, Participate
from domain.envelope import Envelope
from domain.signing import SignatureMethod, SignDocuments, ViewDocument
from infrastructure.clock import OffsetClock, SystemClock
from infrastructure.database import DatabaseUrls, connect
from infrastructure.following import Follower
from infrastructure.installation import Installation
from infrastructure.ledger import NO_ANSWER
from infrastructure.log_keys import open_log_keys
from infrastructure.notifications import LogListener
from infrastructure.sealer import NAME as SEALER
from infrastructure.sealer import Sealer
from infrastructure.secrets import Keys
from infrastructure.settings import Settings
from projections.runner import Runner
from tests.conftest import ORIGIN

#: The time of the reference page's samples; its deadlines are in the weeks after it.
NOW = datetime(2026, 4, 23, 15, tzinfo=UTC)

SIGNER = Provenance(identity=IdentityMethod.TOKEN)

T = TypeVar("T")
Json = Any

MEMBERS = ["success", "status", "code", "message", "data", "pagination", "meta", "error"]
META = ["request_id", "timestamp", "api_version", "tenant_id"]


def at(time: datetime) -> timedelta:
    """How far that time is from the machine's."""
    return time - SystemClock().now()


def pdf(pages: int = 1) -> bytes:
    """A real PDF with blank pages."""
    with pikepdf.new() as document:
        for _ in range(pages):
            document.add_blank_page()
        out = io.BytesIO()
        document.save(out, deterministic_id=True)
    return out.getvalue()


@dataclass(frozen=True)
class Answered:
    """An answer, its body read as JSON."""

    status: int
    body: Json
    headers: httpx.Headers
    raw: bytes

    @property
    def data(self) -> Json:
        return self.body["data"]

    @property
    def error(self) -> Json:
        return self.body["error"]

    @property
    def fields(self) -> Json:
        """The faults by field of a validation error."""
        assert (self.status, self.body["code"], self.body["message"]) == (400, "validation_error", "Validation error.")
        assert self.error["type"] == "validation"
        return self.error["details"]["fields"]


@dataclass
class World:
    """The running server. `run` runs a coroutine on its event loop."""

    url: str
    deps: Deps
    clock: OffsetClock
    database: DatabaseUrls
    surfaces: Mapping[str, FastAPI]
    loop: asyncio.AbstractEventLoop
    http: httpx.Client

    @property
    def app(self) -> FastAPI:
        """The partner surface."""
        return self.surfaces["partner"]

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)

    def head(self) -> int:
        """The position of the log's last entry."""
        with connect(self.database.service) as conn:
            row = conn.execute("SELECT position FROM log_head").fetchone()
        assert row is not None
        return int(row[0])

    def tenant(self, method: str = "KEY") -> "Client":
        """A fresh tenant with a credential."""
        tenant = self.run(self.deps.identity.create_tenant("Acme"))
        made = self.run(self.deps.identity.create_partner_key(tenant, "HMAC" if method == "HMAC" else "KEY"))
        return Client(self, tenant, {"X-Tenant-Signly": str(tenant), "X-Auth-Signly": made.secret}, made.key.id)

    def administrator(self, tenant: UUID) -> "Client":
        token = self.run(self._token(tenant))
        return Client(self, tenant, {"X-Auth-Signly": f"Bearer {token}"}, "")

    async def _token(self, tenant: UUID) -> str:
        return self.deps.identity.mint_admin_token(tenant, timedelta(hours=1))


@dataclass
class Client:
    """Calls as one tenant. Every answer is held against the eight members and the OpenAPI document."""

    world: World
    tenant: UUID
    headers: dict[str, str]
    key_id: str

    def __call__(self, method: str, path: str, json: Json = None, **more: Any) -> Answered:
        headers = {**self.headers, **more.pop("headers", {})}
        if json is not None:
            more["json"] = json
        response = self.world.http.request(method, self.world.url + path, headers=headers, **more)
        answered = Answered(response.status_code, response.json(), response.headers, response.content)
        check_members(answered)
        check_documented(self.world.app, method, path, answered)
        return answered

    def without(self, *names: str) -> "Client":
        return Client(self.world, self.tenant, {name: it for name, it in self.headers.items() if name not in names}, self.key_id)

    def with_headers(self, **headers: str) -> "Client":
        return Client(self.world, self.tenant, {**self.headers, **headers}, self.key_id)

    def template(self, versions: int = 1, *, uploaded: bool = True) -> str:
        """A template whose versions each have a PDF of two pages."""
        template: str = self("POST", "/v1/templates", {"templateName": "Acuerdo de servicio", "description": "v1"}).data[
            "templateId"
        ]
        for number in range(1, versions + 1):
            if number > 1:
                self("PUT", f"/v1/templates/{template}", {"templateName": "Acuerdo de servicio", "description": f"v{number}"})
            if uploaded:
                self.upload(template, number)
        return template

    def upload(self, template: str, version: int, content: bytes | None = None) -> httpx.Response:
        url = self("POST", f"/v1/templates/{template}/versions/{version}/upload-url").data["uploadUrl"]
        return self.world.http.put(
            url, content=pdf(2) if content is None else content, headers={"Content-Type": "application/pdf"}
        )

    def document(self, template: str | None = None, count: int = 1, **changes: Any) -> Json:
        """A published document with that many participants: the data of the answer."""
        return self("POST", "/v1/documents", body(template or self.template(), count, **changes)).data

    def act(self, document: str, command: ParticipantCommand) -> None:
        """What a participant does, decided and recorded by the ledger itself."""
        by = Actor(ActorKind.SIGNER, str(command.participant))
        self.world.run(self.world.deps.ledger.handle(Participate(UUID(document), command), by, lambda outcome: NO_ANSWER))

    def look(self, document: str, participant: str) -> None:
        """The participant looks at the document, which starts the process."""
        state = self.world.run(self.world.deps.ledger.state(Envelope, UUID(document)))
        assert state is not None
        shown = state.documents[0]
        self.act(document, ViewDocument(UUID(participant), shown.id, shown.sha256, SIGNER))

    def sign(self, document: str, participant: str) -> None:
        """The participant signs all there is to sign."""
        self.act(document, SignDocuments(UUID(participant), None, SignatureMethod.TYPED, None, None, SIGNER))


def participant(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A participant as the reference page's example has it, another person for each number."""
    return {
        "displayName": f"Juan David Otero {number}",
        "signatureMode": ["SIGNATURE_EMAIL"],
        "identity": {"email": f"juan{number}@example.com"},
        "policy": {"attemptsMax": 3, "cooldownSeconds": 60},
        **changes,
    }


def body(template: str, count: int = 1, **changes: Any) -> dict[str, Any]:
    """A document as the reference page's example has it."""
    return {
        "templateId": template,
        "templateVersion": "0001",
        "participants": [participant(number) for number in range(1, count + 1)],
        "orderMode": "PARALLEL",
        "deadlineAt": "2026-05-21T23:59:00Z",
        **changes,
    }


def check_members(answered: Answered) -> None:
    """Every answer has exactly the eight members, and they agree with each other and with the HTTP answer."""
    assert list(answered.body) == MEMBERS
    assert list(answered.body["meta"]) == META
    assert answered.body["status"] == answered.status
    assert answered.body["success"] is (answered.status < 400)
    assert answered.headers["content-type"] == "application/json"
    request_id = answered.body["meta"]["request_id"]
    assert re.fullmatch(r"req_[0-9A-HJKMNP-TV-Z]{26}", request_id)
    assert re.fullmatch(r"req_[0-9A-HJKMNP-TV-Z]{26}", answered.headers["x-request-id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", answered.body["meta"]["timestamp"])
    if answered.status < 400:
        assert answered.error is None
    else:
        assert answered.data is None
        assert list(answered.error) == ["type", "details"]


def check_documented(app: FastAPI, method: str, path: str, answered: Answered) -> None:
    """The OpenAPI document has this status for this operation, and its schema fits the body."""
    document = app.openapi()
    plain = path.partition("?")[0]
    for template, item in document["paths"].items():
        if method.lower() in item and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), plain):
            schema = item[method.lower()]["responses"][str(answered.status)]["content"]["application/json"]["schema"]
            jsonschema_rs.validator_for({**schema, "components": document["components"]}).validate(answered.body)
            return
    assert answered.status in (404, 405)


@contextmanager
def start(urls: DatabaseUrls, folder: Path, *, followers: bool = False, **changes: Any) -> Iterator[World]:
    """Runs the whole application, with the clock at NOW.

    Without its own `followers` nothing appends on its own account, so a test can see that the log did
    not change; the read models are then kept up to date from here.
    """
    settings = Settings.model_validate(
        {"data": folder, "base_url": "http://127.0.0.1", "rate_limits": "off", "execution_lanes": 0, **changes}
    )
    installation = Installation(settings, urls, Keys.derive(b"s" * 32, b"m" * 32), ORIGIN, None)
    clock = OffsetClock(at(NOW))
    started: Future[tuple[World, uvicorn.Server]] = Future()

    async def serve() -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        # As `api.serving` has it: an answer's body does not wait 40 ms for the acknowledgement of its head.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # What is accepted inherits it; without it each answer waits 40 ms for an acknowledgement (see api.serving).
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        async with running(installation.at(url), clock=clock, followers=followers) as parts:
            # A connection that rests between two tests is not closed at the moment when the next one writes to it.
            server = uvicorn.Server(
                uvicorn.Config(parts.app, lifespan="off", log_level="error", ws="none", timeout_keep_alive=600)
            )
            loop = asyncio.get_running_loop()
            # It listens already: what is sent before the server looks waits for it.
            started.set_result((World(url, parts.deps, clock, urls, parts.surfaces, loop, http), server))
            await server.serve(sockets=[listening])

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as err:
            if started.done():
                raise
            started.set_exception(err)

    thread = threading.Thread(target=run, name="partner-surface")
    with httpx.Client(timeout=30) as http:
        thread.start()
        world, server = started.result(60)
        try:
            yield world
        finally:
            server.should_exit = True
            thread.join(30)


@contextmanager
def projecting(urls: DatabaseUrls) -> Iterator[None]:
    """Keeps the read models up to date."""
    listener = LogListener(urls.service)
    follower = Follower(urls.service, PROJECTIONS, Runner().step, listener)
    listener.start()
    follower.start()
    try:
        yield
    finally:
        follower.close()
        listener.close()


@contextmanager
def sealing(world: World) -> Iterator[None]:
    """Signs checkpoints of the log, to which it appends nothing."""
    keys = open_log_keys(world.deps.settings, world.database, ORIGIN)
    sealer = Sealer(keys, world.deps.settings.data, world.clock, checkpoint_seconds=0.1)
    listener = LogListener(world.database.service)
    follower = Follower(world.database.service, SEALER, sealer.step, listener, poll_seconds=0.1)
    listener.start()
    follower.start()
    try:
        yield
    finally:
        follower.close()
        listener.close()


def details(answered: Answered) -> Mapping[str, Any]:
    """The details of an error."""
    found: Mapping[str, Any] = answered.error["details"]
    return found
