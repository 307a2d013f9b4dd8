"""`countersign heads`: a heads manifest of the log as it is now."""

import asyncio
import os
from datetime import timedelta
from typing import Annotated

import typer

from api.cli_context import fail, installation
from infrastructure.clock import SystemClock
from infrastructure.database import DatabaseUnavailable, async_pool, connect
from infrastructure.heads import Heads, RecordedHeads, heads_follower
from infrastructure.heads_anew import mend as mend_map
from infrastructure.installation import Installation
from infrastructure.invitation_mint import InvitationMint
from infrastructure.ledger import Ledger
from infrastructure.notifications import LogListener
from infrastructure.recorder import Recorder
from infrastructure.vault import Vault

app = typer.Typer()


@app.command()
def heads(
    mend: Annotated[
        bool,
        typer.Option(
            "--mend", help="First make the kept map anew from the log, after fsck has found it damaged or it has stopped."
        ),
    ] = False,
    wait: Annotated[float, typer.Option(metavar="SECONDS", min=0, help="How long to wait for it at most.")] = 600,
) -> None:
    """Records the heads of all streams in the log, unless nothing has happened since they were recorded last.

    Prints the position up to which the manifest covers the log, the entry that records it, the number of streams, and the root.
    """
    with installation() as opened:
        try:
            if mend:
                with connect(opened.urls.owner) as conn:
                    mend_map(conn)
            made = asyncio.run(_make(opened, wait))
        except DatabaseUnavailable as err:
            fail(str(err))
    print(f"position {made.position}\nentry    {made.entry}\nstreams  {made.streams}\nroot     {made.root.hex()}")


async def _make(opened: Installation, seconds: float) -> RecordedHeads:
    """Whichever process follows the log makes it: this one, if no other does."""
    clock = SystemClock()
    async with async_pool(opened.urls.service, max_size=2) as pool:
        made = Heads(pool, opened.origin)
        position = await made.newest()
        if not position:
            fail("The log is empty; there is nothing to record.")
        recorder = Recorder(opened.urls.service, opened.origin, pool, clock)
        await asyncio.to_thread(recorder.start)
        mint = InvitationMint(opened.keys, timedelta(days=opened.settings.session_lifetime_days), os.urandom)
        ledger = Ledger(recorder, Vault(pool, opened.keys), mint, clock)
        listener = LogListener(opened.urls.service)
        listener.start()
        follower = heads_follower(opened, listener, ledger, clock)
        follower.start()
        try:
            found = await made.want(position, seconds)
            stopped = await made.stopped()
        finally:
            for part in (follower, listener, recorder):
                await asyncio.to_thread(part.close)
        if found is None:
            fail(
                f"Heads are no longer recorded: {stopped}"
                if stopped
                else f"There is no manifest after {seconds:g} s; it may come later."
            )
        return found
