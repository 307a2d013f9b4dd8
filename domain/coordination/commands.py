"""What may be asked of an envelope and its signings together."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

from domain.envelope import (
    CertificateIssued,
    Document,
    DocumentExecuted,
    EnvelopeCreated,
    SealRenewed,
    Slot,
)
from domain.personal import Personal, Subject
from domain.signing import (
    DeclineSigning,
    GiveConsent,
    OpenSession,
    ProcessCreated,
    ReportBounce,
    ReportDelivery,
    ResendInvitation,
    SendOtp,
    SignDocuments,
    VerifyOtp,
    ViewDocument,
)

#: Commands that a participant or a follower addresses to one signing of an envelope.
ParticipantCommand = (
    ViewDocument
    | SendOtp
    | VerifyOtp
    | GiveConsent
    | SignDocuments
    | DeclineSigning
    | ResendInvitation
    | ReportDelivery
    | ReportBounce
    | OpenSession
)


@dataclass(frozen=True, slots=True)
class CreateEnvelope:
    """Creates an envelope and the processes of its participants, and sends it unless `send` is false."""

    envelope: UUID
    created: EnvelopeCreated
    processes: Mapping[UUID, ProcessCreated]
    send: bool = True


@dataclass(frozen=True, slots=True)
class AddDocument:
    """Adds a document to a draft, for `participants` to sign."""

    envelope: UUID
    document: Document
    participants: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class AddParticipant:
    """Adds a participant to a draft.

    `persons` says who the participants so far are, as far as the caller knows: facts that are read
    back do not. One person gets no second place. With `looked_at`, the participants that the caller has
    seen, somebody added meanwhile is a Conflict: that may be the same person.
    """

    envelope: UUID
    slot: Slot
    process: ProcessCreated
    persons: Mapping[UUID, Subject] = field(default_factory=lambda: MappingProxyType({}))
    looked_at: frozenset[UUID] | None = None


@dataclass(frozen=True, slots=True)
class SendEnvelope:
    envelope: UUID


@dataclass(frozen=True, slots=True)
class RemindEnvelope:
    """Sends the invitation again to everybody whose turn it is; the ones before are no longer accepted."""

    envelope: UUID


@dataclass(frozen=True, slots=True)
class CancelEnvelope:
    envelope: UUID
    reason: Personal | None = None


@dataclass(frozen=True, slots=True)
class ExpireEnvelope:
    envelope: UUID


@dataclass(frozen=True, slots=True)
class ExtendEnvelope:
    envelope: UUID
    deadline: datetime


@dataclass(frozen=True, slots=True)
class RecordExecuted:
    envelope: UUID
    executed: DocumentExecuted


@dataclass(frozen=True, slots=True)
class RecordCertified:
    envelope: UUID
    issued: CertificateIssued


@dataclass(frozen=True, slots=True)
class RecordRenewed:
    envelope: UUID
    renewed: SealRenewed


@dataclass(frozen=True, slots=True)
class Participate:
    """A command to one signing, with all that follows from it for the envelope and the others."""

    envelope: UUID
    command: ParticipantCommand


PackageCommand = (
    CreateEnvelope
    | AddDocument
    | AddParticipant
    | SendEnvelope
    | RemindEnvelope
    | CancelEnvelope
    | ExpireEnvelope
    | ExtendEnvelope
    | RecordExecuted
    | RecordCertified
    | RecordRenewed
    | Participate
)
