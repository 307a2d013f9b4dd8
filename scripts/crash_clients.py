"""Clients that do real work against a server that is being killed, and remember every answer they got.

Each mutating request has an idempotency key. One that was not answered is sent again, the same, until it is.
"""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from domain.ids import ProcessId, parse_uuid, typed_id
from infrastructure.invitation_mint import InvitationMint
from scripts.http_client import Connection, NoAnswer, Reply, spell

#: Longer than the server itself waits for a database that is away; then it answers 503.
ANSWER_SECONDS: Final = 25.0
RETRY_SECONDS: Final = 0.05

PARTNER_MEMBERS: Final = ["success", "status", "code", "message", "data", "pagination", "meta", "error"]


class Violation(Exception):
    """The server answered what it must not; the message says what and to which request."""


@dataclass
class Memory:
    """What the clients know to have happened, because it was answered; and what they did for it.

    `receipts` are leaf hashes by position, as the answers told them. `tries` are the idempotency keys of requests that were
    sent again, with the time of their second try.
    """

    templates: set[UUID] = field(default_factory=set)
    versions: int = 0
    documents: dict[UUID, set[UUID]] = field(default_factory=dict)
    completed: set[UUID] = field(default_factory=set)
    cancelled: set[UUID] = field(default_factory=set)
    extended: Counter[UUID] = field(default_factory=Counter)
    resent: Counter[UUID] = field(default_factory=Counter)
    receipts: dict[int, bytes] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    tries: dict[str, datetime] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    unavailable: int = 0
    longest_seconds: float = 0.0


@dataclass
class Target:
    """The server under test, with a tenant's credential, and the keys that tokens are derived with."""

    url: str
    credentials: Mapping[str, str]
    mint: InvitationMint
    pdf: bytes


class Gate:
    """Lets clients begin new requests; `close` returns once none is under way."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._busy = 0
        self._answered = asyncio.Event()

    def open(self) -> None:
        self._open.set()

    async def close(self) -> None:
        self._open.clear()
        await self._idle.wait()

    async def enter(self) -> None:
        while not self._open.is_set():
            await self._open.wait()
        self._busy += 1
        self._idle.clear()

    def leave(self) -> None:
        self._busy -= 1
        if not self._busy:
            self._idle.set()

    def acknowledge(self) -> None:
        """A change was answered."""
        self._answered.set()

    async def next_acknowledged(self) -> None:
        """Returns when the next change is answered."""
        self._answered.clear()
        await self._answered.wait()


class Client:
    """One client: publishes documents and sees them through, one after the other, until it is cancelled."""

    def __init__(self, target: Target, memory: Memory, gate: Gate, seed: int) -> None:
        self._target = target
        self._memory = memory
        self._gate = gate
        self._random = random.Random(seed)
        self._seed = seed
        self._connections: list[Connection] = []
        self._host = urlsplit(target.url).netloc
        self._number = 0

    async def run(self) -> None:
        """Ends only by being cancelled, or with a Violation."""
        try:
            while True:
                template = await self._make_template()
                for _ in range(self._random.randint(3, 8)):
                    await self._see_through(template)
        finally:
            for connection in self._connections:
                connection.close()

    async def _make_template(self) -> UUID:
        data = await self._partner("POST", "/v1/templates", {"templateName": f"Agreement of client {self._seed}"})
        template = UUID(data["templateId"])
        self._memory.templates.add(template)
        # Making a signed URL changes nothing, so nothing is kept of it.
        upload = await self._partner("POST", f"/v1/templates/{template}/versions/1/upload-url", changes=False)
        path = upload["uploadUrl"].removeprefix(self._target.url)
        stored = await self._ask(upload["method"], path, self._target.pdf, {"Content-Type": "application/pdf"})
        _expect(stored, 200, upload["method"], "/files/upload")
        if self._random.random() < 0.3:
            await self._partner("PUT", f"/v1/templates/{template}", {"templateName": "Agreement, second version"})
            self._memory.versions += 1
        return template

    async def _see_through(self, template: UUID) -> None:
        order = self._random.choice(("PARALLEL", "SEQUENTIAL"))
        people = self._random.randint(1, 3)
        document, participants = await self._publish(template, order, people)
        if self._random.random() < 0.2:
            deadline = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30, seconds=self._number)
            await self._partner("POST", f"/v1/documents/{document}/extend", {"newDeadlineAt": f"{deadline:%Y-%m-%dT%H:%M:%SZ}"})
            self._memory.extended[document] += 1
        if self._random.random() < 0.2:
            await self._partner("POST", f"/v1/documents/{document}/participants/{participants[0]}/resend")
            self._memory.resent[participants[0]] += 1
        if self._random.random() < 0.1:
            await self._race(document, participants[0])
        elif order == "PARALLEL":
            tokens = await self._tokens(document)
            await asyncio.gather(*(self._complete(who, tokens[who]) for who in participants))
        else:
            for who in participants:
                await self._complete(who, (await self._tokens(document))[who])
        await self._events(document)

    async def _publish(self, template: UUID, order: str, people: int) -> tuple[UUID, list[UUID]]:
        self._number += 1
        names = [f"p{person}.{self._number}.c{self._seed}" for person in range(people)]
        body = {
            "templateId": str(template),
            "templateVersion": "0001",
            "orderMode": order,
            "deadlineAt": f"{datetime.now(UTC) + timedelta(days=10):%Y-%m-%dT%H:%M:%SZ}",
            "participants": [
                {"displayName": name, "signatureMode": ["SIGNATURE_EMAIL"], "identity": {"email": f"{name}@example.com"}}
                for name in names
            ],
        }
        data = await self._partner("POST", "/v1/documents", body)
        document, participants = UUID(data["documentId"]), [UUID(each["participantId"]) for each in data["participants"]]
        self._memory.documents[document] = set(participants)
        return document, participants

    async def _race(self, document: UUID, who: UUID) -> None:
        """Cancels while a participant completes: one of the two is refused."""
        tokens = await self._tokens(document)

        async def cancel() -> None:
            reply = await self._ask("DELETE", f"/v1/documents/{document}/cancel", b"", self._target.credentials, key=str(uuid4()))
            if reply.status == 200:
                self._memory.cancelled.add(document)
            else:
                self._refused(reply, {400, 404, 409}, f"cancel of {document}")

        await asyncio.gather(cancel(), self._complete(who, tokens[who], also=frozenset((403, 404, 409, 410))))

    async def _complete(self, who: UUID, token: str, also: frozenset[int] = frozenset()) -> None:
        path = f"/v1/signing_sessions/{typed_id('sgs', who)}/complete"
        body = json.dumps({"electronic_signature_text": "I agree."}).encode()
        headers = {"Content-Type": "application/json", "X-Signing-Session-Token": token}
        reply = await self._ask("POST", path, body, headers, key=str(uuid4()))
        if reply.status != 200:
            self._refused(reply, also, f"completion of {who}")
            return
        self._memory.completed.add(who)
        acknowledged = reply.json()["acknowledgement"]
        for place in (*acknowledged["documents"], acknowledged["head"]):
            self._remember(place["position"], place["hash"])

    async def _tokens(self, document: UUID) -> dict[UUID, str]:
        """The session tokens of those who are invited, from the newest invitation of each."""
        tokens = {}
        for event in await self._events(document):
            if event["eventType"] in ("INVITATION_CREATED", "INVITATION_RESENT"):
                invitation = json.loads(event["entry"])["data"]["invitation"]["id"]
                tokens[ProcessId.parse(event["processId"]).participant] = self._target.mint.token(parse_uuid(invitation))
        return tokens

    async def _events(self, document: UUID) -> list[dict[str, Any]]:
        reply = await self._ask("GET", f"/v1/events/{document}", b"", self._target.credentials)
        _expect(reply, 200, "GET", f"/v1/events/{document}")
        events: list[dict[str, Any]] = reply.json()["data"]
        for event in events:
            self._remember(event["position"], event["hash"])
        return events

    async def _partner(self, method: str, path: str, content: object = None, *, changes: bool = True) -> Any:
        body = b"" if content is None else json.dumps(content).encode()
        headers = {"Content-Type": "application/json", **self._target.credentials}
        reply = await self._ask(method, path, body, headers, key=str(uuid4()) if changes else None)
        if reply.status not in (200, 201):
            raise Violation(f"{method} {path} was answered {reply.status}: {reply.body.decode(errors='replace')}")
        return reply.json()["data"]

    async def _ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str], key: str | None = None) -> Reply:
        """Asks until there is an answer other than 503."""
        await self._gate.enter()
        try:
            sent = {**headers, "Idempotency-Key": key} if key else headers
            request = spell(method, path, self._host, sent, body)
            tries = 0
            while True:
                tries += 1
                if tries == 2 and key:
                    self._memory.tries[key] = datetime.now(UTC)
                reply = await self._once(request, f"{method} {path}")
                if reply is not None:
                    break
                await asyncio.sleep(RETRY_SECONDS)
        finally:
            self._gate.leave()
        if key and reply.status < 300:
            self._memory.keys.add(key)
            self._gate.acknowledge()
        return reply

    async def _once(self, request: bytes, what: str) -> Reply | None:
        """One try; None if it was not answered, or with 503. Raises Violation for an answer that must not be."""
        began = time.monotonic()
        try:
            connection = self._connections.pop() if self._connections else await Connection.open(self._target.url)
        except NoAnswer:
            return None
        try:
            reply = await asyncio.wait_for(connection.send(request), ANSWER_SECONDS)
        except NoAnswer:
            return None
        except TimeoutError as err:
            raise Violation(f"{what} had no answer after {ANSWER_SECONDS:.0f} s") from err
        self._memory.longest_seconds = max(self._memory.longest_seconds, time.monotonic() - began)
        self._connections.append(connection)
        if reply.status == 503:
            self._memory.unavailable += 1
            _check_unavailable(reply, what)
            return None
        if reply.status >= 500:
            raise Violation(f"{what} was answered {reply.status}: {reply.body.decode(errors='replace')}")
        return reply

    def _refused(self, reply: Reply, allowed: set[int] | frozenset[int], what: str) -> None:
        if reply.status not in allowed:
            raise Violation(f"{what} was answered {reply.status}: {reply.body.decode(errors='replace')}")
        self._memory.refused[str(reply.status)] += 1

    def _remember(self, position: int, leaf: str) -> None:
        known = self._memory.receipts.setdefault(position, bytes.fromhex(leaf))
        if known.hex() != leaf:
            raise Violation(f"position {position} had the leaf {known.hex()} and now has {leaf}")


def _check_unavailable(reply: Reply, what: str) -> None:
    """An outage is told in the surface's own convention."""
    with suppress(ValueError, KeyError, TypeError):
        body = reply.json()
        if reply.header("content-type") == "application/problem+json" and body["status"] == 503 and body["code"]:
            return
        if list(body) == PARTNER_MEMBERS and body["code"] == "service_unavailable":
            return
    raise Violation(f"{what} was answered 503 in no known form: {reply.body.decode(errors='replace')}")


def _expect(reply: Reply, status: int, method: str, path: str) -> None:
    if reply.status != status:
        raise Violation(f"{method} {path} was answered {reply.status}: {reply.body.decode(errors='replace')}")
