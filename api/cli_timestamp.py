"""The command that has the newest checkpoint stamped now."""

import asyncio
import os
from datetime import timedelta

import typer

from api.cli_context import fail, installation, say
from domain.entry import format_time
from infrastructure.append import RecorderUnavailable
from infrastructure.clock import SystemClock
from infrastructure.database import DatabaseUnavailable, async_pool
from infrastructure.installation import Installation
from infrastructure.invitation_mint import InvitationMint
from infrastructure.ledger import Ledger
from infrastructure.recorder import Recorder
from infrastructure.settings import variable
from infrastructure.timestamping import NothingToStamp, StoredToken, Timestamping, authority_of
from infrastructure.trusted_time import Authority, TimeStampRefused
from infrastructure.vault import Vault

app = typer.Typer()


@app.command()
def timestamp() -> None:
    """Has the newest checkpoint stamped by the time-stamping authority, and records that in the log."""
    with installation() as opened:
        authority = authority_of(opened.settings)
        if authority is None:
            fail(f"No time-stamping authority is configured: set {variable('tsa_url')} and {variable('tsa_certificates')}.")
        try:
            token = asyncio.run(_stamp(opened, authority))
        except NothingToStamp:
            fail("No checkpoint has been published yet; `countersign serve` or `countersign worker` signs them.")
        except TimeStampRefused as err:
            fail(f"There is no time stamp, which was recorded ({err.reason}): {err}")
        except (RecorderUnavailable, DatabaseUnavailable) as err:
            fail(f"It is not known whether it was recorded; run the command again. ({err})")
    say(f"Entries 1 to {token.size} existed at {format_time(token.time)}, says {token.authority}.")


async def _stamp(opened: Installation, authority: Authority) -> StoredToken:
    clock, settings = SystemClock(), opened.settings
    async with async_pool(opened.urls.service, max_size=3) as pool:
        recorder = Recorder(opened.urls.service, opened.origin, pool, clock)
        await asyncio.to_thread(recorder.start)
        try:
            mint = InvitationMint(opened.keys, timedelta(days=settings.session_lifetime_days), os.urandom)
            ledger = Ledger(recorder, Vault(pool, opened.keys), mint, clock)
            every = timedelta(seconds=settings.timestamp_seconds)
            return await Timestamping(pool, ledger, authority, clock, opened.origin, every).stamp_now()
        finally:
            await asyncio.to_thread(recorder.close)
