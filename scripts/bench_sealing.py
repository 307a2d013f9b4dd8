#!/usr/bin/env python3
"""Measures sealing on a real PostgreSQL: entries and checkpoints per second, and what proofs cost as the log grows.

One log is filled by COPY with real canonical entries up to each of the sizes. The sealer then takes most of the new ones in its
ordinary steps and the last ones one by one, a checkpoint for each. Proofs are made by the read side from stored tiles, one after the
other, and verified against the signed root. The database is an embedded one at its default durability.
"""

import argparse
import asyncio
import os
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import psycopg
from rich.console import Console
from rich.progress import Progress

from domain.canonical import Json
from domain.entry import NO_PREVIOUS, draft, format_time, leaf_hash
from domain.merkle import verify_consistency, verify_inclusion
from infrastructure.clock import SystemClock
from infrastructure.database import DatabaseUrls, async_pool, connect
from infrastructure.embedded import start_embedded
from infrastructure.log_keys import LogKeys
from infrastructure.migrate import migrate
from infrastructure.sealed import Sealed
from infrastructure.sealer import Sealer

ORIGIN: Final = "countersign.test/bench"
TYPE: Final = "signing.document-signed/1"
ACTOR: Final[dict[str, Json]] = {"id": "58bff266", "kind": "signer"}
DATA: Final[dict[str, Json]] = {
    "document": "58bff266-cdad-46db-b373-1b06476146cd",
    "method": "otp-email",
    "provenance": {"identity": "otp-email", "ip_source": "trusted-proxy"},
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
}
PERSONAL: Final = {"data.provenance.ip": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"}
#: Entries of one process (DESIGN section 13).
STREAM: Final = 12


@dataclass(frozen=True, slots=True)
class Bench:
    """What is measured, and with."""

    urls: DatabaseUrls
    sealer: Callable[[int], Sealer]
    checkpoints: int
    proofs: int
    progress: Progress


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument(
        "--sizes",
        type=int,
        nargs="+",
        default=[1_000, 10_000, 100_000, 1_000_000],
        help="of the log (default: 1,000 to 1,000,000)",
    )
    options.add_argument("--checkpoints", type=int, default=300, help="checkpoints of one entry each at each size (default: 300)")
    options.add_argument("--proofs", type=int, default=1_000, help="proofs of each kind and size (default: 1,000)")
    chosen = options.parse_args()
    if min(chosen.sizes) <= chosen.checkpoints:
        options.error("a size must be greater than --checkpoints")
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as folder, ExitStack() as stack:
        data = Path(folder) / "data"
        server = stack.enter_context(start_embedded(data, lambda line: print(line, file=sys.stderr)))
        urls = DatabaseUrls.of(server.owner_url)
        migrate(urls.owner, ORIGIN)
        _print_machine(urls)
        keys = LogKeys(ORIGIN, data)
        keys.add()
        progress = stack.enter_context(Progress(console=console, transient=True))
        bench = Bench(
            urls,
            lambda batch: Sealer(keys, data, SystemClock(), checkpoint_seconds=0, batch=batch),
            chosen.checkpoints,
            chosen.proofs,
            progress,
        )
        print(
            "      entries    sealed/s  checkpoints/s    inclusion, ms: median  p99  hashes    consistency, ms: median  p99  hashes"
        )
        for size in sorted(chosen.sizes):
            _measure(bench, size)


def _measure(bench: Bench, size: int) -> None:
    with connect(bench.urls.owner) as conn:
        _fill(conn, size, bench.progress)
    with connect(bench.urls.service) as conn:
        few = size - bench.checkpoints
        entries = _seal(conn, bench, few, batch=4_000)
        checkpoints = _seal(conn, bench, size, batch=1)
    inclusion, consistency = asyncio.run(_proofs(bench, size))
    print(
        f"{size:13,}{entries:12,.0f}{checkpoints:15,.0f}    "
        f"{inclusion.median:21.2f}{inclusion.p99:5.1f}{inclusion.hashes:8.1f}"
        f"    {consistency.median:23.2f}{consistency.p99:5.1f}{consistency.hashes:8.1f}"
    )


def _fill(conn: psycopg.Connection[Any], size: int, progress: Progress) -> None:
    """Brings the log to `size` entries."""
    row = conn.execute("SELECT position FROM log_head").fetchone()
    before = int(row[0]) if row else 0
    task = progress.add_task(f"filling the log to {size:,}", total=size - before)
    with conn.transaction(), conn.cursor() as cursor:
        with cursor.copy("COPY log (position, stream, version, type, leaf, entry) FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(["bigint", "uuid", "bigint", "text", "bytea", "bytea"])
            for done, row in enumerate(_entries(before, size), 1):
                copy.write_row(row)
                if done % 1_000 == 0:
                    progress.update(task, completed=done)
        cursor.execute("UPDATE log_head SET position = %s, at = %s", [size, datetime.now(UTC)])
    conn.execute("ANALYZE log")
    progress.remove_task(task)


def _entries(before: int, size: int) -> Iterator[tuple[object, ...]]:
    """Rows of processes of twelve entries each, which follow one upon the other."""
    at, position = datetime.now(UTC), before
    while position < size:
        stream, previous = uuid4(), NO_PREVIOUS
        for version in range(1, min(STREAM, size - position) + 1):
            position += 1
            moment = format_time(at + timedelta(microseconds=position))
            raw = draft(ORIGIN, stream, version, TYPE, ACTOR, DATA, PERSONAL).place(moment, previous)
            previous = leaf_hash(raw)
            yield position, stream, version, TYPE, previous, raw


def _seal(conn: psycopg.Connection[Any], bench: Bench, until: int, batch: int) -> float:
    """Seals up to `until` in steps of `batch`; answers entries per second, of which with a batch of 1 each is a checkpoint."""
    row = conn.execute("SELECT size FROM sealing").fetchone()
    before = sealed = int(row[0]) if row else 0
    task = bench.progress.add_task(f"sealing to {until:,}", total=until - before)
    began = time.perf_counter()
    while sealed < until:
        step = min(batch, until - sealed)
        bench.sealer(step).step(conn)
        sealed += step
        bench.progress.update(task, completed=sealed - before)
    seconds = time.perf_counter() - began
    bench.progress.remove_task(task)
    row = conn.execute("SELECT size FROM sealing").fetchone()
    if row != (until,):
        raise SystemExit(f"sealed up to {row}, not to {until}")
    return (until - before) / seconds


@dataclass(frozen=True, slots=True)
class Figures:
    """Of proofs: milliseconds, and the mean number of their hashes."""

    median: float
    p99: float
    hashes: float


async def _proofs(bench: Bench, size: int) -> tuple[Figures, Figures]:
    chance = random.Random(size)
    async with async_pool(bench.urls.service) as pool:
        sealed = Sealed(pool)
        checkpoint = await sealed.at(size)
        old = await sealed.at(size - bench.checkpoints)
        if checkpoint is None or old is None:
            raise SystemExit(f"no checkpoint of {size} entries")
        indexes = [chance.randrange(size) for _ in range(bench.proofs)]
        inclusion = await _timed(bench, indexes, lambda index: sealed.inclusion(index, size))
        consistency = await _timed(bench, [index + 1 for index in indexes], lambda older: sealed.consistency(older, size))
        async with pool.connection() as conn:
            for index in indexes[:20]:
                row = await (await conn.execute("SELECT leaf FROM log WHERE position = %s", [index + 1])).fetchone()
                leaf = bytes(row[0]) if row else b""
                verify_inclusion(leaf, index, size, await sealed.inclusion(index, size), checkpoint.root)
        verify_consistency(old.size, size, await sealed.consistency(old.size, size), old.root, checkpoint.root)
    return inclusion, consistency


async def _timed(bench: Bench, numbers: list[int], prove: Callable[[int], Awaitable[tuple[bytes, ...]]]) -> Figures:
    seconds, hashes = [], []
    await prove(numbers[0])  # connections, prepared statements
    for number in bench.progress.track(numbers, description="proving"):
        began = time.perf_counter()
        proof = await prove(number)
        seconds.append(time.perf_counter() - began)
        hashes.append(len(proof))
    ordered = sorted(each * 1_000 for each in seconds)
    return Figures(statistics.median(ordered), ordered[len(ordered) * 99 // 100], statistics.mean(hashes))


def _print_machine(urls: DatabaseUrls) -> None:
    with connect(urls.owner) as conn:
        row = conn.execute(
            "SELECT current_setting('server_version'), current_setting('fsync'), current_setting('synchronous_commit')"
        ).fetchone()
    version, fsync, commit = row or ("?", "?", "?")
    print(
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"PostgreSQL {version} (fsync {fsync}, synchronous_commit {commit})"
    )


if __name__ == "__main__":
    main()
