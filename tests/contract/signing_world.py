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
from domain.directory import (
    OWNER,
    AddLocation,
    AppointAdmin,
    AppointManager,
    CreateOrganization,
    JoinMember,
    Module,
    Tier,
    Tiers,
    user_subject,
)
from domain.envelope import Envelope
from domain.personal import Personal, Subject, SubjectKind
from infrastructure.issuer import ISSUER
from infrastructure.ledger import NO_ANSWER
from projections import directory
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


@dataclass
class Dealership:
    """An organization with locations, and people with roles in it. `locations` are their numeric ids by name."""

    world: World
    tenant: UUID
    mode: Mode
    organization: UUID
    places: dict[str, UUID]

    def direct(self, command: Any) -> None:
        """Has the ledger carry out a command to the directory."""
        self.world.run(self.world.deps.ledger.handle(command, OPERATOR, lambda outcome: NO_ANSWER))

    def named(self, text: Json) -> Personal:
        return self.world.deps.vault.conceal(text, Subject(self.tenant, SubjectKind.ORGANIZATION, str(self.organization)))

    def location(self, name: str) -> str:
        """The numeric id of a location."""
        return str(self.world.run(self._number(self.places[name])))

    async def _number(self, id: UUID) -> int:
        deps = self.world.deps
        await deps.gate.wait({"directory"}, 5)
        async with deps.reads.connection() as conn:
            return (await directory.numbers(conn, self.tenant, self.mode, [id]))[id]

    def member(self, subject: str, email: str | None = None) -> tuple[User, UUID]:
        """Somebody who belongs to the organization, without any appointment."""
        whose, member = user_subject(self.tenant, ISSUER, subject), self.world.deps.new_id()
        shown = self.world.deps.vault.conceal({"issuer": ISSUER, "subject": subject}, whose)
        self.direct(JoinMember(self.organization, member, shown, None, None, OWNER))
        return user(self.world, self.tenant, subject, email, self.mode), member

    def manager(self, subject: str, locations: tuple[str, ...] | None = None, email: str | None = None, **tiers: str) -> User:
        """A manager with these tiers, the rest none, over these locations or over all."""
        made, member = self.member(subject, email)
        held = Tiers(*(Tier(tiers.get(module.value, "none")) for module in Module))
        where = None if locations is None else tuple(self.places[name] for name in locations)
        self.direct(AppointManager(self.organization, self.world.deps.new_id(), member, held, (), where))
        return made

    def admin(self, subject: str) -> User:
        made, member = self.member(subject)
        self.direct(AppointAdmin(self.organization, self.world.deps.new_id(), member))
        return made


def dealership(world: World, owner: UUID | None = None, mode: Mode = Mode.LIVE) -> Dealership:
    """An organization with the locations `north` and `south`."""
    made = Dealership(world, owner or tenant(world), mode, world.deps.new_id(), {})
    made.direct(CreateOrganization(made.tenant, mode, made.organization, made.named("Dealers Ltd")))
    for name in ("north", "south"):
        made.places[name] = world.deps.new_id()
        made.direct(AddLocation(made.organization, made.places[name], made.named(name)))
    return made
