"""Commands about who may act: tokens, tenants, credentials, credits.

What a script wants goes to standard output, everything else to standard error.
"""

import asyncio
import re
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Final, Literal
from uuid import UUID

import typer

from api.cli_context import TenantOption, choose_tenant, fail, in_seconds, installation, say, show_rows, with_identity
from api.directory_appointments import UserRole, appoint_on
from domain.actor import Mode
from domain.errors import Refusal
from infrastructure.append import RecorderUnavailable
from infrastructure.clock import SystemClock
from infrastructure.database import async_pool
from infrastructure.identity import BalanceOutOfRange, Identity, KeyKind, NotLimited, Tenant, TenantNameUnusable
from infrastructure.installation import Installation
from infrastructure.issuer import ISSUER, MAX_LIFETIME
from infrastructure.reading import ReadsUnavailable

app = typer.Typer(no_args_is_help=True)
_tenant_commands = typer.Typer(help="Tenants: isolated customers.", no_args_is_help=True)
_credential_commands = typer.Typer(help="Credentials of API clients.", no_args_is_help=True)
app.add_typer(_tenant_commands, name="tenant")
app.add_typer(_credential_commands, name="credential")

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class CredentialKind(StrEnum):
    """Which surface a credential opens."""

    PARTNER = "partner"
    PROJECT = "project"
    ORGANIZATION = "organization"


class PartnerMethod(StrEnum):
    """How a partner credential is sent."""

    KEY = "KEY"
    HMAC = "HMAC"


@app.command()
def token(
    admin: Annotated[bool, typer.Option("--admin", help="A token to administer the tenant's credentials.")] = False,
    user: Annotated[
        str | None, typer.Option("--user", help="A token of a person, by the name that the issuer has for them.")
    ] = None,
    role: Annotated[
        UserRole | None, typer.Option(help="Make sure that the user has this role; a signer needs --email alone.")
    ] = None,
    email: Annotated[
        str | None, typer.Option(help="The user's address, which you vouch for: it finds what they are to sign.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="What the user is called.")] = None,
    mode: Annotated[Mode, typer.Option(help="Of a user: live and test are separate worlds.")] = Mode.LIVE,
    tenant: TenantOption = None,
    lifetime: Annotated[str, typer.Option(help="How long it works: 30m, 12h, 7d.")] = "1h",
) -> None:
    """Mint a token of the local issuer: for an administrator, or for a user who signs in now."""
    if admin == (user is not None):
        fail("Say which token: either --admin or --user NAME.")
    duration = _duration(lifetime)
    if user is not None:
        print(_user_token(user, role, email, name, mode, tenant, duration))
        return
    if role is not None or email is not None or name is not None or mode is not Mode.LIVE:
        fail("--role, --email, --name and --mode are a user's: give --user NAME instead of --admin.")

    async def work(identity: Identity) -> str:
        return identity.mint_admin_token((await choose_tenant(identity, tenant)).id, duration)

    print(with_identity(work))


def _user_token(
    user: str, role: UserRole | None, email: str | None, name: str | None, mode: Mode, tenant: UUID | None, lifetime: timedelta
) -> str:
    """A user's token; the directory holds the role then, and what was done for that stands on standard error."""
    if role is UserRole.SIGNER and email is None:
        fail("A signer is told by the e-mail address: give --email.")

    async def work(opened: Installation) -> str:
        async with async_pool(opened.urls.service, max_size=1) as pool:
            identity = Identity(pool, opened.keys, SystemClock())
            owner = (await choose_tenant(identity, tenant)).id
            minted = identity.mint_user_token(owner, user, mode, lifetime, email, name)
        if role is not None:
            for line in await appoint_on(opened, owner, mode, ISSUER, user, email, role, name=name):
                say(line)
        return minted

    with installation() as opened:
        try:
            return asyncio.run(work(opened))
        except (RecorderUnavailable, ReadsUnavailable, Refusal, ValueError) as err:
            fail(f"No token was made: {err}.")


@_tenant_commands.command("create")
def create_tenant(name: str) -> None:
    """Make a tenant and print its id."""

    async def work(identity: Identity) -> UUID:
        return await identity.create_tenant(name)

    try:
        print(with_identity(work))
    except TenantNameUnusable as err:
        fail(str(err))


@_tenant_commands.command("list")
def list_tenants() -> None:
    """Show all tenants and the credits that they have left."""

    async def work(identity: Identity) -> tuple[Tenant, ...]:
        return await identity.tenants()

    rows = [
        (str(tenant.id), tenant.name, in_seconds(tenant.created_at), _credits(tenant.balance)) for tenant in with_identity(work)
    ]
    show_rows(("tenant", "name", "created", "credits"), rows)


@_credential_commands.command("create")
def create_credential(
    tenant: TenantOption = None,
    kind: Annotated[
        CredentialKind, typer.Option(help="partner: X-Auth-Signly; project: Bearer ck_...; organization: Bearer sk_...")
    ] = CredentialKind.PARTNER,
    method: Annotated[PartnerMethod, typer.Option(help="Of a partner credential.")] = PartnerMethod.KEY,
    mode: Annotated[Mode, typer.Option(help="Of a project's or an organization's key.")] = Mode.LIVE,
) -> None:
    """Make a credential and print its secret, which cannot be shown again.

    A tenant has one partner credential, which is live: making another revokes the one before. Of the other
    kinds it may have many, each of one mode.
    """
    if kind is CredentialKind.PARTNER and mode is not Mode.LIVE:
        fail("A partner credential is live; a project's or an organization's key may be a test key.")

    async def work(identity: Identity) -> tuple[str, str]:
        owner = (await choose_tenant(identity, tenant)).id
        if kind is not CredentialKind.PARTNER:
            new = await identity.create_key(owner, KeyKind(kind.value), mode)
            return new.key.id, new.secret
        wanted: Literal["KEY", "HMAC"] = "HMAC" if method is PartnerMethod.HMAC else "KEY"
        if (before := await identity.partner_key_of(owner)) is not None:
            say(f"Replacing {before.id}, which stops working now.")
        created = await identity.create_partner_key(owner, wanted)
        return created.key.id, created.secret

    credential, secret = with_identity(work)
    say(f"Credential {credential}. Keep the secret: it cannot be shown again.")
    print(secret)


@_credential_commands.command("list")
def list_credentials(tenant: TenantOption = None) -> None:
    """Show credentials, revoked ones too, without their secrets."""

    async def work(identity: Identity) -> list[tuple[str, ...]]:
        return [
            (
                found.id,
                str(found.tenant),
                found.kind,
                found.method,
                found.mode,
                found.status,
                in_seconds(found.created_at),
                in_seconds(found.updated_at),
            )
            for found in await identity.credentials(tenant)
        ]

    show_rows(("credential", "tenant", "kind", "method", "mode", "status", "created", "changed"), with_identity(work))


@_credential_commands.command("revoke")
def revoke_credential(credential: Annotated[str, typer.Argument(help="Its id: pk_..., pj_... or ok_...")]) -> None:
    """Revoke a credential; it is refused from the next request on."""

    async def work(identity: Identity) -> bool:
        return await identity.revoke_key(credential)

    if not with_identity(work):
        fail(f"There is no active credential {credential}.")
    say(f"Revoked {credential}.")


@app.command("credits")
def credits_(
    tenant: TenantOption = None,
    balance: Annotated[int | None, typer.Option("--set", min=0, help="Set the credits left.")] = None,
    add: Annotated[int | None, typer.Option("--add", help="Add to the credits left; a negative number takes away.")] = None,
    unlimited: Annotated[bool, typer.Option("--unlimited", help="Lift the limit.")] = False,
) -> None:
    """Show or change the credits that a tenant has left for publishing documents."""
    if (balance is not None) + (add is not None) + unlimited > 1:
        fail("Use one of --set, --add and --unlimited.")

    async def work(identity: Identity) -> int | None:
        owner = (await choose_tenant(identity, tenant)).id
        if balance is not None or unlimited:
            await identity.set_credits(owner, balance)
        if add is not None:
            return await identity.add_credits(owner, add)
        return await identity.credits(owner)

    try:
        print(_credits(with_identity(work)))
    except NotLimited:
        fail("The tenant's credits are not limited; use --set to begin with a balance.")
    except BalanceOutOfRange as err:
        fail(f"Nothing was changed: {err}.")


def _duration(text: str) -> timedelta:
    match = re.fullmatch(r"([1-9]\d{0,8})([smhd])", text)
    duration = timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else None
    if duration is None or duration > MAX_LIFETIME:
        fail(f"A lifetime is a number with s, m, h or d, at most {MAX_LIFETIME.days}d.")
    return duration


def _credits(balance: int | None) -> str:
    return "unlimited" if balance is None else str(balance)
