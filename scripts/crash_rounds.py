#!/usr/bin/env python3
"""Kills the API process and PostgreSQL at random moments under load, and judges what is left.

Clients create templates, publish documents, extend, resend, cancel and complete sessions over HTTP, each change with an
idempotency key. In each round something is killed with `kill -9` and comes up again; requests that got no answer are repeated
with their keys. Then every acknowledged entry must be in the log, everything asked for must have happened exactly once, and
`fsck` must find no fault. Exit code 1 if anything does not hold.
"""

import argparse
import asyncio
import io
import os
import platform
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pikepdf
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

from infrastructure.clock import SystemClock
from infrastructure.database import DatabaseUrls, async_pool
from infrastructure.embedded import start_embedded
from infrastructure.identity import Identity
from infrastructure.installation import Installation, open_installation
from infrastructure.invitation_mint import InvitationMint
from infrastructure.secrets import Keys
from infrastructure.settings import Settings
from scripts.crash_clients import Client, Gate, Memory, Target, Violation
from scripts.crash_judge import Judge
from scripts.server_process import ServerProcess, StartFailed, database_process, kill_database

#: What may be killed: the API, PostgreSQL's first process, all of PostgreSQL in one instant, or that and the API.
KINDS: Final = {
    "api": ("api",),
    "postgres": ("postgres", "all of postgres"),
    "both": ("api", "postgres", "all of postgres", "api and postgres"),
}

CREDITS: Final = 1_000_000
#: A system that has not recovered by then hangs.
RECOVERY_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """A fresh installation with one tenant whose credits are counted."""

    urls: DatabaseUrls
    blob_url: str
    keys: Keys
    tenant: UUID
    secret: str


@dataclass
class Figures:
    """What the rounds gave; times in seconds."""

    kills: Counter[str] = field(default_factory=Counter)
    recoveries: dict[str, list[float]] = field(default_factory=dict)

    def add(self, kind: str, seconds: float) -> None:
        self.kills[kind] += 1
        self.recoveries.setdefault(kind, []).append(seconds)


def main() -> None:
    options = _options()
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, seed {options.seed}"
    )
    with tempfile.TemporaryDirectory(prefix="countersign-crash-") as folder:
        data = Path(folder) / "data"
        try:
            asyncio.run(_run(data, options, console))
        except (Violation, StartFailed) as err:
            console.print(f"[bold red]VIOLATION[/] {err}", markup=True)
            _show_logs(Path(folder), console)
            sys.exit(1)
        finally:
            start_embedded(data, lambda line: None).stop()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50, help="kills (default: 50)")
    parser.add_argument("--seconds-of-load", type=float, default=1.5, help="most seconds before a kill (default: 1.5)")
    parser.add_argument("--clients", type=int, default=12, help="concurrent clients (default: 12)")
    parser.add_argument("--kill", choices=list(KINDS), default="both", help="what is killed (default: both)")
    parser.add_argument(
        "--seed", type=int, default=random.SystemRandom().randrange(10**6), help="of the moments and the clients' choices"
    )
    return parser.parse_args()


async def _run(data: Path, options: argparse.Namespace, console: Console) -> None:
    prepared = await asyncio.to_thread(_prepare, data)
    chance = random.Random(options.seed)
    figures, memory, gate = Figures(), Memory(), Gate()
    judge = Judge(prepared.urls.service, prepared.blob_url, prepared.tenant, CREDITS)
    kinds = KINDS[options.kill]
    # The processes are started and ended off this event loop, on which the clients go on.
    server = await asyncio.to_thread(ServerProcess(data, "serve").start)
    began = time.monotonic()
    try:
        with _clients(prepared, server.url, memory, gate, options) as clients, _progress(console, options.rounds) as progress:
            for turn in range(options.rounds):
                kind = kinds[turn % len(kinds)]
                told = await _round(kind, data, server, clients, gate, chance.uniform(0.1, options.seconds_of_load), figures)
                await asyncio.to_thread(judge.judge, memory)
                progress.console.print(
                    f"round {turn + 1:3}: kill -9 of {kind:16} {told}; {len(memory.receipts):6} receipts, {judge.told.position:6} entries, "
                    f"{len(memory.tries):4} requests repeated, {judge.repeated:3} had happened: all holds"
                )
                progress.advance(progress.task_ids[0])
            await _settle(clients, gate, judge, memory)
    finally:
        await asyncio.to_thread(server.stop)
    _summary(console, figures, memory, judge, time.monotonic() - began)


async def _round(
    kind: str, data: Path, server: ServerProcess, clients: list[asyncio.Task[None]], gate: Gate, seconds: float, figures: Figures
) -> str:
    gate.open()
    await _guard(clients, gate.next_acknowledged())  # under load, not before it
    await _guard(clients, asyncio.sleep(seconds))
    killed = time.monotonic()
    before = database_process(data)
    await asyncio.to_thread(_kill, kind, data, server)
    if "api" in kind:
        await asyncio.to_thread(server.start)
    while database_process(data) in ((None,) if kind == "api" else (None, before)):
        if time.monotonic() > killed + RECOVERY_SECONDS:
            raise Violation(f"PostgreSQL was not started again within {RECOVERY_SECONDS:.0f} s")
        await asyncio.sleep(0.01)
    try:
        await asyncio.wait_for(_guard(clients, gate.next_acknowledged()), RECOVERY_SECONDS)
    except TimeoutError as err:
        raise Violation(f"nothing was answered for {RECOVERY_SECONDS:.0f} s after the kill") from err
    recovered = time.monotonic() - killed
    figures.add(kind, recovered)
    await _guard(clients, asyncio.sleep(0.3))
    await asyncio.wait_for(_guard(clients, gate.close()), RECOVERY_SECONDS)
    return f"after {seconds:4.2f} s, answering again after {recovered:5.2f} s"


def _kill(kind: str, data: Path, server: ServerProcess) -> None:
    if "postgres" in kind:
        kill_database(data, children=kind != "postgres")
    if "api" in kind:
        server.kill()


async def _guard(clients: list[asyncio.Task[None]], wait: Coroutine[Any, Any, None]) -> None:
    """Waits, and raises what a client found meanwhile."""
    waiting = asyncio.create_task(wait)
    done, _ = await asyncio.wait({waiting, *clients}, return_when=asyncio.FIRST_COMPLETED)
    for task in done - {waiting}:
        waiting.cancel()
        task.result()
    await waiting


async def _settle(clients: list[asyncio.Task[None]], gate: Gate, judge: Judge, memory: Memory) -> None:
    """Once more without a kill: what the followers have to do gets done, and read models say what the log says."""
    gate.open()
    await _guard(clients, asyncio.sleep(1))
    await _guard(clients, gate.close())
    await asyncio.to_thread(judge.judge, memory)
    await asyncio.to_thread(judge.judge_reads, RECOVERY_SECONDS)


def _prepare(data: Path) -> Prepared:
    """Makes the installation; the embedded server is given up again, so that only the process under test uses it."""
    settings = Settings.read({"COUNTERSIGN_DATA": str(data)})
    with open_installation(settings, lambda line: print(line, file=sys.stderr)) as installation:
        tenant, secret = asyncio.run(_tenant(installation))
        return Prepared(installation.urls, settings.blob_url, installation.keys, tenant, secret)


async def _tenant(installation: Installation) -> tuple[UUID, str]:
    async with async_pool(installation.urls.service, max_size=1) as pool:
        identity = Identity(pool, installation.keys, SystemClock())
        tenant = await identity.create_tenant("Crash rounds")
        await identity.set_credits(tenant, CREDITS)
        return tenant, (await identity.create_partner_key(tenant, "KEY")).secret


@contextmanager
def _clients(
    prepared: Prepared, url: str, memory: Memory, gate: Gate, options: argparse.Namespace
) -> Iterator[list[asyncio.Task[None]]]:
    target = Target(
        url,
        {"X-Tenant-Signly": str(prepared.tenant), "X-Auth-Signly": prepared.secret},
        InvitationMint(prepared.keys, timedelta(days=30), os.urandom),
        _pdf(),
    )
    tasks = [
        asyncio.create_task(Client(target, memory, gate, options.seed * 1000 + number).run(), name=f"client {number}")
        for number in range(options.clients)
    ]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()


def _pdf() -> bytes:
    with pikepdf.new() as document:
        document.add_blank_page()
        out = io.BytesIO()
        document.save(out, deterministic_id=True)
    return out.getvalue()


@contextmanager
def _progress(console: Console, rounds: int) -> Iterator[Progress]:
    with Progress("kills", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console, transient=True) as progress:
        progress.add_task("kills", total=rounds)
        yield progress


def _summary(console: Console, figures: Figures, memory: Memory, judge: Judge, seconds: float) -> None:
    told = judge.told
    kills = ", ".join(f"{count} of {kind}" for kind, count in figures.kills.items())
    console.print(f"\n{figures.kills.total()} kills in {seconds:.0f} s: {kills}")
    console.print(
        f"acknowledged: {len(memory.keys)} changes, {len(memory.receipts)} entries of {told.position} with their hashes: all there\n"
        f"exactly once: {len(told.templates)} templates, {len(told.documents)} documents and credits, {len(told.completed)} completed "
        f"sessions, {told.extended.total()} extensions, {told.resent.total()} resent invitations, {len(told.cancelled)} cancels\n"
        f"repeated with their key: {len(memory.tries)} requests, of which {judge.repeated} had happened before and got their first answer\n"
        f"refused in races: {memory.refused.total()}; answered 503 during outages: {memory.unavailable}; "
        f"longest answer {memory.longest_seconds:.1f} s"
    )
    for kind, times in figures.recoveries.items():
        console.print(
            f"answering again after kill -9 of {kind:16} median {statistics.median(times):.2f} s, longest {max(times):.2f} s"
        )


def _show_logs(folder: Path, console: Console) -> None:
    for log in folder.glob("*.log"):
        console.print(f"The end of {log.name}:\n{log.read_text(errors='replace')[-6000:]}", markup=False)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    main()
