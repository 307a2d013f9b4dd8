"""`countersign directory member` and `countersign directory role`: who belongs to an organization, and what they may do."""

from typing import Annotated
from uuid import UUID

import typer

from api import directory_tables
from api.cli_context import TenantOption, fail, say
from api.cli_directory_context import (
    DEFAULT_ISSUER,
    IdArgument,
    IssuerOption,
    MemberOption,
    ModeOption,
    OrganizationOption,
    RowId,
    UserOption,
    member_named,
    organization_of,
    parse_id,
    require_one_of,
    run,
    slug,
)
from api.cli_directory_context import name as parse_name_option
from api.directory_appointments import Directory
from domain.actor import Mode
from domain.directory import (
    MEMBER,
    AppointAdmin,
    AppointManager,
    ChangeMemberRole,
    EndAppointment,
    Module,
    RemoveMember,
    Tier,
    Tiers,
    VaultRight,
)
from infrastructure.reading import AsyncConnection
from projections import directory as read

members = typer.Typer(help="Members: users who belong to an organization.", no_args_is_help=True)
roles = typer.Typer(help="What members may do: managers and administrators.", no_args_is_help=True)


@members.command("add")
def add_member(
    user: Annotated[str, typer.Option("--user", metavar="SUBJECT", help="The user, as the issuer calls them (sub).")],
    issuer: IssuerOption = DEFAULT_ISSUER,
    email: Annotated[str | None, typer.Option(help="The user's e-mail address.")] = None,
    name: Annotated[str | None, typer.Option(parser=parse_name_option, metavar="NAME", help="The user's name.")] = None,
    role: Annotated[str, typer.Option(parser=slug, metavar="SLUG", help="A role of the organization, such as owner.")] = MEMBER,
    organization: OrganizationOption = None,
    tenant: TenantOption = None,
    mode: ModeOption = Mode.LIVE,
) -> None:
    """Make a user a member and print the member's id; one who is a member already gets the role."""
    address = _address(email)

    async def work(directory: Directory, conn: AsyncConnection) -> int | None:
        id = (await organization_of(directory, conn, organization)).id
        standing = await directory.standing(conn, issuer, user)
        for membership in () if standing is None else standing.memberships:
            if membership.organization.id == id:
                if await directory.do(ChangeMemberRole(id, membership.member.id, role)):
                    say(f"{user} was a member already, and is {role} now.")
                return membership.member.number
        return await directory.do(directory.joining(id, issuer, user, address, name, role))

    print(run(tenant, mode, work))


def _address(email: str | None) -> str | None:
    if email is not None and (email.count("@") != 1 or not email.isprintable() or " " in email or len(email) > 254):
        raise typer.BadParameter("this is no e-mail address", param_hint="--email")
    return email


@members.command("remove")
def remove_member(
    user: UserOption = None,
    issuer: IssuerOption = DEFAULT_ISSUER,
    member: MemberOption = None,
    organization: OrganizationOption = None,
    tenant: TenantOption = None,
    mode: ModeOption = Mode.LIVE,
) -> None:
    """Take a member out of an organization; the member's appointments end too."""
    require_one_of(user, member)

    async def work(directory: Directory, conn: AsyncConnection) -> None:
        who = await member_named(directory, conn, organization, user, issuer, member)
        await directory.do(RemoveMember(who.organization, who.id))

    run(tenant, mode, work)


@members.command("list")
def list_members(tenant: TenantOption = None, mode: ModeOption = Mode.LIVE) -> None:
    """Show the members of all organizations."""
    directory_tables.show(run(tenant, mode, directory_tables.members))


@roles.command("grant")
def grant_role(
    user: UserOption = None,
    issuer: IssuerOption = DEFAULT_ISSUER,
    member: MemberOption = None,
    manager: Annotated[bool, typer.Option("--manager", help="Appoint a manager, of what the other options say.")] = False,
    admin: Annotated[bool, typer.Option("--admin", help="Appoint an administrator, who may do everything.")] = False,
    module: Annotated[
        list[str] | None,
        typer.Option(metavar="MODULE=TIER", help="signings, templates, flows, reports or settings = none, read, write or full."),
    ] = None,
    vault: Annotated[list[VaultRight] | None, typer.Option(help="A right in the vault.")] = None,
    location: Annotated[
        list[RowId] | None, typer.Option(parser=parse_id, metavar="ID", help="A location. Default: all of them.")
    ] = None,
    organization: OrganizationOption = None,
    tenant: TenantOption = None,
    mode: ModeOption = Mode.LIVE,
) -> None:
    """Appoint a member and print the appointment's id. What several appointments allow adds up."""
    require_one_of(user, member)
    if manager == admin:
        raise typer.BadParameter("say as what: either --manager or --admin")
    if admin and (module or vault or location):
        raise typer.BadParameter("an administrator may do everything; --module, --vault and --location are a manager's")
    tiers = _tiers(module or [])

    async def work(directory: Directory, conn: AsyncConnection) -> int | None:
        who = await member_named(directory, conn, organization, user, issuer, member)
        where, id = await _locations(directory, conn, location), directory.new_id()
        if admin:
            return await directory.do(AppointAdmin(who.organization, id, who.id))
        return await directory.do(AppointManager(who.organization, id, who.id, tiers, tuple(vault or ()), where))

    number = run(tenant, mode, work)
    if number is None:
        say("Nothing to do: the member has this appointment already.")
    else:
        print(number)


def _tiers(given: list[str]) -> Tiers:
    tiers: dict[str, Tier] = {}
    for text in given:
        module, _, tier = text.partition("=")
        try:
            tiers[Module(module).value] = Tier(tier)
        except ValueError:
            modules, ranks = (", ".join(kind) for kind in (Module, Tier))
            raise typer.BadParameter(f"{text!r} is not MODULE=TIER, of {modules} and {ranks}", param_hint="--module") from None
    return Tiers(**tiers)


async def _locations(directory: Directory, conn: AsyncConnection, wanted: list[RowId] | None) -> tuple[UUID, ...] | None:
    found = []
    for id in wanted or ():
        row = await read.location(conn, directory.tenant, directory.mode, id.value)
        found.append((row or fail(f"There is no location {id} (countersign directory location list).")).id)
    return tuple(found) or None


@roles.command("revoke")
def revoke_role(appointment: IdArgument, tenant: TenantOption = None, mode: ModeOption = Mode.LIVE) -> None:
    """End an appointment."""

    async def work(directory: Directory, conn: AsyncConnection) -> None:
        found = await read.appointment(conn, directory.tenant, directory.mode, appointment.value)
        found = found or fail(f"There is no appointment {appointment} (countersign directory role list).")
        await directory.do(EndAppointment(found.organization, found.id))

    run(tenant, mode, work)


@roles.command("list")
def list_roles(tenant: TenantOption = None, mode: ModeOption = Mode.LIVE) -> None:
    """Show the appointments."""
    directory_tables.show(run(tenant, mode, directory_tables.appointments))
