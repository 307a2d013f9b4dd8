#!/usr/bin/env python3
"""How fast an export is verified offline: entries per second and core, and the memory that it takes.

Writes exports of copies of envelopes that the deciders made, many of them open at a time, checks them as `countersign verify` does, and prints the
rate and the peak of resident memory for a tenth of the entries and for all of them; a flat peak means that memory does not grow with the log.
"""

import argparse
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Final
from uuid import UUID

from rich.console import Console
from rich.progress import Progress

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from domain.entry import NO_PREVIOUS, format_time, leaf_hash, parse_time
from infrastructure.export_format import Header, Scope, ScopeKind, Trailer, entry_line, header_line, trailer_line
from infrastructure.verification import verify
from scripts.bench_projections import sample
from tests.histories import ORIGIN, START, Row

console = Console(highlight=False)

#: Envelopes that are open at the same time, in the log that is made.
OPEN: Final = 2_000

_UUID: Final = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME: Final = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_PREVIOUS: Final = re.compile(rb'"previous":"[0-9a-f]{64}"')


class Copy:
    """One life under new ids."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._ids: dict[bytes, bytes] = {}
        self._leaves: dict[UUID, bytes] = {}

    def renewed(self, row: Row, later: timedelta) -> tuple[bytes, bytes]:
        """Leaf and bytes of the next entry, all its times moved."""
        raw = _TIME.sub(lambda found: format_time(parse_time(found[0].decode()) + later).encode(), row.raw)
        raw = _UUID.sub(lambda found: self._ids.setdefault(found[0], self._fresh()), raw)
        stream = UUID(self._ids[str(row.stream).encode()].decode())
        before = self._leaves.get(stream, NO_PREVIOUS).hex().encode()
        raw = _PREVIOUS.sub(b'"previous":"%b"' % before, raw, count=1)
        self._leaves[stream] = leaf_hash(raw)
        return self._leaves[stream], raw

    def _fresh(self) -> bytes:
        return str(UUID(int=self._random.getrandbits(128), version=4)).encode()


def log(entries: int) -> Iterator[tuple[bytes, bytes]]:
    """Leaves and bytes of a legal log with at least so many entries: rounds of envelopes, each round shuffled into each other."""
    lives, random, made, begun = sample(), Random(7), 0, timedelta()
    share = [1, 4, 4, 6, 6]  # of templates and of each kind of envelope
    while made < entries:
        appends = []
        for place in range(OPEN):
            copy, life = Copy(random), random.choices(lives, share)[0]
            later = begun + timedelta(microseconds=place)
            # Within a life all times move alike, so what was legal stays so.
            appends += [(_time(append[0].raw) + later, later, copy, append) for append in life]
        appends.sort(key=lambda each: each[0])
        for _, later, copy, append in appends:
            made += len(append)
            yield from (copy.renewed(row, later) for row in append)
        begun = appends[-1][0] - START + timedelta(seconds=1)


def _time(raw: bytes) -> datetime:
    """The time of an entry, with which its canonical spelling begins."""
    return parse_time(raw[7:34].decode())


def write(path: Path, entries: int) -> None:
    """An export of the whole of such a log; the header says its last position, so the entries are written first."""
    body, digest, count = path.with_suffix(".body"), sha256(), 0
    with Progress(console=console, transient=True) as progress, body.open("wb") as file:
        task = progress.add_task("writing an export", total=entries)
        for count, (leaf, raw) in enumerate(log(entries), 1):
            file.write(entry_line(count, leaf, raw))
            if count % 5_000 == 0:
                progress.update(task, completed=count)
    header = header_line(Header(ORIGIN, Scope(ScopeKind.LOG), count, None))
    digest.update(header)
    with path.open("wb") as whole, body.open("rb") as file:
        whole.write(header)
        for line in file:
            digest.update(line)
            whole.write(line)
        whole.write(trailer_line(Trailer(count, count, digest.hexdigest())))
    body.unlink()


def measure(path: Path) -> None:
    """Checks one export in this process and prints a line."""
    before, began = time.process_time(), time.perf_counter()
    report = verify(path)
    wall, cpu = time.perf_counter() - began, time.process_time() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{report.entries:>11,} entries, {path.stat().st_size / 2**20:,.0f} MiB: {report.verdict.value}, {report.entries / wall:,.0f} entries/s"
        f" ({cpu / report.entries * 1e6:.0f} µs of one core each), peak of memory {peak:.0f} MB"
    )
    report.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=1_000_000, help="at least so many (default 1,000,000)")
    parser.add_argument("--export", type=Path, help="check this export instead, in this process")
    chosen = parser.parse_args()
    if chosen.export is not None:
        measure(chosen.export)
        return
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f} before, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as folder:
        for entries in (chosen.entries // 10, chosen.entries):
            path = Path(folder) / f"{entries}.jsonl"
            write(path, entries)
            # In a process of its own: the peak is that of the check alone.
            subprocess.run([sys.executable, __file__, "--export", str(path)], check=True)


if __name__ == "__main__":
    main()
