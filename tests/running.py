"""The parts of a running Countersign on a test's database, without a server around them."""

import asyncio
import functools
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final, ParamSpec
from uuid import UUID

import httpx
from fastapi import FastAPI

from api.deps import Deps
from domain.actor import Actor, ActorKind, Mode
from domain.coordination import CreateEnvelope, PackageCommand
from domain.envelope import Document, Envelope, EnvelopeCreated, OnParticipantFail, OrderMode, Slot
from domain.personal import Subject, SubjectKind, person
from domain.signing import DocumentReference, ProcessCreated, SignatureMode, Signing
from infrastructure.blobs import BlobStore
from infrastructure.clock import OffsetClock
from infrastructure.database import DatabaseUrls, async_pool
from infrastructure.execution import ExecutionTable
from infrastructure.heads import Heads
from infrastructure.identity import Identity
from infrastructure.invitation_mint import InvitationMint
from infrastructure.ledger import NO_ANSWER, Ledger, Outcome
from infrastructure.normalised import NormalisedFiles
from infrastructure.notifications import LogListener
from infrastructure.reading import ReadGate
from infrastructure.recorder import Recorder
from infrastructure.seal_service import seal_service
from infrastructure.sealed import Sealed
from infrastructure.secrets import Keys
from infrastructure.settings import Settings
from infrastructure.tail import LogTail
from infrastructure.timestamping import Timestamps
from infrastructure.urls import FileUrls
from infrastructure.vault import Vault
from tests.conftest import ORIGIN

P = ParamSpec("P")

KEYS: Final = Keys.derive(b"s" * 32, b"m" * 32)
BASE_URL: Final = "https://sign.example"
PARTNER: Final = Actor(ActorKind.PARTNER_KEY, "pk_test")


def in_loop(test: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """Runs a test's coroutine on an event loop of its own."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def main() -> None:
            await test(*args, **kwargs)

        asyncio.run(main())

    return run


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    email: str | None = None
    phone: str | None = None
    number: int = 1


@dataclass(frozen=True, slots=True)
class Sent:
    """An envelope as a test made it; `participants` in the order of the people."""

    id: UUID
    tenant: UUID
    participants: tuple[UUID, ...]
    documents: tuple[UUID, ...]

    @property
    def session(self) -> str:
        """The first participant's session id."""
        return f"sgs_{self.participants[0].hex}"


@dataclass(slots=True)
class Running:
    """The running parts, and what tests do with them. `clock` may be moved."""

    urls: DatabaseUrls
    deps: Deps
    clock: OffsetClock
    listener: LogListener
    tenant: UUID
    outcomes: list[Outcome] = field(default_factory=list)

    async def handle(self, command: PackageCommand, by: Actor = PARTNER) -> Outcome:
        def keep(outcome: Outcome) -> object:
            self.outcomes.append(outcome)
            return NO_ANSWER

        await self.deps.ledger.handle(command, by, keep)  # type: ignore[arg-type]
        return self.outcomes[-1]

    async def send(
        self,
        *people: Person,
        documents: int = 1,
        order: OrderMode = OrderMode.SEQUENTIAL,
        on_fail: OnParticipantFail = OnParticipantFail.CANCEL_FLOW,
        deadline: datetime | None = None,
        mode: Mode = Mode.LIVE,
        tenant: UUID | None = None,
        subject: str | None = None,
        message: str | None = None,
        send: bool = True,
    ) -> Sent:
        """Creates an envelope for the people and sends it."""
        command = self.creation(
            *people,
            documents=documents,
            order=order,
            on_fail=on_fail,
            deadline=deadline,
            mode=mode,
            tenant=tenant,
            subject=subject,
            message=message,
            send=send,
        )
        await self.handle(command)
        pdfs = tuple(document.id for document in command.created.documents)
        return Sent(command.envelope, command.created.tenant, tuple(command.processes), pdfs)

    def creation(
        self,
        *people: Person,
        documents: int = 1,
        order: OrderMode = OrderMode.SEQUENTIAL,
        on_fail: OnParticipantFail = OnParticipantFail.CANCEL_FLOW,
        deadline: datetime | None = None,
        mode: Mode = Mode.LIVE,
        tenant: UUID | None = None,
        subject: str | None = None,
        message: str | None = None,
        send: bool = True,
    ) -> CreateEnvelope:
        """The command that creates an envelope for the people."""
        owner, vault, envelope = tenant or self.tenant, self.deps.vault, self.deps.new_id()
        about = Subject(owner, SubjectKind.ENVELOPE, str(envelope))
        pdfs = tuple(Document(self.deps.new_id(), sha256(secrets.token_bytes(8)).hexdigest(), 1) for _ in range(documents))
        slots = [Slot(self.deps.new_id(), one.number, tuple(pdf.id for pdf in pdfs)) for one in people]
        created = EnvelopeCreated(
            owner,
            mode,
            pdfs,
            tuple(slots),
            order,
            on_fail,
            deadline,
            None,
            None if subject is None else vault.conceal(subject, about),
            None if message is None else vault.conceal(message, about),
            None,
        )
        processes = {}
        for slot, one in zip(slots, people, strict=True):
            whose = person(owner, email=one.email, phone=one.phone, otherwise=slot.participant)
            processes[slot.participant] = ProcessCreated(
                owner,
                mode,
                envelope,
                slot.number,
                tuple(DocumentReference(pdf.id, pdf.sha256) for pdf in pdfs),
                (SignatureMode.EMAIL,),
                vault.conceal(one.name, whose),
                None if one.email is None else vault.conceal(one.email, whose),
                None if one.phone is None else vault.conceal(one.phone, whose),
                None,
            )
        return CreateEnvelope(envelope, created, processes, send)

    async def signing(self, participant: UUID) -> Signing:
        found = await self.deps.ledger.state(Signing, participant)
        assert found is not None
        return found

    async def envelope(self, envelope: UUID) -> Envelope:
        found = await self.deps.ledger.state(Envelope, envelope)
        assert found is not None
        return found

    async def token(self, participant: UUID) -> str:
        """The session token of the participant's latest invitation."""
        invitation = (await self.signing(participant)).invitation
        assert invitation is not None
        return self.deps.invitations.token(invitation.id)

    async def types(self, stream: UUID) -> list[str]:
        """The types of a stream's entries, in order, without aggregate and schema number."""
        entries: Sequence[object] = await self.deps.recorder.read_stream(stream)
        return [entry.type.partition(".")[2].partition("/")[0] for entry in entries]  # type: ignore[attr-defined]

    async def head(self) -> int:
        return await self.deps.recorder.head()


@asynccontextmanager
async def running(urls: DatabaseUrls, folder: Path, *, tenant: str = "Example Ltd") -> AsyncIterator[Running]:
    """Starts the parts, with a tenant; projections are not among them."""
    clock = OffsetClock()
    settings = Settings.model_validate({"data": folder, "base_url": BASE_URL, "rate_limits": "off"})
    async with async_pool(urls.service, max_size=16) as pool, LogTail(urls.service, pool) as tail:
        recorder = Recorder(urls.service, ORIGIN, pool, clock)
        recorder.start()
        listener = LogListener(urls.service)
        listener.start()
        try:
            vault = Vault(pool, KEYS)
            mint = InvitationMint(KEYS, timedelta(days=settings.session_lifetime_days), secrets.token_bytes)
            identity = Identity(pool, KEYS, clock)
            blobs = BlobStore.at(settings.blob_url)
            deps = Deps(
                settings=settings,
                clock=clock,
                random=secrets.token_bytes,
                recorder=recorder,
                ledger=Ledger(recorder, vault, mint, clock),
                invitations=mint,
                vault=vault,
                reads=pool,
                gate=ReadGate(urls.service, pool),
                sealed=Sealed(pool),
                tail=tail,
                timestamps=Timestamps(pool),
                heads=Heads(pool, ORIGIN),
                identity=identity,
                blobs=blobs,
                files=NormalisedFiles(pool, blobs),
                seals=seal_service(settings, clock),
                executions=ExecutionTable(pool),
                urls=FileUrls(BASE_URL, KEYS.urls, timedelta(seconds=settings.url_lifetime_seconds), clock),
            )
            yield Running(urls, deps, clock, listener, await identity.create_tenant(tenant))
        finally:
            listener.close()
            recorder.close()


def client_of(app: FastAPI, *, address: str = "192.0.2.7") -> httpx.AsyncClient:
    """A client of an application in this process, connecting from `address`."""
    transport = httpx.ASGITransport(app=app, client=(address, 40_000), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=BASE_URL)
