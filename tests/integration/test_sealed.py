"""Reading what is sealed: checkpoints, tiles narrower than the stored ones, entries, and proofs that verify; and `fsck` over it."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from domain.entry import decode, leaf_hash
from domain.faults import Faults, Verdict
from domain.merkle import ProofError, root_of, verify_consistency, verify_inclusion
from domain.sealing import KeyAdded, ledger_stream
from domain.tiles import Bundle, Tile, encode_tile, tiles
from infrastructure.database import DatabaseUrls, async_pool, connect
from infrastructure.fsck import fsck
from infrastructure.fsck_sealed import SealedTree
from infrastructure.sealed import Sealed
from tests.conftest import ORIGIN, Server
from tests.histories import RecordedLog, Row, store
from tests.integration.sealing import change, keys_in, seal
from tests.running import in_loop


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """A log whose first entry names the key."""
    log = RecordedLog(origin=ORIGIN)
    key = keys_in(tmp_path_factory.getbasetemp() / "sealed").signing()[0].key
    log.record({ledger_stream(ORIGIN): [KeyAdded(str(key))]})
    for _ in range(35):
        log.completed(documents=1)
    return log.rows


@pytest.fixture(scope="module")
def leaves(rows: list[Row]) -> list[bytes]:
    return [leaf_hash(row.raw) for row in rows]


@pytest.fixture(scope="module")
def sealed_database(
    server: Server, migrated_template: str, rows: list[Row], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DatabaseUrls]:
    """Sealed in steps of 100 entries; the last checkpoint is not published."""
    name = "sealed_" + random.randbytes(6).hex()
    urls = server.create(name, migrated_template)
    with connect(urls.owner) as conn:
        store(conn, rows, at=decode(rows[-1].raw).at)
        seal(conn, tmp_path_factory.getbasetemp() / "sealed", batch=100)
        change(conn, f"UPDATE checkpoints SET published = size < {len(rows)}")
    yield urls
    server.drop(name)


@asynccontextmanager
async def reading(urls: DatabaseUrls) -> AsyncIterator[Sealed]:
    async with async_pool(urls.service) as pool:
        yield Sealed(pool)


@in_loop
async def test_published_checkpoints_are_found_by_size_and_by_what_they_cover(
    sealed_database: DatabaseUrls, leaves: list[bytes]
) -> None:
    last = len(leaves) // 100 * 100
    async with reading(sealed_database) as sealed:
        latest, at, covering = await asyncio.gather(sealed.latest(), sealed.at(100), sealed.covering(101))
        assert latest is not None
        assert at is not None
        assert covering is not None
        assert (latest.size, at.size, covering.size) == (last, 100, 200)
        assert covering.root == root_of(leaves[:200])
        assert covering.signed() == covering.note
        assert await sealed.at(len(leaves)) is None, "not published"
        assert await sealed.wait(last + 1, 0.2) is None
        assert await sealed.alarm() is None


@in_loop
async def test_cosignatures_stand_under_the_logs_own(database: DatabaseUrls, tmp_path: Path, rows: list[Row]) -> None:
    with connect(database.owner) as conn:
        store(conn, rows[:5], at=decode(rows[4].raw).at)
    async with reading(database) as sealed:
        waiting = asyncio.create_task(sealed.wait(5, 10))
        assert await sealed.latest() is None
        with connect(database.service) as conn:
            seal(conn, tmp_path)
            for name in ("w2", "w1"):
                conn.execute("INSERT INTO cosignatures VALUES (5, %s, '1234', %s, now())", [name, f"— {name} AAAA"])
            conn.execute("UPDATE sealing SET alarm = 'because', alarm_position = 4, alarm_at = now()")
        assert await waiting is not None
        latest, alarm = await sealed.latest(), await sealed.alarm()
        assert latest is not None
        assert alarm is not None
        assert latest.signed() == latest.note + "— w1 AAAA\n— w2 AAAA\n".encode()
        assert (alarm.reason, alarm.position) == ("because", 4)


@in_loop
async def test_tiles_and_bundles_of_every_published_size_are_served(
    sealed_database: DatabaseUrls, rows: list[Row], leaves: list[bytes]
) -> None:
    async with reading(sealed_database) as sealed:
        for size in (100, 256, 300, 512):
            for tile in tiles(size):
                if tile.level == 0:
                    start = tile.index * 256
                    assert await sealed.tile(tile) == encode_tile(leaves[start : start + tile.width])
                    bundle = Bundle(tile.index, tile.width)
                    assert await sealed.entries(bundle) == [row.raw for row in rows[start : start + tile.width]]
        assert await sealed.tile(Tile(1, 0, 1)) == root_of(leaves[:256])
        beyond = [tile for tile in tiles(len(leaves)) if tile not in set(tiles(len(leaves) // 100 * 100))]
        assert beyond
        assert [await sealed.tile(tile) for tile in beyond] == [None] * len(beyond)
        assert await sealed.entries(Bundle(beyond[0].index, beyond[0].width)) is None


@in_loop
async def test_a_bundle_without_all_its_entries_is_not_served(database: DatabaseUrls, tmp_path: Path, rows: list[Row]) -> None:
    with connect(database.owner) as conn:
        store(conn, rows[:5], at=decode(rows[4].raw).at)
        seal(conn, tmp_path)
        change(conn, "DELETE FROM log WHERE position = 2")
    async with reading(database) as sealed:
        assert await sealed.entries(Bundle(0, 1)) == [rows[0].raw]
        assert await sealed.entries(Bundle(0, 5)) is None


@in_loop
async def test_proofs_verify_against_the_roots_of_their_sizes(sealed_database: DatabaseUrls, leaves: list[bytes]) -> None:
    chance, last = random.Random(4), len(leaves) // 100 * 100
    roots = {size: root_of(leaves[:size]) for size in (1, 2, 255, 256, 257, *chance.sample(range(3, last), 12), last)}
    async with reading(sealed_database) as sealed:
        for size, root in roots.items():
            indexes = sorted({0, size - 1, *(chance.randrange(size) for _ in range(4))})
            for index, proof in (await sealed.inclusions(indexes, size)).items():
                verify_inclusion(leaves[index], index, size, proof, root)
            for old in (old for old in roots if old <= size):
                verify_consistency(old, size, await sealed.consistency(old, size), roots[old], root)
        for impossible in (
            sealed.inclusion(0, len(leaves)),
            sealed.inclusion(5, 5),
            sealed.consistency(0, 5),
            sealed.consistency(6, 5),
        ):
            with pytest.raises(ProofError):
                await impossible


CHANGES = {
    "UPDATE log SET entry = rows.entry FROM (SELECT entry FROM log WHERE position = 43) AS rows WHERE position = 30": 1,
    "UPDATE tiles SET content = set_bit(content, 0, 1 - get_bit(content, 0)) WHERE (level, index) = (0, 1)": 257,
    "UPDATE tiles SET content = set_bit(content, 0, 1 - get_bit(content, 0)) WHERE level = 1": 1,
    "DELETE FROM tiles WHERE (level, index) = (0, 2)": 513,
    "UPDATE checkpoints SET root = substring(note FOR 32) WHERE size = 300": 300,
    "UPDATE checkpoints SET note = (SELECT note FROM checkpoints WHERE size = 200) WHERE size = 300": 300,
    "UPDATE checkpoints SET note = overlay(note PLACING '\\x42' FROM 150) WHERE size = 300": 300,
    "UPDATE sealing SET alarm = 'because', alarm_position = 9, alarm_at = now()": 9,
}


def test_fsck_compares_what_is_sealed(sealed_database: DatabaseUrls, rows: list[Row]) -> None:
    with closing(fsck(sealed_database.service)) as report:
        assert (report.verdict, list(report.faults)) == (Verdict.VALID, [])
        assert f"each of {len(rows) // 100 + 1} checkpoints" in "".join(report.checked)


@pytest.mark.parametrize(("statement", "position"), CHANGES.items())
def test_fsck_names_where_what_is_sealed_differs(statement: str, position: int, sealed_database: DatabaseUrls) -> None:
    faults = Faults()
    with connect(sealed_database.owner) as conn, conn.transaction(force_rollback=True):
        change(conn, statement)
        tree = SealedTree(conn, ORIGIN, faults)
        for (raw,) in conn.execute("SELECT entry FROM log ORDER BY position"):
            tree.push(raw)
        tree.finish()
    found = [fault.position for fault in faults]
    assert position in found
    assert len(found) <= 2, "a cause is named once for the tiles and once for the checkpoints"
