"""Makes the files of a completed envelope: its executed documents, and the certificate of completion once they are there.

Whatever is there already is not made again, so an attempt that ended halfway is simply repeated. Where two processes work at once, the
ledger takes one file of each; the other's blob is referred to by nothing.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from domain.actor import Actor, ActorKind, Mode
from domain.coordination import RecordCertified, RecordExecuted
from domain.envelope import CertificateIssued, Document, DocumentExecuted, Envelope, EnvelopeCompleted, EnvelopeFact, evolve
from infrastructure.blobs import BlobStore
from infrastructure.certificate_case import Circumstances, case_of, happened_of, paper_for
from infrastructure.clock import Clock
from infrastructure.consents import consents_when_signed
from infrastructure.database import Reads
from infrastructure.execution.blocks_of import DocumentSigner, OnDocument, blocks_of
from infrastructure.execution.images import case_without_unusable, signers_without_unusable
from infrastructure.execution.obstacles import MissingFile, NotCompleted
from infrastructure.execution.signers import signers_of
from infrastructure.identity import Identity, UnknownTenant
from infrastructure.ledger import NO_ANSWER, Ledger
from infrastructure.normalised import Normalised, NormalisedFiles
from infrastructure.pdf_drawing.blocks import DrawingRefused, Fault, Foot
from infrastructure.pdf_drawing.case import Absent, Case, Paper
from infrastructure.pdf_drawing.drawing import draw_certificate, execute_document
from infrastructure.reading import AsyncConnection
from infrastructure.seal_service import SealService
from infrastructure.sealed import Sealed, StoredCheckpoint
from infrastructure.telling.happened import Happened, created_of, documents_of
from infrastructure.vault import Vault

BY: Final = Actor(ActorKind.FOLLOWER, "executions")

#: How long a certificate waits for a checkpoint that covers the executed documents; they are signed within seconds.
CHECKPOINT_WAIT: Final = timedelta(seconds=60)

_NO_CHECKPOINT: Final = Absent("no signed checkpoint covered the process when this certificate was made")


class AwaitsCheckpoint(Exception):
    """The executed documents are there; the certificate waits for a checkpoint that covers them."""


#: `(connection, streams)`: where the log says that entries of the streams were emptied, by stream and version; the read model's query.
Erasures = Callable[[AsyncConnection, Collection[UUID]], Awaitable[Mapping[tuple[UUID, int], int]]]

#: Awaited before each file and after the last, with how many are there and how many there will be; what it raises ends the attempt.
Between = Callable[[int, int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Case:
    """A completed envelope with everything that is drawn from."""

    id: UUID
    envelope: Envelope
    signers: tuple[DocumentSigner, ...]
    foot: Foot
    zone: ZoneInfo


class Making:
    """Makes files over the running parts of an installation."""

    def __init__(
        self,
        *,
        reads: Reads,
        ledger: Ledger,
        vault: Vault,
        files: NormalisedFiles,
        blobs: BlobStore,
        seals: SealService,
        sealed: Sealed,
        clock: Clock,
        identity: Identity,
        erasures: Erasures,
        base_url: str,
    ) -> None:
        self._reads = reads
        self._ledger = ledger
        self._vault = vault
        self._files = files
        self._blobs = blobs
        self._seals = seals
        self._sealed = sealed
        self._clock = clock
        self._identity = identity
        self._erasures = erasures
        self._base_url = base_url

    async def completed_at(self, envelope: UUID) -> int:
        """The position at which the envelope was completed; raises NotCompleted."""
        return _completion(envelope, await happened_of(self._reads, envelope)).position

    async def execute(self, envelope: UUID, between: Between) -> None:
        """Makes what is missing of the envelope's files, and records each.

        Raises NotCompleted, AwaitsCheckpoint, and whatever `obstacle_of` has words for.
        """
        case = await self._case(envelope)
        documents = case.envelope.documents
        for number, document in enumerate(documents):
            await between(number, len(documents) + 1)
            if document.id not in case.envelope.executed:
                await self._execute(case, document)
        await between(len(documents), len(documents) + 1)
        if case.envelope.certificate is None:
            await self._certify(envelope)
        await between(len(documents) + 1, len(documents) + 1)

    async def _case(self, envelope: UUID) -> _Case:
        told = await happened_of(self._reads, envelope)
        completion = _completion(envelope, told)
        state: Envelope | None = None
        for each in told:
            if isinstance(each.fact, EnvelopeFact):
                state = evolve(state, each.fact, each.entry.at)
        if state is None:
            raise NotCompleted
        opened = await self._vault.open_entries({each.entry.stream for each in told})
        foot = Foot(str(envelope), completion.leaf.hex(), completion.entry.at, state.mode is Mode.TEST)
        return _Case(envelope, state, signers_of(envelope, told, opened), foot, ZoneInfo(state.zone or "UTC"))

    async def _execute(self, case: _Case, document: Document) -> None:
        normalised, data = await self._normalised(document)
        body = await self._body(case, document.id, data)
        made = await self._seals.seal(body, self._clock.now())
        # Crash point: the file is stored and nothing says so. The next attempt makes another one.
        stored = await self._blobs.put(made.content)
        executed = DocumentExecuted(document.id, _hex(body), stored, len(body), normalised.sha256, made.seal)
        await self._ledger.handle(RecordExecuted(case.id, executed), BY, lambda outcome: NO_ANSWER)

    async def _normalised(self, document: Document) -> tuple[Normalised, bytes]:
        normalised = await self._files.made(document.sha256)
        if normalised is None:
            raise MissingFile(document.sha256)
        data = await self._blobs.get(normalised.sha256)
        if data is None:
            raise MissingFile(normalised.sha256)
        return normalised, data

    async def _body(self, case: _Case, document: UUID, data: bytes) -> bytes:
        def drawn(signers: Sequence[DocumentSigner]) -> OnDocument:
            return blocks_of(case.envelope, document, signers, case.zone)

        on = drawn(case.signers)
        try:
            return await execute_document(data, on.blocks, case.foot, on.page)
        except DrawingRefused as err:
            if err.code is not Fault.BAD_IMAGE:
                raise
        # A signature is not lost by its picture: `/s/` and the name stand instead, and the certificate says so.
        on = drawn(await signers_without_unusable(case.signers))
        return await execute_document(data, on.blocks, case.foot, on.page)

    async def _certify(self, envelope: UUID) -> None:
        told = await happened_of(self._reads, envelope)
        now = self._clock.now()
        beside = Circumstances(
            tenant=await self._tenant_name(told),
            base_url=self._base_url,
            made=now,
            checkpoint=await self._checkpoint(told[-1].position, _executed_at(told), now),
            erasures=await self._erased({each.entry.stream for each in told}),
            consents=await consents_when_signed(self._reads, self._vault, told),
        )
        body = await self._certificate(await case_of(self._vault, told, beside), await self._paper(told))
        made = await self._seals.seal(body, self._clock.now())
        # Crash point: the certificate is stored and nothing says so. The next attempt makes another one.
        stored = await self._blobs.put(made.content)
        issued = CertificateIssued(stored, _hex(body), len(body), made.seal)
        await self._ledger.handle(RecordCertified(envelope, issued), BY, lambda outcome: NO_ANSWER)

    async def _certificate(self, case: Case, paper: Paper) -> bytes:
        try:
            return await draw_certificate(case, paper)
        except DrawingRefused as err:
            if err.code is not Fault.BAD_IMAGE:
                raise
        return await draw_certificate(await case_without_unusable(case), paper)

    async def _checkpoint(self, position: int, executed_at: datetime, now: datetime) -> StoredCheckpoint | Absent:
        found = await self._sealed.covering(position)
        if found is None and now < executed_at + CHECKPOINT_WAIT:
            raise AwaitsCheckpoint
        return found or _NO_CHECKPOINT

    async def _erased(self, streams: Collection[UUID]) -> Mapping[tuple[UUID, int], int]:
        async with self._reads.connection() as connection:
            return await self._erasures(connection, streams)

    async def _paper(self, told: Sequence[Happened]) -> Paper:
        """As that of the first document."""
        first = next(iter(documents_of(told).values()))
        normalised = await self._files.of(first.sha256)
        return Paper.A4 if normalised is None else paper_for(normalised.sizes[0])

    async def _tenant_name(self, told: Sequence[Happened]) -> str:
        created = created_of(told)
        try:
            return "" if created is None else await self._identity.tenant_name(created.tenant)
        except UnknownTenant:
            return ""


def _completion(envelope: UUID, told: Sequence[Happened]) -> Happened:
    for each in told:
        if each.entry.stream == envelope and isinstance(each.fact, EnvelopeCompleted):
            return each
    raise NotCompleted


def _executed_at(told: Sequence[Happened]) -> datetime:
    """When the last document was executed."""
    return max(each.entry.at for each in told if isinstance(each.fact, DocumentExecuted))


def _hex(data: bytes) -> str:
    return sha256(data).hexdigest()
