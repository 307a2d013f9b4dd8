#!/usr/bin/env python3
"""Measures a bundle of evidence: how long the server takes for one, how many bytes it has, how long it takes to verify.

Fills a log of the size given, adds one process of twelve entries with a real PDF, seals all of it as a server does, and asks for its
bundle over the HTTP application in this process. Prints medians; the log's size is what changes between two runs.
"""

import argparse
import asyncio
import io
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import httpx
import pikepdf
from rich.console import Console
from rich.progress import Progress

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from api.app import running
from api.deps import Deps
from domain.actor import Actor, ActorKind, IdentityMethod, Mode, Provenance
from domain.coordination import CreateEnvelope, PackageCommand, Participate
from domain.envelope import Document, EnvelopeCreated, OnParticipantFail, OrderMode, Slot
from domain.personal import person
from domain.policy import NONE, Log, Policy, format_policy
from domain.signing import (
    Channel,
    DocumentReference,
    GiveConsent,
    ProcessCreated,
    ReportDelivery,
    SignatureMethod,
    SignatureMode,
    SignDocuments,
    Signing,
    ViewDocument,
)
from infrastructure.clock import SystemClock
from infrastructure.embedded import start_embedded
from infrastructure.evidence import Trust, verify
from infrastructure.following import Follower
from infrastructure.heads import heads_follower
from infrastructure.identity import KeyKind
from infrastructure.installation import Installation, open_installation
from infrastructure.ledger import NO_ANSWER
from infrastructure.log_keys import LogKeys, open_log_keys
from infrastructure.notifications import LogListener
from infrastructure.sealer import NAME as SEALER
from infrastructure.sealer import POLL_SECONDS as SEALER_POLL_SECONDS
from infrastructure.sealer import Sealer
from infrastructure.settings import Settings, variable
from scripts.bench_http import new_database, print_machine
from scripts.bench_reads_world import fill

BY = Actor(ActorKind.OPERATOR, "bench")
SEEN = Provenance(IdentityMethod.TOKEN)
PAGES = 2

#: How long the first sealing of a filled log may take.
PATIENCE_SECONDS = 3_600


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument(
        "--envelopes", type=int, default=10_000, help="envelopes in the log before (default 10,000; about 10 entries each)"
    )
    options.add_argument("--rounds", type=int, default=50, help="bundles made (default 50)")
    chosen = options.parse_args()
    console = Console(highlight=False, stderr=True)
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as folder, ExitStack() as stack:
        server = stack.enter_context(start_embedded(Path(folder) / "postgres-data", console.print))
        print_machine(server)
        environment = {
            "DATABASE_URL": new_database(server, "evidence"),
            variable("rate_limits"): "off",
            variable("data"): f"{folder}/data",
        }
        installation = stack.enter_context(open_installation(Settings.read(environment), console.print))
        if chosen.envelopes:
            with Progress(console=console, transient=True) as progress:
                filling = progress.add_task("filling the log", total=None)
                fill(installation, chosen.envelopes, lambda done, total: progress.update(filling, completed=done, total=total))
        asyncio.run(_measure(installation, chosen.rounds))


async def _measure(installation: Installation, rounds: int) -> None:
    async with running(installation, followers=False) as parts, _sealing(installation, parts.deps):
        tenant = await parts.deps.identity.create_tenant("Bench")
        envelope, participant, pdf = await _process(parts.deps, tenant)
        key = await parts.deps.identity.create_key(tenant, KeyKind.ORGANIZATION, Mode.LIVE)
        head = await parts.deps.recorder.head()
        if (
            await parts.deps.heads.want(head, PATIENCE_SECONDS) is None
            or await parts.deps.sealed.wait(head + 1, PATIENCE_SECONDS) is None
        ):
            raise SystemExit("the log was not sealed")
        transport = httpx.ASGITransport(parts.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://bench", timeout=60) as http:

            async def ask(query: str = "") -> bytes:
                path = f"/v1/evidence/{envelope}-{participant}{query}"
                response = await http.get(path, headers={"Authorization": f"Bearer {key.secret}"})
                response.raise_for_status()
                return response.content

            raw = await ask()
            print(f"log of {head:,} entries, {rounds} rounds")
            print(f"bundle                {len(raw):>10,} bytes, of which the PDF {pdf:,}")
            print(f"made and answered     {await _median(ask, rounds):>10.1f} ms")
            print(f"without the PDF       {await _median(lambda: ask('?documents=false'), rounds):>10.1f} ms")
    (log_key,) = LogKeys(installation.origin, installation.settings.data).signing()
    trust = Trust(format_policy(Policy((Log(log_key.key),), (), (), NONE)))
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        judged = verify(io.BytesIO(raw), trust)
        times.append(time.perf_counter() - start)
    print(
        f"verified              {statistics.median(times) * 1000:>10.1f} ms: {judged.verdict}, {judged.counts['entries']} entries"
    )


async def _median(work: Callable[[], Awaitable[bytes]], rounds: int) -> float:
    """Milliseconds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        await work()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


@asynccontextmanager
async def _sealing(installation: Installation, deps: Deps) -> AsyncIterator[None]:
    """The two followers that evidence needs; the others would write a mail for each envelope of the log."""
    listener = LogListener(installation.urls.service)
    keys = await asyncio.to_thread(open_log_keys, installation.settings, installation.urls, installation.origin)
    sealer = Sealer(keys, installation.settings.data, SystemClock())
    followers = (
        Follower(installation.urls.service, SEALER, sealer.step, listener, poll_seconds=SEALER_POLL_SECONDS),
        heads_follower(installation, listener, deps.ledger, SystemClock()),
    )
    for part in (listener, *followers):
        part.start()
    try:
        yield
    finally:
        for part in (*followers, listener):
            await asyncio.to_thread(part.close)


async def _process(deps: Deps, tenant: UUID) -> tuple[UUID, UUID, int]:
    """One envelope with one participant who signs it: the ids of both, and the size of its PDF."""
    pdf = _pdf()
    stored = await deps.blobs.put(pdf)
    envelope, participant, document = deps.new_id(), deps.new_id(), deps.new_id()
    whose = person(tenant, email="ana@example.com", otherwise=participant)
    created = EnvelopeCreated(
        tenant,
        Mode.LIVE,
        (Document(document, stored, PAGES),),
        (Slot(participant, 1, (document,)),),
        OrderMode.SEQUENTIAL,
        OnParticipantFail.CANCEL_FLOW,
        deadline=None,
        template=None,
        subject=None,
        message=None,
        metadata=None,
    )
    name, email = deps.vault.conceal("Ana Paz", whose), deps.vault.conceal("ana@example.com", whose)
    documents, modes = (DocumentReference(document, stored),), (SignatureMode.EMAIL,)
    process = ProcessCreated(tenant, Mode.LIVE, envelope, 1, documents, modes, name, email, None, None)

    async def handle(command: PackageCommand) -> None:
        await deps.ledger.handle(command, BY, lambda outcome: NO_ANSWER)

    await handle(CreateEnvelope(envelope, created, {participant: process}, send=True))
    signing = await deps.ledger.state(Signing, participant)
    assert signing is not None
    assert signing.invitation is not None
    for act in (
        ReportDelivery(participant, signing.invitation.id, Channel.EMAIL),
        ViewDocument(participant, document, stored, SEEN),
        GiveConsent(participant, sha256(b"I agree.").hexdigest(), "en", SEEN),
        SignDocuments(participant, None, SignatureMethod.TYPED, None, None, SEEN),
    ):
        await handle(Participate(envelope, act))
    return envelope, participant, len(pdf)


def _pdf() -> bytes:
    out = io.BytesIO()
    with pikepdf.new() as document:
        for _ in range(PAGES):
            document.add_blank_page()
        document.save(out, deterministic_id=True)
    return out.getvalue()


if __name__ == "__main__":
    main()
