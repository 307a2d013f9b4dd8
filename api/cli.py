"""The command `countersign`."""

import asyncio
import logging
from typing import Annotated

import typer

from api import cli_identity, cli_projections, cli_verify
from api.cli_context import fail, installation
from api.serving import serve as run_server
from api.serving import work as run_worker
from infrastructure.settings import Settings, variable

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="An event-sourced signing ledger: API, followers, verification.",
)
for part in (cli_identity.app, cli_projections.app, cli_verify.app):
    app.add_typer(part)


@app.command()
def serve(
    followers: Annotated[
        bool, typer.Option("--followers/--no-followers", help="Also keep read models, send invitations and end what is due.")
    ] = True,
) -> None:
    """Starts the API (and the embedded PostgreSQL, unless DATABASE_URL names another) until Ctrl-C."""
    with installation() as opened:
        try:
            asyncio.run(run_server(opened, followers=followers))
        except OSError as err:
            fail(
                f"{opened.settings.host}:{opened.settings.port} cannot be used: {err.strerror}. Set {variable('port')} to another port."
            )


@app.command()
def worker() -> None:
    """Runs the followers alone, beside API processes started with --no-followers."""
    with installation() as opened:
        asyncio.run(run_worker(opened))


@app.command()
def settings() -> None:
    """Lists the environment variables that are read, and what each means."""
    for name, item in Settings.model_fields.items():
        print(f"{variable(name)}\n    {item.description}")


def main() -> None:
    """The entry point of the distribution."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    app()
