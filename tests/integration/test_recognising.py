"""Who a request's credentials say it is, in one place for every surface: real requests, a real database, a real issuer."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from starlette.requests import Request

from api import auth
from api.auth import Caller, Denied, Reason, UserCaller
from api.deps import Deps, KeyKind
from domain.actor import ActorKind, Mode
from infrastructure.database import DatabaseUrls
from infrastructure.identity import Identity
from infrastructure.issuers import OidcIssuer
from infrastructure.oidc import Oidc
from tests.issuer_server import RSA, RSA_OTHER, IssuerServer, issuer_server
from tests.running import KEYS, in_loop, running

HOUR = timedelta(hours=1)
Recognise = Callable[[Request, Deps], Awaitable[Caller | None]]

EVERY: tuple[Recognise, ...] = (auth.project, auth.organization, auth.user, auth.administrator, auth.anyone)


def request(*headers: tuple[str, str]) -> Request:
    return Request({"type": "http", "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]})


def bearing(credential: str) -> Request:
    return request(("Authorization", f"Bearer {credential}"))


async def reason(recognise: Recognise, asked: Request, deps: Deps) -> Reason:
    with pytest.raises(Denied) as denied:
        await recognise(asked, deps)
    return denied.value.reason


@dataclass(frozen=True, slots=True)
class World:
    """A tenant with one credential of each kind; `issuer` names users of its test mode."""

    deps: Deps
    issuer: IssuerServer
    tenant: UUID
    partner: str
    project: str
    organization: str
    user: str
    admin: str
    advance: Callable[[timedelta], None]


@asynccontextmanager
async def world(database: DatabaseUrls, folder: Path) -> AsyncIterator[World]:
    async with running(database, folder) as run, issuer_server() as issuer:
        known = OidcIssuer(issuer=issuer.url, audience="countersign", tenant=run.tenant, mode=Mode.TEST)
        oidc = Oidc([known], run.clock, timedelta(seconds=30))
        identity = Identity(run.deps.reads, KEYS, run.clock, oidc=oidc)
        fields: dict[str, Any] = {name: getattr(run.deps, name) for name in Deps.__slots__}

        def advance(by: timedelta) -> None:
            run.clock.offset += by

        yield World(
            Deps(**(fields | {"identity": identity})),
            issuer,
            run.tenant,
            (await identity.create_partner_key(run.tenant, "KEY")).secret,
            (await identity.create_key(run.tenant, KeyKind.PROJECT, Mode.TEST)).secret,
            (await identity.create_key(run.tenant, KeyKind.ORGANIZATION, Mode.LIVE)).secret,
            identity.mint_user_token(run.tenant, "ana", Mode.TEST, HOUR, "ana@example.com"),
            identity.mint_admin_token(run.tenant, HOUR),
            advance,
        )
        await oidc.close()


@in_loop
async def test_each_credential_is_known_for_what_it_is_and_for_nothing_else(database: DatabaseUrls, tmp_path: Path) -> None:
    async with world(database, tmp_path) as w:
        oidc = w.issuer.token(RSA, "RS256")
        expected: list[tuple[str, Recognise, ActorKind, Mode]] = [
            (w.project, auth.project, ActorKind.PROJECT_KEY, Mode.TEST),
            (w.organization, auth.organization, ActorKind.ORGANIZATION_KEY, Mode.LIVE),
            (w.user, auth.user, ActorKind.USER, Mode.TEST),
            (oidc, auth.user, ActorKind.USER, Mode.TEST),
            (w.admin, auth.administrator, ActorKind.ADMINISTRATOR, Mode.LIVE),
        ]
        for credential, its_own, kind, mode in expected:
            for recognise in EVERY:
                if recognise in (its_own, auth.anyone):
                    caller = await recognise(bearing(credential), w.deps)
                    assert caller is not None
                    assert (caller.tenant, caller.mode, caller.actor.kind) == (w.tenant, mode, kind)
                    assert isinstance(caller, UserCaller) == (kind is ActorKind.USER)
                elif not (credential == oidc and recognise is auth.administrator):
                    assert await reason(recognise, bearing(credential), w.deps) is Reason.WRONG_KIND
        assert await reason(auth.administrator, bearing(oidc), w.deps) is Reason.UNKNOWN


@in_loop
async def test_a_partner_is_known_by_two_headers(database: DatabaseUrls, tmp_path: Path) -> None:
    async with world(database, tmp_path) as w:
        tenant, secret = ("X-Tenant-Signly", str(w.tenant)), ("X-Auth-Signly", w.partner)
        for recognise in (auth.partner, auth.anyone):
            caller = await recognise(request(tenant, secret), w.deps)
            assert caller is not None
            assert (caller.tenant, caller.mode, caller.actor.kind) == (w.tenant, Mode.LIVE, ActorKind.PARTNER_KEY)
            for shown, why in (
                ((tenant,), Reason.MISSING),
                ((secret,), Reason.MISSING),
                ((tenant, ("X-Auth-Signly", "")), Reason.MISSING),
                ((tenant, ("X-Auth-Signly", w.project)), Reason.UNKNOWN),
                ((("X-Tenant-Signly", str(uuid4())), secret), Reason.UNKNOWN),
                ((tenant, secret, secret), Reason.MALFORMED),
                ((tenant, tenant, secret), Reason.MALFORMED),
            ):
                assert await reason(recognise, request(*shown), w.deps) is why
        both = request(tenant, secret, ("Authorization", f"Bearer {w.project}"))
        assert await reason(auth.anyone, both, w.deps) is Reason.MALFORMED


@in_loop
async def test_without_a_credential_nobody_is_known_and_everybody_may_be_anyone(database: DatabaseUrls, tmp_path: Path) -> None:
    async with world(database, tmp_path) as w:
        for recognise in (auth.project, auth.organization, auth.user, auth.administrator, auth.partner):
            assert await reason(recognise, request(), w.deps) is Reason.MISSING
        assert await auth.anyone(request(), w.deps) is None
        assert auth.bearer(request()) is None


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer  {}",
        " Bearer {}",
        "Bearer {} ",
        "Bearer {} {}",
        "Basic {}",
        "{}",
        "Bearer\t{}",
        "Bearer,{}",
    ],
)
@in_loop
async def test_a_header_of_another_form_is_malformed(database: DatabaseUrls, tmp_path: Path, value: str) -> None:
    async with world(database, tmp_path) as w:
        for recognise in EVERY:
            asked = request(("Authorization", value.replace("{}", w.project)))
            assert await reason(recognise, asked, w.deps) is Reason.MALFORMED
        twice = request(("Authorization", f"Bearer {w.project}"), ("Authorization", f"Bearer {w.project}"))
        assert await reason(auth.anyone, twice, w.deps) is Reason.MALFORMED


@in_loop
async def test_a_revoked_key_is_as_unknown_as_one_that_never_was(database: DatabaseUrls, tmp_path: Path) -> None:
    async with world(database, tmp_path) as w:
        for item in await w.deps.identity.credentials(w.tenant):
            assert await w.deps.identity.revoke_key(item.id)
        for credential in (w.project, "ck_live_nobody", w.organization, "sk_live_nobody", "nonsense", w.partner):
            assert await reason(auth.anyone, bearing(credential), w.deps) is Reason.UNKNOWN
        headers = request(("X-Tenant-Signly", str(w.tenant)), ("X-Auth-Signly", w.partner))
        assert await reason(auth.partner, headers, w.deps) is Reason.UNKNOWN


@in_loop
async def test_a_token_out_of_its_time_is_told_from_one_that_never_held(database: DatabaseUrls, tmp_path: Path) -> None:
    async with world(database, tmp_path) as w:
        good, forged = w.issuer.token(RSA, "RS256"), w.issuer.token(RSA_OTHER, "RS256")
        w.advance(2 * HOUR)
        for recognise, token in (
            (auth.user, w.user),
            (auth.user, good),
            (auth.anyone, good),
            (auth.anyone, w.admin),
            (auth.administrator, w.admin),
        ):
            assert await reason(recognise, bearing(token), w.deps) is Reason.EXPIRED
        assert await reason(auth.user, bearing(forged), w.deps) is Reason.UNKNOWN


@in_loop
async def test_an_issuer_out_of_reach_is_no_refusal(database: DatabaseUrls, tmp_path: Path) -> None:
    async with world(database, tmp_path) as w:
        w.issuer.down = True
        for recognise in (auth.user, auth.anyone):
            assert await reason(recognise, bearing(w.issuer.token(RSA, "RS256")), w.deps) is Reason.ISSUER_UNREACHABLE
        assert (await auth.user(bearing(w.user), w.deps)).tenant == w.tenant, "nobody else is touched by that"
