"""Commands about who may act: tokens, tenants, credentials, credits.

What a script wants goes to standard output, everything else to standard error.
"""

import re
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Final, Literal
from uuid import UUID

import typer

from api.cli_context import TenantOption, choose_tenant, fail, in_seconds, say, show_rows, with_identity
from domain.actor import Mode
from infrastructure.identity import BalanceOutOfRange, Identity, NotLimited, Tenant, TenantNameUnusable
from infrastructure.issuer import MAX_LIFETIME

app = typer.Typer(no_args_is_help=True)
_tenant_commands = typer.Typer(help="Tenants: isolated customers.", no_args_is_help=True)
_credential_commands = typer.Typer(help="Credentials of API clients.", no_args_is_help=True)
app.add_typer(_tenant_commands, name="tenant")
app.add_typer(_credential_commands, name="credential")

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class CredentialKind(StrEnum):
    """Which surface a credential opens."""

    PARTNER = "partner"
    ORGANIZATION = "organization"


class PartnerMethod(StrEnum):
    """How a partner credential is sent."""

    KEY = "KEY"
    HMAC = "HMAC"


@app.command()
def token(
    admin: Annotated[bool, typer.Option("--admin", help="A token to administer the tenant's credentials (at /api).")] = False,
    tenant: TenantOption = None,
    lifetime: Annotated[str, typer.Option(help="How long it works: 30m, 12h, 7d.")] = "1h",
) -> None:
    """Mint a token of the local issuer."""
    if not admin:
        fail("Say which token: --admin is the only kind there is.")
    duration = _duration(lifetime)

    async def work(identity: Identity) -> str:
        return identity.mint_admin_token((await choose_tenant(identity, tenant)).id, duration)

    print(with_identity(work))


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
        CredentialKind, typer.Option(help="partner: X-Auth-Signly; organization: Bearer sk_...")
    ] = CredentialKind.PARTNER,
    method: Annotated[PartnerMethod, typer.Option(help="Of a partner credential.")] = PartnerMethod.KEY,
    mode: Annotated[Mode, typer.Option(help="Of an organization key.")] = Mode.LIVE,
) -> None:
    """Make a credential and print its secret, which cannot be shown again.

    A tenant has one partner credential: making another revokes the one before.
    """

    async def work(identity: Identity) -> tuple[str, str]:
        owner = (await choose_tenant(identity, tenant)).id
        if kind is CredentialKind.ORGANIZATION:
            key, secret = await identity.create_organization_key(owner, mode)
            return key.id, secret
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
def revoke_credential(credential: Annotated[str, typer.Argument(help="Its id: pk_... or ok_...")]) -> None:
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
