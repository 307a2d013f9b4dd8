"""What happens to an envelope, as facts."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Final
from uuid import UUID

from domain.actor import Mode
from domain.field import FieldType
from domain.personal import Personal
from domain.placement import MAX_MILLIPOINTS
from domain.seal import Seal

#: The fact that creates an envelope lists its participants and documents in one entry of at most 65,535 bytes.
MAX_PARTICIPANTS: Final = 100
MAX_DOCUMENTS: Final = 100

#: Documents to sign, counted over all participants: the same entry lists them too, at 39 bytes each.
MAX_ASSIGNMENTS: Final = 500

#: Fields placed on all documents together, and those who get a copy: both are in the same entry too.
MAX_PLACED_FIELDS: Final = 200
MAX_COPIES: Final = 20


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
    """One PDF of an envelope, by its SHA-256 (64 hex digits). `title` is free text.

    `source` is the document of the library that it was made from.
    """

    id: UUID
    sha256: str
    pages: int
    title: Personal | None = None
    source: UUID | None = None


@dataclass(frozen=True, slots=True)
class Slot:
    """A participant's place: `number` orders a sequential envelope, equal numbers sign at once.

    Only in a draft may a participant have no documents to sign.
    """

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
class PlacedField:
    """A box that a participant fills in on one of the documents that it signs.

    Lengths are thousandths of a PDF point, from the top left of the displayed page to the box's top
    left; pages count from 1.
    """

    participant: UUID
    document: UUID
    type: FieldType
    page: int
    x_millipoints: int
    y_millipoints: int
    width_millipoints: int
    height_millipoints: int
    required: bool
    name: str | None = None


def labels_of(fields: tuple[PlacedField, ...]) -> tuple[str, ...]:
    """What each field is called: by its name, or by its number, which counts from 1."""
    return tuple(placed.name or str(number) for number, placed in enumerate(fields, 1))


def has_extent(placed: PlacedField) -> bool:
    """Whether the box has a size and lies where a page can be."""
    corner, size = (placed.x_millipoints, placed.y_millipoints), (placed.width_millipoints, placed.height_millipoints)
    return all(0 <= it <= MAX_MILLIPOINTS for it in corner) and all(1 <= it <= MAX_MILLIPOINTS for it in size)


@dataclass(frozen=True, slots=True)
class CopyRecipient:
    """Somebody who gets a copy of what was signed and signs nothing. `details` are a surface's own, as JSON."""

    id: UUID
    name: Personal
    email: Personal
    details: Personal | None = None


@dataclass(frozen=True, slots=True)
class EnvelopeCreated:
    """A draft; it may yet be without documents or participants. `location` and `flow` are of the directory.

    `zone` is the time zone (an IANA name) in which the envelope's papers tell times beside UTC.
    """

    TYPE: ClassVar[str] = "envelope.created/3"
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
    location: UUID | None = None
    flow: UUID | None = None
    fields: tuple[PlacedField, ...] = ()
    copies: tuple[CopyRecipient, ...] = ()
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class DocumentAdded:
    """A draft got one more document, for the named participants to sign."""

    TYPE: ClassVar[str] = "envelope.document-added/1"
    document: Document
    participants: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class ParticipantAdded:
    """A draft got one more participant."""

    TYPE: ClassVar[str] = "envelope.participant-added/1"
    slot: Slot


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
    """`body_sha256` is the executed PDF before its seal, `sha256` the stored file (64 hex digits).

    The body is the first `body_bytes` of the file; it was drawn on the form of the document with `normalised_sha256`.
    """

    TYPE: ClassVar[str] = "envelope.document-executed/2"
    document: UUID
    body_sha256: str
    sha256: str
    body_bytes: int | None = None
    normalised_sha256: str | None = None
    seal: Seal | None = None


@dataclass(frozen=True, slots=True)
class CertificateIssued:
    """The certificate of completion; its hashes are as those of an executed document."""

    TYPE: ClassVar[str] = "envelope.certificate-issued/2"
    sha256: str
    body_sha256: str | None = None
    body_bytes: int | None = None
    seal: Seal | None = None


@dataclass(frozen=True, slots=True)
class SealRenewed:
    """A sealed file got one more time stamp over all of it: of a document, or with None of the certificate.

    The file before it, with `previous_sha256`, is the beginning of the new one, with `sha256`.
    """

    TYPE: ClassVar[str] = "envelope.seal-renewed/1"
    document: UUID | None
    previous_sha256: str
    sha256: str
    stamped_at: datetime


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
    | DocumentAdded
    | ParticipantAdded
    | EnvelopeSent
    | ParticipantCompleted
    | ParticipantFailed
    | DeadlineExtended
    | DocumentExecuted
    | CertificateIssued
    | SealRenewed
    | EnvelopeCompleted
    | EnvelopeDeclined
    | EnvelopeCancelled
    | EnvelopeExpired
    | EnvelopeFailed
)
