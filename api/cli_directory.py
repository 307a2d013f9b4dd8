"""`countersign directory`: organizations and what is in them. Members stand in `api.cli_directory_members`.

Ids are the numbers that the signing surface shows; a UUID does as well. What a script wants goes to standard
output, everything else to standard error.
"""

from pathlib import Path
from typing import Annotated, Final

import typer

from api import cli_directory_members, directory_tables
from api.cli_context import TenantOption, fail
from api.cli_directory_context import (
    IdArgument,
    ModeOption,
    Name,
    NewName,
    OrganizationOption,
    RowId,
    Slug,
    organization_of,
    parse_id,
    run,
)
from api.cli_directory_context import slug as parse_slug_option
from api.directory_appointments import Directory
from domain.actor import Mode
from domain.canonical import CanonicalError, Json, parse_json
from domain.directory import (
    AddCompany,
    AddLocation,
    ChangeFlow,
    CreateOrganization,
    DefineFlow,
    DefineRole,
    Permission,
    RenameCompany,
    RenameLocation,
    RenameOrganization,
)
from domain.personal import Personal
from infrastructure.reading import AsyncConnection
from projections import directory as read

app = typer.Typer(help="Organizations, companies, locations, flows, members, and what they may do.", no_args_is_help=True)
_organizations = typer.Typer(help="Organizations, and the roles that they give their members.", no_args_is_help=True)
_companies = typer.Typer(help="Companies of an organization.", no_args_is_help=True)
_locations = typer.Typer(help="Locations: where packages are signed.", no_args_is_help=True)
_flows = typer.Typer(help="Flows: how people are walked through a package.", no_args_is_help=True)
for _part, _named in (
    (_organizations, "organization"),
    (_companies, "company"),
    (_locations, "location"),
    (_flows, "flow"),
    (cli_directory_members.members, "member"),
    (cli_directory_members.roles, "role"),
):
    app.add_typer(_part, name=_named)

#: Steps of a flow are shown to people; what is larger is no walkthrough.
MAX_STEPS_BYTES: Final = 65_536


@_organizations.command("create")
def create_organization(name: Name, slug: Slug = None, tenant: TenantOption = None, mode: ModeOption = Mode.LIVE) -> None:
    """Make an organization and print its id."""

    async def work(directory: Directory, conn: AsyncConnection) -> int | None:
        id = directory.new_id()
        short = None if slug is None else directory.named(id, slug)
        return await directory.do(CreateOrganization(directory.tenant, directory.mode, id, directory.named(id, name), short))

    print(run(tenant, mode, work))


@_organizations.command("rename")
def rename_organization(
    name: NewName = None,
    slug: Slug = None,
    organization: OrganizationOption = None,
    tenant: TenantOption = None,
    mode: ModeOption = Mode.LIVE,
) -> None:
    """Give an organization another name or slug."""
    if name is None and slug is None:
        raise typer.BadParameter("give a --name or a --slug")

    async def work(directory: Directory, conn: AsyncConnection) -> None:
        id = (await organization_of(directory, conn, organization)).id
        called, short = (None if each is None else directory.named(id, each) for each in (name, slug))
        await directory.do(RenameOrganization(id, called, short))

    run(tenant, mode, work)


@_organizations.command("list")
def list_organizations(tenant: TenantOption = None, mode: ModeOption = Mode.LIVE) -> None:
    """Show the organizations."""
    directory_tables.show(run(tenant, mode, directory_tables.organizations))


@_organizations.command("role")
def define_role(
    role: Annotated[str, typer.Argument(parser=parse_slug_option, metavar="SLUG")],
    permission: Annotated[list[Permission] | None, typer.Option(help="What its members may change; may be repeated.")] = None,
    organization: OrganizationOption = None,
    tenant: TenantOption = None,
    mode: ModeOption = Mode.LIVE,
) -> None:
    """Make a role of the organization, or give it other permissions. The role owner has all."""

    async def work(directory: Directory, conn: AsyncConnection) -> None:
        id = (await organization_of(directory, conn, organization)).id
        await directory.do(DefineRole(id, role, tuple(permission or ())))

    run(tenant, mode, work)


@_organizations.command("roles")
def list_organization_roles(
    organization: OrganizationOption = None, tenant: TenantOption = None, mode: ModeOption = Mode.LIVE
) -> None:
    """Show the roles that members of an organization have."""

    async def work(directory: Directory, conn: AsyncConnection) -> directory_tables.Rows:
        return await directory_tables.roles(directory, conn, (await organization_of(directory, conn, organization)).id)

    directory_tables.show(run(tenant, mode, work))


@_companies.command("add")
def add_company(
    name: Name, organization: OrganizationOption = None, tenant: TenantOption = None, mode: ModeOption = Mode.LIVE
) -> None:
    """Add a company and print its id."""

    async def work(directory: Directory, conn: AsyncConnection) -> int | None:
        id = (await organization_of(directory, conn, organization)).id
        return await directory.do(AddCompany(id, directory.new_id(), directory.named(id, name)))

    print(run(tenant, mode, work))


@_companies.command("rename")
def rename_company(
    company: IdArgument,
    name: Name,
    tenant: TenantOption = None,
    mode: ModeOption = Mode.LIVE,
) -> None:
    """Give a company another name."""

    async def work(directory: Directory, conn: AsyncConnection) -> None:
        found = await read.company(conn, directory.tenant, directory.mode, company.value) or fail(
            f"There is no company {company}."
        )
        await directory.do(RenameCompany(found.organization, found.id, directory.named(found.organization, name)))

    run(tenant, mode, work)


@_companies.command("list")
def list_companies(tenant: TenantOption = None, mode: ModeOption = Mode.LIVE) -> None:
    """Show the companies."""
    directory_tables.show(run(tenant, mode, directory_tables.companies))


@_locations.command("add")
def add_location(
    name: Name,
    company: Annotated[RowId | None, typer.Option(parser=parse_id, metavar="ID", help="The company that it belongs to.")] = None,
    sort_order: Annotated[int | None, typer.Option(min=0, max=1_000_000, help="Its place in lists. Default: the last.")] = None,
    organization: OrganizationOption = None,
    tenant: TenantOption = None,
    mode: ModeOption = Mode.LIVE,
) -> None:
    """Add a location and print its id."""

    async def work(directory: Directory, conn: AsyncConnection) -> int | None:
        id, owner = None, None
        if company is not None:
            owner = await read.company(conn, directory.tenant, directory.mode, company.value) or fail(
                f"There is no company {company}."
            )
            id = owner.organization
        if id is None or organization is not None:
            id = (await organization_of(directory, conn, organization)).id
        within = None if owner is None else owner.id
        return await directory.do(AddLocation(id, directory.new_id(), directory.named(id, name), within, sort_order))

    print(run(tenant, mode, work))


@_locations.command("rename")
def rename_location(location: IdArgument, name: Name, tenant: TenantOption = None, mode: ModeOption = Mode.LIVE) -> None:
    """Give a location another name."""

    async def work(directory: Directory, conn: AsyncConnection) -> None:
        found = await read.location(conn, directory.tenant, directory.mode, location.value)
        found = found or fail(f"There is no location {location}.")
        await directory.do(RenameLocation(found.organization, found.id, directory.named(found.organization, name)))

    run(tenant, mode, work)


@_locations.command("list")
def list_locations(tenant: TenantOption = None, mode: ModeOption = Mode.LIVE) -> None:
    """Show the locations in their order."""
    directory_tables.show(run(tenant, mode, directory_tables.locations))


StepsOption = Annotated[Path | None, typer.Option(help="A file with the steps, as JSON.", dir_okay=False)]


@_flows.command("define")
def define_flow(
    name: Name,
    location: Annotated[RowId, typer.Option(parser=parse_id, metavar="ID", help="The location whose packages may use it.")],
    steps: StepsOption = None,
    active: Annotated[bool, typer.Option("--active/--inactive", help="Whether new packages may use it.")] = True,
    tenant: TenantOption = None,
    mode: ModeOption = Mode.LIVE,
) -> None:
    """Define a flow and print its id."""
    walk = None if steps is None else _steps(steps)

    async def work(directory: Directory, conn: AsyncConnection) -> int | None:
        found = await read.location(conn, directory.tenant, directory.mode, location.value)
        place = (found or fail(f"There is no location {location}.")).place
        called = directory.named(place.organization, name)
        taken = None if steps is None else directory.named(place.organization, walk)
        return await directory.do(DefineFlow(place.organization, directory.new_id(), place.location, called, taken, active))

    print(run(tenant, mode, work))


@_flows.command("change")
def change_flow(
    flow: IdArgument,
    name: NewName = None,
    steps: StepsOption = None,
    active: Annotated[bool | None, typer.Option("--active/--inactive", help="Whether new packages may use it.")] = None,
    tenant: TenantOption = None,
    mode: ModeOption = Mode.LIVE,
) -> None:
    """Change what is given of a flow."""
    if (name, steps, active) == (None, None, None):
        raise typer.BadParameter("give a --name, --steps, --active or --inactive")
    walk = None if steps is None else _steps(steps)

    async def work(directory: Directory, conn: AsyncConnection) -> None:
        found = await read.flow(conn, directory.tenant, directory.mode, flow.value) or fail(f"There is no flow {flow}.")

        def told(value: Json, given: object) -> Personal | None:
            return None if given is None else directory.named(found.organization, value)

        await directory.do(ChangeFlow(found.organization, found.id, told(name, name), told(walk, steps), active))

    run(tenant, mode, work)


@_flows.command("list")
def list_flows(tenant: TenantOption = None, mode: ModeOption = Mode.LIVE) -> None:
    """Show the flows."""
    directory_tables.show(run(tenant, mode, directory_tables.flows))


def _steps(file: Path) -> Json:
    try:
        raw = file.read_bytes()
        if len(raw) > MAX_STEPS_BYTES:
            fail(f"{file} has {len(raw)} bytes; the steps of a flow have at most {MAX_STEPS_BYTES}.")
        return parse_json(raw)
    except OSError as err:
        fail(f"{file} cannot be read: {err.strerror}.")
    except CanonicalError as err:
        fail(f"{file} does not hold steps: {err}.")
