"""Expiry: what is due is ended, once, with every process closed, however many look for it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from domain.coordination import CancelEnvelope, ExtendEnvelope
from domain.entry import decode
from domain.envelope import EnvelopeStatus
from domain.errors import Conflict
from domain.signing import SigningStatus
from infrastructure.append import RecorderUnavailable
from infrastructure.database import DatabaseUrls
from infrastructure.expiry import Due, Expiry
from infrastructure.following import Follower
from infrastructure.ledger import Ledger
from infrastructure.reading import AsyncConnection
from projections import envelopes
from projections.rebuild import ensure_tables
from projections.runner import Runner
from tests.integration.test_invitations import FaultyLedger, until
from tests.running import Person, Running, Sent, in_loop, running

ANA = Person("Ana", "ana@example.com", number=1)
BO = Person("Bo", "bo@example.com", number=2)
HOUR = timedelta(hours=1)


@asynccontextmanager
async def projecting(run: Running) -> AsyncIterator[None]:
    """Keeps the read models up to date."""
    await asyncio.to_thread(ensure_tables, run.urls.owner)
    follower = Follower(run.urls.service, "projections", Runner().step, run.listener)
    follower.start()
    try:
        yield
    finally:
        await asyncio.to_thread(follower.close)


@asynccontextmanager
async def expiring(run: Running, *, due: Due = envelopes.due, ledger: Ledger | None = None) -> AsyncIterator[None]:
    stop = asyncio.Event()
    expiry = Expiry(run.deps.reads, due, ledger or run.deps.ledger, run.clock, poll_seconds=0.05)
    task = asyncio.create_task(expiry.run(stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)


async def ended(run: Running, sent: Sent) -> bool:
    return (await run.envelope(sent.id)).status is EnvelopeStatus.EXPIRED


@in_loop
async def test_what_is_due_is_ended_with_all_its_processes_and_what_is_not_stays(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path) as run, projecting(run):
        due = await run.send(ANA, BO, deadline=run.clock.now() + HOUR)
        draft = await run.send(ANA, deadline=run.clock.now() + HOUR, send=False)
        later = await run.send(ANA, deadline=run.clock.now() + 3 * HOUR)
        never = await run.send(ANA)
        async with expiring(run):
            await asyncio.sleep(0.3)
            assert not await ended(run, due)
            run.clock.offset = 2 * HOUR
            await until(lambda: ended(run, due))
            await until(lambda: ended(run, draft))
        for who in due.participants:
            assert (await run.signing(who)).status is SigningStatus.EXPIRED
        assert (await run.envelope(later.id)).status is EnvelopeStatus.SENT
        assert (await run.envelope(never.id)).status is EnvelopeStatus.SENT
        last = decode((await run.deps.recorder.read_stream(due.id))[-1].raw)
        assert (last.type, last.by) == ("envelope.expired/1", {"kind": "follower", "id": "expiry"})


@in_loop
async def test_several_processes_end_each_envelope_once(database: DatabaseUrls, tmp_path: Path) -> None:
    async with running(database, tmp_path) as run, running(database, tmp_path) as other, projecting(run):
        made = [await run.send(ANA, deadline=run.clock.now() + HOUR) for _ in range(20)]
        run.clock.offset = other.clock.offset = 2 * HOUR
        async with expiring(run), expiring(other), expiring(run):
            for sent in made:
                await until(lambda sent=sent: ended(run, sent))  # type: ignore[misc]
        for sent in made:
            assert (await run.types(sent.id)).count("expired") == 1
            assert (await run.types(sent.participants[0])).count("expired") == 1


@in_loop
async def test_a_cancel_or_an_extension_that_comes_first_stands(database: DatabaseUrls, tmp_path: Path) -> None:
    """The list was read before: it names envelopes that are not due any more."""
    async with running(database, tmp_path) as run:
        cancelled = await run.send(ANA, deadline=run.clock.now() + HOUR)
        extended = await run.send(ANA, deadline=run.clock.now() + HOUR)
        await run.handle(CancelEnvelope(cancelled.id))
        await run.handle(ExtendEnvelope(extended.id, run.clock.now() + 9 * HOUR))
        run.clock.offset = 2 * HOUR
        looked = 0

        async def old_list(conn: AsyncConnection, now: datetime, limit: int) -> Sequence[UUID]:
            nonlocal looked
            looked += 1
            return (cancelled.id, extended.id)

        head = await run.head()
        async with expiring(run, due=old_list):
            await until(lambda: looked > 3)
        assert await run.head() == head


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("failure", [RecorderUnavailable("lost"), Conflict()])
@in_loop
async def test_an_end_that_fails_or_seems_to_is_recorded_once(
    database: DatabaseUrls, tmp_path: Path, when: str, failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infrastructure.expiry.PAUSE_SECONDS", 0.1)
    async with running(database, tmp_path) as run, projecting(run):
        sent = await run.send(ANA, deadline=run.clock.now() + HOUR)
        run.clock.offset = 2 * HOUR
        async with expiring(run, ledger=FaultyLedger(run, [(when, failure)] * 2)):
            await until(lambda: ended(run, sent))
            await asyncio.sleep(0.3)
        assert (await run.types(sent.id)).count("expired") == 1


@in_loop
async def test_an_envelope_that_cannot_be_ended_does_not_hold_up_the_others(database: DatabaseUrls, tmp_path: Path) -> None:
    class Stubborn(Ledger):
        async def handle(self, command: Any, *arguments: Any, **more: Any) -> Any:
            if command.envelope == stuck.id:
                raise LookupError("a fault of this envelope alone")
            return await super().handle(command, *arguments, **more)

    async with running(database, tmp_path) as run, projecting(run):
        stuck = await run.send(ANA, deadline=run.clock.now() + HOUR / 2)
        other = await run.send(ANA, deadline=run.clock.now() + HOUR)
        run.clock.offset = 2 * HOUR
        ledger = Stubborn(run.deps.recorder, run.deps.vault, run.deps.invitations, run.clock)
        async with expiring(run, ledger=ledger):
            await until(lambda: ended(run, other))
        assert (await run.envelope(stuck.id)).status is EnvelopeStatus.SENT


@in_loop
async def test_a_database_that_goes_away_is_asked_again(database: DatabaseUrls, tmp_path: Path) -> None:
    failures = 3

    async def sometimes(conn: AsyncConnection, now: datetime, limit: int) -> Sequence[UUID]:
        nonlocal failures
        if failures:
            failures -= 1
            await conn.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return await envelopes.due(conn, now, limit)

    async with running(database, tmp_path) as run, projecting(run):
        sent = await run.send(ANA, deadline=run.clock.now() + HOUR)
        run.clock.offset = 2 * HOUR
        async with expiring(run, due=sometimes):
            await until(lambda: ended(run, sent))
    assert failures == 0
