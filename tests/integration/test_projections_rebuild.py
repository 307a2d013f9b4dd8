"""Rebuilding: the same tables as by following, swapped in whole while everything goes on."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from domain.actor import Mode
from domain.template import AddVersion, CreateTemplate, DefineFields, Field, FieldType, StoredFile, StoreFile
from infrastructure.database import DatabaseUrls, connect
from infrastructure.following import Connection, Follower, places
from infrastructure.notifications import LogListener
from projections import PROJECTIONS
from projections import rebuild as rebuild_module
from projections.projection import Item
from projections.rebuild import ensure_tables, rebuild
from projections.runner import Runner
from tests.histories import RecordedLog
from tests.integration.read_side import append, envelopes, positions, tallied, tally
from tests.integration.test_following import eventually

NAMES = tuple(each.name for each in PROJECTIONS)


@pytest.fixture
def owner(database: DatabaseUrls) -> Iterator[Connection]:
    with connect(database.owner) as conn:
        yield conn


@pytest.fixture
def following(database: DatabaseUrls) -> Iterator[None]:
    """Keeps the tallies a and b up to date, in small steps."""
    ensure_tables(database.owner, [tally("a"), tally("b")])
    listener = LogListener(database.service)
    listener.start()
    follower = Follower(database.service, "projections", Runner([tally("a"), tally("b")], batch=3).step, listener)
    follower.start()
    yield
    follower.close()
    listener.close()


def test_a_rebuild_in_the_middle_of_everything_loses_and_repeats_nothing(
    database: DatabaseUrls, owner: Connection, following: None
) -> None:
    done = threading.Event()
    append(owner, envelopes(1))
    owner.execute("LISTEN countersign_read")

    def keep_appending() -> int:
        head, seed = 0, 1
        with connect(database.service) as conn:
            while not done.is_set():
                seed += 1
                head = append(conn, envelopes(1, seed))
        return head

    with ThreadPoolExecutor(1) as threads:
        appending = threads.submit(keep_appending)
        try:
            for _ in range(5):
                assert rebuild(database.owner, [tally("a")]).entries > 0
                assert rebuild(database.owner, [tally("a"), tally("b")]).projections == ("a", "b")
        finally:
            done.set()
    head = appending.result()
    eventually(lambda: positions(database.owner) == {"a": (head, "running"), "b": (head, "running")}, 30)
    assert tallied(database.owner, "a") == tallied(database.owner, "b") == list(range(1, head + 1))
    announced = [notice.payload.split() for notice in owner.notifies(timeout=0.5)]
    for name in ("a", "b"):
        heard = [int(position) for projection, position, _ in announced if projection == name]
        assert heard == sorted(heard), "a position went back, so a read that trusted it may have been a stale one"
        assert heard[-1] == head


def test_rows_that_left_the_memory_come_back_whole(
    database: DatabaseUrls, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild_module, "BATCH", 1)
    monkeypatch.setattr(rebuild_module, "ROWS_KEPT", 4)
    monkeypatch.setattr(rebuild_module, "_CLOSE", 1)
    log = RecordedLog()
    one, other = log.uuid(), log.uuid()
    name = log.personal("Contract")
    field = Field("signature", FieldType.SIGNATURE)
    for command in (
        CreateTemplate(log.tenant, Mode.LIVE, one, name, None),
        AddVersion(one, name, None),
        CreateTemplate(log.tenant, Mode.LIVE, other, name, None),
        AddVersion(other, name, None),
        DefineFields(one, (field,)),
        StoreFile(one, 1, StoredFile("ab" * 32, 1000, 1)),
    ):
        log.on_template(command, command.template)
    append(owner, log.rows)
    rebuild(database.owner)
    versions = (
        "SELECT version, sha256, jsonb_array_length(fields) FROM read.template_versions WHERE template = %s ORDER BY version"
    )
    assert owner.execute(versions, [one]).fetchall() == [(1, "ab" * 32, 0), (2, None, 1)]
    assert owner.execute(versions, [other]).fetchall() == [(1, None, 0), (2, None, 0)]


def test_a_rebuild_starts_a_stopped_projection_again_and_tells_how_far_it_is(database: DatabaseUrls, owner: Connection) -> None:
    ensure_tables(database.owner, [tally()])
    head = append(owner, envelopes(2))
    owner.execute("UPDATE read.positions SET status = 'stopped', error = 'a mistake of ours', position = 3")
    told: list[tuple[int, int]] = []
    assert rebuild(database.owner, [tally()], lambda *progress: told.append(progress)).entries == head
    assert told[0] == (0, head)
    assert told[-1] == (head, head)
    place = places(owner)["tally"]
    assert (place.position, place.running, place.error) == (head, True, None)


def test_a_rebuild_that_fails_leaves_the_old_tables_and_the_next_starts_over(database: DatabaseUrls, owner: Connection) -> None:
    ensure_tables(database.owner, [tally()])
    head = append(owner, envelopes(2))
    with connect(database.service) as conn:
        while Runner([tally()], batch=10).step(conn):
            pass

    def refuse(item: Item) -> None:
        if item.position == head:
            raise LookupError("no such thing")

    with pytest.raises(LookupError):
        rebuild(database.owner, [tally(on_item=refuse)])
    assert tallied(database.owner) == list(range(1, head + 1))
    assert positions(database.owner)["tally"] == (head, "running")
    rebuild(database.owner, [tally()])
    assert tallied(database.owner) == list(range(1, head + 1))


def test_tables_are_made_once_however_many_processes_start(database: DatabaseUrls, owner: Connection) -> None:
    append(owner, envelopes(1))
    with ThreadPoolExecutor(6) as threads:
        made = list(threads.map(lambda _: ensure_tables(database.owner), range(6)))
    assert sorted(made, reverse=True) == [NAMES, (), (), (), (), ()]
    assert ensure_tables(database.owner) == ()


def test_a_new_form_of_a_table_is_made_from_the_whole_log(database: DatabaseUrls, owner: Connection) -> None:
    ensure_tables(database.owner, [tally("a"), tally("b")])
    head = append(owner, envelopes(1))
    changed = tally("a", ddl="ALTER TABLE a ADD COLUMN note text;")
    assert ensure_tables(database.owner, [changed, tally("b")]) == ("a",)
    assert tallied(database.owner, "a") == list(range(1, head + 1))
    assert owner.execute("SELECT note FROM read.a").fetchone() == (None,)
    assert positions(database.owner) == {"a": (head, "running"), "b": (0, "running")}
    assert ensure_tables(database.owner, [replace(changed, number=2)]) == ("a",)


def test_a_read_that_takes_long_is_let_finish(database: DatabaseUrls, owner: Connection) -> None:
    ensure_tables(database.owner)
    append(owner, envelopes(1))
    with connect(database.service) as conn, ThreadPoolExecutor(1) as threads:
        with conn.transaction():
            assert conn.execute("SELECT count(*) FROM read.envelopes").fetchone() == (0,)
            rebuilding = threads.submit(rebuild, database.owner)
            eventually(lambda: owner.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchall())
            assert not rebuilding.done()
        assert rebuilding.result(30).projections == NAMES
        assert conn.execute("SELECT count(*) FROM read.envelopes").fetchone() == (1,)


def test_the_service_may_fill_rebuilt_tables_and_nothing_is_left_beside_them(database: DatabaseUrls, owner: Connection) -> None:
    ensure_tables(database.owner)
    rebuild(database.owner)
    head = append(owner, envelopes(1))
    with connect(database.service) as conn:
        while Runner(PROJECTIONS).step(conn):
            pass
        assert conn.execute("SELECT count(*) FROM read.signers").fetchone() == (2,)
    assert set(positions(database.owner).values()) == {(head, "running")}
    assert owner.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'read_next'").fetchall() == []
