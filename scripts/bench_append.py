#!/usr/bin/env python3
"""Measures appending: our recorder beside the stock one of the `eventsourcing` library.

Both write to the same embedded PostgreSQL at its default durability, in the same run, in alternating
rounds, each to a database of its own. A writer appends one event to a new stream, waits until it is
committed, and goes on. Prints the machine, the median rates, and the median of the rounds' ratios:
within a round both sides meet the machine in the same mood.
"""

import argparse
import asyncio
import os
import platform
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from eventsourcing.persistence import ApplicationRecorder, StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier

from domain.canonical import Json, canonical
from infrastructure.append import Append, NewEntry, StreamAppend
from infrastructure.database import DatabaseUrls, async_pool, connect
from infrastructure.embedded import EmbeddedServer, start_embedded
from infrastructure.migrate import migrate
from infrastructure.recorder import Recorder

ORIGIN = "countersign.test/bench"
TOPIC = "signing.document-signed/1"
DATA: dict[str, Json] = {
    "document": "58bff266-cdad-46db-b373-1b06476146cd",
    "method": "otp-email",
    "provenance": {"ip": "trusted-proxy", "time": "server"},
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
}
STATE = canonical(DATA)

#: Appends per second with so many writers for so many seconds.
Side = Callable[[int, float], float]


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as folder, ExitStack() as stack:
        server = stack.enter_context(start_embedded(Path(folder) / "data", lambda line: print(line, file=sys.stderr)))
        _print_machine(server)
        ours = stack.enter_context(_our_recorder(server))
        if options.grow:
            _grow(ours, options.grow)
            return
        stock = stack.enter_context(_stock_recorder(server, options.stock_pool))
        sides: dict[str, Side] = {
            "stock": lambda writers, seconds: _threads(stock, writers, seconds),
            "ours": lambda writers, seconds: _threads(ours, writers, seconds),
            "ours, async": lambda writers, seconds: _run(_tasks(ours, writers, seconds)),
        }
        _compare(sides, options.writers, options.rounds, options.seconds)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--writers", type=int, nargs="+", default=[1, 8, 64], help="concurrent writers (default: 1 8 64)")
    parser.add_argument("--rounds", type=int, default=9, help="alternating rounds; their median counts (default: 9)")
    parser.add_argument("--seconds", type=float, default=0.5, help="per measurement (default: 0.5)")
    parser.add_argument("--stock-pool", type=int, default=64, help="connections of the stock recorder (default: 64)")
    parser.add_argument(
        "--grow", type=int, default=0, metavar="N", help="instead: the cost of an append as the log grows to N entries"
    )
    return parser.parse_args()


def _compare(sides: dict[str, Side], writers: list[int], rounds: int, seconds: float) -> None:
    rates: dict[tuple[str, int], list[float]] = {(side, count): [] for side in sides for count in writers}
    for measure in sides.values():
        measure(writers[0], 0.3)  # connections, prepared statements, caches
    for turn in range(rounds):
        for count in writers:
            # Each side goes first as often as last, so that neither always meets the colder machine.
            for side in list(sides) if turn % 2 else reversed(list(sides)):
                rates[side, count].append(sides[side](count, seconds))
                print(f"\rround {turn + 1} of {rounds}, {count} writers, {side}          ", end="", file=sys.stderr)
    print(file=sys.stderr)
    print(f"appends per second, median of {rounds} rounds of {seconds:g} s (lowest to highest); median ratio to stock")
    for count in writers:
        for side in sides:
            found = rates[side, count]
            ratio = statistics.median(ours / stock for ours, stock in zip(found, rates["stock", count], strict=True))
            median = statistics.median(found)
            print(f"{count:4} writers  {side:12} {median:8.0f}  ({min(found):.0f} to {max(found):.0f})  {ratio:6.2f}x")


def _threads(recorder: ApplicationRecorder, writers: int, seconds: float) -> float:
    start = threading.Barrier(writers + 1)
    counts = [0] * writers
    finish = [0.0]
    failures: list[Exception] = []

    def write(index: int) -> None:
        start.wait()
        try:
            while time.perf_counter() < finish[0]:
                recorder.insert_events([StoredEvent(uuid4(), 1, TOPIC, STATE)])
                counts[index] += 1
        except Exception as err:
            failures.append(err)
            raise

    threads = [threading.Thread(target=write, args=(index,)) for index in range(writers)]
    for thread in threads:
        thread.start()
    began = time.perf_counter()
    finish[0] = began + seconds
    start.wait()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return sum(counts) / (time.perf_counter() - began)


def _run(work: Coroutine[None, None, float]) -> float:
    """On the event loop that the API is served with."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(work)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


async def _tasks(recorder: Recorder, writers: int, seconds: float) -> float:
    began = time.perf_counter()

    async def write() -> int:
        count = 0
        while time.perf_counter() < began + seconds:
            await recorder.append(Append((StreamAppend(uuid4(), 0, (NewEntry(TOPIC, {}, DATA),)),), datetime.now(UTC)))
            count += 1
        return count

    counts = await asyncio.gather(*(write() for _ in range(writers)))
    return sum(counts) / (time.perf_counter() - began)


def _grow(recorder: Recorder, entries: int) -> None:
    """Fills the log in tenths and measures, after each, single appends by one writer."""
    print(f"cost of one append by one writer, median of 500, as the log grows to {entries:,} entries")
    events = 1000
    written = 0
    first: float | None = None
    for tenth in range(11):
        while written < entries * tenth // 10:
            stream = uuid4()
            recorder.insert_events([StoredEvent(stream, version, TOPIC, STATE) for version in range(1, events + 1)])
            written += events
            print(f"\r{written:,} of {entries:,} entries", end="", file=sys.stderr)
        costs = []
        for _ in range(500):
            began = time.perf_counter()
            recorder.insert_events([StoredEvent(uuid4(), 1, TOPIC, STATE)])
            costs.append(time.perf_counter() - began)
        written += 500
        median = statistics.median(costs)
        first = first or median
        print(f"\r{written:10,} entries  {median * 1e6:7.0f} microseconds  {median / first:5.2f} of the first")


@contextmanager
def _our_recorder(server: EmbeddedServer) -> Iterator[Recorder]:
    urls = DatabaseUrls.of(_database(server, "ours"))
    migrate(urls.owner, ORIGIN)
    recorder = Recorder(urls.service, ORIGIN, async_pool(urls.service))
    recorder.start()
    try:
        yield recorder
    finally:
        recorder.close()


@contextmanager
def _stock_recorder(server: EmbeddedServer, pool_size: int) -> Iterator[PostgresApplicationRecorder]:
    _database(server, "stock")
    socket = conninfo_to_dict(server.owner_url)
    datastore = PostgresDatastore(
        dbname="stock",
        host=str(socket["host"]),
        port=str(socket["port"]),
        user=str(socket["user"]),
        password="",
        pool_size=pool_size,
    )
    with datastore:
        recorder = PostgresApplicationRecorder(datastore)
        recorder.create_table()
        yield recorder


def _database(server: EmbeddedServer, name: str) -> str:
    with connect(server.owner_url) as conn:
        conn.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
    return make_conninfo(server.owner_url, dbname=name)


def _print_machine(server: EmbeddedServer) -> None:
    with connect(server.owner_url) as conn:
        row = conn.execute(
            "SELECT current_setting('server_version'), current_setting('fsync'), current_setting('synchronous_commit')"
        ).fetchone()
    assert row is not None
    print(
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"PostgreSQL {row[0]} (fsync {row[1]}, synchronous_commit {row[2]})"
    )


if __name__ == "__main__":
    main()
