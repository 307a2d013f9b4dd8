"""What the commands of `countersign directory` share: their options, and how they reach the directory."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar
from uuid import UUID

import typer

from api.cli_context import choose_tenant, fail, installation
from api.directory_appointments import Directory, open_directory
from domain.actor import Mode
from domain.directory import DirectoryTextError, parse_name, parse_slug
from domain.errors import Refusal
from domain.ids import IdError, parse_uuid
from infrastructure.append import RecorderUnavailable
from infrastructure.clock import SystemClock
from infrastructure.database import DatabaseUnavailable, async_pool
from infrastructure.identity import Identity
from infrastructure.installation import Installation
from infrastructure.issuer import ISSUER
from infrastructure.reading import AsyncConnection, ReadsUnavailable
from projections import directory as read
from projections.directory import MemberRow, OrganizationRow

T = TypeVar("T")
Work = Callable[[Directory, AsyncConnection], Awaitable[T]]


@dataclass(frozen=True, slots=True)
class RowId:
    """What names a row at the terminal: the number that lists show, or the UUID."""

    value: UUID | int

    def __str__(self) -> str:
        return str(self.value)


def parse_id(text: str) -> RowId:
    """Raises typer.BadParameter."""
    if text.isascii() and text.isdecimal() and len(text) <= 18:
        return RowId(int(text))
    try:
        return RowId(parse_uuid(text))
    except IdError as err:
        raise typer.BadParameter("an id is a number as the lists show it, or a UUID") from err


def name(text: str) -> str:
    """Raises typer.BadParameter."""
    try:
        return parse_name(text)
    except DirectoryTextError as err:
        raise typer.BadParameter(str(err)) from err


def slug(text: str) -> str:
    """Raises typer.BadParameter."""
    try:
        return parse_slug(text)
    except DirectoryTextError as err:
        raise typer.BadParameter(str(err)) from err


IdArgument = Annotated[RowId, typer.Argument(parser=parse_id, metavar="ID")]
Name = Annotated[str, typer.Argument(parser=name, metavar="NAME")]
NewName = Annotated[str | None, typer.Option("--name", parser=name, metavar="NAME")]
Slug = Annotated[str | None, typer.Option("--slug", parser=slug, metavar="SLUG", help="A short name for addresses.")]
ModeOption = Annotated[Mode, typer.Option("--mode", help="Live and test are separate worlds.")]
OrganizationOption = Annotated[
    RowId | None, typer.Option("--organization", parser=parse_id, metavar="ID", help="May be left out while there is only one.")
]
UserOption = Annotated[str | None, typer.Option("--user", metavar="SUBJECT", help="The user, as the issuer calls them (sub).")]
IssuerOption = Annotated[str, typer.Option("--issuer", help="Who calls them so (iss).")]
MemberOption = Annotated[
    RowId | None, typer.Option("--member", parser=parse_id, metavar="ID", help="The member, instead of --user.")
]
DEFAULT_ISSUER = ISSUER


def run(tenant: UUID | None, mode: Mode, work: Work[T]) -> T:
    """Runs `work` on the directory; what goes wrong is told in a line, with exit code 1."""

    async def act(opened: Installation) -> T:
        async with async_pool(opened.urls.service, max_size=1) as pool:
            chosen = (await choose_tenant(Identity(pool, opened.keys, SystemClock()), tenant)).id
        async with open_directory(opened, chosen, mode) as directory, directory.alone() as conn:
            return await work(directory, conn)

    with installation() as opened:
        try:
            return asyncio.run(act(opened))
        except Refusal as err:
            fail(f"{err} Nothing was changed.")
        except DirectoryTextError as err:
            fail(f"Nothing was changed: {err}.")
        except ReadsUnavailable as err:
            fail(f"The directory cannot be read: {err.reason}. `countersign projections list` tells more.")
        except (RecorderUnavailable, DatabaseUnavailable) as err:
            fail(f"It is not known whether it was done; look before you do it again. ({err})")


async def organization_of(directory: Directory, conn: AsyncConnection, wanted: RowId | None) -> OrganizationRow:
    """The organization that the option names, or the only one."""
    if wanted is not None:
        found = await read.organization(conn, directory.tenant, directory.mode, wanted.value)
        return found or fail(f"There is no organization {wanted} in {directory.mode} mode.")
    some = await read.organizations(conn, directory.tenant, directory.mode, limit=2)
    if not some:
        fail(f"There is no organization in {directory.mode} mode yet: countersign directory organization create NAME")
    if len(some) > 1:
        fail("There are several organizations; say which with --organization (countersign directory organization list).")
    return some[0]


def require_one_of(user: str | None, member: RowId | None) -> None:
    """Raises typer.BadParameter unless the options name one person."""
    if (user is None) == (member is None):
        raise typer.BadParameter("say who: either --user or --member")


async def member_named(
    directory: Directory, conn: AsyncConnection, organization: RowId | None, user: str | None, issuer: str, member: RowId | None
) -> MemberRow:
    """The member that the options name."""
    if member is not None:
        found = await read.member(conn, directory.tenant, directory.mode, member.value)
        return found or fail(f"There is no member {member} in {directory.mode} mode (countersign directory member list).")
    standing = await directory.standing(conn, issuer, str(user))
    theirs = () if standing is None else standing.memberships
    if organization is not None:
        chosen = await organization_of(directory, conn, organization)
        theirs = tuple(each for each in theirs if each.organization.id == chosen.id)
    if not theirs:
        fail(f"{user} of {issuer} is no member in {directory.mode} mode: countersign directory member add --user {user}")
    if len(theirs) > 1:
        fail(f"{user} is a member of several organizations; say which with --organization.")
    return theirs[0].member
