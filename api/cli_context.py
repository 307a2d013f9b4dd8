"""What commands at a terminal share: they open the installation that the settings describe."""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any, NoReturn, TypeVar
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from infrastructure.clock import SystemClock
from infrastructure.database import DatabaseUnavailable, async_pool
from infrastructure.identity import Identity, Tenant
from infrastructure.installation import Installation, InstallationError, open_installation
from infrastructure.settings import Settings, SettingsError

T = TypeVar("T")

TenantOption = Annotated[UUID | None, typer.Option("--tenant", help="The tenant's id; may be left out while there is only one.")]


def say(line: str) -> None:
    """To the person at the terminal; standard output is for what the command was asked for."""
    print(line, file=sys.stderr, flush=True)


def fail(message: str) -> NoReturn:
    """Ends the command: the message on standard error, exit code 1."""
    say(message)
    raise typer.Exit(1)


@contextmanager
def installation() -> Iterator[Installation]:
    """The installation of the environment's settings, with its database running and migrated.

    What is wrong with it is told to the person at the terminal, and the command ends with exit code 1.
    """
    try:
        settings = Settings.read()
    except SettingsError as err:
        fail(str(err))
    try:
        with open_installation(settings, say) as opened:
            yield opened
    except (DatabaseUnavailable, InstallationError) as err:
        fail(str(err))


def with_identity(work: Callable[[Identity], Coroutine[Any, Any, T]]) -> T:
    """Runs `work` on the tenants and credentials of the installation."""

    async def run(opened: Installation) -> T:
        async with async_pool(opened.urls.service, max_size=1) as pool:
            return await work(Identity(pool, opened.keys, SystemClock()))

    with installation() as opened:
        return asyncio.run(run(opened))


async def choose_tenant(identity: Identity, wanted: UUID | None) -> Tenant:
    """The tenant of this id, or the only one; else the command ends with what to do."""
    tenants = {tenant.id: tenant for tenant in await identity.tenants()}
    if wanted is not None:
        if wanted not in tenants:
            fail(f"There is no tenant {wanted}.")
        return tenants[wanted]
    if not tenants:
        fail("There is no tenant yet: countersign tenant create NAME")
    if len(tenants) > 1:
        fail("There are several tenants; say which with --tenant (countersign tenant list shows them).")
    return next(iter(tenants.values()))


def show_rows(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table for a person, tab-separated lines for a pipe."""
    console = Console()
    if not console.is_terminal:
        for row in rows:
            print("\t".join(row))
        return
    table = Table(*headings, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # as it stands: a name in brackets is no markup
    console.print(table)


def in_seconds(at: datetime) -> str:
    """A time as people read it: 2026-11-20 22:30:00Z."""
    return f"{at:%Y-%m-%d %H:%M:%S}Z"
