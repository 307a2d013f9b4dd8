"""What happens to an envelope, as facts."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Final
from uuid import UUID

from domain.actor import Mode
from domain.personal import Personal

#: The fact that creates an envelope lists its participants and documents in one entry of at most 65,535 bytes.
MAX_PARTICIPANTS: Final = 100
MAX_DOCUMENTS: Final = 100

#: Documents to sign, counted over all participants: the same entry lists them too, at 39 bytes each.
MAX_ASSIGNMENTS: Final = 500


class OrderMode(StrEnum):
    """Whether all participants may sign at once, or one number after the other."""

    PARALLEL = "parallel"
    SEQUENTIAL = "sequential"


class OnParticipantFail(StrEnum):
    """What one participant's failure or refusal means for the others."""

    CANCEL_FLOW = "cancel-flow"
    CONTINUE = "continue"


class EnvelopeStatus(StrEnum):
    """Where an envelope stands; all but the first two are final."""

    DRAFT = "draft"
    SENT = "sent"
    COMPLETED = "completed"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    FAILED = "failed"

    @property
    def final(self) -> bool:
        return self not in (EnvelopeStatus.DRAFT, EnvelopeStatus.SENT)


class FailureReason(StrEnum):
    """Why a participant will not sign."""

    DECLINED = "declined"
    ATTEMPTS_EXHAUSTED = "attempts-exhausted"


class SlotStatus(StrEnum):
    OPEN = "open"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Document:
    """One PDF of an envelope, by its SHA-256 (64 hex digits). `title` is free text."""

    id: UUID
    sha256: str
    pages: int
    title: Personal | None = None


@dataclass(frozen=True, slots=True)
class Slot:
    """A participant's place: `number` orders a sequential envelope, equal numbers sign at once."""

    participant: UUID
    number: int
    documents: tuple[UUID, ...]
    role: str | None = None


@dataclass(frozen=True, slots=True)
class TemplateVersion:
    """The template version that an envelope was made from."""

    template: UUID
    version: int


@dataclass(frozen=True, slots=True)
class EnvelopeCreated:
    TYPE: ClassVar[str] = "envelope.created/1"
    tenant: UUID
    mode: Mode
    documents: tuple[Document, ...]
    participants: tuple[Slot, ...]
    order: OrderMode
    on_participant_fail: OnParticipantFail
    deadline: datetime | None
    template: TemplateVersion | None
    subject: Personal | None
    message: Personal | None
    metadata: Personal | None


@dataclass(frozen=True, slots=True)
class EnvelopeSent:
    TYPE: ClassVar[str] = "envelope.sent/1"


@dataclass(frozen=True, slots=True)
class ParticipantCompleted:
    TYPE: ClassVar[str] = "envelope.participant-completed/1"
    participant: UUID


@dataclass(frozen=True, slots=True)
class ParticipantFailed:
    TYPE: ClassVar[str] = "envelope.participant-failed/1"
    participant: UUID
    reason: FailureReason


@dataclass(frozen=True, slots=True)
class DeadlineExtended:
    TYPE: ClassVar[str] = "envelope.deadline-extended/1"
    deadline: datetime


@dataclass(frozen=True, slots=True)
class DocumentExecuted:
    """`body_sha256` is the executed PDF before its seal, `sha256` the stored file (64 hex digits)."""

    TYPE: ClassVar[str] = "envelope.document-executed/1"
    document: UUID
    body_sha256: str
    sha256: str


@dataclass(frozen=True, slots=True)
class CertificateIssued:
    TYPE: ClassVar[str] = "envelope.certificate-issued/1"
    sha256: str


@dataclass(frozen=True, slots=True)
class EnvelopeCompleted:
    TYPE: ClassVar[str] = "envelope.completed/1"


@dataclass(frozen=True, slots=True)
class EnvelopeDeclined:
    TYPE: ClassVar[str] = "envelope.declined/1"
    participant: UUID


@dataclass(frozen=True, slots=True)
class EnvelopeCancelled:
    TYPE: ClassVar[str] = "envelope.cancelled/1"
    reason: Personal | None


@dataclass(frozen=True, slots=True)
class EnvelopeExpired:
    TYPE: ClassVar[str] = "envelope.expired/1"


@dataclass(frozen=True, slots=True)
class EnvelopeFailed:
    TYPE: ClassVar[str] = "envelope.failed/1"


EnvelopeFact = (
    EnvelopeCreated
    | EnvelopeSent
    | ParticipantCompleted
    | ParticipantFailed
    | DeadlineExtended
    | DocumentExecuted
    | CertificateIssued
    | EnvelopeCompleted
    | EnvelopeDeclined
    | EnvelopeCancelled
    | EnvelopeExpired
    | EnvelopeFailed
)
