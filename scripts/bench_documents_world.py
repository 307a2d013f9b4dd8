"""What `bench_documents.py` executes: envelopes of a real ledger that three people have signed, and the parts that make their files.

And what it watches: the processor time and the memory of this process, of those that it started, and of its database.
"""

import asyncio
import io
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from uuid import UUID

from reportlab.pdfgen.canvas import Canvas

from api.app import making_of, running
from api.deps import Deps
from domain.actor import Actor, ActorKind, IdentityMethod, Mode, Provenance
from domain.coordination import CreateEnvelope, PackageCommand, Participate
from domain.envelope import Document, EnvelopeCreated, OnParticipantFail, OrderMode, PlacedField, Slot
from domain.field import SIZES, FieldType
from domain.personal import person
from domain.signing import DocumentReference, ProcessCreated, SignatureMethod, SignatureMode, SignDocuments
from infrastructure.clock import SystemClock
from infrastructure.execution import Making
from infrastructure.following import Follower
from infrastructure.installation import Installation
from infrastructure.ledger import NO_ANSWER
from infrastructure.log_keys import open_log_keys, record_keys
from infrastructure.normalised import Accepted
from infrastructure.notifications import LogListener
from infrastructure.pdf import PdfLimits
from infrastructure.sealer import NAME as SEALER
from infrastructure.sealer import Sealer

BY: Final = Actor(ActorKind.OPERATOR, "bench")
NAMES: Final = ("Ana Pérez", "Björn Ødegård", "Chidi Okafor")
#: Where each of them signs on the first page, in points from its upper left corner.
PLACES: Final = ((72, 560), (72, 620), (72, 680))

_SEEN: Final = Provenance(IdentityMethod.TOKEN)
#: Envelopes that are made at a time.
_AT_ONCE: Final = 32


@dataclass(frozen=True, slots=True)
class World:
    """An installation with a tenant and a document that was accepted."""

    installation: Installation
    deps: Deps
    tenant: UUID
    accepted: Accepted

    @property
    def making(self) -> Making:
        """What makes files, as a server has it (`api.app`)."""
        return making_of(self.deps)

    async def completed(self, count: int, tell: Callable[[int], None] = lambda count: None) -> list[UUID]:
        """Envelopes that everybody has signed."""
        made: list[UUID] = []

        async def make(share: range) -> None:
            for number in share:
                made.append(await self._completed(number))
                tell(len(made))

        await asyncio.gather(*(make(range(lane, count, _AT_ONCE)) for lane in range(_AT_ONCE)))
        return made

    async def _completed(self, number: int) -> UUID:
        new, vault = self.deps.new_id, self.deps.vault
        envelope, document, people = new(), new(), tuple(new() for _ in NAMES)
        papers = (DocumentReference(document, self.accepted.sha256),)
        created = EnvelopeCreated(
            self.tenant,
            Mode.LIVE,
            (Document(document, self.accepted.sha256, self.accepted.pages),),
            tuple(Slot(who, place, (document,)) for place, who in enumerate(people, 1)),
            OrderMode.PARALLEL,
            OnParticipantFail.CANCEL_FLOW,
            deadline=None,
            template=None,
            subject=None,
            message=None,
            metadata=None,
            fields=tuple(
                PlacedField(who, document, FieldType.SIGNATURE, 1, x * 1000, y * 1000, *SIZES[FieldType.SIGNATURE], True)
                for who, (x, y) in zip(people, PLACES, strict=True)
            ),
        )
        processes = {}
        for place, (who, name) in enumerate(zip(people, NAMES, strict=True), 1):
            email = f"signer{place}.{number}@example.com"
            whose = person(self.tenant, email=email, otherwise=who)
            names = vault.conceal(name, whose), vault.conceal(email, whose)
            modes = (SignatureMode.EMAIL,)
            processes[who] = ProcessCreated(self.tenant, Mode.LIVE, envelope, place, papers, modes, *names, None, None)
        await self.handle(CreateEnvelope(envelope, created, processes, send=True))
        for who in people:
            await self.handle(Participate(envelope, SignDocuments(who, None, SignatureMethod.TYPED, None, None, _SEEN)))
        return envelope

    async def handle(self, command: PackageCommand) -> None:
        """Has the ledger decide and record."""
        await self.deps.ledger.handle(command, BY, lambda outcome: NO_ANSWER)

    async def sealed(self) -> None:
        """Waits until a signed checkpoint covers everything."""
        if await self.deps.sealed.wait(await self.deps.recorder.head(), 60) is None:
            raise SystemExit("the log was not sealed")


@asynccontextmanager
async def opened(installation: Installation, template: bytes) -> AsyncIterator[World]:
    """The running parts, whose log is sealed all the time, and the template taken in."""
    async with running(installation, followers=False) as parts:
        deps = parts.deps
        tenant = await deps.identity.create_tenant("Bench")
        accepted = await deps.files.inspect(template, PdfLimits())
        await deps.files.keep(accepted)
        keys = await asyncio.to_thread(open_log_keys, installation.settings, installation.urls, installation.origin)
        await record_keys(deps.ledger, keys)
        listener = LogListener(installation.urls.service)
        sealer = Sealer(keys, installation.settings.data, SystemClock())
        follower = Follower(installation.urls.service, SEALER, sealer.step, listener)
        for part in (listener, follower):
            part.start()
        try:
            yield World(installation, deps, tenant, accepted)
        finally:
            for part in (follower, listener):
                await asyncio.to_thread(part.close)


def contract(pages: int = 3) -> bytes:
    """A document of some pages full of text, with room for signatures at the end of the first."""
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=(595, 842), invariant=1)
    for page in range(1, pages + 1):
        canvas.setFont("Times-Roman", 11)
        for line in range(32):
            canvas.drawString(
                72, 770 - 15 * line, f"{page}.{line + 1} The parties agree on what this clause says, and on nothing else."
            )
        canvas.showPage()
    canvas.save()
    return out.getvalue()


# What processes take. Of Linux: /proc/<pid>/stat and /proc/<pid>/status (proc(5)).


@dataclass(frozen=True, slots=True)
class Process:
    """A process as /proc has it: `ticks` are its own and those of the children that it has buried."""

    pid: int
    parent: int
    ticks: int


def _processes() -> Iterator[Process]:
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal():
            try:
                fields = Path(entry.path, "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has ended
            yield Process(int(entry.name), int(fields[1]), sum(int(number) for number in fields[11:15]))


def _under(root: int) -> list[Process]:
    """All that descend from a process, without it."""
    children: dict[int, list[Process]] = {}
    for process in _processes():
        children.setdefault(process.parent, []).append(process)
    found, waiting = [], [root]
    while waiting:
        some = children.get(waiting.pop(), [])
        found += some
        waiting += [process.pid for process in some]
    return found


def processor_seconds(database: int) -> float:
    """What this process, those that it started (with what those have buried), and its database have taken until now.

    This process' own are exact, others' come in hundredths: of use over a number of documents.
    """
    others = sum(process.ticks for root in (os.getpid(), database) for process in _under(root))
    return time.process_time() + others / os.sysconf("SC_CLK_TCK")


@dataclass
class Memory:
    """What this process, its fork servers, and the largest of their forks so far have of memory, in MiB."""

    own: float = 0
    servers: dict[str, float] = field(default_factory=dict)
    largest_fork: float = 0

    def look(self) -> None:
        """Brings it up to date; forks live for milliseconds, so this is to be called often."""
        me = os.getpid()
        self.own = _mebibytes(me, "VmRSS")
        for process in _under(me):
            if process.parent != me:
                self.largest_fork = max(self.largest_fork, _mebibytes(process.pid, "VmHWM"))
            elif name := _program(process.pid):
                self.servers[name] = _mebibytes(process.pid, "VmRSS")

    @property
    def own_peak(self) -> float:
        """The most that this process ever had."""
        return _mebibytes(os.getpid(), "VmHWM")


def _program(pid: int) -> str:
    """Which of our programs a process is: the name of its folder."""
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return ""
    paths = [Path(os.fsdecode(each)) for each in arguments if each.endswith(b".py")]
    return paths[0].parent.name if paths else ""


def _mebibytes(pid: int, line: str) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(each.split()[1]) / 1024 for each in status.splitlines() if each.startswith(f"{line}:")), 0)
