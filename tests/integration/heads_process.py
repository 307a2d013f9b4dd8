"""Makes one heads manifest and kills itself at a crash point around the append of its fact, for the tests of crashes.

Arguments: the service's connection parameters, the ledger's name, `before` or `after`. Imports little, to start soon.
"""

import asyncio
import os
import secrets
import signal
import sys
from datetime import timedelta

from domain.sealing import HeadsRecorded
from infrastructure.clock import SystemClock
from infrastructure.database import async_pool, connect
from infrastructure.heads import ManifestMaker, record_through
from infrastructure.invitation_mint import InvitationMint
from infrastructure.ledger import Ledger
from infrastructure.recorder import Recorder
from infrastructure.secrets import Keys
from infrastructure.vault import Vault


async def main(url: str, origin: str, when: str) -> None:
    """Ends in SIGKILL."""
    clock, keys = SystemClock(), Keys.derive(b"s" * 32, b"m" * 32)
    async with async_pool(url) as pool:
        recorder = Recorder(url, origin, pool, clock)
        recorder.start()
        mint = InvitationMint(keys, timedelta(days=30), secrets.token_bytes)
        append = record_through(Ledger(recorder, Vault(pool, keys), mint, clock), origin)

        def record(heads: HeadsRecorded) -> None:
            if when == "after":
                append(heads)
            os.kill(os.getpid(), signal.SIGKILL)

        maker = ManifestMaker(origin, record, timedelta(0), clock)
        with connect(url) as conn:
            while await asyncio.to_thread(maker.step, conn):
                pass


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
