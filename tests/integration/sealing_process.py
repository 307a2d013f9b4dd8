"""A process that seals, for tests that kill it: URL, data folder, and the moment at which it kills itself.

The moments are those marked as crash points in `infrastructure.sealer`. It begins when it is told a line.
"""

import os
import signal
import sys
from pathlib import Path

from infrastructure import sealer
from infrastructure.clock import SystemClock
from infrastructure.following import Connection, Follower
from infrastructure.log_keys import LogKeys
from infrastructure.notifications import LogListener
from tests.conftest import ORIGIN

MOMENTS = ("signed", "kept", "sealed")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(url: str, folder: str, moment: str) -> None:
    keep = sealer._keep

    def keep_or_die(file: Path, note: bytes) -> None:
        if moment == "signed":
            die()
        keep(file, note)
        if moment == "kept":
            die()

    sealer._keep = keep_or_die
    sealing = sealer.Sealer(LogKeys(ORIGIN, Path(folder)), Path(folder), SystemClock(), batch=20)
    count = "SELECT count(*) FROM checkpoints"

    def step(conn: Connection) -> bool:
        before = conn.execute(count).fetchone()
        more = sealing.step(conn)
        if moment == "sealed" and conn.execute(count).fetchone() != before:
            die()
        return more

    listener = LogListener(url)
    follower = Follower(url, sealer.NAME, step, listener)
    sys.stdin.readline()
    listener.start()
    follower.start()
    sys.stdin.readline()


if __name__ == "__main__":
    main(*sys.argv[1:])
