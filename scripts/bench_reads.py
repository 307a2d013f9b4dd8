#!/usr/bin/env python3
"""Measures reading over HTTP: every list and get of every surface, and what a far page of a list costs.

Fills an embedded PostgreSQL (default durability) with envelopes of several tenants, one of them with nine tenths, makes the
read models and asks a real server process, with each product's credential. The GET routes come from the surfaces' OpenAPI
documents; one without a recipe (`bench_reads_recipes.py`) is reported and fails the run. Each route is asked in rounds by one
client and by many, each of which waits for its answer before it asks again; pages are asked in turn with the first page of
their list. The peer (`bench_reads_peer.py`) answers from the same rows and is measured in the same rounds. Clients, servers
and database share the machine. Prints it, reads per second (median of the rounds), latencies and ratios.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import cycle
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import uvloop
from rich.console import Console
from rich.progress import Progress

from domain.directory import user_subject
from domain.personal import person
from infrastructure.clock import SystemClock
from infrastructure.database import async_pool, connect
from infrastructure.embedded import start_embedded
from infrastructure.installation import Installation, open_installation
from infrastructure.issuer import ISSUER
from infrastructure.log_keys import open_log_keys
from infrastructure.sealer import Sealer
from infrastructure.settings import Settings, variable
from infrastructure.vault import Vault
from projections import PROJECTIONS
from projections.rebuild import ensure_tables, rebuild
from scripts.bench_http import new_database, print_machine
from scripts.bench_reads_peer import SCHEMA
from scripts.bench_reads_recipes import LISTS, RECIPES, PagedList, Recipe, Row, samples
from scripts.bench_reads_world import SIGNER, World, fill
from scripts.http_client import Connection, NoAnswer, spell
from scripts.server_process import ROOT, ServerProcess

SURFACES: Final = ("partner", "signing", "signatures", "sessions", "ledger")

#: Rows of a page, if the list is long enough for pages of that size.
PAGE_ROWS: Final = 50
LEAST_ROWS: Final = 10
#: Rows of the pages by which the way to a far page is gone; no product has larger ones.
STRIDE: Final = 100
#: At least so many answers of a page, however slow it is.
LEAST_ANSWERS: Final = 10

#: A shorter round of a slow list would hold hardly more than one answer.
LEAST_ROUND_SECONDS: Final = 0.15

#: Our read beside the peer's of the same rows.
PEERS: Final = {"peer get": "sessions /v1/signing_envelopes/{id}", "peer list": "sessions /v1/signing_envelopes (50)"}


@dataclass
class Question:
    """What is asked again and again, its requests in turn; by the number of clients rates by round and latencies, in seconds."""

    name: str
    url: str
    requests: Iterator[bytes]
    statuses: tuple[int, ...] = (200,)
    rates: dict[int, list[float]] = field(default_factory=dict)
    latencies: dict[int, list[float]] = field(default_factory=dict)

    def rate(self, clients: int) -> float:
        return statistics.median(self.rates[clients])

    def percentile(self, clients: int, percent: int) -> float:
        found = sorted(self.latencies[clients])
        return found[min(len(found) - 1, len(found) * percent // 100)]


class UnexpectedAnswer(Exception):
    """A read was not answered as it should be; the message says how."""


@dataclass(frozen=True, slots=True)
class Far:
    """A far page of a list beside its first: the page's number and size, and the latencies of both, in seconds."""

    of: PagedList
    number: int
    size: int
    first: list[float]
    far: list[float]


def main() -> int:
    options = _options()
    console = Console(highlight=False, stderr=True)
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as folder, ExitStack() as stack:
        server = stack.enter_context(start_embedded(Path(folder) / "postgres-data", console.print))
        print_machine(server)
        progress = stack.enter_context(Progress(console=console, transient=True))
        environment = {"DATABASE_URL": new_database(server, "reads"), variable("rate_limits"): "off"}
        # No follower makes the manifest that a bundle of evidence would wait for.
        environment[variable("evidence_wait_seconds")] = "0"
        data = Path(folder) / "ours"
        settings = Settings.read({**environment, variable("data"): str(data)})
        installation = stack.enter_context(open_installation(settings, console.print))
        world = _prepare(installation, options.envelopes, progress)
        _seal(installation)
        # Without followers nothing is appended while it reads, and no mail is made for the envelopes.
        ours = stack.enter_context(ServerProcess(data, "serve", "--no-followers", environment=environment))
        peer = stack.enter_context(_peer(installation.urls.owner, world))
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_Bench(options, installation, world, ours.url, peer, progress).run())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--envelopes", type=int, default=100_000, help="envelopes of all tenants together (default: 100000)")
    parser.add_argument("--seconds", type=float, default=1.5, help="of each measurement, all its rounds together (default: 1.5)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of whose rates the median counts (default: 3)")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 16], help="concurrent clients (default: 1 16)")
    parser.add_argument("--page", type=int, default=1000, help="the far page (default: 1000; the last if there are fewer)")
    options = parser.parse_args()
    options.rounds = max(1, min(options.rounds, int(options.seconds / LEAST_ROUND_SECONDS)))
    return options


# What is read


def _seal(installation: Installation) -> None:
    """Signs what was filled in: proofs are made from tiles, and only of what is signed."""
    keys = open_log_keys(installation.settings, installation.urls, installation.origin)
    sealer = Sealer(keys, installation.settings.data, SystemClock(), checkpoint_seconds=0)
    with connect(installation.urls.service) as conn:
        while sealer.step(conn):
            pass


def _prepare(installation: Installation, envelopes: int, progress: Progress) -> World:
    filling = progress.add_task("filling the log", total=None)
    began = time.perf_counter()
    world = fill(installation, envelopes, lambda done, total: progress.update(filling, completed=done, total=total))
    progress.remove_task(filling)
    rebuilding = progress.add_task("making the read models", total=None)
    filled = time.perf_counter()
    ensure_tables(installation.urls.owner)
    made = rebuild(
        installation.urls.owner,
        PROJECTIONS,
        lambda position, head: progress.update(rebuilding, completed=position, total=head),
    )
    progress.remove_task(rebuilding)
    with connect(installation.urls.owner) as conn:
        conn.execute(SCHEMA)
        bearer = world.callers["organization"]["Authorization"].removeprefix("Bearer ")
        conn.execute("INSERT INTO peer_keys VALUES (%s, %s, 'live')", [sha256(bearer.encode()).hexdigest(), world.tenant])
        conn.execute("VACUUM ANALYZE")  # as autovacuum would have done by the time that so much is there
        row = conn.execute("SELECT count(*), count(*) FILTER (WHERE tenant = %s) FROM read.envelopes", [world.tenant]).fetchone()
    assert row is not None
    print(
        f"{row[0]:,} envelopes ({row[1]:,} of them one tenant's) with two signers each, {made.entries:,} entries;"
        f" appended in {filled - began:.0f} s, read models made in {made.seconds:.0f} s"
    )
    return world


@contextmanager
def _peer(url: str, world: World) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.bench_reads_peer", url], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip().rpartition(" ")[2]
    finally:
        process.terminate()
        process.wait(30)


async def _people(installation: Installation, world: World) -> dict[str, UUID | None]:
    """The vault's ids of the signer: as who has that e-mail address, and as the user who owns documents."""
    subjects = {
        "signer": person(world.tenant, email=SIGNER, otherwise=world.tenant),
        "owner": user_subject(world.tenant, ISSUER, "signer"),
    }
    async with async_pool(installation.urls.service) as pool:
        vault = Vault(pool, installation.keys)
        return {name: await vault.subject_id(subject) for name, subject in subjects.items()}


# How it is read


class _Bench:
    """One run: its questions, its answers, and what went wrong."""

    def __init__(
        self, options: argparse.Namespace, installation: Installation, world: World, ours: str, peer: str, progress: Progress
    ) -> None:
        self._options = options
        self._installation = installation
        self._world = world
        self._ours = ours
        self._peer = peer
        self._progress = progress
        self._faults: list[str] = []

    async def run(self) -> int:
        """Measures and prints; the process's exit code."""
        routes = await self._routes()
        with connect(self._installation.urls.owner) as conn:
            found = samples(conn, self._world, await _people(self._installation, self._world))
            counts = [self._rows(conn, one) for one in LISTS]
        known = [one for one in routes if one in RECIPES]
        self._faults += [f"{surface} {path} has no recipe" for surface, path in routes if (surface, path) not in RECIPES]
        self._faults += [
            f"{surface} {path} has a recipe and is no route" for surface, path in RECIPES if (surface, path) not in routes
        ]
        asked = [self._question(surface, path, recipe, found) for surface, path in known for recipe in RECIPES[surface, path]]
        questions = [*await self._answered([one for one in asked if one is not None]), *self._peers(found)]
        await self._measure(questions)
        _print_reads(questions, self._options.clients, self._options.rounds)
        _print_peers({one.name: one for one in questions}, self._options.clients)
        far = [one for count, of in zip(counts, LISTS, strict=True) if (one := await self._far(of, count)) is not None]
        _print_pages(far)
        for fault in self._faults:
            print(f"NOT MEASURED: {fault}")
        return 1 if self._faults else 0

    async def _routes(self) -> list[tuple[str, str]]:
        connection = await Connection.open(self._ours)
        routes = []
        for surface in SURFACES:
            answer = await connection.send(spell("GET", f"/docs/{surface}/openapi.json", self._host, {}))
            routes += [(surface, path) for path, item in answer.json()["paths"].items() if "get" in item]
        connection.close()
        return routes

    @property
    def _host(self) -> str:
        return urlsplit(self._ours).netloc

    def _rows(self, conn: Any, of: PagedList) -> int:
        row = conn.execute(of.rows.encode(), {"tenant": self._world.tenant, "popular": self._world.popular}).fetchone()
        return int(row[0])

    def _question(self, surface: str, path: str, recipe: Recipe, found: Mapping[str, list[Row]]) -> Question | None:
        name = f"{surface} {path}{f' ({recipe.note})' if recipe.note else ''}"
        headers = self._world.callers[recipe.caller]
        requests = [spell("GET", recipe.path.format(**row), self._host, headers) for row in found[recipe.sample]]
        if not requests:
            self._faults.append(f"{name}: there is no {recipe.sample} to ask for")
            return None
        return Question(name, self._ours, cycle(requests), recipe.statuses)

    def _peers(self, found: Mapping[str, list[Row]]) -> list[Question]:
        host, headers = urlsplit(self._peer).netloc, self._world.callers["organization"]
        ones = [spell("GET", f"/envelopes/{row['id']}", host, headers) for row in found["package"]]
        page = spell("GET", f"/envelopes?limit={PAGE_ROWS}", host, headers)
        return [Question("peer get", self._peer, cycle(ones)), Question("peer list", self._peer, cycle([page]))]

    async def _answered(self, questions: Sequence[Question]) -> list[Question]:
        """Those that are answered as they should be. What is not is a fault; asking also warms the server up."""
        answered = []
        connection = await Connection.open(self._ours)
        for question in questions:
            try:
                for _ in range(3):
                    await _ask(connection, question)
                answered.append(question)
            except UnexpectedAnswer as err:
                self._faults.append(f"{question.name} {err}")
        connection.close()
        return answered

    async def _measure(self, questions: Sequence[Question]) -> None:
        clients, rounds = self._options.clients, self._options.rounds
        task = self._progress.add_task("reading", total=rounds * len(questions))
        for turn in range(rounds):
            # Each goes first as often as last, so that none always meets the colder machine.
            for question in questions if turn % 2 else reversed(questions):
                for count in clients:
                    await _time(question, count, self._options.seconds / rounds)
                self._progress.advance(task)
        self._progress.remove_task(task)

    async def _far(self, of: PagedList, count: int) -> Far | None:
        """Walks to the far page by the list's own cursors, then asks it and the first one in turn."""
        size = min(PAGE_ROWS, max(LEAST_ROWS, count // self._options.page))
        number = min(self._options.page, count // size)
        if number < 2:
            self._faults.append(f"{of.surface} {of.path} has no second page of {size}")
            return None
        connection = await Connection.open(self._ours)
        try:
            cursor = await self._walk(connection, of, (number - 1) * size)
            pages = [Question(of.path, self._ours, cycle([self._page(of, size, at)])) for at in (None, cursor)]
            timed, began = Far(of, number, size, [], []), time.perf_counter()
            while len(timed.far) < LEAST_ANSWERS or time.perf_counter() - began < self._options.seconds:
                for question, latencies in zip(pages, (timed.first, timed.far), strict=True):
                    latencies.append(await _ask(connection, question))
            return timed
        except (UnexpectedAnswer, NoAnswer) as err:
            self._faults.append(f"page {number} of {of.surface} {of.path}: {err}")
            return None
        finally:
            connection.close()

    async def _walk(self, connection: Connection, of: PagedList, rows: int) -> str | None:
        """The cursor of what follows the first `rows` rows."""
        task = self._progress.add_task(f"walking {of.surface} {of.path.format(popular='...')}", total=rows)
        cursor, left = None, rows
        while left:
            size = min(STRIDE, left)
            reply = await connection.send(self._page(of, size, cursor))
            cursor = of.next(json.loads(reply.body)) if reply.status == 200 else None
            if cursor is None:
                raise UnexpectedAnswer(
                    f"after {rows - left} rows it answered {reply.status}: {reply.body[:200].decode(errors='replace')}"
                )
            left -= size
            self._progress.advance(task, size)
        self._progress.remove_task(task)
        return cursor

    def _page(self, of: PagedList, size: int, cursor: str | None) -> bytes:
        path = of.path.format(popular=self._world.popular)
        path += f"{'&' if '?' in path else '?'}limit={size}{'' if cursor is None else f'&{of.parameter}={cursor}'}"
        return spell("GET", path, self._host, self._world.callers[of.caller])


async def _ask(connection: Connection, question: Question) -> float:
    """One read; its latency in seconds. Raises UnexpectedAnswer."""
    request = next(question.requests)
    began = time.perf_counter()
    reply = await connection.send(request)
    seconds = time.perf_counter() - began
    if reply.status not in question.statuses:
        line = request.partition(b"\r\n")[0].decode()
        raise UnexpectedAnswer(f"answered {reply.status} to {line}: {reply.body[:200].decode(errors='replace')}")
    return seconds


async def _time(question: Question, clients: int, seconds: float) -> None:
    connections = await asyncio.gather(*(Connection.open(question.url) for _ in range(clients)))
    latencies: list[float] = []

    async def ask(connection: Connection) -> None:
        while time.perf_counter() < until:
            latencies.append(await _ask(connection, question))

    began = time.perf_counter()
    until = began + seconds
    await asyncio.gather(*(ask(connection) for connection in connections))
    question.rates.setdefault(clients, []).append(len(latencies) / (time.perf_counter() - began))
    question.latencies.setdefault(clients, []).extend(latencies)
    for connection in connections:
        connection.close()


# What came of it


def _print_reads(questions: Sequence[Question], clients: Sequence[int], rounds: int) -> None:
    width = max(len(one.name) for one in questions)
    print(
        f"\nreads per second (median of {rounds} round{'s' if rounds > 1 else ''}), and latency in ms at the 50th and 95th percentile"
    )
    print(
        f"{'':{width}}"
        + "".join(f"   {f'{count} clients' if count > 1 else '1 client':>10}     p50     p95" for count in clients)
    )
    for one in questions:
        cells = (f"{one.rate(n):10,.0f} {_ms(one.percentile(n, 50))} {_ms(one.percentile(n, 95))}" for n in clients)
        print(f"{one.name:{width}}   " + "   ".join(cells))


def _print_peers(questions: Mapping[str, Question], clients: Sequence[int]) -> None:
    for peer, name in PEERS.items():
        if name in questions:
            ratios = (f"{questions[name].rate(n) / questions[peer].rate(n):.2f}x with {n}" for n in clients)
            print(f"{name} beside the {peer}, ratio of reads per second by clients: {', '.join(ratios)}")


def _print_pages(pages: Sequence[Far]) -> None:
    print("\na far page beside page 1 of the same list, asked in turn by one client; medians in ms, and their ratio")
    for it in pages:
        first, far = statistics.median(it.first), statistics.median(it.far)
        path = f"{it.of.surface} {it.of.path.format(popular='...')}"
        print(f"{path:52} page {it.number:5,} of {it.size:2} rows {_ms(far)}, page 1 {_ms(first)}: {far / first:.2f}x")


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:7.1f}"


if __name__ == "__main__":
    sys.exit(main())
