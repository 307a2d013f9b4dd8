"""`countersign hold`: what is to be kept from erasure."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Final, TypeVar
from uuid import UUID

import typer

from api.cli_context import TenantOption, choose_tenant, fail, in_seconds, installation, say, show_rows, with_identity
from api.cli_ledger import code, open_ledger, until_when
from api.erasing import Unusable, parse_id, parse_instant
from domain.actor import Actor, ActorKind
from domain.envelope import Envelope
from domain.errors import EnvelopeNotFound, Refusal
from domain.ids import IdError, uuid7
from domain.retention import Hold, Holds, LiftHold, PlaceHold, holds_stream
from infrastructure.append import RecorderUnavailable
from infrastructure.clock import SystemClock
from infrastructure.database import DatabaseUnavailable
from infrastructure.installation import Installation
from infrastructure.ledger import NO_ANSWER, Ledger

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, help="Keeps data from erasure: places, lifts and lists holds.")

#: Whoever may start this command on the installation's own machine.
BY: Final = Actor(ActorKind.OPERATOR, "countersign hold")


def _id(text: str) -> UUID:
    try:
        return parse_id(text, "env")
    except IdError as err:
        raise typer.BadParameter(str(err)) from err


def _instant(text: str) -> datetime:
    try:
        return parse_instant(text)
    except Unusable as err:
        raise typer.BadParameter(str(err)) from err


@app.command()
def place(
    reason: Annotated[
        str, typer.Option(metavar="CODE", parser=code, help="Why, a code such as litigation. It is recorded and stays.")
    ],
    envelope: Annotated[
        UUID | None,
        typer.Option(metavar="ID", parser=_id, help="Holds this envelope and its signings. Default: all of the tenant."),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(metavar="TIME", parser=_instant, help="2031-12-31T23:59:59Z. Default: until it is lifted."),
    ] = None,
    tenant: TenantOption = None,
) -> None:
    """Forbids erasure from now on, and prints the id of the hold."""

    async def act(ledger: Ledger, whose: UUID) -> UUID:
        if envelope is not None:
            state = await ledger.state(Envelope, envelope)
            if state is None or state.tenant != whose:
                raise EnvelopeNotFound(envelope)
        hold = uuid7(SystemClock().now(), os.urandom(10))
        await ledger.handle(PlaceHold(whose, hold, envelope, reason, until), BY, lambda outcome: NO_ANSWER)
        return hold

    print(_run(tenant, act))
    what = "Everything of the tenant" if envelope is None else f"Envelope {envelope}"
    say(f"{what} is kept from erasure {until_when(until)}.")


@app.command()
def lift(
    hold: Annotated[UUID, typer.Argument(metavar="ID", parser=_id, help="As `countersign hold list` shows it.")],
    ground: Annotated[
        str, typer.Option(metavar="CODE", parser=code, help="Why, a code such as settled. It is recorded and stays.")
    ],
    tenant: TenantOption = None,
) -> None:
    """Ends a hold."""

    async def act(ledger: Ledger, whose: UUID) -> None:
        await ledger.handle(LiftHold(whose, hold, ground), BY, lambda outcome: NO_ANSWER)

    _run(tenant, act)
    say("Lifted. What it forbade is allowed.")


@app.command("list")
def show(tenant: TenantOption = None) -> None:
    """Lists the holds that were not lifted: id, what is held, reason, end, and since when."""

    async def act(ledger: Ledger, whose: UUID) -> tuple[Hold, ...]:
        state = await ledger.state(Holds, holds_stream(whose))
        return () if state is None else tuple(state.placed.values())

    held, now = _run(tenant, act), SystemClock().now()
    show_rows(("id", "what", "reason", "lasts", "placed"), [_row(hold, now) for hold in held])


def _row(hold: Hold, now: datetime) -> tuple[str, ...]:
    what = "all" if hold.envelope is None else str(hold.envelope)
    lasts = until_when(hold.until) if hold.in_force(now) else "is over"
    return str(hold.id), what, hold.reason, lasts, in_seconds(hold.placed_at)


def _run(tenant: UUID | None, work: Callable[[Ledger, UUID], Awaitable[T]]) -> T:
    """Runs `work` on the ledger for a tenant; what goes wrong is told in a line, with exit code 1."""
    chosen = with_identity(lambda identity: choose_tenant(identity, tenant)).id

    async def act(opened: Installation) -> T:
        async with open_ledger(opened, chosen) as ledger:
            return await work(ledger, chosen)

    with installation() as opened:
        try:
            return asyncio.run(act(opened))
        except Refusal as err:
            fail(f"{err} Nothing was changed.")
        except (RecorderUnavailable, DatabaseUnavailable) as err:
            fail(f"It is not known whether it was done; look before you do it again. ({err})")
