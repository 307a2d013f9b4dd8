#!/usr/bin/env python
"""How fast the read models are made anew, and how soon they follow an append.

Fills a database with copies of envelopes that the deciders made, then prints entries per second of a
rebuild of all projections together, the same of the runner's small batches, the memory used, and the
time from a commit to the moment when a read may pass.
"""

import argparse
import asyncio
import os
import platform
import re
import resource
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from random import Random
from typing import Any, Final
from uuid import UUID, uuid4

import psycopg
from psycopg.conninfo import make_conninfo
from rich.console import Console
from rich.progress import Progress

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from domain.coordination import Participate
from domain.envelope import OrderMode
from domain.signing import SignatureMethod, SignDocuments
from infrastructure.database import DatabaseUrls, async_pool, connect
from infrastructure.embedded import start_embedded
from infrastructure.following import Follower, log_position
from infrastructure.migrate import migrate
from infrastructure.notifications import LogListener
from infrastructure.reading import ReadGate
from projections import PROJECTIONS
from projections.projection import left_out
from projections.rebuild import ensure_tables, rebuild
from projections.runner import Runner
from tests.histories import ORIGIN, RecordedLog, Row

_UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

console = Console(highlight=False)


#: Envelopes that are open at the same time, in the log that is made.
OPEN: Final = 2_000


def sample() -> list[list[list[Row]]]:
    """Lives of a template and of envelopes, with and without one-time codes, one declined; each as its appends."""
    lives = []
    for number in range(5):
        history = RecordedLog(seed=number)
        if number == 0:
            history.template()
        elif number == 1:
            envelope, whose = history.open_envelope(order=OrderMode.PARALLEL)
            history.decline(envelope, whose[1])
        elif number == 2:
            history.completed(documents=1)
        else:
            envelope, whose = history.open_envelope(documents=1)
            for who in whose:
                act = SignDocuments(
                    who, None, SignatureMethod.TYPED, history.personal("I agree to sign."), None, history.provenance()
                )
                history.on_package(Participate(envelope, act))
        # What was appended together has the same time.
        lives.append([list(append) for _, append in groupby(history.rows, key=lambda row: row.raw[:34])])
    return lives


def copies(lives: list[list[list[Row]]], entries: int) -> Iterator[tuple[int, UUID, int, str, bytes, bytes]]:
    """Rows of the log: the lives again and again with new ids (and chains as they were), their appends shuffled into each other."""
    random = Random(7)
    share = [1, 4, 4, 6, 6]  # of templates and of each kind of envelope
    under_way: list[tuple[deque[list[Row]], dict[bytes, bytes]]] = []
    position = 0
    while position < entries:
        if len(under_way) < OPEN:
            under_way.append((deque(random.choices(lives, share)[0]), {}))
        turn = random.randrange(len(under_way))
        appends, fresh = under_way[turn]
        for row in appends.popleft():
            position += 1
            raw = _UUID.sub(lambda old, fresh=fresh: fresh.setdefault(old[0], str(uuid4()).encode()), row.raw)  # type: ignore[misc]
            yield (
                position,
                UUID(fresh[str(row.stream).encode()].decode()),
                row.version,
                row.type,
                sha256(b"\0" + raw).digest(),
                raw,
            )
            if position == entries:
                return
        if not appends:
            under_way.pop(turn)


def fill(conn: psycopg.Connection[Any], entries: int) -> None:
    with Progress(console=console, transient=True) as progress, conn.transaction(), conn.cursor() as cursor:
        task = progress.add_task("filling the log", total=entries)
        with cursor.copy("COPY log (position, stream, version, type, leaf, entry) FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(["int8", "uuid", "int8", "text", "bytea", "bytea"])
            for row in copies(sample(), entries):
                copy.write_row(row)
                if row[0] % 10_000 == 0:
                    progress.update(task, completed=row[0])
        cursor.execute("UPDATE log_head SET position = %s", [entries])
    conn.execute("VACUUM ANALYZE log")
    unread = left_out(PROJECTIONS)
    averages = conn.execute("SELECT avg(octet_length(entry)), avg((type = ANY(%s))::int) FROM log", [unread]).fetchone()
    size, share = averages or (0, 0)
    console.print(
        f"{entries:,} entries of {size:.0f} bytes, {share:.0%} of them not needed by any read model, {OPEN:,} envelopes open at a time"
    )


def resident_megabytes() -> float:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def bench_rebuild(owner_url: str, rounds: int) -> None:
    rates = []
    for number in range(rounds):
        memory: list[float] = []
        before = time.process_time()
        rebuilt = rebuild(owner_url, PROJECTIONS, lambda *_, memory=memory: memory.append(resident_megabytes()))
        rates.append(rebuilt.entries / rebuilt.seconds)
        quarter = memory[len(memory) // 4]
        console.print(
            f"rebuild {number + 1}: {rates[-1]:,.0f} entries/s ({rebuilt.entries:,} in {rebuilt.seconds:.1f} s,"
            f" {(time.process_time() - before) / rebuilt.entries * 1e6:.0f} µs of this process's CPU each);"
            f" memory {quarter:.0f} MB after a quarter, {memory[-1]:.0f} MB at the end"
        )
    console.print(f"rebuild, median of {rounds}: [bold]{statistics.median(rates):,.0f} entries/s[/] (goal: 30,000)")


def bench_runner(urls: DatabaseUrls) -> None:
    with connect(urls.owner) as conn:
        tables = ", ".join(f"read.{table}" for each in PROJECTIONS for table in each.tables)
        conn.execute(f"TRUNCATE {tables}".encode())
        conn.execute("UPDATE read.positions SET position = 0")
    runner = Runner()
    began = time.perf_counter()
    with connect(urls.service) as conn:
        while runner.step(conn) and (time.perf_counter() - began) < 20:
            pass
        row = conn.execute("SELECT min(position) FROM read.positions").fetchone()
        done = int(row[0]) if row else 0
    console.print(f"runner, 500 entries per transaction: {done / (time.perf_counter() - began):,.0f} entries/s")
    rebuild(urls.owner)


async def bench_lag(urls: DatabaseUrls, rounds: int) -> None:
    """From a committed append to the moment when a read may pass, and what passing costs when nothing is missing."""
    listener = LogListener(urls.service)
    listener.start()
    follower = Follower(urls.service, "projections", Runner().step, listener)
    follower.start()
    pool = async_pool(urls.service)
    await pool.open()
    rows = list(copies(sample(), rounds))
    with connect(urls.owner) as owner:
        head = log_position(owner)
    try:
        async with ReadGate(urls.service, pool) as gate:
            names = [each.name for each in PROJECTIONS]
            await gate.wait(names, 60)
            idle, lags = [], []
            for number, (_, *row) in enumerate(rows, 1):
                async with pool.connection() as conn, conn.transaction():
                    await conn.execute("INSERT INTO log VALUES (%s, %s, %s, %s, %s, %s)", [head + number, *row])
                    await conn.execute("UPDATE log_head SET position = %s", [head + number])
                    await conn.execute("SELECT pg_notify('countersign_log', %s)", [str(head + number)])
                began = time.perf_counter()
                await gate.wait(names, 10)
                lags.append(time.perf_counter() - began)
                began = time.perf_counter()
                await gate.wait(names, 10)
                idle.append(time.perf_counter() - began)
    finally:
        await pool.close()
        follower.close()
        listener.close()
    worst = statistics.quantiles(lags, n=20)[-1]
    console.print(
        f"a read right after an append waits {statistics.median(lags) * 1000:.1f} ms (95th percentile {worst * 1000:.1f} ms);"
        f" with nothing to wait for {statistics.median(idle) * 1000:.2f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    load = f", load {os.getloadavg()[0]:.1f} before" if hasattr(os, "getloadavg") else ""
    console.print(
        f"{platform.machine()}, {os.cpu_count()} cores{load}, Python {platform.python_version()}, psycopg {psycopg.__version__}"
    )
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as folder:
        server = start_embedded(Path(folder) / "data", console.print)
        try:
            urls = DatabaseUrls.of(make_conninfo(server.owner_url))
            migrate(urls.owner, ORIGIN)
            with connect(urls.owner) as conn:
                console.print(str(conn.info.parameter_status("server_version")).join(("PostgreSQL ", ", default durability")))
                ensure_tables(urls.owner)
                fill(conn, arguments.entries)
            bench_rebuild(urls.owner, arguments.rounds)
            bench_runner(urls)
            asyncio.run(bench_lag(urls, 200))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
