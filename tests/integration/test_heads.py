"""Heads manifests over a log: when one is made, what it says, and that crashes leave one history."""

import asyncio
import signal
import subprocess
import sys
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from typer.testing import CliRunner, Result

from api.cli import app
from domain.entry import decode
from domain.faults import FaultKind
from domain.heads import Head, verify_row
from domain.sealing import ENDINGS, HeadsRecorded, RecordHeads, ledger_stream
from infrastructure.codec import decode_fact
from infrastructure.database import DatabaseUrls, connect
from infrastructure.following import Follower
from infrastructure.fsck import fsck
from infrastructure.heads import BY, FOLLOWER, ManifestMaker, record_through
from infrastructure.ledger import NO_ANSWER
from infrastructure.reading import ReadsUnavailable
from tests.conftest import ORIGIN
from tests.histories import RecordedLog, Row
from tests.integration.cutting_proxy import Cut, CuttingProxy
from tests.integration.read_side import append, of_type
from tests.integration.test_cli_directory import failed
from tests.naive_heads import naive
from tests.running import Person, Running, in_loop, running

OWN = ledger_stream(ORIGIN)
PEOPLE = (Person("Ana Pérez", "ana@example.com"),)
ROOT = Path(__file__).parents[2]


def envelopes(count: int, seed: int = 1) -> list[Row]:
    """A log of envelopes, of which the first is open."""
    log = RecordedLog(seed=seed)
    log.drafted()
    for _ in range(count - 1):
        log.completed(documents=1)
    return log.rows


def heads_of(conn: psycopg.Connection[Any], position: int) -> list[Head]:
    """Where the streams of the log's first entries end, from all of these."""
    heads: dict[UUID, Head] = {}
    for stream, version, leaf, type_ in conn.execute(
        "SELECT stream, version, leaf, type FROM log WHERE position <= %s ORDER BY position", [position], binary=True
    ):
        closed = type_ in ENDINGS or (stream in heads and heads[stream].closed)
        heads[stream] = Head(stream, version, leaf, closed)
    return list(heads.values())


def put(database: DatabaseUrls, rows: Sequence[Row]) -> int:
    with connect(database.service) as conn:
        return append(conn, rows)


@dataclass
class Made:
    """A ledger with a maker of manifests, for which `every` passes only where a test lets it."""

    run: Running
    maker: ManifestMaker
    conn: psycopg.Connection[tuple[object, ...]]

    async def step(self) -> bool:
        return await asyncio.to_thread(self.maker.step, self.conn)

    async def steps(self) -> int:
        """Until there is nothing to do."""
        count = 0
        while await self.step():
            count += 1
        return count

    async def recorded(self) -> list[tuple[int, HeadsRecorded]]:
        """Positions and facts of the manifests in the log."""
        found = []
        for stored in await self.run.deps.recorder.read_stream(OWN):
            entry = decode(stored.raw)
            fact = decode_fact(entry.type, entry.data, entry.personal)
            assert isinstance(fact, HeadsRecorded)
            assert entry.by == {"kind": "follower", "id": "heads"}
            found.append((stored.position, fact))
        return found

    async def status(self) -> tuple[object, ...]:
        row = self.conn.execute("SELECT position, status, error FROM read.positions WHERE projection = %s", [FOLLOWER]).fetchone()
        assert row is not None
        return row


@asynccontextmanager
async def making(database: DatabaseUrls, folder: Path, *, every: float = 0, url: str | None = None) -> AsyncIterator[Made]:
    async with running(database, folder) as run:
        maker = ManifestMaker(ORIGIN, record_through(run.deps.ledger, ORIGIN), timedelta(seconds=every), run.clock)
        with connect(url or database.service) as conn:
            yield Made(run, maker, conn)


async def proves(made: Made, position: int) -> None:
    """The last manifest is that of so many entries, stands in the log, and each of their streams has a proof in it."""
    heads = heads_of(made.conn, position)
    latest = await made.run.deps.heads.latest()
    assert latest is not None
    assert (latest.position, latest.streams, latest.root) == (position, len(heads), naive(heads))
    assert (await made.recorded())[-1] == (latest.entry, HeadsRecorded(position, len(heads), latest.root.hex()))
    found = await made.run.deps.heads.prove(head.stream for head in heads)
    for head in heads:
        proof = found[head.stream]
        assert verify_row(proof.row, proof.path, latest.root) == head
        assert proof.manifest == latest


# What it says


@in_loop
async def test_a_manifest_has_every_stream_with_its_end(database: DatabaseUrls, tmp_path: Path) -> None:
    head = put(database, envelopes(6))
    async with making(database, tmp_path) as made:
        assert await made.run.deps.heads.latest() is None
        assert await made.run.deps.heads.prove([OWN]) == {}
        await made.steps()
        await proves(made, head)
        assert await made.run.deps.heads.prove([OWN, UUID(int=1)]) == {}
        assert await made.run.deps.heads.prove([]) == {}


@in_loop
async def test_the_next_manifest_moves_on_what_has_changed_and_holds_the_entry_of_the_one_before(
    database: DatabaseUrls, tmp_path: Path
) -> None:
    rows = envelopes(30)
    put(database, rows[:100])
    async with making(database, tmp_path) as made:
        for start in range(100, len(rows), 60):
            await made.steps()
            head = put(database, rows[start : start + 60])
        await made.steps()
        await proves(made, head)
        assert OWN in await made.run.deps.heads.prove([OWN])
        assert len(await made.recorded()) == 1 + len(range(100, len(rows), 60))


# When one is made


@in_loop
async def test_entries_wait_for_their_time_and_the_ledgers_own_wait_for_others(database: DatabaseUrls, tmp_path: Path) -> None:
    async with making(database, tmp_path, every=600) as made:
        await made.steps()
        await made.run.send(*PEOPLE)
        await made.steps()
        assert await made.recorded() == []
        made.run.clock.offset += timedelta(seconds=600)
        await made.steps()
        (first,) = await made.recorded()
        made.run.clock.offset += timedelta(seconds=6000)
        await made.steps()
        assert await made.recorded() == [first]  # it is itself an entry, and no reason for another
        assert await made.run.deps.heads.newest() < first[0] == await made.run.head()
        await made.run.send(*PEOPLE)
        await made.steps()
        made.run.clock.offset += timedelta(seconds=600)
        await made.steps()
        await proves(made, await made.run.head() - 1)


@in_loop
async def test_a_long_log_is_taken_in_by_portions(
    database: DatabaseUrls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infrastructure.heads.PORTION", 50)
    head = put(database, envelopes(8))
    async with making(database, tmp_path, every=1e6) as made:
        await made.steps()
        assert [fact.position for _, fact in await made.recorded()] == [50, 100, 150][: head // 50]
        await proves(made, head // 50 * 50)


@in_loop
async def test_many_who_want_a_manifest_share_it(database: DatabaseUrls, tmp_path: Path) -> None:
    head = put(database, envelopes(3))
    async with making(database, tmp_path, every=1e6) as made:
        heads = made.run.deps.heads
        assert await heads.want(head, 0.1) is None  # nobody follows
        follower = Follower(database.service, FOLLOWER, made.maker.step, made.run.listener)
        follower.start()
        try:
            wanted = await asyncio.gather(*(heads.want(position, 10) for position in range(head - 20, head + 1)))
            assert {it and it.position for it in wanted} == {head}
            await made.run.send(*PEOPLE)
            later = await heads.want(await made.run.head(), 10)
        finally:
            await asyncio.to_thread(follower.close)
        assert later is not None
        await proves(made, later.position)
        assert len(await made.recorded()) == 2


# What can go wrong


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_process_killed_around_the_append_leaves_one_fact(database: DatabaseUrls, tmp_path: Path, when: str) -> None:
    head = put(database, envelopes(3))
    killed = subprocess.run(
        [sys.executable, "-m", "tests.integration.heads_process", database.service, ORIGIN, when],
        cwd=ROOT,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr

    @in_loop
    async def goes_on() -> None:
        async with making(database, tmp_path) as made:
            assert len(await made.recorded()) == (when == "after")
            assert await made.run.deps.heads.latest() is None
            assert await made.steps() == 1
            await proves(made, head)
            assert len(await made.recorded()) == 1

    goes_on()


@pytest.mark.parametrize("cut", [Cut.BEFORE_IT_ARRIVES, Cut.BEFORE_THE_ANSWER])
@in_loop
async def test_a_commit_that_is_cut_off_moves_the_map_once_or_not_at_all(
    database: DatabaseUrls, tmp_path: Path, cut: Cut
) -> None:
    head = put(database, envelopes(3))
    proxy = CuttingProxy(database.service, commit=b"COMMIT\x00")
    async with making(database, tmp_path, url=proxy.url) as made:
        await made.step()  # takes its place
        proxy.cut_next(cut)
        with pytest.raises(psycopg.OperationalError):
            await made.step()
        assert proxy.cuts == 1
        made.conn = connect(database.service)
        assert (await made.status())[0] == (0 if cut is Cut.BEFORE_IT_ARRIVES else head)
        await made.steps()
        await proves(made, head)
        assert len(await made.recorded()) == 1
        made.conn.close()
    proxy.close()


@in_loop
async def test_nothing_is_proven_from_a_manifest_that_is_not_recorded_yet(
    database: DatabaseUrls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = put(database, envelopes(3))
    async with making(database, tmp_path) as made:
        await made.step()
        await made.step()
        stream = heads_of(made.conn, head)[0].stream
        waiting = asyncio.create_task(made.run.deps.heads.prove([stream]))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await made.step()
        latest = await made.run.deps.heads.latest()
        assert latest is not None
        proof = (await waiting)[stream]
        assert verify_row(proof.row, proof.path, latest.root).stream == stream
        made.conn.execute("INSERT INTO manifests (position, streams, root) VALUES (%s, 1, %s)", [head + 1, bytes(32)])
        monkeypatch.setattr("infrastructure.heads._PENDING_SECONDS", 0.1)
        with pytest.raises(ReadsUnavailable, match="not recorded"):
            await made.run.deps.heads.prove([stream])


@in_loop
async def test_a_damaged_map_is_neither_built_on_nor_proven_from(database: DatabaseUrls, tmp_path: Path) -> None:
    put(database, envelopes(3))
    async with making(database, tmp_path) as made:
        await made.steps()
        made.conn.execute(
            "UPDATE manifest_nodes SET content = set_bit(content, 200, 1 - get_bit(content, 200)) WHERE prefix = ''"
        )
        with pytest.raises(ReadsUnavailable, match="does not hash"):
            await made.run.deps.heads.prove([UUID(int=1)])
        position, *_ = await made.status()
        await made.run.send(*PEOPLE)
        await made.steps()
        assert await made.status() == (position, "stopped", "the stored node '' does not hash to what stands above it")
        assert await made.run.deps.heads.stopped() == "the stored node '' does not hash to what stands above it"
        assert await made.run.deps.heads.want(await made.run.head(), 60) is None
        assert len(await made.recorded()) == 1


@in_loop
async def test_rows_that_are_not_what_their_bytes_say_stop_it(database: DatabaseUrls, tmp_path: Path) -> None:
    rows = envelopes(2)
    put(database, [*rows[:5], of_type(rows[5], "signing.completed/1"), *rows[6:]])
    async with making(database, tmp_path) as made:
        await made.steps()
        assert await made.status() == (0, "stopped", "entry 6 does not say what its row says")
        assert await made.recorded() == []


@in_loop
async def test_a_manifest_that_contradicts_the_log_stops_it(database: DatabaseUrls, tmp_path: Path) -> None:
    """As when the tables of the map are older than the log, or another's."""
    head = put(database, envelopes(2))
    async with making(database, tmp_path) as made:
        await made.steps()
        with connect(database.owner) as owner:
            owner.execute("UPDATE manifests SET root = sha256(root), entry = NULL")
        await made.steps()
        position, status, error = await made.status()
        assert (position, status) == (head, "stopped")
        assert "recorded up to entry" in str(error)
        assert len(await made.recorded()) == 1


# fsck


@in_loop
async def test_fsck_computes_the_last_manifest_again(database: DatabaseUrls, tmp_path: Path) -> None:
    def faults() -> list[tuple[FaultKind, int | None, str]]:
        with closing(fsck(database.service)) as report:
            assert "the heads manifest that entry" in report.checked[-1]
            return [(fault.kind, fault.position, fault.detail) for fault in report.faults]

    async with making(database, tmp_path) as made:
        for _ in range(3):
            await made.run.send(*PEOPLE)
            await made.steps()
        entry = (await made.recorded())[-1][0]
        assert faults() == []
        with connect(database.owner) as owner:
            owner.execute("UPDATE manifests SET streams = streams + 1")
        of_proofs = "the heads manifest that proofs come from is another than the recorded one"
        assert faults() == [(FaultKind.HEAD_MISMATCH, entry, of_proofs)]
        wrong = HeadsRecorded(entry, 7, "ab" * 32)
        await made.run.deps.ledger.handle(RecordHeads(OWN, wrong), BY, lambda outcome: NO_ANSWER)
        of_log = f"the heads manifest of {entry} entries is not that of the entries in the log"
        assert faults() == [(FaultKind.HEAD_MISMATCH, entry + 1, of_log)]


# At a terminal


Terminal = Callable[..., Result]


@pytest.fixture
def terminal(database: DatabaseUrls, tmp_path: Path) -> Terminal:
    keys = {"COUNTERSIGN_SECRET_KEY": b"s" * 32, "COUNTERSIGN_MASTER_KEY": b"m" * 32}
    settings = {name: b64encode(key).decode() for name, key in keys.items()}
    settings |= {"DATABASE_URL": database.owner, "COUNTERSIGN_DATA": str(tmp_path), "COUNTERSIGN_ORIGIN": ORIGIN}
    return lambda *words: CliRunner().invoke(app, ["heads", *words], env=settings)


def test_countersign_heads_makes_one_itself_where_nobody_follows(terminal: Terminal, database: DatabaseUrls) -> None:
    assert "nothing to record" in failed(terminal())
    head = put(database, envelopes(2))
    first = terminal()
    assert first.exit_code == 0, first.output
    with connect(database.service) as conn:
        heads = heads_of(conn, head)
    assert first.stdout.split() == [
        *("position", str(head)),
        *("entry", str(head + 1)),
        *("streams", str(len(heads))),
        *("root", naive(heads).hex()),
    ]
    assert terminal().stdout == first.stdout


def test_a_damaged_map_is_made_anew_from_the_log(terminal: Terminal, database: DatabaseUrls) -> None:
    head = put(database, envelopes(4))
    terminal()
    with connect(database.owner) as conn:
        conn.execute("UPDATE manifest_nodes SET content = substring(content FROM 2)")
        put(database, envelopes(2, seed=2))
        assert "Heads are no longer recorded: the stored node '' is damaged" in failed(terminal())
        mended = terminal("--mend")
        assert mended.exit_code == 0, mended.output
        position = int(mended.stdout.split()[1])
        assert position > head + 1
        assert naive(heads_of(conn, position)).hex() in mended.stdout
        with closing(fsck(database.service)) as report:
            assert [fault.detail for fault in report.faults if fault.stream == OWN] == []
