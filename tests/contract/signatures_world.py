"""Projects that call the signatures surface, for tests: every answer is held against the OpenAPI document."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import httpx
import jsonschema_rs
import pikepdf
from fastapi import FastAPI

from domain.actor import Actor, ActorKind, Mode
from domain.coordination import ParticipantCommand as Act
from domain.coordination import Participate
from domain.envelope import Envelope
from domain.personal import Subject, SubjectKind
from domain.signing import DeclineSigning, SignatureMethod, SignDocuments, ViewDocument
from infrastructure.identity import KeyKind
from infrastructure.ledger import NO_ANSWER
from tests.contract.partner_world import SIGNER, Json, World

SURFACE: Final = "signatures"

MEMBERS: Final = [
    "id", "renderId", "name", "status", "recipients", "expirationHours", "signedDownloadUrl", "certificateUrl", "errorMessage",
    "createdAt", "completedAt",
]  # fmt: skip

#: US letter, as the PDFs of these tests are.
WIDTH, HEIGHT = 612_000, 792_000


@dataclass(frozen=True)
class Answered:
    """An answer; `body` is its JSON, None for a PDF."""

    status: int
    body: Json
    headers: httpx.Headers
    raw: bytes

    @property
    def code(self) -> str:
        code: str = self.body["error"]["code"]
        return code

    @property
    def issues(self) -> Json:
        """The faults by field of a request that is not valid, with `""` for those of the whole."""
        assert (self.status, self.code) == (400, "invalid_request")
        issues = self.body["error"]["issues"]
        assert list(issues) == ["formErrors", "fieldErrors"]
        return {**({"": issues["formErrors"]} if issues["formErrors"] else {}), **issues["fieldErrors"]}


@dataclass
class Project:
    """Calls with one project key."""

    world: World
    tenant: UUID
    mode: Mode
    key: str
    id: str

    def __call__(self, method: str, path: str, json: Json = None, **more: Any) -> Answered:
        headers = {"Authorization": f"Bearer {self.key}", **more.pop("headers", {})}
        if json is not None:
            more["json"] = json
        response = self.world.http.request(method, self.world.url + path, headers=headers, **more)
        is_json = response.headers["content-type"] == "application/json"
        answered = Answered(response.status_code, response.json() if is_json else None, response.headers, response.content)
        if answered.status >= 400:
            assert list(answered.body) == ["error"]
            assert list(answered.body["error"]) in (["code", "message"], ["code", "message", "issues"])
        check_documented(self.world.surfaces[SURFACE], method, path, answered)
        return answered

    def other_key(self, mode: Mode | None = None) -> "Project":
        """Another key of the same project."""
        return project(self.world, mode or self.mode, self.tenant)

    def upload(self, content: bytes, name: str = "", **headers: str) -> Answered:
        query = f"?name={name}" if name else ""
        return self("POST", f"/v1/renders{query}", content=content, headers={"Content-Type": "application/pdf", **headers})

    def render(self, *lines: str) -> str:
        """A stored PDF of two pages, whose first shows these lines."""
        identity: str = self.upload(pdf(lines or ("Sign here: {{sign_here}}",))).body["id"]
        return identity

    def create(self, render: str = "", **changes: Any) -> Answered:
        """A request as `body` has it; a change to None leaves the member out."""
        return self("POST", "/v1/signatures", body(render or self.render(), **changes), headers=changes.pop("headers", {}))

    def signature(self, render: str = "", **changes: Any) -> Json:
        """The request that `create` makes."""
        answered = self.create(render, **changes)
        assert answered.status == 201, answered.raw
        return answered.body

    def get(self, identity: str) -> Json:
        return self("GET", f"/v1/signatures/{identity}").body

    def envelope(self, identity: str) -> Envelope:
        state = self.world.run(self.world.deps.ledger.state(Envelope, UUID(identity)))
        assert state is not None
        return state

    def participants(self, identity: str) -> list[UUID]:
        """Those who sign, in the order of the request."""
        return list(self.envelope(identity).slots)

    def act(self, identity: str, command: Act) -> None:
        """What a participant does, decided and recorded by the ledger itself."""
        by = Actor(ActorKind.SIGNER, str(command.participant))
        self.world.run(self.world.deps.ledger.handle(Participate(UUID(identity), command), by, lambda outcome: NO_ANSWER))

    def look(self, identity: str, number: int = 0) -> None:
        document = self.envelope(identity).documents[0]
        self.act(identity, ViewDocument(self.participants(identity)[number], document.id, document.sha256, SIGNER))

    def sign(self, identity: str, number: int = 0) -> None:
        who = self.participants(identity)[number]
        self.act(identity, SignDocuments(who, None, SignatureMethod.TYPED, None, None, SIGNER))

    def decline(self, identity: str, reason: str | None = None, number: int = 0) -> None:
        about = Subject(self.tenant, SubjectKind.ENVELOPE, identity)
        said = None if reason is None else self.world.deps.vault.conceal(reason, about)
        self.act(identity, DeclineSigning(self.participants(identity)[number], said, SIGNER))


def project(world: World, mode: Mode = Mode.LIVE, tenant: UUID | None = None) -> Project:
    """A project, a fresh one unless `tenant` names it, with a key of its own."""
    owner = tenant or world.run(world.deps.identity.create_tenant("Acme"))
    made = world.run(world.deps.identity.create_key(owner, KeyKind.PROJECT, mode))
    return Project(world, owner, mode, made.secret, made.key.id)


def recipient(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A recipient as the documentation's sample has it, another person for each number."""
    sent = {"firstName": "Jane", "lastName": f"Doe {number}", "email": f"jane{number}@example.com", "designation": "Signer"}
    return {name: value for name, value in {**sent, **changes}.items() if value is not None}


def body(render: str, **changes: Any) -> dict[str, Any]:
    """A request as the documentation's sample has it."""
    sent = {
        "renderId": render,
        "name": "Charter handover — BK-12345",
        "recipients": [recipient()],
        "anchorTags": [{"anchorString": "{{sign_here}}", "type": "signature", "recipientIndex": 0, "required": True}],
        "expirationHours": 168,
    }
    return {name: value for name, value in {**sent, **changes}.items() if name != "headers" and value is not None}


def pdf(lines: Sequence[str] = (), *, pages: int = 2, top: int = 700, rotate: int = 0) -> bytes:
    """A PDF of letter pages. The first shows the lines in Helvetica of 12 points, 72 points from the left, the first at `top`."""
    with pikepdf.new() as document:
        for _ in range(pages):
            document.add_blank_page(page_size=(WIDTH // 1000, HEIGHT // 1000))
        page = document.pages[0]
        font = pikepdf.Dictionary(Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica)
        page.Resources = pikepdf.Dictionary(Font=pikepdf.Dictionary(F1=document.make_indirect(font)))
        shown = "".join(f"BT /F1 12 Tf 72 {top - 20 * number} Td ({line}) Tj ET\n" for number, line in enumerate(lines))
        page.Contents = document.make_stream(shown.encode("latin-1"))
        if rotate:
            page.Rotate = rotate
        out = io.BytesIO()
        document.save(out, deterministic_id=True)
    return out.getvalue()


def check_documented(app: FastAPI, method: str, path: str, answered: Answered) -> None:
    """The OpenAPI document has this status for this operation, and its schema fits the body."""
    assert re.fullmatch(r"req_[0-9A-HJKMNP-TV-Z]{26}", answered.headers["x-request-id"])
    document = app.openapi()
    plain = path.partition("?")[0]
    for template, item in document["paths"].items():
        if method.lower() in item and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), plain):
            (kind, content), *_ = item[method.lower()]["responses"][str(answered.status)]["content"].items()
            assert answered.headers["content-type"] == kind
            if kind == "application/json":
                schema = {**content["schema"], "components": document["components"]}
                jsonschema_rs.validator_for(schema).validate(answered.body)
            return
    assert answered.status in (404, 405)
