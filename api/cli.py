"""The command `countersign`."""

import asyncio
import logging
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from api import (
    cli_directory,
    cli_erase,
    cli_evidence,
    cli_execute,
    cli_heads,
    cli_hold,
    cli_identity,
    cli_keys,
    cli_projections,
    cli_renew,
    cli_timestamp,
    cli_verify,
    cli_witness,
)
from api.cli_context import fail, installation
from api.cli_keys import auditors_policy
from api.demo import DemoFailed, Server, answers, own_server
from api.demo import run as run_demo
from api.serving import run as run_process
from api.serving import serve as run_server
from api.serving import work as run_worker
from infrastructure.clock import SystemClock
from infrastructure.database import DatabaseUrls, async_pool
from infrastructure.identity import Identity
from infrastructure.installation import Installation
from infrastructure.log_keys import open_log_keys
from infrastructure.seal_service import seal_service
from infrastructure.settings import Settings, variable

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="An event-sourced signing ledger: API, followers, verification.",
)
for part in (
    cli_identity.app,
    cli_erase.app,
    cli_evidence.app,
    cli_execute.app,
    cli_heads.app,
    cli_renew.app,
    cli_timestamp.app,
    cli_verify.app,
    cli_witness.app,
):
    app.add_typer(part)
app.add_typer(cli_directory.app, name="directory")
app.add_typer(cli_hold.app, name="hold")
app.add_typer(cli_keys.app, name="keys")


@contextmanager
def _database() -> Iterator[DatabaseUrls]:
    with installation() as opened:
        yield opened.urls


app.add_typer(cli_projections.build(_database), name="projections")


@app.command()
def serve(
    followers: Annotated[
        bool, typer.Option("--followers/--no-followers", help="Also keep read models, send invitations and end what is due.")
    ] = True,
) -> None:
    """Starts the API (and the embedded PostgreSQL, unless DATABASE_URL names another) until Ctrl-C."""
    with installation() as opened:
        try:
            run_process(run_server(opened, followers=followers))
        except OSError as err:
            fail(
                f"{opened.settings.host}:{opened.settings.port} cannot be used: {err.strerror}. Set {variable('port')} to another port."
            )


@app.command()
def worker() -> None:
    """Runs the followers alone, beside API processes started with --no-followers."""
    with installation() as opened:
        run_process(run_worker(opened))


@app.command()
def demo(
    url: Annotated[str | None, typer.Option(help="Base URL of a running server. Default: the one of these settings.")] = None,
    tenant: Annotated[
        str | None, typer.Option(help="Tenant id, with --key. Default: a tenant made for the demonstration.")
    ] = None,
    key: Annotated[str | None, typer.Option(help="Partner credential of --tenant.")] = None,
    outbox: Annotated[
        Path | None, typer.Option(help="Folder of the server's invitations. Default: outbox in the data folder.")
    ] = None,
) -> None:
    """Drives one signing over HTTP, from template to executed document, and verifies all of it."""
    if (tenant is None) != (key is None):
        fail("--tenant and --key go together.")
    console = Console(highlight=False, soft_wrap=True)
    try:
        with installation() as opened, ExitStack() as stack:
            base_url = url or opened.settings.base_url
            if url is None and not answers(base_url):
                base_url = stack.enter_context(own_server(console))
            if tenant is None or key is None:
                tenant, key = asyncio.run(_demo_tenant(opened))
            data = opened.settings.data
            # Of a server elsewhere the policy is not known here: it must not come from the server itself.
            policy = None if url else auditors_policy(opened.settings, open_log_keys(opened.settings, opened.urls, opened.origin))
            roots = () if url else seal_service(opened.settings, SystemClock()).anchors
            run_demo(Server(base_url, tenant, key, outbox or data / "outbox", data / "demo", policy, roots), console)
    except DemoFailed as err:
        fail(f"The demonstration failed: {err}")


async def _demo_tenant(opened: Installation) -> tuple[str, str]:
    async with async_pool(opened.urls.service, max_size=1) as pool:
        identity = Identity(pool, opened.keys, SystemClock())
        tenant = await identity.create_tenant("Demonstration")
        return str(tenant), (await identity.create_partner_key(tenant, "KEY")).secret


@app.command()
def settings() -> None:
    """Lists the environment variables that are read, and what each means."""
    for name, item in Settings.model_fields.items():
        print(f"{variable(name)}\n    {item.description}")


def main() -> None:
    """The entry point of the distribution."""
    # Being told to end is like Ctrl-C, from the first moment on: what was started is stopped again.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    app()
