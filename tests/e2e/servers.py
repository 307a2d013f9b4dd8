"""Real server processes for tests: an installation of their own, clients with credentials, and a tidy end."""

import asyncio
import io
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from secrets import token_bytes
from typing import Any
from uuid import UUID, uuid4

import httpx
import pikepdf
from typer.testing import CliRunner, Result

from api.cli import app
from domain.ids import ProcessId, parse_uuid, typed_id
from infrastructure.clock import SystemClock
from infrastructure.database import DatabaseUrls, async_pool
from infrastructure.embedded import start_embedded
from infrastructure.identity import Identity
from infrastructure.installation import open_installation
from infrastructure.invitation_mint import InvitationMint
from infrastructure.secrets import Keys
from infrastructure.settings import Settings, variable
from scripts.server_process import ServerProcess

Json = Any


def pdf() -> bytes:
    """A real PDF of one blank page."""
    with pikepdf.new() as document:
        document.add_blank_page()
        out = io.BytesIO()
        document.save(out, deterministic_id=True)
    return out.getvalue()


@dataclass
class Site:
    """An installation in a data folder, with one tenant, and whatever processes a test starts over it."""

    data: Path
    urls: DatabaseUrls
    keys: Keys
    tenant: UUID
    secret: str
    environment: dict[str, str] = field(default_factory=dict)
    _stack: ExitStack = field(default_factory=ExitStack)

    def start(self, *arguments: str, name: str = "") -> ServerProcess:
        """Starts `countersign` with these arguments; it is stopped when the test ends."""
        process = ServerProcess(self.data, *arguments, environment=self.environment, name=name)
        return self._stack.enter_context(process)

    def command(self, *arguments: str) -> Result:
        """Runs `countersign` with these arguments to its end, in this process: a new one takes seconds to import all."""
        unset = dict.fromkeys((variable(field) for field in Settings.model_fields), None)
        environment = {**unset, variable("data"): str(self.data), **self.environment}
        return CliRunner().invoke(app, arguments, prog_name="countersign", env=environment)

    def partner(self, server: ServerProcess) -> "Partner":
        """A client of the partner surface at that server."""
        headers = {"X-Tenant-Signly": str(self.tenant), "X-Auth-Signly": self.secret}
        http = self._stack.enter_context(httpx.Client(base_url=server.url, headers=headers, timeout=30))
        signer = self._stack.enter_context(httpx.Client(base_url=server.url, timeout=30))
        return Partner(http, signer, InvitationMint(self.keys, timedelta(days=30), token_bytes))

    def fsck(self) -> None:
        """Fails with the report unless the log is whole."""
        done = self.command("fsck")
        assert done.exit_code == 0, done.output


@dataclass
class Partner:
    """A partner that publishes documents, and a signer; `mint` knows the tokens that participants get by mail."""

    http: httpx.Client
    signer: httpx.Client
    mint: InvitationMint

    def call(self, method: str, path: str, content: Json = None, *, key: str = "", **more: Any) -> Json:
        """The `data` of an answer; AssertionError for an error."""
        answer = self.ask(method, path, content, key=key, **more)
        assert answer.status_code < 300, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()["data"]

    def ask(self, method: str, path: str, content: Json = None, *, key: str = "", **more: Any) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        body = None if content is None else json.dumps(content)
        return self.http.request(method, path, content=body, headers={"Content-Type": "application/json", **headers}, **more)

    def template(self, name: str = "Agreement") -> str:
        """A template with its PDF."""
        template: str = self.call("POST", "/v1/templates", {"templateName": name})["templateId"]
        upload = self.call("POST", f"/v1/templates/{template}/versions/1/upload-url")
        answer = httpx.request(upload["method"], upload["uploadUrl"], content=pdf(), headers={"Content-Type": "application/pdf"})
        assert answer.status_code == 200, answer.text
        return template

    def publish(self, template: str, *people: Json, key: str = "", **changes: Json) -> "Published":
        """A document for these people, all at once unless `orderMode` says otherwise."""
        return Published.of(self.call("POST", "/v1/documents", body(template, *people, **changes), key=key))

    def events(self, stream: object) -> list[Json]:
        events: list[Json] = self.call("GET", f"/v1/events/{stream}")
        return events

    def token(self, document: UUID, participant: UUID) -> str:
        """The token of the participant's newest invitation."""
        events = self.events(ProcessId(document, participant))
        made = [event for event in events if event["eventType"] in ("INVITATION_CREATED", "INVITATION_RESENT")]
        return self.mint.token(parse_uuid(json.loads(made[-1]["entry"])["data"]["invitation"]["id"]))

    def complete(self, participant: UUID, token: str, *, key: str = "", **more: Json) -> httpx.Response:
        """Completes a participant's session."""
        headers = {"X-Signing-Session-Token": token, **({"Idempotency-Key": key} if key else {}), **more.pop("headers", {})}
        content = {"electronic_signature_text": "I agree to sign this electronically.", **more}
        return self.signer.post(f"/v1/signing_sessions/{typed_id('sgs', participant)}/complete", json=content, headers=headers)


@dataclass(frozen=True)
class Published:
    """A document as its creation answered it."""

    id: UUID
    participants: tuple[UUID, ...]

    @classmethod
    def of(cls, data: Json) -> "Published":
        return cls(UUID(data["documentId"]), tuple(UUID(each["participantId"]) for each in data["participants"]))


def someone(name: str = "", **changes: Json) -> Json:
    """A participant; another person each time unless named."""
    name = name or f"p{uuid4().hex[:12]}"
    return {"displayName": name, "signatureMode": ["SIGNATURE_EMAIL"], "identity": {"email": f"{name}@example.com"}, **changes}


def body(template: str, *people: Json, **changes: Json) -> Json:
    """The body that publishes a document."""
    return {
        "templateId": template,
        "templateVersion": "0001",
        "orderMode": "PARALLEL",
        "participants": list(people),
        "deadlineAt": "2099-12-31T23:59:00Z",
        **changes,
    }


@contextmanager
def site(data: Path, environment: dict[str, str] | None = None) -> Iterator[Site]:
    """Makes an installation in `data` with a tenant. PostgreSQL runs as long as some process of the test uses it."""
    given = {variable("data"): str(data), **(environment or {})}
    try:
        with open_installation(Settings.read(given), print) as opened:
            tenant, secret = asyncio.run(_tenant(opened.urls, opened.keys))
            made = Site(data, opened.urls, opened.keys, tenant, secret, environment or {})
        with made._stack:
            yield made
    finally:
        if not (environment or {}).get("DATABASE_URL"):
            start_embedded(data, print).stop()


async def _tenant(urls: DatabaseUrls, keys: Keys) -> tuple[UUID, str]:
    async with async_pool(urls.service, max_size=1) as pool:
        identity = Identity(pool, keys, SystemClock())
        tenant = await identity.create_tenant("Example Ltd")
        return tenant, (await identity.create_partner_key(tenant, "KEY")).secret


def eventually(holds: Any, seconds: float = 15.0) -> Any:
    """Calls `holds` until it answers something true, and answers that; AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        if found := holds():
            return found
        assert time.monotonic() < deadline, f"did not happen within {seconds} s"
        time.sleep(0.05)


def outbox(data: Path) -> Sequence[Path]:
    """The invitations that were delivered as files."""
    return sorted((data / "outbox").glob("*.eml"))
