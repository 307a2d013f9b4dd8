#!/usr/bin/env python3
"""Measures making executed documents: each step, the whole, and pyHanko's stock path beside it; then memory over many documents.

The steps are those of a server: a look at the PDF and its normalised form, signatures drawn, the seal (B-B), its verification, the blob
(flushed to the disk), the fact, and the certificate of completion. What reads PDFs does so in forks with limits. The whole is what the
server's worker does (`Making.execute`) for completed envelopes of a real ledger, on an embedded PostgreSQL at its default durability.

The peer stamps the same three texts on the same PDF and seals it alike, in this process and without limits: `stock` as its documentation
shows, `tuned` with a key that stays loaded and with room reserved. All are measured in one run, in alternating rounds. Wall times are
medians by document; processor time is that of all processes that work for it, PostgreSQL's too. Needs Linux.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Final, TypeVar
from uuid import UUID

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from domain.coordination import RecordExecuted
from domain.envelope import DocumentExecuted, Envelope
from domain.field import SIZES, FieldType
from domain.placement import Box
from domain.seal import Obstacle, Profile, Seal
from infrastructure.certificate_case import Circumstances, case_of, happened_of
from infrastructure.embedded import EmbeddedServer, start_embedded
from infrastructure.execution.making import AwaitsCheckpoint
from infrastructure.installation import Installation, open_installation
from infrastructure.pdf import PdfLimits, inspect_pdf
from infrastructure.pdf_drawing.blocks import Block, Foot, Signed
from infrastructure.pdf_drawing.case import Absent, Case, Paper
from infrastructure.pdf_drawing.drawing import draw_certificate, execute_document
from infrastructure.pdf_drawing.executing import execute
from infrastructure.pdf_seal.credentials import Development, development
from infrastructure.pdf_seal.examination import examine
from infrastructure.pdf_seal.findings import Outcome
from infrastructure.pdf_seal.sealing import seal
from infrastructure.settings import Settings, variable
from scripts.bench_documents_stock import Stock, Text, stock
from scripts.bench_documents_world import NAMES, PLACES, Memory, World, contract, opened, processor_seconds
from scripts.bench_http import new_database, print_machine

T = TypeVar("T")
R = TypeVar("R")

OURS: Final = "ours"
UNFORKED: Final = "ours, without limits"

#: Documents that are made at a time where memory is watched: a server has as many lanes.
LANES: Final = 2
#: Memory is told so often, in documents.
EVERY: Final = 100
_LOOK_SECONDS: Final = 0.05

_CAPTION: Final = "Signed 2026-11-21 10:00:00 UTC"

BLOCKS: Final = tuple(
    Block(1, Box(x * 1000, y * 1000, *SIZES[FieldType.SIGNATURE]), Signed(name, None, _CAPTION))
    for name, (x, y) in zip(NAMES, PLACES, strict=True)
)

#: What is compared with the peer.
PEER_DOES: Final = ("drawing", "sealing", "verifying")


@dataclass
class Taken:
    """What a step of one side took: seconds on the clock by document, and of processors in all."""

    wall: list[float] = field(default_factory=list)
    processor: float = 0

    @property
    def median(self) -> float:
        """Seconds on the clock for a document."""
        return statistics.median(self.wall)

    @property
    def each(self) -> float:
        """Seconds of a processor for a document."""
        return self.processor / len(self.wall)


@dataclass
class Bench:
    """What is measured, and with what."""

    world: World
    made: Development
    database: int
    batch: int
    peers: dict[str, Stock]
    taken: dict[tuple[str, str], Taken] = field(default_factory=lambda: defaultdict(Taken))

    async def step(self, side: str, name: str, work: Callable[[T], Awaitable[R]], things: Sequence[T]) -> list[R]:
        """Does it for each thing, and keeps what it took."""
        taken = self.taken[side, name]
        made, before = [], processor_seconds(self.database)
        for thing in things:
            began = time.perf_counter()
            made.append(await work(thing))
            taken.wall.append(time.perf_counter() - began)
        taken.processor += processor_seconds(self.database) - before
        return made


def main() -> None:
    options = _options()
    if not Path("/proc/self/stat").exists():
        sys.exit("Needs Linux: what processes take is read from /proc.")
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as folder, ExitStack() as stack:
        server = stack.enter_context(start_embedded(Path(folder) / "postgres-data", _tell))
        print_machine(server)
        environment = {"DATABASE_URL": new_database(server, "documents"), variable("data"): f"{folder}/data"}
        installation = stack.enter_context(open_installation(Settings.read(environment), _tell))
        asyncio.run(_run(installation, server, options))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4, help="alternating rounds (default: 4)")
    parser.add_argument("--batch", type=int, default=10, help="documents of one step in one round (default: 10)")
    parser.add_argument(
        "--documents", type=int, default=1000, help="documents over which memory is watched, 0 for none (default: 1000)"
    )
    parser.add_argument("--template", type=Path, help="a PDF to execute instead of three pages of text")
    return parser.parse_args()


async def _run(installation: Installation, server: EmbeddedServer, options: argparse.Namespace) -> None:
    template = contract() if options.template is None else options.template.read_bytes()
    database = server.process_id()
    assert database is not None
    async with opened(installation, template) as world:
        what = f"template of {world.accepted.pages} pages, {len(template):,} bytes; {len(NAMES)} signatures"
        print(f"{what}; {options.rounds} rounds of {options.batch} documents")
        if options.rounds:
            curve, modulus = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)
            peers = {
                "stock, P-256": stock(curve, tuned=False),
                "stock, RSA-2048": stock(modulus, tuned=False),
                "tuned, P-256": stock(curve, tuned=True),
                "tuned, RSA-2048": stock(modulus, tuned=True),
            }
            made = development(world.deps.settings.data, world.deps.clock.now())
            bench = Bench(world, made, database, options.batch, peers)
            await _compare(bench, options.rounds)
            _print_steps(bench)
            _print_peers(bench)
        if options.documents:
            await _watch_memory(world, options.documents)


# Steps


async def _compare(bench: Bench, rounds: int) -> None:
    sides = (_ours, _unforked, _theirs)
    for side in sides:  # programs that are loaded once, connections, caches
        await side(bench)
    bench.taken.clear()
    for turn in range(rounds):
        # Each side goes first as often as last, so that neither always meets the colder machine.
        for side in sides if turn % 2 else reversed(sides):
            _tell_on(f"round {turn + 1} of {rounds}")
            await side(bench)
    _tell("")


async def _ours(bench: Bench) -> None:
    """Each step for a batch of documents, then the whole for as many envelopes."""
    world, deps = bench.world, bench.world.deps
    envelopes = await world.completed(bench.batch)
    accepted, n = world.accepted, range(bench.batch)

    async def draw(number: int) -> bytes:
        return await execute_document(accepted.normalised, BLOCKS, _foot(world, number), None)

    async def sealed(body: bytes) -> bytes:
        return await _sealed(bench, body)

    async def verify(pdf: bytes) -> None:
        findings = await deps.seals.verify(pdf, deps.clock.now())
        assert findings.verdict is Outcome.PASSED, findings

    async def record(number: int) -> None:
        envelope = await deps.ledger.state(Envelope, envelopes[number])
        assert envelope is not None
        body, file = (sha256(pdf[number]).hexdigest() for pdf in (bodies, files))
        how = Seal(Profile.B_B, Obstacle.NO_AUTHORITY, deps.seals.certificate_sha256)
        fact = DocumentExecuted(envelope.documents[0].id, body, file, len(bodies[number]), accepted.normalised_sha256, how)
        await world.handle(RecordExecuted(envelopes[number], fact))

    async def case(envelope: UUID) -> Case:
        absent = Absent("the bench has none")
        told = await happened_of(deps.reads, envelope)
        return await case_of(deps.vault, told, Circumstances("Bench", deps.settings.base_url, deps.clock.now(), absent))

    await bench.step(OURS, "intake", lambda _: inspect_pdf(accepted.data, PdfLimits()), n)
    bodies = await bench.step(OURS, "drawing", draw, n)
    files = await bench.step(OURS, "sealing", sealed, bodies)
    await bench.step(OURS, "verifying", verify, files)
    await bench.step(OURS, "storing", deps.blobs.put, files)
    await bench.step(OURS, "recording", record, n)
    cases = await bench.step(OURS, "certificate: facts", case, envelopes)
    papers = await bench.step(OURS, "certificate: drawing", lambda one: draw_certificate(one, Paper.A4), cases)
    certificates = await bench.step(OURS, "certificate: sealing", sealed, papers)
    await bench.step(OURS, "certificate: verifying", verify, certificates)
    fresh = await world.completed(bench.batch)
    await bench.step(OURS, "document, whole", lambda envelope: _executed(world, envelope), fresh)
    await world.sealed()
    await bench.step(OURS, "certificate, whole", lambda envelope: world.making.execute(envelope, between), fresh)


async def _theirs(bench: Bench) -> None:
    """In threads: the library starts an event loop of its own for each signature."""
    accepted = bench.world.accepted
    height = accepted.sizes[0].height_millipoints // 1000
    wide, high = (length // 1000 for length in SIZES[FieldType.SIGNATURE])
    at = [(x, height - y - high) for x, y in PLACES]
    texts = [Text(0, *place, wide, high, f"/s/ {name}\n{_CAPTION}") for name, place in zip(NAMES, at, strict=True)]
    for side, peer in bench.peers.items():
        stamped = await bench.step(side, "drawing", _threaded(partial(peer.stamp, accepted.data)), [texts] * bench.batch)
        sealed = await bench.step(side, "sealing", _threaded(peer.seal), stamped)
        await bench.step(side, "verifying", _threaded(peer.verify), sealed)


async def _unforked(bench: Bench) -> None:
    """What forks do for us, done here: the difference is the price of limits."""
    world, deps = bench.world, bench.world.deps

    def draw(number: int) -> bytes:
        return execute(world.accepted.normalised, BLOCKS, _foot(world, number))

    def verify(pdf: bytes) -> None:
        findings = examine(pdf, (bench.made.root,), (), deps.clock.now())
        assert findings.verdict is Outcome.PASSED, findings

    bodies = await bench.step(UNFORKED, "drawing", _threaded(draw), range(bench.batch))
    files = await bench.step(UNFORKED, "sealing", lambda body: _sealed(bench, body), bodies)
    await bench.step(UNFORKED, "verifying", _threaded(verify), files)


def _threaded(work: Callable[[T], R]) -> Callable[[T], Awaitable[R]]:
    return lambda thing: asyncio.to_thread(work, thing)


async def _sealed(bench: Bench, body: bytes) -> bytes:
    return (await seal(body, bench.made.signer, bench.world.deps.clock.now())).content


def _foot(world: World, number: int) -> Foot:
    return Foot(str(UUID(int=number)), "0" * 64, world.deps.clock.now())


async def _executed(world: World, envelope: UUID) -> None:
    """The documents of an envelope; its certificate waits for a checkpoint, as it does in a server."""
    with suppress(AwaitsCheckpoint):
        await world.making.execute(envelope, between)


async def between(done: int, all: int) -> None:
    """Between two files."""


def _print_steps(bench: Bench) -> None:
    print(f"\n{'ours, one at a time':26}{'wall ms':>9}{'processor ms':>14}{'per second and core':>21}")
    for (side, name), taken in bench.taken.items():
        if side == OURS:
            print(f"{name:26}{taken.median * 1000:9.1f}{taken.each * 1000:14.1f}{1 / taken.each:21.0f}")


def _print_peers(bench: Bench) -> None:
    columns = f"{'wall ms':>9}{'processor ms':>14}{'per second and core':>21}{'to ours: wall':>15}{'processor':>11}"
    for names in (PEER_DOES[:2], PEER_DOES):
        print(f"\n{', '.join(names):26}{columns}")
        wall, processor = _sums(bench, OURS, names)
        for side in (OURS, UNFORKED, *bench.peers):
            of_wall, of_processor = _sums(bench, side, names)
            ratios = f"{of_wall / wall:14.2f}x{of_processor / processor:10.2f}x"
            print(f"{side:26}{of_wall * 1000:9.1f}{of_processor * 1000:14.1f}{1 / of_processor:21.0f}{ratios}")


def _sums(bench: Bench, side: str, names: Sequence[str]) -> tuple[float, float]:
    """Seconds on the clock and of a processor for some steps of a document."""
    found = [bench.taken[side, name] for name in names]
    return sum(taken.median for taken in found), sum(taken.each for taken in found)


# Memory


async def _watch_memory(world: World, documents: int) -> None:
    """Executes as a server does, in lanes, and tells what the processes have."""
    memory = Memory()
    envelopes = await world.completed(documents, lambda count: _tell_on(f"preparing envelope {count:,} of {documents:,}"))
    _tell("")
    print(f"\nmemory in MiB over {documents:,} executed documents with their certificates, {LANES} at a time")
    print(f"{'documents':>9}{'this process':>14}{'servers of forks':>18}{'largest fork':>14}   per second")
    with _looking(memory):
        for before, count in pairwise((0, *range(0, documents, EVERY), documents)):
            some = envelopes[before:count]
            began = time.perf_counter()
            await _in_lanes(world, some)
            seconds = time.perf_counter() - began
            memory.look()
            rate = f"{len(some) / seconds:13.1f}" if some else ""
            print(f"{count:9}{memory.own:14.0f}{sum(memory.servers.values()):18.0f}{memory.largest_fork:14.0f}{rate}")
    servers = ", ".join(f"{name} {size:.0f}" for name, size in sorted(memory.servers.items()))
    print(f"most this process had {memory.own_peak:.0f}; servers of forks: {servers}")


async def _in_lanes(world: World, envelopes: Sequence[UUID]) -> None:
    async def lane(share: Sequence[UUID]) -> None:
        for envelope in share:
            await _executed(world, envelope)

    await asyncio.gather(*(lane(envelopes[number::LANES]) for number in range(LANES)))
    await world.sealed()
    await asyncio.gather(*(lane(envelopes[number::LANES]) for number in range(LANES)))


@contextmanager
def _looking(memory: Memory) -> Iterator[None]:
    """Looks at the memory all the time."""
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(_LOOK_SECONDS):
            memory.look()

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield
    finally:
        stop.set()
        looking.join()


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


def _tell_on(line: str) -> None:
    print(f"\r{line}          ", end="", file=sys.stderr)


if __name__ == "__main__":
    main()
