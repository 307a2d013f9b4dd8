"""Callers of the signing surface for tests: people with tokens of the local issuer, and packages made for them."""

import asyncio
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import jsonschema_rs
from fastapi import FastAPI

from domain.actor import Actor, ActorKind, Mode
from domain.coordination import CreateEnvelope, PackageCommand
from domain.envelope import Envelope
from infrastructure.ledger import NO_ANSWER
from tests.contract.partner_world import Answered, World
from tests.running import Person, Running

Json = Any

OPERATOR = Actor(ActorKind.OPERATOR, "test")


@dataclass
class User:
    """Calls as one person. Every answer is held against the OpenAPI document."""

    world: World
    tenant: UUID
    headers: dict[str, str]
    surface: str = "signing"

    def __call__(self, method: str, path: str, json: Json = None, **more: Any) -> Answered:
        headers = {**self.headers, **more.pop("headers", {})}
        if json is not None:
            more["json"] = json
        response = self.world.http.request(method, self.world.url + path, headers=headers, **more)
        body = response.json() if response.content else None
        answered = Answered(response.status_code, body, response.headers, response.content)
        if answered.status >= 400:
            assert list(answered.body) == ["error"]
            assert answered.body["error"]
        check_documented(self.world.surfaces[self.surface], method, path, answered)
        return answered


def check_documented(app: FastAPI, method: str, path: str, answered: Answered) -> None:
    """The OpenAPI document has this status for this operation, and its schema fits the body."""
    assert re.fullmatch(r"req_[0-9A-HJKMNP-TV-Z]{26}", answered.headers["x-request-id"])
    document = app.openapi()
    plain = path.partition("?")[0]
    for template, item in document["paths"].items():
        if method.lower() in item and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), plain):
            content = item[method.lower()]["responses"][str(answered.status)].get("content")
            if content is None:
                assert not answered.raw
                return
            schema = content["application/json"]["schema"]
            jsonschema_rs.validator_for({**schema, "components": document["components"]}).validate(answered.body)
            return
    assert answered.status in (404, 405)


def tenant(world: World) -> UUID:
    """A fresh tenant."""
    return world.run(world.deps.identity.create_tenant("Dealership"))


def user(
    world: World, tenant: UUID, subject: str, email: str | None = None, mode: Mode = Mode.LIVE, lifetime: timedelta | None = None
) -> User:
    """Somebody with a token of the local issuer."""
    token = world.run(_token(world, tenant, subject, email, mode, lifetime or timedelta(hours=1)))
    return User(world, tenant, {"Authorization": f"Bearer {token}"})


async def _token(world: World, tenant: UUID, subject: str, email: str | None, mode: Mode, lifetime: timedelta) -> str:
    return world.deps.identity.mint_user_token(tenant, subject, mode, lifetime, email)


def package(world: World, tenant: UUID, *people: Person, **more: Any) -> CreateEnvelope:
    """A package for the people, sent unless `send` says otherwise; takes what `tests.running` takes."""
    command = Running(world.database, world.deps, world.clock, None, tenant).creation(*people, **more)  # type: ignore[arg-type]
    handle(world, command)
    return command


def handle(world: World, command: PackageCommand) -> None:
    """Has the ledger itself carry a command out."""
    world.run(world.deps.ledger.handle(command, OPERATOR, lambda outcome: NO_ANSWER))


def envelope(world: World, id: UUID) -> Envelope:
    """A package's state in the log."""
    found = world.run(world.deps.ledger.state(Envelope, id))
    assert found is not None
    return found


def together(*calls: Any) -> list[Any]:
    """The results of the calls, begun at the same time."""

    async def run() -> list[Any]:
        return await asyncio.gather(*(asyncio.to_thread(call) for call in calls))

    return asyncio.run(run())
