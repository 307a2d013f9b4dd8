"""What happens in a signing, as facts."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Final
from uuid import UUID

from domain.actor import Mode, Provenance
from domain.envelope import FailureReason
from domain.personal import Personal

#: No more failed attempts than this in a row (NIST SP 800-63B section 5.2.2).
MAX_ATTEMPTS: Final = 100

#: Thirty days: a longer pause between two attempts would outlast the usual deadline.
MAX_COOLDOWN_SECONDS: Final = 30 * 86_400


class SignatureMode(StrEnum):
    """By which channel or mechanism a participant signs, as the sender asked for."""

    EMAIL = "email"
    SMS = "sms"
    BIOMETRIC = "biometric"


class SignatureMethod(StrEnum):
    """How the participant expressed the signature."""

    TYPED = "typed"
    DRAWN = "drawn"
    CLICKED = "clicked"


class SigningStatus(StrEnum):
    """Where a signing stands; the last five are final."""

    CREATED = "created"
    INVITED = "invited"
    STARTED = "started"
    COMPLETED = "completed"
    DECLINED = "declined"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def final(self) -> bool:
        return self not in (SigningStatus.CREATED, SigningStatus.INVITED, SigningStatus.STARTED)


class Channel(StrEnum):
    EMAIL = "email"
    SMS = "sms"


class BounceReason(StrEnum):
    """Why an invitation could not be handed over."""

    NO_ADDRESS = "no-address"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    ERASED = "erased"


@dataclass(frozen=True, slots=True)
class DocumentReference:
    """A document to sign, by its id and the SHA-256 of its bytes (64 hex digits)."""

    id: UUID
    sha256: str


@dataclass(frozen=True, slots=True)
class Invitation:
    """A session token's public half: the token itself is only in the message to the participant.

    `token_sha256` is 64 hex digits; the token holds 256 bits, so its plain hash says nothing about it.
    """

    id: UUID
    token_sha256: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Session:
    """The right to act for a while, of somebody who has just signed in: the public half of its token.

    As with an invitation, `token_sha256` is 64 hex digits of a token that is stored nowhere.
    """

    id: UUID
    token_sha256: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ProcessCreated:
    """`cooldown_seconds` is the least time between two attempts, `attempts_max` how many may fail.

    `details` is what a surface must remember of the person, as a JSON object. With `human_only` only
    the participant, signed in as a person, may sign in live mode; an agent, or whoever has the token alone, may not.
    """

    TYPE: ClassVar[str] = "signing.process-created/2"
    tenant: UUID
    mode: Mode
    envelope: UUID
    number: int
    documents: tuple[DocumentReference, ...]
    modes: tuple[SignatureMode, ...]
    name: Personal
    email: Personal | None
    phone: Personal | None
    document_number: Personal | None
    role: str | None = None
    attempts_max: int | None = None
    cooldown_seconds: int | None = None
    details: Personal | None = None
    human_only: bool = False


@dataclass(frozen=True, slots=True)
class DocumentAssigned:
    """A draft's participant got one more document to sign."""

    TYPE: ClassVar[str] = "signing.document-assigned/1"
    document: DocumentReference


@dataclass(frozen=True, slots=True)
class Invited:
    TYPE: ClassVar[str] = "signing.invited/1"
    invitation: Invitation


@dataclass(frozen=True, slots=True)
class InvitationResent:
    """A new token; the one before it is no longer accepted."""

    TYPE: ClassVar[str] = "signing.invitation-resent/1"
    invitation: Invitation


@dataclass(frozen=True, slots=True)
class InvitationDelivered:
    """The message was accepted by the next mail system; that somebody read it is not known."""

    TYPE: ClassVar[str] = "signing.invitation-delivered/1"
    invitation: UUID
    channel: Channel


@dataclass(frozen=True, slots=True)
class InvitationBounced:
    TYPE: ClassVar[str] = "signing.invitation-bounced/1"
    invitation: UUID
    reason: BounceReason


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """A signing session of `user`, who signed in at `signed_in_at`; a session before it is no longer accepted.

    Its token works beside that of the invitation.
    """

    TYPE: ClassVar[str] = "signing.session-opened/1"
    session: Session
    user: Personal
    signed_in_at: datetime


@dataclass(frozen=True, slots=True)
class Started:
    TYPE: ClassVar[str] = "signing.started/1"
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class DocumentViewed:
    """`sha256` is of the bytes that were shown."""

    TYPE: ClassVar[str] = "signing.document-viewed/1"
    document: UUID
    sha256: str
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class OtpSent:
    """`code` commits to the code: six digits without a salt could be guessed from a plain hash."""

    TYPE: ClassVar[str] = "signing.otp-sent/1"
    channel: Channel
    code: Personal
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class OtpVerified:
    TYPE: ClassVar[str] = "signing.otp-verified/1"
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class OtpFailed:
    """`attempt` counts the failed attempts of this signing from 1."""

    TYPE: ClassVar[str] = "signing.otp-failed/1"
    attempt: int
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class ConsentGiven:
    """`text_sha256` is of the disclosure text that was shown (64 hex digits), `locale` its BCP 47 tag."""

    TYPE: ClassVar[str] = "signing.consent-given/1"
    text_sha256: str
    locale: str
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class FieldValue:
    """What a participant put into a field: a text, or for a checkbox true or false. Fields of an envelope are numbered from 1."""

    field: int
    value: Personal


@dataclass(frozen=True, slots=True)
class FieldsFilled:
    """The values that go with the signatures of `documents`, which follow it."""

    TYPE: ClassVar[str] = "signing.fields-filled/1"
    documents: tuple[UUID, ...]
    values: tuple[FieldValue, ...]
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class DocumentSigned:
    """`attestation` is the text that was accepted, verbatim; `image` a drawn signature as a data URI."""

    TYPE: ClassVar[str] = "signing.document-signed/1"
    document: UUID
    sha256: str
    method: SignatureMethod
    attestation: Personal | None
    image: Personal | None
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class SigningCompleted:
    TYPE: ClassVar[str] = "signing.completed/1"


@dataclass(frozen=True, slots=True)
class SigningDeclined:
    TYPE: ClassVar[str] = "signing.declined/1"
    reason: Personal | None
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class SigningFailed:
    TYPE: ClassVar[str] = "signing.failed/1"
    reason: FailureReason


@dataclass(frozen=True, slots=True)
class SigningCancelled:
    TYPE: ClassVar[str] = "signing.cancelled/1"


@dataclass(frozen=True, slots=True)
class SigningExpired:
    TYPE: ClassVar[str] = "signing.expired/1"


SigningFact = (
    ProcessCreated
    | DocumentAssigned
    | Invited
    | InvitationResent
    | InvitationDelivered
    | InvitationBounced
    | SessionOpened
    | Started
    | DocumentViewed
    | OtpSent
    | OtpVerified
    | OtpFailed
    | ConsentGiven
    | FieldsFilled
    | DocumentSigned
    | SigningCompleted
    | SigningDeclined
    | SigningFailed
    | SigningCancelled
    | SigningExpired
)
