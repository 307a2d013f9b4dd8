"""Lost connections and killed processes, in both forms: it did not happen, and it happened but nobody was told."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from infrastructure.append import Answer, Append, CreditDebit, Idempotency, NewEntry, RecorderUnavailable, StreamAppend
from infrastructure.database import DatabaseUrls, async_pool, connect
from infrastructure.embedded import start_embedded
from infrastructure.migrate import migrate
from infrastructure.recorder import Recorder, writer
from tests.conftest import ORIGIN
from tests.integration.cutting_proxy import Cut, CuttingProxy
from tests.log_judge import judge


def happened(stream: UUID, key: str | None = None) -> Append:
    part = StreamAppend(stream, 0, (NewEntry("test.happened/1", {}, {}),))
    idempotency = (
        Idempotency("test", key, b"", lambda receipts: Answer(201, "t", str(receipts[0].position).encode())) if key else None
    )
    return Append((part,), datetime.now(UTC), idempotency=idempotency)


@pytest.fixture
def proxy(database: DatabaseUrls) -> Iterator[CuttingProxy]:
    made = CuttingProxy(database.service)
    yield made
    made.close()


@pytest.fixture
def recorder(proxy: CuttingProxy) -> Iterator[Recorder]:
    made = Recorder(proxy.url, ORIGIN, async_pool(proxy.url))
    made.start()
    yield made
    made.close()


@pytest.mark.parametrize("cut", [Cut.BEFORE_IT_ARRIVES, Cut.BEFORE_THE_ANSWER, Cut.WHILE_IT_IS_STILL_ON_ITS_WAY])
def test_a_commit_that_got_no_answer_is_answered_rightly_and_happens_once(
    cut: Cut, recorder: Recorder, proxy: CuttingProxy, database: DatabaseUrls
) -> None:
    recorder.submit(happened(uuid4())).result()
    proxy.cut_next(cut)
    stream = uuid4()
    receipt = recorder.submit(happened(stream)).result().receipts[0]
    recorder.submit(happened(uuid4())).result()
    entries = judge(database.owner)
    assert proxy.cuts == 1
    assert len(entries) == 3
    assert entries[receipt.position - 1].stream == stream


@pytest.mark.parametrize("cut", [Cut.BEFORE_IT_ARRIVES, Cut.BEFORE_THE_ANSWER])
def test_what_cannot_be_found_out_is_said_to_be_unknown_and_a_repeat_with_the_key_is_safe(
    cut: Cut, recorder: Recorder, proxy: CuttingProxy, database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "PATIENCE_SECONDS", 0.5)
    proxy.cut_next(cut)
    proxy.refuses = True
    append = happened(uuid4(), "k")
    with pytest.raises(RecorderUnavailable):
        recorder.submit(append).result()
    proxy.refuses = False
    again = recorder.submit(append).result()
    assert again.answer == Answer(201, "t", b"1")
    assert again.repeated == (cut is Cut.BEFORE_THE_ANSWER)
    assert len(judge(database.owner)) == 1


def test_a_commit_without_entries_or_key_leaves_no_trace_to_find_so_it_is_said_to_be_unknown(
    recorder: Recorder, proxy: CuttingProxy, database: DatabaseUrls
) -> None:
    tenant = uuid4()
    with connect(database.service) as conn:
        conn.execute("INSERT INTO credits VALUES (%s, 10)", [tenant])
    proxy.cut_next(Cut.BEFORE_THE_ANSWER)
    with pytest.raises(RecorderUnavailable):
        recorder.submit(Append((), datetime.now(UTC), debit=CreditDebit(tenant, 1))).result()
    with connect(database.service) as conn:
        assert conn.execute("SELECT balance FROM credits").fetchone() == (9,)
    recorder.submit(happened(uuid4())).result()


def test_appends_wait_for_a_database_that_comes_back(recorder: Recorder, proxy: CuttingProxy, database: DatabaseUrls) -> None:
    recorder.submit(happened(uuid4())).result()
    proxy.refuses = True
    terminate_writers(database)
    future = recorder.submit(happened(uuid4()))
    time.sleep(0.5)
    assert not future.done()
    proxy.refuses = False
    future.result(timeout=10)
    assert len(judge(database.owner)) == 2


def terminate_writers(database: DatabaseUrls) -> int:
    with connect(database.owner) as conn:
        killed = conn.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        ).fetchone()
    return killed[0] if killed else 0


def test_terminated_backends_under_load_lose_nothing_and_repeat_nothing(database: DatabaseUrls) -> None:
    recorder = Recorder(database.service, ORIGIN, async_pool(database.service))
    recorder.start()
    finish = time.monotonic() + 3

    def load(_: int) -> tuple[list[UUID], list[UUID]]:
        done, unknown = [], []
        while time.monotonic() < finish:
            stream = uuid4()
            try:
                recorder.submit(happened(stream)).result()
                done.append(stream)
            except RecorderUnavailable:
                unknown.append(stream)
        return done, unknown

    killed = 0
    with ThreadPoolExecutor(8) as threads:
        loads = threads.map(load, range(8))
        while time.monotonic() < finish:
            time.sleep(0.05)
            killed += terminate_writers(database)
        results = list(loads)
    recorder.close()

    done = {stream for result in results for stream in result[0]}
    unknown = {stream for result in results for stream in result[1]}
    entries = [entry.stream for entry in judge(database.owner)]  # one entry per stream, or version 1 would be refused twice
    assert killed >= 20
    assert len(done) > 100
    assert done <= set(entries) <= done | unknown
    assert len(entries) == len(set(entries))


def test_a_writer_that_hangs_in_its_transaction_does_not_stop_the_others(database: DatabaseUrls) -> None:
    """A stopped process keeps its connection and the lock of the log's head, until the server ends its transaction."""
    child = subprocess.Popen(
        [sys.executable, "-c", _ENDLESS, database.service, ORIGIN],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environment(),
    )
    recorder = Recorder(database.service, ORIGIN, async_pool(database.service))
    recorder.start()
    with child, connect(database.owner) as conn:
        assert child.stdout is not None
        assert child.stdout.readline()
        holding = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'"
        for _ in range(1000):
            child.send_signal(signal.SIGSTOP)
            time.sleep(0.02)
            if conn.execute(holding).fetchone() == (1,):
                break
            child.send_signal(signal.SIGCONT)
            time.sleep(0.001)
        else:
            pytest.fail("the writer was never caught inside its transaction")
        recorder.submit(happened(uuid4())).result(timeout=20)
        child.kill()
        child.send_signal(signal.SIGCONT)
    recorder.close()
    judge(database.owner)


#: Appends for ever and says so: run in a process of its own, to be stopped or killed.
_ENDLESS = """
import sys
from tests.integration.test_recorder_faults import append_for_ever
append_for_ever(*sys.argv[1:])
"""


def append_for_ever(service_url: str, origin: str) -> None:
    recorder = Recorder(service_url, origin, async_pool(service_url))
    recorder.start()

    def load() -> None:
        while True:
            stream = uuid4()
            recorder.submit(happened(stream, str(stream))).result()
            os.write(1, f"{stream}\n".encode())  # one system call, so that lines of several threads do not mix

    for _ in range(8):
        threading.Thread(target=load).start()


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


def test_a_killed_process_leaves_every_acknowledged_append_and_nothing_half_done(database: DatabaseUrls) -> None:
    acknowledged = set()
    for round_number in range(3):
        command = [sys.executable, "-c", _ENDLESS, database.service, ORIGIN]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=_environment(), text=True) as child:
            assert child.stdout is not None
            acknowledged.add(UUID(child.stdout.readline().strip()))
            time.sleep(0.2 + 0.13 * round_number)
            child.kill()
            acknowledged |= {UUID(line.strip()) for line in child.stdout if len(line) == 37}
    stored = {entry.stream for entry in judge(database.owner)}
    assert len(acknowledged) > 50
    assert acknowledged <= stored
    with connect(database.owner) as conn:
        answers = {UUID(row[0]) for row in conn.execute("SELECT key FROM idempotency")}
    assert answers == stored, "each entry is there with its answer, and no answer without its entry"


def test_a_killed_server_recovers_with_every_acknowledged_append(data_folder: Path) -> None:
    """kill -9 of the whole server under load; the recorder goes on by itself once it is back."""
    with start_embedded(data_folder, print) as server:
        migrate(server.owner_url, ORIGIN)
        recorder = Recorder(server.service_url, ORIGIN, async_pool(server.service_url))
        recorder.start()
        stop = threading.Event()

        def load(_: int) -> tuple[set[UUID], int]:
            done, unavailable = set(), 0
            while not stop.is_set():
                stream = uuid4()
                try:
                    recorder.submit(happened(stream, str(stream))).result()
                    done.add(stream)
                except RecorderUnavailable:
                    unavailable += 1
            return done, unavailable

        with ThreadPoolExecutor(8) as threads:
            loads = threads.map(load, range(8))
            try:
                for _ in range(3):
                    time.sleep(0.3)
                    process = server.process_id()
                    assert process is not None
                    os.kill(process, signal.SIGKILL)
                    server.ensure_running()
                    assert server.process_id() not in (None, process)
                time.sleep(0.3)
            finally:
                stop.set()
            results = list(loads)
        recorder.close()
        acknowledged = {stream for done, _ in results for stream in done}
        stored = [entry.stream for entry in judge(server.owner_url)]
        assert len(acknowledged) > 50
        assert acknowledged <= set(stored)
        assert len(stored) == len(set(stored))
