"""The end of the log, for whoever waits for more."""

import asyncio

from infrastructure.database import DatabaseUrls, async_pool, connect
from infrastructure.tail import LogTail
from tests.integration.read_side import append, envelopes
from tests.running import in_loop


@in_loop
async def test_who_waits_hears_of_the_next_entry_and_of_none_that_is_gone(database: DatabaseUrls) -> None:
    with connect(database.owner) as conn:
        async with async_pool(database.service) as pool, LogTail(database.service, pool) as tail:
            waiting = asyncio.create_task(tail.wait(0, 10))
            await asyncio.sleep(0.1)
            head = append(conn, envelopes(1))
            assert await asyncio.wait_for(waiting, 2)
            assert not await tail.wait(head, 0.01)
            conn.execute("UPDATE log_head SET position = 1")
            await asyncio.sleep(1.1)
            assert not await tail.wait(head - 1, 0.01), "whoever asks the log again and again would do so without a pause"
            tail.end()
            assert not await tail.wait(head, 10)
