"""The sealer: one history, signed as it grows, and not signed for once anything disagrees."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from domain.note import parse_note
from domain.sealing import ENDINGS, KeyAdded, ledger_stream
from infrastructure.clock import SystemClock
from infrastructure.database import DatabaseUrls, connect
from infrastructure.following import Connection
from infrastructure.log_keys import LastKey
from infrastructure.sealer import Publication, Sealer, resume
from tests.conftest import ORIGIN, Server
from tests.histories import RecordedLog
from tests.integration.read_side import append, envelopes
from tests.integration.sealing import alarm, change, judge, keys_in, seal
from tests.integration.sealing_process import MOMENTS
from tests.integration.test_following import eventually

SEALED, HEAD = 60, 75


@pytest.fixture(scope="module")
def half_sealed(server: Server, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The owner's URL of a database with a log of 75 entries, of which 60 are sealed, and the data folder."""
    folder, name = tmp_path_factory.mktemp("data"), f"half_sealed_{uuid4().hex[:12]}"
    urls = server.create(name, migrated_template)
    rows = envelopes(5)
    with connect(urls.service) as conn:
        for some in (rows[:40], rows[40:SEALED]):
            append(conn, some)
            seal(conn, folder)
        append(conn, rows[SEALED:HEAD])
    yield urls.owner, folder
    server.drop(name)


@pytest.fixture
def conn(half_sealed: tuple[str, Path]) -> Iterator[Connection]:
    """The owner's connection to that database, in a transaction that comes to nothing."""
    with connect(half_sealed[0]) as conn, conn.transaction(force_rollback=True):
        yield conn


@pytest.fixture
def folder(half_sealed: tuple[str, Path], tmp_path: Path) -> Path:
    """A copy of that data folder."""
    return shutil.copytree(half_sealed[1], tmp_path / "data")


EMPTY = (
    "TRUNCATE log, heads, tiles, checkpoints CASCADE; UPDATE log_head SET position = 0;"
    " UPDATE sealing SET size = 0, frontier = decode('0000000000000000', 'hex')"
)


def test_a_log_is_sealed_in_steps_each_under_a_checkpoint_of_its_beginning(conn: Connection, tmp_path: Path) -> None:
    change(conn, EMPTY)
    assert seal(conn, tmp_path) == 0
    assert judge(conn, tmp_path) == [], "an empty log has no checkpoint"
    head = append(conn, envelopes(16))
    assert head > 256, "too few entries for a full tile"
    assert seal(conn, tmp_path, batch=100) == head
    assert judge(conn, tmp_path) == [*range(100, head, 100), head]
    further = append(conn, envelopes(2, seed=2))
    assert seal(conn, tmp_path) == further
    assert seal(conn, tmp_path) == further, "nothing new"
    assert judge(conn, tmp_path)[-2:] == [head, further]
    assert alarm(conn) is None


def test_new_entries_wait_for_their_time_and_ends_do_not(conn: Connection, tmp_path: Path) -> None:
    change(conn, EMPTY)
    rows = envelopes(2)
    end = next(index for index, row in enumerate(rows) if row.type in ENDINGS)
    sealer = Sealer(keys_in(tmp_path), tmp_path, SystemClock(), checkpoint_seconds=0.8)
    append(conn, rows[:1])
    sealer.step(conn)
    append(conn, rows[1:end])
    sealer.step(conn)
    assert judge(conn, tmp_path) == [1], "the second checkpoint came at once"
    time.sleep(0.3)
    sealer.step(conn)
    assert judge(conn, tmp_path) == [1, end]
    append(conn, rows[end : end + 1])
    sealer.step(conn)
    assert judge(conn, tmp_path) == [1, end, end + 1]


def test_with_witnesses_a_checkpoint_is_published_later(conn: Connection, folder: Path) -> None:
    Sealer(keys_in(folder), folder, SystemClock(), publication=Publication.AFTER_WITNESSES).step(conn)
    assert conn.execute("SELECT size, published FROM checkpoints ORDER BY size").fetchall() == [
        (40, True),
        (SEALED, True),
        (HEAD, False),
    ]
    seal(conn, folder)
    assert conn.execute("SELECT published FROM checkpoints ORDER BY size").fetchall() == [(True,)] * 3, (
        "nobody asks them any more"
    )


def test_a_sealer_killed_at_any_crash_point_is_followed_by_another_with_one_history(
    database: DatabaseUrls, data_folder: Path
) -> None:
    keys_in(data_folder)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    program = [sys.executable, "-m", "tests.integration.sealing_process", database.service, str(data_folder)]
    processes = {
        moment: subprocess.Popen([*program, moment], stdin=subprocess.PIPE, env=environment, text=True)
        for moment in (*MOMENTS, "never")
    }

    def begin(moment: str) -> "subprocess.Popen[str]":
        found = processes[moment]
        assert found.stdin is not None
        found.stdin.write("begin\n")
        found.stdin.flush()
        return found

    kept = data_folder / "checkpoint"
    conn = connect(database.owner)
    try:
        append(conn, envelopes(2))
        assert begin("signed").wait(30) == -signal.SIGKILL
        assert (judge(conn, data_folder), kept.exists()) == ([], False)
        assert begin("kept").wait(30) == -signal.SIGKILL
        assert (judge(conn, data_folder), kept.exists()) == ([], True), "the file is ahead"
        assert begin("sealed").wait(30) == -signal.SIGKILL
        assert judge(conn, data_folder) == [20]
        begin("never")
        head = append(conn, envelopes(1, seed=2))
        eventually(lambda: judge(conn, data_folder)[-1] == head)
        assert alarm(conn) is None
    finally:
        for process in processes.values():
            process.kill()
            process.communicate()
        conn.close()


#: What somebody changes who owns the database, with 60 entries signed and 15 more to be, and the position that is told.
TAMPERING = {
    "a bit of an entry": ("UPDATE log SET entry = set_bit(entry, 100, 1 - get_bit(entry, 100)) WHERE position = 70", 70),
    "a bit of a leaf": ("UPDATE log SET leaf = set_bit(leaf, 9, 1 - get_bit(leaf, 9)) WHERE position = 61", 61),
    "an entry gone": ("DELETE FROM log WHERE position = 66", 66),
    "the newest entry gone": ("DELETE FROM log WHERE position = 75", 75),
    "a log cut short": ("UPDATE log_head SET position = 50", 51),
    "the frontier": ("UPDATE sealing SET frontier = set_bit(frontier, 200, 1 - get_bit(frontier, 200))", SEALED),
    "no frontier": ("UPDATE sealing SET frontier = substring(frontier FOR 50)", SEALED),
    "sealing set back": ("UPDATE sealing SET size = 40, frontier = decode('0000000000000000', 'hex')", 40),
    "a tile": ("UPDATE tiles SET content = set_bit(content, 80, 1 - get_bit(content, 80))", SEALED),
    "a tile gone": ("DELETE FROM tiles", SEALED),
    "a wider tile": ("UPDATE tiles SET content = content || content", HEAD),
    "a checkpoint gone": ("DELETE FROM checkpoints WHERE size = 60", SEALED),
    "another root": (
        "UPDATE checkpoints SET note = overlay(note PLACING convert_to('A', 'UTF8') FROM 36) WHERE size = 60",
        SEALED,
    ),
    "an older note": ("UPDATE checkpoints SET note = (SELECT note FROM checkpoints WHERE size = 40) WHERE size = 60", SEALED),
}


@pytest.mark.parametrize("what", TAMPERING)
def test_nothing_is_signed_over_what_was_changed(what: str, conn: Connection, folder: Path) -> None:
    statement, position = TAMPERING[what]
    change(conn, statement)
    before = conn.execute("SELECT size, note FROM checkpoints ORDER BY size").fetchall()
    kept = (folder / "checkpoint").read_bytes()
    seal(conn, folder)
    found = alarm(conn)
    assert found is not None
    assert found[1] == position, found
    assert conn.execute("SELECT size, note FROM checkpoints ORDER BY size").fetchall() == before
    assert (folder / "checkpoint").read_bytes() == kept


def test_a_refusal_stays_until_somebody_acts_and_then_everything_is_judged_anew(
    conn: Connection, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    flip = "UPDATE log SET entry = set_bit(entry, 7, 1 - get_bit(entry, 7)) WHERE position = 70"
    change(conn, flip)
    assert seal(conn, folder) == SEALED
    assert "position 70" in caplog.text
    change(conn, flip)
    assert seal(conn, folder) == SEALED, "it was put right, but nobody has looked"
    assert resume(conn)
    assert not resume(conn)
    assert seal(conn, folder) == HEAD
    assert judge(conn, folder) == [40, SEALED, HEAD]


def test_a_database_that_was_set_back_is_refused_even_if_it_has_grown_since(conn: Connection, folder: Path) -> None:
    assert seal(conn, folder) == HEAD
    change(conn, EMPTY)
    append(conn, envelopes(5)[:SEALED])
    assert seal(conn, folder) == 0
    told = f"the database was set back: its log ends at {SEALED}, but {HEAD} entries were signed"
    assert alarm(conn) == (told, SEALED + 1)
    append(conn, envelopes(5, seed=2)[:20])
    resume(conn)
    assert seal(conn, folder) == 0
    found = alarm(conn)
    assert found is not None
    assert "does not continue the one signed last" in found[0]


def test_what_was_signed_is_signed_again_when_only_the_tables_of_the_sealer_are_lost(conn: Connection, folder: Path) -> None:
    change(conn, EMPTY)
    append(conn, envelopes(5)[:HEAD])
    assert seal(conn, folder, batch=30) == HEAD
    assert judge(conn, folder) == [30, SEALED, HEAD]


def test_another_history_that_was_signed_with_the_key_is_not_continued(conn: Connection, folder: Path, tmp_path: Path) -> None:
    change(conn, EMPTY)
    append(conn, envelopes(5, seed=3)[:HEAD])
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(folder / "log-1.key", other)
    assert seal(conn, other) == HEAD
    append(conn, envelopes(1, seed=4))
    assert seal(conn, folder) == HEAD
    found = alarm(conn)
    assert found is not None
    assert found[1] == SEALED


@pytest.mark.parametrize("content", [b"", b"nothing\n", b"\xff"])
def test_a_file_of_the_last_checkpoint_that_was_changed_is_not_passed_over(
    content: bytes, conn: Connection, folder: Path
) -> None:
    (folder / "checkpoint").write_bytes(content)
    assert seal(conn, folder) == SEALED
    found = alarm(conn)
    assert found is not None
    assert "cannot be believed" in found[0]


def test_after_a_rotation_both_keys_sign_and_after_the_retirement_the_new_one(conn: Connection, folder: Path) -> None:
    keys = keys_in(folder)
    (old,) = keys.signing()
    new = keys.add()
    assert seal(conn, folder) == HEAD
    note = parse_note((folder / "checkpoint").read_bytes())
    assert [each.id for each in note.signatures] == [old.key.id, new.key.id]
    (folder / "log-1.retired").write_text(f"{old.key}\n")
    assert [each.key for each in keys.signing()] == [old.key, new.key], "killed before it was at an end"
    keys.retire(old.key)
    assert judge(conn, folder)[-1] == HEAD, "what the old key has signed is still known"
    head = append(conn, envelopes(1, seed=9))
    assert seal(conn, folder) == head
    note = parse_note((folder / "checkpoint").read_bytes())
    assert [each.id for each in note.signatures] == [new.key.id]
    with pytest.raises(LastKey):
        keys.retire(new.key)


def test_a_host_that_takes_over_believes_what_it_signed_itself_with_a_key_that_is_retired_by_now(
    conn: Connection, folder: Path, tmp_path: Path
) -> None:
    active = shutil.copytree(folder, tmp_path / "active")
    keys = keys_in(active)
    (old,) = keys.signing()
    keys.add()
    log = RecordedLog()
    log.record({ledger_stream(ORIGIN): [KeyAdded(str(old.key))]})
    append(conn, log.rows)
    seal(conn, active)
    keys.retire(old.key)
    (folder / "log-1.key").unlink()
    shutil.copy(active / "log-2.key", folder)
    head = append(conn, envelopes(1, seed=9))
    assert seal(conn, folder) == head
    assert alarm(conn) is None


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM tiles",
        "TRUNCATE checkpoints CASCADE",
        "UPDATE tiles SET content = substring(content FOR 32)",
        "UPDATE tiles SET content = set_bit(content, 1, 1 - get_bit(content, 1))",
        "UPDATE tiles SET index = 7",
        "UPDATE checkpoints SET published = false",
        "UPDATE checkpoints SET root = substring(note FOR 32)",
    ],
)
def test_what_was_signed_can_not_be_changed(statement: str, conn: Connection) -> None:
    with pytest.raises(psycopg.errors.RestrictViolation):
        conn.execute(statement.encode())
