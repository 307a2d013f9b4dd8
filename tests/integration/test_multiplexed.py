"""Many small queries over one shared connection: each gets its own answer, whatever becomes of the others."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import psycopg
import pytest

from infrastructure.database import DatabaseUnavailable, DatabaseUrls, Reads, async_pool, connect
from infrastructure.multiplexed import Multiplexed, Statement
from infrastructure.recorder import wire
from tests.running import in_loop

DOUBLE = Statement(b"double", b"SELECT $1::bigint * 2, NULL, $2::text")
WHO = Statement(b"who", b"SELECT pg_backend_pid()")
DIVIDE = Statement(b"divide", b"SELECT 1 / $1::bigint")
WRONG = Statement(b"wrong", b"SELECT * FROM no_such_table")
ROWS = Statement(b"rows", b"SELECT n, repeat('x', 10000) FROM generate_series(1, $1::bigint) AS n")
SLEEP = Statement(b"sleep", b"SELECT pg_sleep(30)")


@asynccontextmanager
async def reads(urls: DatabaseUrls) -> AsyncIterator[Reads]:
    async with async_pool(urls.service) as pool:
        yield pool


async def backend(pool: Reads) -> int:
    return wire.as_int((await pool.fetch(WHO))[0][0])


@in_loop
async def test_concurrent_queries_each_get_their_own_rows_over_one_connection(database: DatabaseUrls) -> None:
    async with reads(database) as pool:
        answers = await asyncio.gather(*(pool.fetch(DOUBLE, wire.int8(n), f"text {n}".encode()) for n in range(2000)))
        assert [(wire.as_int(row[0]), row[1], row[2]) for (row,) in answers] == [
            (2 * n, None, f"text {n}".encode()) for n in range(2000)
        ]
        assert len(set(await asyncio.gather(*(backend(pool) for _ in range(10))))) == 1


@in_loop
async def test_large_parameters_and_answers_pass_each_other(database: DatabaseUrls) -> None:
    """More than both sockets' buffers hold, in both directions at once."""
    async with reads(database) as pool:
        text = b"y" * 3_000_000
        big, many, small = await asyncio.gather(
            pool.fetch(DOUBLE, wire.int8(1), text), pool.fetch(ROWS, wire.int8(500)), pool.fetch(DOUBLE, wire.int8(2), text)
        )
        assert big[0][2] == small[0][2] == text
        assert [wire.as_int(row[0]) for row in many] == list(range(1, 501))


@in_loop
async def test_a_query_that_fails_fails_alone(database: DatabaseUrls) -> None:
    async with reads(database) as pool:
        before, failed, missing, after = await asyncio.gather(
            pool.fetch(DIVIDE, wire.int8(1)),
            pool.fetch(DIVIDE, wire.int8(0)),
            pool.fetch(WRONG),
            pool.fetch(DIVIDE, wire.int8(1)),
            return_exceptions=True,
        )
        assert isinstance(failed, psycopg.errors.DivisionByZero)
        assert isinstance(missing, psycopg.errors.UndefinedTable)
        for answer in (before, after):
            assert not isinstance(answer, BaseException)
            assert wire.as_int(answer[0][0]) == 1
        # One that could not be prepared is prepared again once it can be.
        with connect(database.owner) as conn:
            conn.execute("CREATE TABLE no_such_table AS SELECT 7::bigint AS n")
            conn.execute("GRANT SELECT ON no_such_table TO countersign_service")
        assert wire.as_int((await pool.fetch(WRONG))[0][0]) == 7


@in_loop
async def test_whoever_stops_waiting_does_not_disturb_the_others(database: DatabaseUrls) -> None:
    async with reads(database) as pool:
        await pool.fetch(WHO)
        given_up = asyncio.ensure_future(pool.fetch(DOUBLE, wire.int8(1), b""))
        waiting = asyncio.ensure_future(pool.fetch(DOUBLE, wire.int8(2), b""))
        await asyncio.sleep(0)
        given_up.cancel()
        assert wire.as_int((await waiting)[0][0]) == 4
        with pytest.raises(asyncio.CancelledError):
            await given_up


@in_loop
async def test_a_killed_connection_is_replaced_and_what_was_under_way_is_asked_again(database: DatabaseUrls) -> None:
    async with reads(database) as pool:
        first = await backend(pool)
        under_way = asyncio.ensure_future(pool.fetch(DOUBLE, wire.int8(21), b""))
        with connect(database.owner) as conn:
            conn.execute("SELECT pg_terminate_backend(%s, 5000)", [first])
        assert wire.as_int((await under_way)[0][0]) == 42
        assert await backend(pool) != first


@in_loop
async def test_a_query_cut_off_in_the_middle_is_asked_again(database: DatabaseUrls) -> None:
    async with reads(database) as pool:
        first = await backend(pool)
        slow = asyncio.ensure_future(pool.fetch(SLEEP))
        behind = asyncio.ensure_future(pool.fetch(DOUBLE, wire.int8(1), b""))
        await asyncio.sleep(0.2)
        with connect(database.owner) as conn:
            conn.execute("SELECT pg_terminate_backend(%s, 5000)", [first])
        # Both go again, in the order asked; the sleeping one is let go.
        await asyncio.sleep(0.2)
        assert not slow.done()
        with connect(database.owner) as conn:
            conn.execute(
                "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND datname = current_database()"
            )
        with pytest.raises(psycopg.errors.QueryCanceled):
            await slow
        assert wire.as_int((await behind)[0][0]) == 2


@in_loop
async def test_a_database_that_stays_away_is_told_as_such_in_time() -> None:
    async with async_pool("host=127.0.0.1 port=1 connect_timeout=1 dbname=nothing") as pool:
        pool.timeout = 0.3
        began = asyncio.get_running_loop().time()
        await asyncio.gather(*(_refused(pool) for _ in range(20)))
        assert 0.3 <= asyncio.get_running_loop().time() - began < 3


async def _refused(pool: Reads) -> None:
    with pytest.raises(DatabaseUnavailable):
        await pool.fetch(WHO)


@in_loop
async def test_a_closed_pool_asks_nothing_more(database: DatabaseUrls) -> None:
    async with reads(database) as pool:
        sleeping = asyncio.ensure_future(pool.fetch(SLEEP))
        await asyncio.sleep(0.1)
    with pytest.raises(DatabaseUnavailable):
        await sleeping
    with pytest.raises(DatabaseUnavailable):
        await pool.fetch(WHO)


@in_loop
async def test_a_connection_closed_from_here_answers_all_who_wait(database: DatabaseUrls) -> None:
    shared = await Multiplexed.connect(database.service)
    waiting = [shared.ask(SLEEP, ()), shared.ask(WHO, ())]
    shared.close()
    shared.close()
    assert [type(await _outcome(each)).__name__ for each in (*waiting, shared.ask(WHO, ()))] == ["ConnectionLost"] * 3


async def _outcome(answer: Awaitable[object]) -> object:
    try:
        return await answer
    except Exception as err:  # noqa: BLE001 what it is, is what is asked
        return err
