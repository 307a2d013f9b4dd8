"""`countersign execute`: which completed envelopes are without their files and why, and making them now."""

import asyncio
from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import typer

from api.app import executor_of, running
from api.cli_context import TenantOption, fail, in_seconds, installation, say, show_rows
from api.cli_progress import Tell, progress
from api.deps import Deps
from domain.ids import IdError, parse_typed_id, parse_uuid
from infrastructure.database import DatabaseUnavailable
from infrastructure.execution import ExecutionRow, ExecutionStatus, NotCompleted
from infrastructure.installation import Installation

app = typer.Typer()


def _envelope(text: str) -> UUID:
    try:
        return parse_typed_id("env", text) if text.startswith("env_") else parse_uuid(text)
    except IdError as err:
        raise typer.BadParameter("is not the id of an envelope: a UUID, or env_...") from err


@app.command()
def execute(
    envelope: Annotated[UUID | None, typer.Argument(parser=_envelope, help="A completed envelope.", metavar="ENVELOPE")] = None,
    tenant: TenantOption = None,
    all_failed: Annotated[bool, typer.Option("--all-failed", help="Execute all that have failed.")] = False,
    list_only: Annotated[
        bool, typer.Option("--list", help="Only list what waits and what has failed, with the reasons.")
    ] = False,
) -> None:
    """Makes the executed documents and the certificate of a completed envelope at once, whatever kept them from being made.

    What is there already is not made again, and no signature is touched. Exit code 1 if something failed.
    """
    if (envelope is not None) + all_failed + list_only != 1:
        fail("Say what to execute: an ENVELOPE or --all-failed; or see what there is with --list.")
    if envelope is not None and tenant is not None:
        fail("--tenant goes with --list and --all-failed.")
    with installation() as opened:
        try:
            succeeded = asyncio.run(_run(opened, envelope, tenant, list_only=list_only))
        except DatabaseUnavailable as err:
            fail(str(err))
    if not succeeded:
        raise typer.Exit(1)


async def _run(opened: Installation, envelope: UUID | None, tenant: UUID | None, *, list_only: bool) -> bool:
    """Whether everything that was to be executed is."""
    async with running(opened, followers=False) as parts:
        if list_only:
            await _list(parts.deps, tenant)
            return True
        chosen = [envelope] if envelope else await _failed(parts.deps, tenant)
        with progress() as tell:
            rows = [await _execute(parts.deps, each, tell) for each in chosen]
    for row in rows:
        if row is not None:
            say(_line(row))
    return all(row is not None and row.status is not ExecutionStatus.FAILED and not row.troubled for row in rows)


async def _list(deps: Deps, tenant: UUID | None) -> None:
    found = await deps.executions.listed((ExecutionStatus.WAITING, ExecutionStatus.FAILED), tenant)
    rows = [
        (
            str(each.row.envelope),
            str(each.tenant),
            each.mode.value,
            each.row.status.value,
            str(each.row.attempts),
            in_seconds(each.row.next_attempt_at) if each.row.status is ExecutionStatus.WAITING else "",
            each.row.reason or "",
            each.row.sentence or "",
        )
        for each in found
    ]
    show_rows(("envelope", "tenant", "mode", "status", "attempts", "next", "reason", ""), rows)
    if not rows:
        say("Every completed envelope has its files.")


async def _failed(deps: Deps, tenant: UUID | None) -> Sequence[UUID]:
    found = [each.row.envelope for each in await deps.executions.listed((ExecutionStatus.FAILED,), tenant)]
    if not found:
        say("Nothing has failed.")
    return found


async def _execute(deps: Deps, envelope: UUID, tell: Tell) -> ExecutionRow | None:
    """How the envelope stands after that; None for one that is not completed."""

    async def between(done: int, all: int) -> None:
        tell(str(envelope), done, all)

    try:
        return await executor_of(deps).execute_by_hand(envelope, between)
    except NotCompleted:
        say(f"{envelope}: there is no such envelope, or it is not completed.")
        return None


def _line(row: ExecutionRow) -> str:
    return f"{row.envelope}: {row.status.value}" + ("" if row.sentence is None else f", {row.reason}: {row.sentence}")
