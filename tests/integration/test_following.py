"""The followers' loop: exactly once, one at a time, back after every failure."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from infrastructure.database import DatabaseUrls, connect
from infrastructure.following import (
    Connection,
    Follower,
    LogEntry,
    Overtaken,
    begin,
    each_batch,
    move,
    places,
    restart,
    stop,
    transient,
)
from infrastructure.notifications import LogListener
from projections.rebuild import ensure_tables
from tests.histories import RecordedLog
from tests.integration.read_side import append, envelopes, positions, tallied, tally

Start = Callable[..., Follower]


def eventually(holds: Callable[[], object], within_seconds: float = 10) -> float:
    """The seconds it took until `holds` did."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < within_seconds, "it never came about"
        time.sleep(0.01)
    return time.monotonic() - began


@pytest.fixture
def listener(database: DatabaseUrls) -> Iterator[LogListener]:
    listener = LogListener(database.service)
    listener.start()
    yield listener
    listener.close()


@pytest.fixture
def start(database: DatabaseUrls, listener: LogListener) -> Iterator[Start]:
    """Starts followers that are closed when the test ends."""
    started = []

    def begin_following(step: Callable[[Connection], bool], **options: float) -> Follower:
        follower = Follower(database.service, "test", step, listener, **options)
        follower.start()
        started.append(follower)
        return follower

    yield begin_following
    for follower in started:
        follower.close()


@pytest.fixture
def noted(database: DatabaseUrls) -> Callable[[], list[int]]:
    """A table for positions without any constraint; answers what is in it."""
    with connect(database.owner) as conn:
        conn.execute("CREATE TABLE read.noted (position bigint)")

    def read() -> list[int]:
        with connect(database.owner) as conn:
            return [position for (position,) in conn.execute("SELECT position FROM read.noted ORDER BY position")]

    return read


def note(conn: Connection, entries: Sequence[LogEntry]) -> None:
    conn.cursor().executemany("INSERT INTO read.noted VALUES (%s)", [[entry.position] for entry in entries])


def test_entries_are_followed_as_they_come(database: DatabaseUrls, start: Start, noted: Callable[[], list[int]]) -> None:
    with connect(database.service) as conn:
        head = append(conn, envelopes(1))
        start(each_batch("test", note, limit=3), poll_seconds=60)
        eventually(lambda: len(noted()) == head)
        for seed in range(2, 12):
            head = append(conn, envelopes(1, seed))
            took = eventually(lambda: len(noted()) == head)  # noqa: B023
            assert took < 5, "the announcement did not wake it, and the poll comes once a minute"
    assert noted() == list(range(1, head + 1))
    assert positions(database.owner)["test"] == (head, "running")


def test_what_was_done_before_a_failure_leaves_nothing_and_is_done_once_after_it(
    database: DatabaseUrls, start: Start, noted: Callable[[], list[int]]
) -> None:
    failures = iter([True, True, False, True, False, False])

    def note_sometimes(conn: Connection, entries: Sequence[LogEntry]) -> None:
        note(conn, entries)
        if next(failures, False):
            raise RuntimeError("after the work, before the commit")

    with connect(database.service) as conn:
        head = append(conn, envelopes(1))
    start(each_batch("test", note_sometimes, limit=10))
    eventually(lambda: positions(database.owner).get("test") == (head, "running"))
    assert noted() == list(range(1, head + 1))


def test_a_follower_whose_connection_is_cut_comes_back(
    database: DatabaseUrls, start: Start, noted: Callable[[], list[int]]
) -> None:
    start(each_batch("test", note, limit=1), poll_seconds=0.05)
    with connect(database.service) as conn, connect(database.owner) as owner:
        for seed in range(5):
            append(conn, envelopes(1, seed))
            cut = eventually(
                lambda: owner.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'countersign test'"
                ).fetchall()
            )
            assert cut < 10
        head = append(conn, envelopes(1, 99))
    eventually(lambda: len(noted()) >= head)
    assert noted() == list(range(1, head + 1))


def test_of_several_followers_one_is_active_and_another_takes_over_when_it_closes(start: Start) -> None:
    followers = [start(lambda conn: False) for _ in range(4)]
    eventually(lambda: sum(follower.active for follower in followers) == 1)
    while followers:
        (active,) = [follower for follower in followers if follower.active]
        active.close()
        followers.remove(active)
        if followers:
            assert eventually(lambda: sum(follower.active for follower in followers) == 1) < 3


def test_a_frozen_follower_loses_its_place_to_one_that_lives(database: DatabaseUrls, start: Start) -> None:
    frozen = threading.Event()

    def freeze(conn: Connection) -> bool:
        frozen.wait()
        return False

    first = start(freeze, frozen_seconds=0.5)
    eventually(lambda: first.active)
    second = start(lambda conn: False)
    eventually(lambda: second.active)
    frozen.set()


def test_closing_waits_for_the_step_in_hand(start: Start) -> None:
    begun, done = threading.Event(), threading.Event()

    def slow(conn: Connection) -> bool:
        begun.set()
        time.sleep(0.3)
        done.set()
        return False

    follower = start(slow)
    assert begun.wait(5)
    follower.close()
    assert done.is_set()
    follower.close()


def test_two_processes_at_once_and_the_death_of_the_active_one_lose_and_repeat_nothing(database: DatabaseUrls) -> None:
    ensure_tables(database.owner, [tally()])
    command = [sys.executable, "-m", "tests.integration.following_process", database.service]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(2)]
    try:
        lines: dict[int, list[str]] = {process.pid: [] for process in processes}
        with ThreadPoolExecutor(2) as threads, connect(database.service) as conn:
            for process in processes:
                threads.submit(lambda process=process: lines[process.pid].extend(iter(process.stdout.readline, "")))  # type: ignore[misc]
            eventually(lambda: all(any("started" in line for line in seen) for seen in lines.values()), 30)
            eventually(lambda: sum("active\n" in seen for seen in lines.values()) == 1)
            head = append(conn, envelopes(3))
            eventually(lambda: positions(database.owner)["tally"][0] > 0)
            (active,) = [process for process in processes if "active\n" in lines[process.pid]]
            head = append(conn, envelopes(20, 2))
            os.kill(active.pid, signal.SIGKILL)
            died = time.monotonic()
            (heir,) = [process for process in processes if process is not active]
            eventually(lambda: "active\n" in lines[heir.pid])
            assert time.monotonic() - died < 3
            eventually(lambda: positions(database.owner)["tally"][0] == head, 30)
            for process in processes:
                process.kill()
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert tallied(database.owner) == list(range(1, head + 1))


def test_a_position_moves_only_from_where_it_is_believed_to_be(database: DatabaseUrls) -> None:
    with connect(database.service) as conn:
        begin(conn, "a")
        begin(conn, "b", "2")
        begin(conn, "a", "ignored, it has begun")
        move(conn, {"a": "", "b": "2"}, 0, 5)
        for wrong in ({"a": ""}, {"b": "2"}):
            with pytest.raises(Overtaken), conn.transaction():
                move(conn, wrong, 4, 6)
        with pytest.raises(Overtaken), conn.transaction():
            move(conn, {"a": "1"}, 5, 6)
        with pytest.raises(Overtaken), conn.transaction():
            move(conn, {"a": "", "b": "1"}, 5, 6)
        with pytest.raises(Overtaken), conn.transaction():
            move(conn, {"a": "", "c": ""}, 5, 6)
        stop(conn, "b", "2", 5, "for a reason")
        with pytest.raises(Overtaken), conn.transaction():
            move(conn, {"b": "2"}, 5, 6)
        found = places(conn)
    assert [(name, place.position, place.running, place.error) for name, place in found.items()] == [
        ("a", 5, True, None),
        ("b", 5, False, "for a reason"),
    ]


def test_a_stopped_follower_does_nothing_until_it_is_restarted(database: DatabaseUrls, noted: Callable[[], list[int]]) -> None:
    step = each_batch("test", note)
    with connect(database.service) as conn:
        head = append(conn, RecordedLog().of_every_kind().rows)
        begin(conn, "test")
        stop(conn, "test", "", 7, "it has moved meanwhile, so this has no effect")
        assert positions(database.owner)["test"] == (0, "running")
        stop(conn, "test", "", 0, "a reason")
        assert not step(conn)
        assert noted() == []
        assert restart(conn, "test")
        assert not restart(conn, "test")
        assert not restart(conn, "nobody")
        while step(conn):
            pass
    assert noted() == list(range(1, head + 1))


@pytest.mark.parametrize(
    ("err", "passes"),
    [
        (psycopg.OperationalError("server closed the connection unexpectedly"), True),
        (psycopg.InterfaceError("the connection is closed"), True),
        (psycopg.errors.DeadlockDetected(), True),
        (psycopg.errors.AdminShutdown(), True),
        (psycopg.errors.LockNotAvailable(), True),
        (psycopg.errors.DiskFull(), True),
        (psycopg.errors.ProgramLimitExceeded(), False),
        (psycopg.errors.UniqueViolation(), False),
        (psycopg.errors.UndefinedTable(), False),
        (ValueError(), False),
    ],
)
def test_what_may_pass_by_itself_is_told_from_what_will_not(err: Exception, passes: bool) -> None:
    assert transient(err) is passes
