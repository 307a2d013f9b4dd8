"""What the tests of the sealer share: a log to seal, a sealer over it, and a judge of everything that was sealed."""

from pathlib import Path

from domain.checkpoint import parse_checkpoint
from domain.entry import leaf_hash
from domain.merkle import root_of
from domain.note import open_note
from domain.tiles import tiles
from infrastructure.clock import SystemClock
from infrastructure.following import Connection
from infrastructure.log_keys import LogKeys
from infrastructure.sealer import Sealer
from infrastructure.signing_keys import verify_ed25519
from tests.conftest import ORIGIN


def keys_in(folder: Path) -> LogKeys:
    """The keys of a data folder, with a first one made."""
    folder.mkdir(parents=True, exist_ok=True)
    keys = LogKeys(ORIGIN, folder)
    if not keys.signing():
        keys.add()
    return keys


def seal(conn: Connection, folder: Path, *, batch: int = 4_000) -> int:
    """Seals all there is, as a process does that has just started; answers up to where the log is sealed then."""
    sealer = Sealer(keys_in(folder), folder, SystemClock(), batch=batch)
    while sealer.step(conn):
        pass
    row = conn.execute("SELECT size FROM sealing").fetchone()
    assert row is not None
    return int(row[0])


def alarm(conn: Connection) -> tuple[str, int | None] | None:
    """Why nothing is signed, and the position."""
    return conn.execute("SELECT alarm, alarm_position FROM sealing WHERE alarm IS NOT NULL").fetchone()


def change(conn: Connection, statement: str) -> None:
    """Does what only whoever owns the database can do: with the triggers off."""
    tables = ("log", "tiles", "checkpoints", "cosignatures")
    for table in tables:
        conn.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER".encode())
    conn.execute(statement.encode())
    for table in tables:
        conn.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER".encode())


def judge(conn: Connection, folder: Path) -> list[int]:
    """Asserts that there is one consistent history: each checkpoint is that of the log's beginning, and the tiles are the tree's.

    Answers the sizes of the checkpoints.
    """
    known = keys_in(folder).known()
    leaves = [leaf_hash(raw) for (raw,) in conn.execute("SELECT entry FROM log ORDER BY position")]
    signed = conn.execute("SELECT size, root, note FROM checkpoints ORDER BY size").fetchall()
    stored = {(level, index): content for level, index, content in conn.execute("SELECT level, index, content FROM tiles")}
    for size, root, note in signed:
        checkpoint = parse_checkpoint(open_note(note, known, verify_ed25519).text)
        assert (checkpoint.origin, checkpoint.size, checkpoint.root, root) == (
            ORIGIN,
            size,
            root_of(leaves[:size]),
            checkpoint.root,
        )
    last = signed[-1][0] if signed else 0
    wanted = {(tile.level, tile.index): tile.width * 32 for tile in tiles(last)}
    assert {place: len(content) for place, content in stored.items()} == wanted
    level_0 = b"".join(stored[0, index] for index in range(-(-last // 256)))
    assert level_0 == b"".join(leaves[:last])
    kept = folder / "checkpoint"
    if kept.exists():
        checkpoint = parse_checkpoint(open_note(kept.read_bytes(), known, verify_ed25519).text)
        assert checkpoint.root == root_of(leaves[: checkpoint.size])
    return [size for size, _, _ in signed]
