"""Group commit: many commands in one transaction, each on its own merits; two processes on one log."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from eventsourcing.persistence import DataError, IntegrityError, ProgrammingError, StoredEvent

from domain.canonical import Json
from domain.entry import MAX_ENTRY_BYTES, EntryError
from infrastructure.append import (
    Append,
    Appended,
    NewEntry,
    RecorderBusy,
    RecorderUnavailable,
    SealedDisclosure,
    StaleAppend,
    StreamAppend,
)
from infrastructure.clock import FixedClock
from infrastructure.database import DatabaseUrls, async_pool, connect
from infrastructure.recorder import LogReader, Recorder
from tests.conftest import ORIGIN
from tests.log_judge import judge


def happened(stream: UUID, expected_version: int = 0, count: int = 1, **data: Json) -> Append:
    new = NewEntry("test.happened/1", {"kind": "test"}, data)
    return Append((StreamAppend(stream, expected_version, (new,) * count),), datetime.now(UTC))


@pytest.fixture
def recorder(database: DatabaseUrls) -> Iterator[Recorder]:
    made = Recorder(database.service, ORIGIN, async_pool(database.service))
    made.start()
    yield made
    made.close()


@pytest.fixture
def together(database: DatabaseUrls, recorder: Recorder) -> Callable[[list[Append]], list[Future[Appended]]]:
    """Submits appends so that they are one batch: they queue up behind one that waits for the log's head."""

    def submit(appends: list[Append]) -> list[Future[Appended]]:
        with connect(database.owner) as conn:
            conn.execute("BEGIN")
            conn.execute("SELECT FROM log_head FOR UPDATE")
            first = recorder.submit(happened(uuid4()))
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            while conn.execute(waiting).fetchone() != (1,):
                pass
            futures = [recorder.submit(append) for append in appends]
            conn.execute("COMMIT")
        wait([first, *futures], timeout=10)
        return futures

    return submit


def transactions_of(url: str, futures: list[Future[Appended]]) -> set[str]:
    positions = [receipt.position for future in futures if not future.exception() for receipt in future.result().receipts]
    with connect(url) as conn:
        return {row[0] for row in conn.execute("SELECT DISTINCT xmin::text FROM log WHERE position = ANY(%s)", [positions])}


def test_an_append_answers_where_its_entries_came_to_stand(recorder: Recorder, database: DatabaseUrls) -> None:
    one, other = uuid4(), uuid4()
    append = Append((happened(one, count=2).streams[0], happened(other).streams[0]), datetime.now(UTC))
    receipts = recorder.submit(append).result().receipts
    assert [(receipt.stream, receipt.version, receipt.position) for receipt in receipts] == [
        (one, 1, 1),
        (one, 2, 2),
        (other, 1, 3),
    ]
    entries = judge(database.owner)
    assert [entry.at for entry in entries] == [receipt.at for receipt in receipts]
    assert entries[1].previous == receipts[0].leaf


def test_those_who_wait_together_are_committed_together(
    database: DatabaseUrls, together: Callable[[list[Append]], list[Future[Appended]]]
) -> None:
    futures = together([happened(uuid4()) for _ in range(50)])
    assert len(transactions_of(database.owner, futures)) == 1
    judge(database.owner)


def test_a_stale_command_in_a_batch_is_refused_and_the_others_go_on(
    database: DatabaseUrls, together: Callable[[list[Append]], list[Future[Appended]]]
) -> None:
    contested, free = uuid4(), uuid4()
    futures = together([happened(contested), happened(contested), happened(free), happened(contested, 1), happened(free, 5)])
    assert [type(future.exception()) for future in futures] == [type(None), StaleAppend, type(None), type(None), StaleAppend]
    refusal = futures[1].exception()
    assert isinstance(refusal, StaleAppend)
    assert refusal.stream == contested
    assert [future.result().receipts[0].version for future in futures if not future.exception()] == [1, 1, 2]
    assert len(transactions_of(database.owner, futures)) == 1
    judge(database.owner)


def test_an_append_over_several_streams_happens_entirely_or_not_at_all(recorder: Recorder, database: DatabaseUrls) -> None:
    old, new = uuid4(), uuid4()
    recorder.submit(happened(old)).result()
    both = Append((happened(new).streams[0], happened(old, 0).streams[0]), datetime.now(UTC))
    with pytest.raises(StaleAppend):
        recorder.submit(both).result()
    assert len(judge(database.owner)) == 1


def test_what_the_database_refuses_is_refused_alone(
    recorder: Recorder, database: DatabaseUrls, together: Callable[[list[Append]], list[Future[Appended]]]
) -> None:
    subject = uuid4()
    with connect(database.service) as conn:
        conn.execute("INSERT INTO subjects VALUES (%s, %s, 'person', 'x', 'x')", [subject, uuid4()])
    stream = uuid4()
    twice = (SealedDisclosure(stream, 1, "/name", subject, b"x"),) * 2  # violates the primary key
    bad = Append(happened(stream).streams, datetime.now(UTC), disclosures=twice)
    futures = together([happened(uuid4()), bad, happened(uuid4())])
    assert [future.exception() is None for future in futures] == [True, False, True]
    assert "duplicate key" in str(futures[1].exception())
    assert len(judge(database.owner)) == 3
    recorder.submit(happened(stream)).result()


@pytest.mark.parametrize(
    ("data", "type_"),
    [
        ({"x": "x" * MAX_ENTRY_BYTES}, "test.happened/1"),
        ({"x": 1.5}, "test.happened/1"),
        ({"x": "\ud800"}, "test.happened/1"),
        ({}, "nul\x00"),
    ],
)
def test_an_entry_that_cannot_be_stored_fails_its_own_append_before_it_reaches_the_others(
    recorder: Recorder, database: DatabaseUrls, data: dict[str, Json], type_: str
) -> None:
    bad = Append((StreamAppend(uuid4(), 0, (NewEntry(type_, {}, data),)),), datetime.now(UTC))
    with pytest.raises(EntryError):
        recorder.submit(bad)
    with pytest.raises(EntryError):
        asyncio.run(recorder.append(bad))
    recorder.submit(happened(uuid4())).result()
    assert len(judge(database.owner)) == 1


def test_the_largest_entry_is_stored_and_one_byte_more_is_refused(recorder: Recorder, database: DatabaseUrls) -> None:
    def sized(length: int) -> Append:
        return Append((StreamAppend(UUID(int=1), 0, (NewEntry("t", {}, {"x": "x" * length}),)),), datetime.now(UTC))

    recorder.submit(sized(1)).result()
    with connect(database.owner) as conn:
        row = conn.execute("SELECT octet_length(entry) FROM log").fetchone()
    assert row is not None
    largest = MAX_ENTRY_BYTES - row[0] + 1
    with pytest.raises(EntryError, match="65536 bytes"):
        recorder.submit(sized(largest + 1))
    with pytest.raises(StaleAppend):  # it fits; only its version is wrong
        recorder.submit(sized(largest)).result()


def test_many_of_the_largest_entries_at_once_fit_through_the_connection(recorder: Recorder, database: DatabaseUrls) -> None:
    """More than the socket's buffers hold, in both directions."""
    futures = [recorder.submit(happened(uuid4(), count=10, text="x" * 65_000)) for _ in range(30)]
    futures += [recorder.submit(happened(uuid4(), count=4000))]
    wait(futures, timeout=60)
    assert sum(len(future.result().receipts) for future in futures) == 4300
    assert len(judge(database.owner)) == 4300


def test_time_in_the_log_never_goes_back(database: DatabaseUrls) -> None:
    """Two processes, the second one's clock an hour behind."""
    noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
    recorders = [
        Recorder(database.service, ORIGIN, async_pool(database.service), FixedClock(noon)),
        Recorder(database.service, ORIGIN, async_pool(database.service), FixedClock(noon - timedelta(hours=1))),
    ]
    for recorder in recorders:
        recorder.start()
    ahead = noon + timedelta(minutes=5)
    times = [
        recorders[0].submit(_at(noon - timedelta(days=1))).result().receipts[0].at,
        recorders[1].submit(_at(noon - timedelta(hours=1))).result().receipts[0].at,
        recorders[1].submit(_at(ahead)).result().receipts[0].at,
        recorders[0].submit(_at(noon)).result().receipts[0].at,
    ]
    for recorder in recorders:
        recorder.close()
    assert times == [noon, noon, ahead, ahead]
    judge(database.owner)


def _at(now: datetime) -> Append:
    return Append(happened(uuid4()).streams, now)


def test_what_was_allowed_until_then_is_stale_after_it(recorder: Recorder) -> None:
    past = Append(happened(uuid4()).streams, datetime.now(UTC), not_after=datetime.now(UTC) - timedelta(microseconds=1))
    with pytest.raises(StaleAppend, match="allowed until"):
        recorder.submit(past).result()
    still = Append(happened(uuid4()).streams, datetime.now(UTC), not_after=datetime.now(UTC) + timedelta(hours=1))
    recorder.submit(still).result()


def test_two_processes_append_to_the_same_streams_at_once(database: DatabaseUrls) -> None:
    """Each tries every version of every stream: of the two, one gets it. Nothing is lost, nothing forks."""
    streams = [str(uuid4()) for _ in range(4)]
    writer = Path(__file__).with_name("contending_writer.py")
    command = [sys.executable, str(writer), database.service, ORIGIN, "60", *streams]
    root = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with ExitStack() as stack:
        processes = [
            stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True, env=root))
            for _ in range(2)
        ]
        for process in processes:  # both are connected before either begins
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        reports = [json.loads(process.communicate(timeout=60)[0]) for process in processes]

    entries = judge(database.owner)
    assert len(entries) == 4 * 60
    stored = {(str(entry.stream), entry.version): entry.data["writer"] for entry in entries}
    won = [{(stream, version) for stream, version, _ in report["won"]} for report in reports]
    assert not won[0] & won[1], "one version of a stream was given to both"
    assert won[0] | won[1] == set(stored)
    for report in reports:
        assert all(stored[stream, version] == report["writer"] for stream, version, _ in report["won"])
        positions = [position for _, _, position in report["won"]]
        assert len(set(positions)) == len(positions)
    assert all(won), "both won something"
    assert all(report["lost"] > 0 for report in reports), "they never met, so nothing was tested"


def test_many_threads_and_tasks_share_one_writer(recorder: Recorder, database: DatabaseUrls) -> None:
    async def tasks() -> None:
        await asyncio.gather(*(recorder.append(happened(uuid4())) for _ in range(100)))

    with ThreadPoolExecutor(16) as threads:
        blocking = [threads.submit(recorder.insert_events, [StoredEvent(uuid4(), 1, "t", b"{}")]) for _ in range(100)]
        asyncio.run(tasks())
        positions = [ids[0] for future in blocking if (ids := future.result())]
    assert len(judge(database.owner)) == 200
    assert len(set(positions)) == 100


def test_a_task_that_gave_up_before_its_turn_is_not_appended(database: DatabaseUrls, recorder: Recorder) -> None:
    async def give_up() -> None:
        with connect(database.owner) as conn:
            conn.execute("BEGIN")
            conn.execute("SELECT FROM log_head FOR UPDATE")
            first = asyncio.create_task(recorder.append(happened(uuid4())))
            await asyncio.sleep(0.2)  # the writer has taken it and waits for the head
            second = asyncio.create_task(recorder.append(happened(uuid4())))
            await asyncio.sleep(0.05)
            second.cancel()
            await asyncio.wait([second])
            conn.execute("COMMIT")
        await first

    asyncio.run(give_up())
    recorder.submit(happened(uuid4())).result()
    assert len(judge(database.owner)) == 2


def test_too_many_waiting_appends_are_refused_at_once(database: DatabaseUrls) -> None:
    recorder = Recorder(database.service, ORIGIN, async_pool(database.service), max_waiting=3)
    recorder.start()
    with connect(database.owner) as conn:
        conn.execute("BEGIN")
        conn.execute("SELECT FROM log_head FOR UPDATE")
        taken = recorder.submit(happened(uuid4()))
        while not taken.running():
            pass
        queued = [recorder.submit(happened(uuid4())) for _ in range(3)]
        with pytest.raises(RecorderBusy, match="3 appends are waiting already"):
            recorder.submit(happened(uuid4()))
        conn.execute("COMMIT")
    for future in [taken, *queued]:
        future.result()
    recorder.close()
    assert len(judge(database.owner)) == 4


def test_closing_finishes_what_is_waiting_and_refuses_the_rest(database: DatabaseUrls) -> None:
    recorder = Recorder(database.service, ORIGIN, async_pool(database.service))
    recorder.start()
    futures = [recorder.submit(happened(uuid4())) for _ in range(100)]
    closer = threading.Thread(target=recorder.close)
    closer.start()
    assert all(future.result() for future in futures)
    closer.join()
    with pytest.raises(RecorderUnavailable):
        recorder.submit(happened(uuid4()))
    assert len(judge(database.owner)) == 100


def test_a_recorder_of_another_ledger_does_not_start(database: DatabaseUrls) -> None:
    with pytest.raises(ValueError, match=r"holds the ledger 'countersign\.test/ledger', not 'another'"):
        Recorder(database.service, "another", async_pool(database.service)).start()


def test_the_writer_works_with_the_rights_of_the_service_alone(database: DatabaseUrls, recorder: Recorder) -> None:
    recorder.submit(happened(uuid4())).result()
    with connect(database.owner) as conn:
        conn.execute("REVOKE INSERT ON log FROM countersign_service")
    failure = recorder.submit(happened(uuid4())).exception()
    assert isinstance(failure.__cause__ if failure else None, psycopg.errors.InsufficientPrivilege)
    with connect(database.owner) as conn:
        conn.execute("GRANT INSERT ON log TO countersign_service")
    recorder.submit(happened(uuid4())).result()
    assert len(judge(database.owner)) == 2


def test_reading_gives_back_what_was_appended(database: DatabaseUrls, recorder: Recorder) -> None:
    one, other = uuid4(), uuid4()
    for append in (happened(one), happened(other), happened(one, 1, count=2)):
        recorder.submit(append).result()

    async def read() -> None:
        async with async_pool(database.service) as pool:
            reader = LogReader(pool)
            assert await reader.head() == 4
            assert [entry.version for entry in await reader.read_stream(one)] == [1, 2, 3]
            assert [entry.version for entry in await reader.read_stream(one, after_version=1)] == [2, 3]
            assert await reader.read_stream(uuid4()) == []
            assert [entry.position for entry in await reader.read_streams([one, other])] == [1, 2, 3, 4]
            whole = await reader.read_log(0, 100)
            assert [entry.position for entry in whole] == [1, 2, 3, 4]
            assert [entry.position for entry in await reader.read_log(1, 2)] == [2, 3]
            assert type(whole[0].raw) is bytes
            assert whole[0].stream == one

    asyncio.run(read())


def test_state_bytes_come_back_as_they_went_in(recorder: Recorder) -> None:
    states = [
        b"",
        b"{}",
        b"\x00\xff",
        b'{"a":1}',
        b'{"a": 1}',
        b'{"b":1,"a":2}',
        b'{"base64":"QQ=="}',
        b'{"a":1.0}',
        b"[1]",
        b'{"a":1,"a":1}',
    ]
    stream = uuid4()
    recorder.insert_events([StoredEvent(stream, version, "t", state) for version, state in enumerate(states)])
    assert [event.state for event in recorder.select_events(stream)] == states
    assert [event.state for event in recorder.select_notifications(1, 100)] == states


def test_the_library_gets_its_own_errors(recorder: Recorder) -> None:
    stream = uuid4()
    assert recorder.insert_events([StoredEvent(stream, 7, "t", b"{}")]) == [1]
    with pytest.raises(IntegrityError):
        recorder.insert_events([StoredEvent(stream, 9, "t", b"{}")])
    with pytest.raises(IntegrityError):
        recorder.insert_events([StoredEvent(uuid4(), 1, "t", b"{}"), StoredEvent(stream, 7, "t", b"{}")])
    with pytest.raises(DataError):
        recorder.insert_events([StoredEvent(stream, 8, "t", b"x" * MAX_ENTRY_BYTES)])
    with pytest.raises(ProgrammingError):
        recorder.insert_events([StoredEvent("not a uuid", 1, "t", b"{}")])
    assert recorder.max_notification_id() == 1


def test_positions_of_interleaved_streams_follow_the_order_of_the_events(recorder: Recorder) -> None:
    one, other = uuid4(), uuid4()
    events = [StoredEvent(one, 1, "t", b"{}"), StoredEvent(other, 1, "t", b"{}"), StoredEvent(one, 2, "t", b"{}")]
    assert recorder.insert_events(events) == [1, 2, 3]
    assert [event.originator_id for event in recorder.select_notifications(1, 3)] == [one, other, one]
