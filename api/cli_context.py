"""What commands at a terminal share: they open the installation that the settings describe."""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

import typer

from infrastructure.clock import SystemClock
from infrastructure.database import DatabaseUnavailable, async_pool
from infrastructure.identity import Identity
from infrastructure.installation import Installation, InstallationError, open_installation
from infrastructure.settings import Settings, SettingsError

T = TypeVar("T")


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
