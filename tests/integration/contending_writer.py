"""One of two processes that append to the same streams: run by test_recorder_appending.

Tries to append every version of every stream in turn, decides again on fresh state when the other one was faster, and
prints as JSON what it won and how often it lost.
"""

import asyncio
import json
import random
import sys
from datetime import UTC, datetime
from uuid import UUID, uuid4

from infrastructure.append import Append, NewEntry, StaleAppend, StreamAppend
from infrastructure.database import async_pool
from infrastructure.recorder import Recorder


async def contend(recorder: Recorder, name: str, stream: UUID, versions: int) -> tuple[list[tuple[str, int, int]], int]:
    won, lost = [], 0
    version = 0
    while version < versions:
        new = NewEntry("test.happened/1", {}, {"writer": name})
        try:
            appended = await recorder.append(Append((StreamAppend(stream, version, (new,)),), datetime.now(UTC)))
        except StaleAppend:
            lost += 1
            version = (await recorder.read_stream(stream))[-1].version
        else:
            version += 1
            won.append((str(stream), version, appended.receipts[0].position))
            await asyncio.sleep(random.random() * 0.004)  # so that neither is always the faster one
    return won, lost


async def main(service_url: str, origin: str, versions: str, *streams: str) -> None:
    name = str(uuid4())
    async with async_pool(service_url) as pool:
        recorder = Recorder(service_url, origin, pool)
        recorder.start()
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        results = await asyncio.gather(*(contend(recorder, name, UUID(stream), int(versions)) for stream in streams))
        recorder.close()
    print(
        json.dumps(
            {"writer": name, "won": [each for won, _ in results for each in won], "lost": sum(lost for _, lost in results)}
        )
    )


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
