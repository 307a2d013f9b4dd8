"""What may be done in a signing, by its participant and by others.

Commands here concern one signing's stream; what follows for the envelope and for the other
participants is in `domain.coordination`.
"""

from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest
from typing import assert_never
from uuid import UUID

from domain.actor import Provenance
from domain.envelope import FailureReason
from domain.errors import (
    CooldownActive,
    DocumentChanged,
    DocumentNotFound,
    FieldAlreadyFilled,
    HumanSignatureRequired,
    NotInvited,
    OtpExpired,
    OtpNotSent,
    ParticipantNotFound,
    PolicyOutOfRange,
    SessionExpired,
    SessionTokenInvalid,
    SigningClosed,
)
from domain.personal import Personal
from domain.signing.facts import (
    MAX_ATTEMPTS,
    MAX_COOLDOWN_SECONDS,
    BounceReason,
    Channel,
    ConsentGiven,
    DocumentAssigned,
    DocumentReference,
    DocumentSigned,
    DocumentViewed,
    FieldsFilled,
    FieldValue,
    Invitation,
    InvitationBounced,
    InvitationDelivered,
    InvitationResent,
    Invited,
    OtpFailed,
    OtpSent,
    OtpVerified,
    ProcessCreated,
    Session,
    SessionOpened,
    SignatureMethod,
    SigningCancelled,
    SigningCompleted,
    SigningDeclined,
    SigningExpired,
    SigningFact,
    SigningFailed,
    SigningStatus,
    Started,
)
from domain.signing.state import PendingCode, Signing


@dataclass(frozen=True, slots=True)
class SessionToken:
    """What the bearer of a session token showed, as the token's SHA-256 (64 hex digits)."""

    sha256: str


@dataclass(frozen=True, slots=True)
class OpenProcess:
    participant: UUID
    created: ProcessCreated


@dataclass(frozen=True, slots=True)
class AssignDocument:
    participant: UUID
    document: DocumentReference


@dataclass(frozen=True, slots=True)
class Invite:
    participant: UUID
    invitation: Invitation


@dataclass(frozen=True, slots=True)
class ResendInvitation:
    participant: UUID
    invitation: Invitation


@dataclass(frozen=True, slots=True)
class ReportDelivery:
    participant: UUID
    invitation: UUID
    channel: Channel


@dataclass(frozen=True, slots=True)
class ReportBounce:
    participant: UUID
    invitation: UUID
    reason: BounceReason


@dataclass(frozen=True, slots=True)
class OpenSession:
    """Opens a signing session for `user`, who signed in at `signed_in_at` and whom the caller has recognised."""

    participant: UUID
    session: Session
    user: Personal
    signed_in_at: datetime


@dataclass(frozen=True, slots=True)
class ViewDocument:
    """The participant was shown the bytes with this SHA-256."""

    participant: UUID
    document: UUID
    sha256: str
    provenance: Provenance
    token: SessionToken | None = None


@dataclass(frozen=True, slots=True)
class SendOtp:
    participant: UUID
    channel: Channel
    code: Personal
    expires_at: datetime
    provenance: Provenance
    token: SessionToken | None = None


@dataclass(frozen=True, slots=True)
class VerifyOtp:
    """`code` is the commitment to what was entered, under the salt of the code that was sent."""

    participant: UUID
    code: str
    provenance: Provenance
    token: SessionToken | None = None


@dataclass(frozen=True, slots=True)
class GiveConsent:
    participant: UUID
    text_sha256: str
    locale: str
    provenance: Provenance
    token: SessionToken | None = None


@dataclass(frozen=True, slots=True)
class SignDocuments:
    """Signs the named documents, or with `documents` None all that are left: the whole slot.

    `sha256`, when given, is of the bytes that the participant saw, for a single document. Whether `values` are for fields
    of this participant is for the envelope to say (`domain.coordination`).
    """

    participant: UUID
    documents: tuple[UUID, ...] | None
    method: SignatureMethod
    attestation: Personal | None
    image: Personal | None
    provenance: Provenance
    sha256: str | None = None
    token: SessionToken | None = None
    values: tuple[FieldValue, ...] = ()


@dataclass(frozen=True, slots=True)
class DeclineSigning:
    participant: UUID
    reason: Personal | None
    provenance: Provenance
    token: SessionToken | None = None


@dataclass(frozen=True, slots=True)
class CancelSigning:
    participant: UUID


@dataclass(frozen=True, slots=True)
class ExpireSigning:
    participant: UUID


#: What a participant does.
SigningAct = ViewDocument | SendOtp | VerifyOtp | GiveConsent | SignDocuments | DeclineSigning

SigningCommand = (
    OpenProcess
    | AssignDocument
    | Invite
    | ResendInvitation
    | ReportDelivery
    | ReportBounce
    | OpenSession
    | SigningAct
    | CancelSigning
    | ExpireSigning
)


def decide(command: SigningCommand, state: Signing | None, now: datetime) -> tuple[SigningFact, ...]:
    """The facts that follow from `command`; raises a Refusal. `state` is None before the first fact."""
    if isinstance(command, OpenProcess):
        return _open(command.created) if state is None else ()
    if state is None:
        raise ParticipantNotFound(command.participant)
    match command:
        case AssignDocument():
            return () if command.document.id in state.documents else (DocumentAssigned(command.document),)
        case Invite():
            return (Invited(command.invitation),) if state.status is SigningStatus.CREATED else ()
        case ReportDelivery():
            report = InvitationDelivered(command.invitation, command.channel)
            return (report,) if _unreported(state, command.invitation) else ()
        case ReportBounce():
            bounce = InvitationBounced(command.invitation, command.reason)
            return (bounce,) if _unreported(state, command.invitation) else ()
        case CancelSigning():
            return () if state.status.final else (SigningCancelled(),)
        case ExpireSigning():
            return () if state.status.final else (SigningExpired(),)
        case ResendInvitation():
            _refuse_closed(state)
            return (InvitationResent(command.invitation),)
        case OpenSession():
            _refuse_closed(state)
            return (SessionOpened(command.session, command.user, command.signed_in_at),)
        case ViewDocument() | SendOtp() | VerifyOtp() | GiveConsent() | SignDocuments() | DeclineSigning():
            return _act(command, state, now)
        case _ as unreachable:
            assert_never(unreachable)


def _open(created: ProcessCreated) -> tuple[SigningFact, ...]:
    if created.attempts_max is not None and not 1 <= created.attempts_max <= MAX_ATTEMPTS:
        raise PolicyOutOfRange("attempts_max", 1, MAX_ATTEMPTS)
    if created.cooldown_seconds is not None and not 0 <= created.cooldown_seconds <= MAX_COOLDOWN_SECONDS:
        raise PolicyOutOfRange("cooldown_seconds", 0, MAX_COOLDOWN_SECONDS)
    return (created,)


def _unreported(state: Signing, invitation: UUID) -> bool:
    return not state.status.final and invitation in state.invitations and invitation not in state.reported


def _refuse_closed(state: Signing) -> None:
    if state.status.final:
        raise SigningClosed(state.status)
    if state.status is SigningStatus.CREATED:
        raise NotInvited


def check_token(state: Signing, token: SessionToken | None) -> datetime:
    """Until when `token` may be used, which need not lie ahead.

    Raises SessionTokenInvalid unless it is that of the latest invitation or of the open session; takes the
    same time whichever it is.
    """
    shown = "" if token is None else token.sha256
    accepted = [right.expires_at for right in state.rights if compare_digest(shown, right.token_sha256)]
    if not accepted:
        raise SessionTokenInvalid
    return accepted[0]


def _act(command: SigningAct, state: Signing, now: datetime) -> tuple[SigningFact, ...]:
    until = None if command.token is None else check_token(state, command.token)
    _refuse_closed(state)
    if until is not None and now > until:
        raise SessionExpired(until)
    if isinstance(command, DeclineSigning):
        return (SigningDeclined(command.reason, command.provenance),)
    facts = _facts_of(command, state, now)
    if facts and state.status is SigningStatus.INVITED:
        return (Started(command.provenance), *facts)
    return facts


def _facts_of(
    command: ViewDocument | SendOtp | VerifyOtp | GiveConsent | SignDocuments, state: Signing, now: datetime
) -> tuple[SigningFact, ...]:
    match command:
        case ViewDocument():
            _refuse_changed(state, command.document, command.sha256)
            return (DocumentViewed(command.document, command.sha256, command.provenance),)
        case SendOtp():
            return _send_code(command, state, now)
        case VerifyOtp():
            return _verify_code(command, state, now)
        case GiveConsent():
            return (ConsentGiven(command.text_sha256, command.locale, command.provenance),)
        case SignDocuments():
            return _sign(command, state)
        case _ as unreachable:
            assert_never(unreachable)


def _refuse_changed(state: Signing, document: UUID, sha256: str) -> None:
    if document not in state.documents:
        raise DocumentNotFound(document)
    if state.documents[document] != sha256:
        raise DocumentChanged(document)


def _sign(command: SignDocuments, state: Signing) -> tuple[SigningFact, ...]:
    if state.in_person and not command.provenance.identity.signed_in:
        raise HumanSignatureRequired
    wanted = state.unsigned if command.documents is None else command.documents
    for document in wanted:
        if document not in state.documents:
            raise DocumentNotFound(document)
        if command.sha256 is not None:
            _refuse_changed(state, document, command.sha256)
    signed = tuple(
        DocumentSigned(
            document, state.documents[document], command.method, command.attestation, command.image, command.provenance
        )
        for document in state.unsigned
        if document in wanted
    )
    filled_before = set(state.filled)
    for value in command.values if signed else ():
        if value.field in filled_before:
            raise FieldAlreadyFilled(value.field)
        filled_before.add(value.field)
    documents = tuple(each.document for each in signed)
    filled = (FieldsFilled(documents, command.values, command.provenance),) if command.values and signed else ()
    completed = (SigningCompleted(),) if len(signed) == len(state.unsigned) else ()
    return (*filled, *signed, *completed)


def _refuse_before(until: datetime | None, now: datetime) -> None:
    if until is not None and now < until:
        raise CooldownActive(until)


def _send_code(command: SendOtp, state: Signing, now: datetime) -> tuple[SigningFact, ...]:
    _refuse_before(state.next_code_at, now)
    return (OtpSent(command.channel, command.code, command.expires_at),)


def _waiting_code(state: Signing, now: datetime) -> PendingCode:
    if state.code is None:
        raise OtpNotSent
    if now > state.code.expires_at:
        raise OtpExpired(state.code.expires_at)
    return state.code


def _verify_code(command: VerifyOtp, state: Signing, now: datetime) -> tuple[SigningFact, ...]:
    code = _waiting_code(state, now)
    _refuse_before(state.next_attempt_at, now)
    if compare_digest(code.code, command.code):
        return (OtpVerified(command.provenance),)
    attempt = state.failed_attempts + 1
    failed = OtpFailed(attempt, command.provenance)
    if state.attempts_max is not None and attempt >= state.attempts_max:
        return (failed, SigningFailed(FailureReason.ATTEMPTS_EXHAUSTED))
    return (failed,)
