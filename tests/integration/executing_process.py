"""Executes one envelope and kills itself on the way: a process of its own, for the tests of crashes.

Arguments: the owner's and the service's connection parameters, the data folder, the envelope, and after what it is to end: `put`, when
the first sealed file is stored, or `record`, when the first is recorded.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

from infrastructure.database import DatabaseUrls
from tests.executing import executor
from tests.running import running


class Ending:
    """Something of which one method is the last that is ever called."""

    def __init__(self, whole: Any, last: str) -> None:
        self._whole = whole
        self._last = last

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._whole, name)
        if name != self._last:
            return found

        async def last(*args: Any) -> None:
            await found(*args)
            os.kill(os.getpid(), signal.SIGKILL)

        return last


async def main(owner: str, service: str, folder: str, envelope: str, point: str) -> None:
    """Runs until the process ends."""

    async def go_on(done: int, all: int) -> None:
        pass

    async with running(DatabaseUrls(owner, service), Path(folder)) as run:
        parts: dict[str, Any] = {"blobs": Ending(run.deps.blobs, "put")}
        if point == "record":
            parts = {"ledger": Ending(run.deps.ledger, "handle")}
        await executor(run, **parts).execute_by_hand(UUID(envelope), go_on)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
