"""The directory's lists as a terminal shows them: headings and rows of text, names opened."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar
from uuid import UUID

from api.cli_context import in_seconds, say, show_rows
from api.directory_appointments import Directory
from domain.directory import Module, Permission, VaultRight
from infrastructure.reading import AsyncConnection
from infrastructure.vault import Reference
from projections import directory as read
from projections.directory import AppointmentRow

T = TypeVar("T")

#: For a personal value that was erased.
ERASED: Final = "(erased)"


@dataclass(frozen=True, slots=True)
class Rows:
    """A list that is ready to be shown."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def show(found: Rows) -> None:
    """A table for a person, tab-separated lines for a pipe."""
    show_rows(found.headings, found.rows)
    if len(found.rows) >= read.MAX_ROWS:
        say(f"No more than {read.MAX_ROWS} of each organization are shown.")


class _Names:
    """Personal values of the rows of a list, opened together."""

    def __init__(self, opened: dict[Reference, object]) -> None:
        self._opened = opened

    def of(self, reference: Reference | None) -> str:
        """The text at `reference`; empty if there is none, and what says so if it was erased."""
        if reference is None:
            return ""
        value = self._opened.get(reference, ERASED)
        return value if isinstance(value, str) else str(value)

    def user(self, reference: Reference) -> tuple[str, str]:
        """Subject and issuer."""
        value = self._opened.get(reference)
        return (str(value["subject"]), str(value["issuer"])) if isinstance(value, dict) else (ERASED, ERASED)


async def _names(directory: Directory, rows: Sequence[T], references: Callable[[T], Sequence[Reference | None]]) -> _Names:
    wanted = [reference for row in rows for reference in references(row) if reference is not None]
    return _Names({reference: opened.value for reference, opened in (await directory.vault.open(wanted)).items()})


async def organizations(directory: Directory, conn: AsyncConnection) -> Rows:
    found = await read.organizations(conn, directory.tenant, directory.mode)
    names = await _names(directory, found, lambda row: (row.name, row.slug))
    rows = []
    for row in found:
        counts = await read.counts(conn, row.id)
        held = (str(counts.companies), str(counts.locations), str(counts.members))
        rows.append((str(row.number), names.of(row.name), names.of(row.slug), *held, in_seconds(row.created_at), str(row.id)))
    return Rows(("ID", "NAME", "SLUG", "COMPANIES", "LOCATIONS", "MEMBERS", "CREATED", "UUID"), tuple(rows))


async def roles(directory: Directory, conn: AsyncConnection, organization: UUID) -> Rows:
    found = await read.roles(conn, directory.tenant, directory.mode, organization)
    rows = ((row.slug, " ".join(each for each in Permission if each in row.permissions)) for row in found)
    return Rows(("ROLE", "PERMISSIONS"), tuple(rows))


async def companies(directory: Directory, conn: AsyncConnection) -> Rows:
    found = await read.companies(conn, directory.tenant, directory.mode)
    names = await _names(directory, found, lambda row: (row.name,))
    rows = ((str(row.number), str(row.organization_number), names.of(row.name), in_seconds(row.created_at)) for row in found)
    return Rows(("ID", "ORGANIZATION", "NAME", "CREATED"), tuple(rows))


async def locations(directory: Directory, conn: AsyncConnection) -> Rows:
    found = await read.locations(conn, directory.tenant, directory.mode)
    names = await _names(directory, found, lambda row: (row.name,))
    rows = (
        (
            str(row.number),
            str(row.organization_number),
            "" if row.company_number is None else str(row.company_number),
            names.of(row.name),
            str(row.sort_order),
        )
        for row in found
    )
    return Rows(("ID", "ORGANIZATION", "COMPANY", "NAME", "ORDER"), tuple(rows))


async def flows(directory: Directory, conn: AsyncConnection) -> Rows:
    found = await read.flows(conn, directory.tenant, directory.mode)
    names = await _names(directory, found, lambda row: (row.name,))
    rows = (
        (str(row.number), str(row.location_number), names.of(row.name), "active" if row.active else "inactive") for row in found
    )
    return Rows(("ID", "LOCATION", "NAME", "STATUS"), tuple(rows))


async def members(directory: Directory, conn: AsyncConnection) -> Rows:
    numbers = {row.id: row.number for row in await read.organizations(conn, directory.tenant, directory.mode)}
    found = [row for id in numbers for row in await read.members(conn, directory.tenant, directory.mode, id)]
    names = await _names(directory, found, lambda row: (row.user, row.email, row.name))
    rows = (
        (
            str(row.number),
            str(numbers[row.organization]),
            *names.user(row.user),
            names.of(row.email),
            names.of(row.name),
            row.role,
            in_seconds(row.created_at),
        )
        for row in found
    )
    return Rows(("ID", "ORGANIZATION", "USER", "ISSUER", "EMAIL", "NAME", "ROLE", "JOINED"), tuple(rows))


async def appointments(directory: Directory, conn: AsyncConnection) -> Rows:
    found = await read.appointments(conn, directory.tenant, directory.mode)
    people = {}
    for row in found:
        if row.member not in people and (who := await read.member(conn, directory.tenant, directory.mode, row.member)):
            people[row.member] = who
    places = {row.id: str(row.number) for row in await read.locations(conn, directory.tenant, directory.mode)}
    names = await _names(directory, tuple(people.values()), lambda row: (row.user,))
    rows = (
        (
            str(row.number),
            str(people[row.member].number),
            names.user(people[row.member].user)[0],
            "admin" if row.admin else "manager",
            _tiers(row),
            " ".join(each for each in VaultRight if each in row.vault),
            "all" if row.locations is None else " ".join(sorted(places.get(each, str(each)) for each in row.locations)),
        )
        for row in found
    )
    return Rows(("ID", "MEMBER", "USER", "AS", "MODULES", "VAULT", "LOCATIONS"), tuple(rows))


def _tiers(row: AppointmentRow) -> str:
    return "all=full" if row.tiers is None else " ".join(f"{module}={row.tiers.of(module)}" for module in Module)
