#!/usr/bin/env python3
"""Measures completing a signing session over HTTP: ours beside a hand-written endpoint.

Ours authenticates the token, decides, appends hash-chained entries, seals personal data and answers with the evidence. The peer
(`bench_http_peer.py`) checks a token, updates one row and inserts one audit row. Both are one process each with the same server
and its same settings, on the same embedded PostgreSQL at its default durability, asked by the same client in the same run, in
alternating rounds. Ours is measured without its followers and, separately, with them. Prints the machine, median rates, ratios.
"""

import argparse
import asyncio
import json
import os
import platform
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID, uuid4

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import uvloop
from psycopg import sql
from psycopg.conninfo import make_conninfo

from domain.actor import Actor, ActorKind, Mode
from domain.coordination import CreateEnvelope
from domain.envelope import Document, EnvelopeCreated, OnParticipantFail, OrderMode, Slot
from domain.ids import typed_id, uuid7
from domain.personal import person
from domain.signing import DocumentReference, ProcessCreated, SignatureMode, Signing
from infrastructure.append import Answer
from infrastructure.clock import SystemClock
from infrastructure.database import async_pool, connect
from infrastructure.embedded import EmbeddedServer, start_embedded
from infrastructure.heads import FOLLOWER as HEADS  # it records heads at intervals, so it may stay behind
from infrastructure.installation import Installation, open_installation
from infrastructure.invitation_mint import InvitationMint
from infrastructure.ledger import NO_ANSWER, Ledger, Outcome
from infrastructure.recorder import Recorder
from infrastructure.settings import Settings
from infrastructure.vault import Vault
from scripts.bench_http_peer import SCHEMA
from scripts.http_client import Connection, spell
from scripts.server_process import ROOT, ServerProcess

#: Requests of one measurement, by the number of concurrent clients: about a second on two cores.
REQUESTS: Final = {1: 150, 8: 400, 64: 800}
BODY: Final = json.dumps({"electronic_signature_text": "I have read the agreement and sign it electronically."}).encode()
AGENT: Final = "countersign-bench/1"


@dataclass
class Side:
    """A server under measurement and the requests that it has not been sent yet; each can be made once."""

    name: str
    url: str
    requests: list[bytes]

    def take(self, count: int) -> list[bytes]:
        taken, self.requests = self.requests[:count], self.requests[count:]
        return taken


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as folder, ExitStack() as stack:
        server = stack.enter_context(start_embedded(Path(folder) / "postgres-data", _tell))
        print_machine(server)
        for followers in (False,) if options.without_followers else (False, True):
            # With followers each prepared envelope has an invitation that is delivered first, which takes its time.
            rounds = min(3, options.rounds) if followers else options.rounds
            needed = sum(_requests(count) for count in options.clients) * rounds + _requests(options.clients[-1])
            with ExitStack() as sides:
                peer = sides.enter_context(_peer(server, f"peer_{followers}", needed, options.peer_pool))
                ours = sides.enter_context(_ours(server, Path(folder), followers, needed))
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    rates = runner.run(_compare([peer, ours], options.clients, rounds))
            _print(rates, options.clients, rounds, "with its followers" if followers else "without followers")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64], help="concurrent clients (default: 1 8 64)")
    parser.add_argument("--rounds", type=int, default=5, help="alternating rounds; their median counts (default: 5)")
    parser.add_argument("--peer-pool", type=int, default=16, help="connections of the peer (default: 16)")
    parser.add_argument("--without-followers", action="store_true", help="leave out the measurement with followers")
    return parser.parse_args()


def _requests(clients: int) -> int:
    return REQUESTS.get(clients, 10 * clients)


async def _compare(sides: list[Side], clients: list[int], rounds: int) -> dict[tuple[str, int], list[float]]:
    rates: dict[tuple[str, int], list[float]] = {(side.name, count): [] for side in sides for count in clients}
    for side in sides:  # connections, prepared statements, caches
        await _measure(side, clients[-1])
    for turn in range(rounds):
        for count in clients:
            # Each side goes first as often as last, so that neither always meets the colder machine.
            for side in sides if turn % 2 else reversed(sides):
                rates[side.name, count].append(await _measure(side, count))
                print(f"\rround {turn + 1} of {rounds}, {count} clients, {side.name}          ", end="", file=sys.stderr)
    print(file=sys.stderr)
    return rates


async def _measure(side: Side, clients: int) -> float:
    """Requests per second with so many clients, each of which waits for its answer before it asks again."""
    waiting = side.take(_requests(clients))
    connections = await asyncio.gather(*(Connection.open(side.url) for _ in range(clients)))
    count = len(waiting)

    async def ask(connection: Connection) -> None:
        while waiting:
            reply = await connection.send(waiting.pop())
            if reply.status != 200:
                sys.exit(f"{side.name} answered {reply.status}: {reply.body.decode(errors='replace')}")

    began = time.perf_counter()
    await asyncio.gather(*(ask(connection) for connection in connections))
    seconds = time.perf_counter() - began
    for connection in connections:
        connection.close()
    return count / seconds


def _print(rates: dict[tuple[str, int], list[float]], clients: list[int], rounds: int, how: str) -> None:
    print(
        f"\nsessions completed per second, ours {how}: median of {rounds} rounds (lowest to highest); ratio of medians to the peer"
    )
    for count in clients:
        peer = statistics.median(rates["peer", count])
        for side in ("peer", "ours"):
            found = rates[side, count]
            median = statistics.median(found)
            print(f"{count:4} clients  {side:5} {median:7.0f}  ({min(found):.0f} to {max(found):.0f})  {median / peer:5.2f}x")


# The peer


@contextmanager
def _peer(server: EmbeddedServer, name: str, count: int, pool: int) -> Iterator[Side]:
    url = new_database(server, name)
    sessions = [(uuid4(), uuid4(), secrets.token_urlsafe(32)) for _ in range(count)]
    with connect(url) as conn:
        conn.execute(SCHEMA)
        with conn.cursor().copy("COPY sessions (id, envelope, token_hash) FROM STDIN") as copy:
            for id, envelope, token in sessions:
                copy.write_row((id, envelope, sha256(token.encode()).hexdigest()))
        conn.execute("ANALYZE")
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.bench_http_peer", url, "--pool", str(pool)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        base = process.stdout.readline().strip().rpartition(" ")[2]
        host = urlsplit(base).netloc
        headers = {"User-Agent": AGENT, "Content-Type": "application/json"}
        requests = [
            spell("POST", f"/sessions/{id}/complete", host, {**headers, "X-Session-Token": token}, BODY)
            for id, _, token in sessions
        ]
        asyncio.run(_await_listening(base))
        yield Side("peer", base, requests)
    finally:
        process.terminate()
        process.wait(30)


async def _await_listening(url: str) -> None:
    (await Connection.open(url)).close()


# Ours


@contextmanager
def _ours(server: EmbeddedServer, folder: Path, followers: bool, count: int) -> Iterator[Side]:
    url = new_database(server, f"ours_{followers}")
    data = folder / f"ours-{followers}"
    environment = {"DATABASE_URL": url}
    with open_installation(Settings.read({**environment, "COUNTERSIGN_DATA": str(data)}), _tell) as installation:
        sessions = asyncio.run(_sessions(installation, count))
        with connect(installation.urls.owner) as conn:
            conn.execute("ANALYZE")
        arguments = ("serve",) if followers else ("serve", "--no-followers")
        with ServerProcess(data, *arguments, environment=environment) as process:
            if followers:
                _await_followers(installation, count)
            host = urlsplit(process.url).netloc
            headers = {"User-Agent": AGENT, "Content-Type": "application/json"}
            requests = [
                spell(
                    "POST",
                    f"/v1/signing_sessions/{typed_id('sgs', who)}/complete",
                    host,
                    {**headers, "X-Signing-Session-Token": token},
                    BODY,
                )
                for who, token in sessions
            ]
            yield Side("ours", process.url, requests)


async def _sessions(installation: Installation, count: int) -> list[tuple[UUID, str]]:
    """Sent envelopes with one participant each: participant and session token."""
    clock = SystemClock()
    async with async_pool(installation.urls.service) as pool:
        recorder = Recorder(installation.urls.service, installation.origin, pool, clock)
        recorder.start()
        vault = Vault(pool, installation.keys)
        mint = InvitationMint(installation.keys, timedelta(days=30), os.urandom)
        ledger = Ledger(recorder, vault, mint, clock)
        made: list[tuple[UUID, str]] = []
        tenant = uuid4()

        async def make(share: range) -> None:
            for number in share:
                command = _envelope(vault, tenant, number)
                (who,) = command.processes
                outcomes: list[Outcome] = []
                await ledger.handle(command, Actor(ActorKind.OPERATOR, "bench"), _kept(outcomes))
                invitation = outcomes[-1].state(Signing, who).invitation
                assert invitation is not None
                made.append((who, mint.token(invitation.id)))
                if len(made) % 100 == 0:
                    print(f"\rpreparing {len(made):,} of {count:,} envelopes          ", end="", file=sys.stderr)

        try:
            await asyncio.gather(*(make(range(lane, count, 32)) for lane in range(32)))
        finally:
            await asyncio.to_thread(recorder.close)
        print(file=sys.stderr)
        return made


def _kept(outcomes: list[Outcome]) -> Callable[[Outcome], Answer]:
    def keep(outcome: Outcome) -> Answer:
        outcomes.append(outcome)
        return NO_ANSWER

    return keep


def _envelope(vault: Vault, tenant: UUID, number: int) -> CreateEnvelope:
    now = SystemClock().now()
    envelope, document, who = (uuid7(now, os.urandom(10)) for _ in range(3))
    pdf = Document(document, sha256(str(number).encode()).hexdigest(), 2)
    whose = person(tenant, email=f"signer{number}@example.com", otherwise=who)
    created = EnvelopeCreated(
        tenant,
        Mode.LIVE,
        (pdf,),
        (Slot(who, 1, (document,)),),
        OrderMode.PARALLEL,
        OnParticipantFail.CANCEL_FLOW,
        None,
        None,
        None,
        None,
        None,
    )
    process = ProcessCreated(
        tenant,
        Mode.LIVE,
        envelope,
        1,
        (DocumentReference(document, pdf.sha256),),
        (SignatureMode.EMAIL,),
        vault.conceal(f"Signer {number}", whose),
        vault.conceal(f"signer{number}@example.com", whose),
        None,
        None,
    )
    return CreateEnvelope(envelope, created, {who: process})


def _await_followers(installation: Installation, count: int) -> None:
    """Until the read models are up to date and all invitations are out: what is measured is completing, not catching up."""
    with connect(installation.urls.service) as conn:
        while True:
            row = conn.execute(
                "SELECT (SELECT count(*) FROM deliveries WHERE status <> 'waiting'),"
                " (SELECT min(positions.position) = max(log_head.position) FROM read.positions, log_head WHERE projection <> %s)",
                [HEADS],
            ).fetchone()
            assert row is not None
            if row[0] == count and row[1]:
                break
            print(f"\rdelivering {row[0]:,} of {count:,} invitations          ", end="", file=sys.stderr)
            time.sleep(0.2)
    print(file=sys.stderr)


# Both


def new_database(server: EmbeddedServer, name: str) -> str:
    """Makes an empty database; answers its connection string as the owner."""
    with connect(server.owner_url) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name.lower())))
    return make_conninfo(server.owner_url, dbname=name.lower())


def print_machine(server: EmbeddedServer) -> None:
    """Says where the figures that follow were measured."""
    with connect(server.owner_url) as conn:
        row = conn.execute(
            "SELECT current_setting('server_version'), current_setting('fsync'), current_setting('synchronous_commit')"
        ).fetchone()
    assert row is not None
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores{load}, Python {platform.python_version()}, "
        f"PostgreSQL {row[0]} (fsync {row[1]}, synchronous_commit {row[2]})"
    )


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    main()
