"""What commands that append to the ledger share: the ledger itself, codes, and times in words."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from uuid import UUID

import typer

from api.cli_context import fail, in_seconds
from domain.retention import CodeError, parse_code
from infrastructure.clock import SystemClock
from infrastructure.database import async_pool
from infrastructure.identity import Identity
from infrastructure.installation import Installation
from infrastructure.invitation_mint import InvitationMint
from infrastructure.ledger import Ledger
from infrastructure.recorder import Recorder
from infrastructure.vault import Vault


def code(text: str) -> str:
    """A reason or a ground as an option; raises typer.BadParameter."""
    try:
        return parse_code(text)
    except CodeError as err:
        raise typer.BadParameter(str(err)) from err


def until_when(until: datetime | None) -> str:
    """The end of a hold in words."""
    return "until it is lifted" if until is None else f"until {in_seconds(until)}"


@asynccontextmanager
async def open_ledger(opened: Installation, tenant: UUID | None = None) -> AsyncIterator[Ledger]:
    """The installation's ledger; the command ends if a tenant is named that does not exist.

    Raises DatabaseUnavailable, RecorderUnavailable.
    """
    clock = SystemClock()
    async with async_pool(opened.urls.service, max_size=2) as pool:
        if tenant is not None and tenant not in {each.id for each in await Identity(pool, opened.keys, clock).tenants()}:
            fail(f"There is no tenant {tenant}.")
        recorder = Recorder(opened.urls.service, opened.origin, pool, clock)
        await asyncio.to_thread(recorder.start)
        try:
            mint = InvitationMint(opened.keys, timedelta(days=opened.settings.session_lifetime_days), os.urandom)
            yield Ledger(recorder, Vault(pool, opened.keys), mint, clock)
        finally:
            await asyncio.to_thread(recorder.close)
