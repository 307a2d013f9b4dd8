"""Sends invitations until it is killed: a process of its own, for the tests of crashes.

Arguments: the service's connection parameters, the mail server's port, seconds that its clock is ahead.
"""

import asyncio
import secrets
import sys
from datetime import timedelta

from infrastructure.clock import OffsetClock
from infrastructure.database import async_pool
from infrastructure.invitation_mint import InvitationMint
from infrastructure.invitations import Invitations, Sender
from infrastructure.ledger import Ledger
from infrastructure.mail import SmtpMailer, SmtpServer
from infrastructure.notifications import LogListener
from infrastructure.recorder import Recorder
from infrastructure.vault import Vault
from tests.conftest import ORIGIN
from tests.running import BASE_URL, KEYS


async def main(url: str, port: int, ahead_seconds: float) -> None:
    """Runs until the process ends."""
    clock = OffsetClock(timedelta(seconds=ahead_seconds))
    async with async_pool(url) as pool:
        recorder = Recorder(url, ORIGIN, pool, clock)
        recorder.start()
        listener = LogListener(url)
        listener.start()
        vault = Vault(pool, KEYS)
        mint = InvitationMint(KEYS, timedelta(days=30), secrets.token_bytes)
        ledger = Ledger(recorder, vault, mint, clock)
        mailer = SmtpMailer(SmtpServer("127.0.0.1", port, "none"))
        sender = Sender(BASE_URL, "noreply@sign.example", ORIGIN)
        invitations = Invitations(url, listener, pool, recorder, ledger, vault, mint, mailer, clock, sender)
        await invitations.run(asyncio.Event())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
