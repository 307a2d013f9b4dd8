"""No stale reads: a read passes when it would see everything, and says so when it cannot."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from infrastructure import reading
from infrastructure.database import DatabaseUrls, async_pool, connect
from infrastructure.following import Connection, Follower
from infrastructure.notifications import LogListener
from infrastructure.reading import AsyncConnection, ReadGate, ReadsUnavailable
from projections import PROJECTIONS
from projections.rebuild import ensure_tables
from projections.runner import Runner
from tests.histories import RecordedLog
from tests.integration.read_side import append, envelopes

NAMES = [each.name for each in PROJECTIONS]


@pytest.fixture
def owner(database: DatabaseUrls) -> Iterator[Connection]:
    ensure_tables(database.owner)
    with connect(database.owner) as conn:
        yield conn


@asynccontextmanager
async def gate_of(database: DatabaseUrls) -> AsyncIterator[tuple[ReadGate, Callable[[], Awaitable[int]]]]:
    """A gate, and what reads the number of envelopes through its pool."""
    async with async_pool(database.service) as pool, ReadGate(database.service, pool) as gate:

        async def count() -> int:
            conn: AsyncConnection
            async with pool.connection() as conn:
                row = await (await conn.execute("SELECT count(*) FROM read.envelopes")).fetchone()
            return int(row[0]) if row else 0

        await gate.wait([], 5)
        yield gate, count


@pytest.fixture
def following(database: DatabaseUrls, owner: Connection) -> Iterator[None]:
    listener = LogListener(database.service)
    listener.start()
    follower = Follower(database.service, "projections", Runner().step, listener)
    follower.start()
    yield
    follower.close()
    listener.close()


def catch_up(database: DatabaseUrls) -> None:
    with connect(database.service) as conn:
        while Runner().step(conn):
            pass


def test_a_read_behind_an_append_sees_what_was_appended(
    database: DatabaseUrls, owner: Connection, following: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_POLL_SECONDS", 60)  # so announcements alone must wake it

    async def scenario() -> None:
        async with gate_of(database) as (gate, count):
            await listening(owner)
            for seed in range(1, 40):
                await asyncio.to_thread(append, owner, envelopes(1, seed))
                await gate.wait(NAMES, 10)
                assert await count() == seed

    asyncio.run(scenario())


async def listening(owner: Connection) -> None:
    """Waits until the gate's own connection hears announcements."""
    while not owner.execute("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'LISTEN countersign_read%'").fetchall():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


def test_many_waiting_reads_pass_with_one_announcement(
    database: DatabaseUrls, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_POLL_SECONDS", 60)
    append(owner, envelopes(1))

    async def scenario() -> None:
        async with gate_of(database) as (gate, _):
            await listening(owner)
            reads = [asyncio.create_task(gate.wait(NAMES, 30)) for _ in range(200)]
            done, _ = await asyncio.wait(reads, timeout=0.5)
            assert not done
            await asyncio.to_thread(catch_up, database)
            await asyncio.wait_for(asyncio.gather(*reads), 10)

    asyncio.run(scenario())


def test_a_read_of_projections_that_do_not_arrive_is_refused_with_how_much_is_missing(
    database: DatabaseUrls, owner: Connection
) -> None:
    catch_up(database)
    head = append(owner, envelopes(1))

    async def scenario() -> None:
        async with gate_of(database) as (gate, _):
            began = time.monotonic()
            with pytest.raises(ReadsUnavailable, match=f"{head} entries behind after 0.3 s") as refusal:
                await gate.wait(NAMES, 0.3)
            assert 0.3 <= time.monotonic() - began < 3
            assert (refusal.value.projection, refusal.value.behind) == ("envelopes", head)

    asyncio.run(scenario())


def test_a_read_of_a_stopped_projection_is_refused_at_once_and_others_pass(database: DatabaseUrls, owner: Connection) -> None:
    head = append(owner, envelopes(1))
    catch_up(database)
    owner.execute(
        "UPDATE read.positions SET status = 'stopped', error = 'entry 3: a reason', position = 2 WHERE projection = 'signers'"
    )

    async def scenario() -> None:
        async with gate_of(database) as (gate, _):
            began = time.monotonic()
            with pytest.raises(ReadsUnavailable, match="signers: stopped: entry 3: a reason") as refusal:
                await gate.wait(NAMES, 30)
            assert time.monotonic() - began < 3
            assert refusal.value.behind == head - 2
            await gate.wait(["envelopes", "templates"], 30)

    asyncio.run(scenario())


def test_a_projection_that_stops_while_reads_wait_refuses_them_then(
    database: DatabaseUrls, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_POLL_SECONDS", 60)
    owner.execute("ALTER TABLE read.signers ADD CHECK (status <> 'completed')")
    log = RecordedLog()
    envelope, whose = log.open_envelope()
    opened = append(owner, log.rows)
    for who in whose:
        log.sign(envelope, who)

    async def scenario() -> None:
        async with gate_of(database) as (gate, _):
            await listening(owner)
            await asyncio.to_thread(catch_up, database)
            await gate.wait(NAMES, 10)
            await asyncio.sleep(0.1)  # by now it has heard that all are running
            await asyncio.to_thread(append, owner, log.rows[opened:])
            read = asyncio.create_task(gate.wait(NAMES, 30))
            await asyncio.sleep(0.2)
            await asyncio.to_thread(catch_up, database)
            with pytest.raises(ReadsUnavailable, match=r"signers: stopped: entry .*violates check constraint"):
                await asyncio.wait_for(read, 10)

    asyncio.run(scenario())


def test_a_projection_that_has_never_begun_is_not_taken_for_an_empty_one(database: DatabaseUrls, owner: Connection) -> None:
    append(owner, envelopes(1))
    catch_up(database)

    async def scenario() -> None:
        async with gate_of(database) as (gate, _):
            with pytest.raises(ReadsUnavailable, match="unheard-of"):
                await gate.wait(["unheard-of"], 0.2)

    asyncio.run(scenario())


def test_without_announcements_reads_look_for_themselves(database: DatabaseUrls, owner: Connection) -> None:
    append(owner, envelopes(1))

    async def scenario() -> None:
        async with gate_of(database) as (gate, count):
            await listening(owner)
            owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN countersign_read%'")
            read = asyncio.create_task(gate.wait(NAMES, 30))
            await asyncio.to_thread(catch_up, database)
            await asyncio.wait_for(read, 5)
            assert await count() == 1
            await listening(owner)  # it hears again

    asyncio.run(scenario())


def test_a_database_that_cannot_be_asked_refuses_reads(database: DatabaseUrls, owner: Connection) -> None:
    async def scenario() -> None:
        async with async_pool("host=127.0.0.1 port=1 dbname=nothing connect_timeout=1") as pool:
            pool.timeout = 0.2
            gate = ReadGate(database.service, pool)
            with pytest.raises(ReadsUnavailable, match="cannot be asked"):
                await gate.wait(NAMES, 1)

    asyncio.run(scenario())
