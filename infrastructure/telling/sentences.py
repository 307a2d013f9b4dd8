"""A sentence for each fact of an envelope and of its signings."""

from typing import assert_never
from uuid import UUID

from domain.envelope import (
    CertificateIssued,
    DeadlineExtended,
    DocumentAdded,
    DocumentExecuted,
    EnvelopeCancelled,
    EnvelopeCompleted,
    EnvelopeCreated,
    EnvelopeDeclined,
    EnvelopeExpired,
    EnvelopeFact,
    EnvelopeFailed,
    EnvelopeSent,
    OrderMode,
    ParticipantAdded,
    ParticipantCompleted,
    ParticipantFailed,
    SealRenewed,
)
from domain.personal import Personal
from domain.signing import (
    ConsentGiven,
    DocumentAssigned,
    DocumentSigned,
    DocumentViewed,
    FieldsFilled,
    InvitationBounced,
    InvitationDelivered,
    InvitationResent,
    Invited,
    OtpFailed,
    OtpSent,
    OtpVerified,
    ProcessCreated,
    SessionOpened,
    SigningCancelled,
    SigningCompleted,
    SigningDeclined,
    SigningExpired,
    SigningFact,
    SigningFailed,
    Started,
)
from infrastructure.telling.happened import Happened
from infrastructure.telling.personal import Disclosed
from infrastructure.telling.tables import BOUNCES, CHANNELS, FAILURES, METHODS
from infrastructure.telling.wording import Wording

#: Nothing else is known of how a signing gets to the signer.
_Invitation = Invited | InvitationResent | InvitationDelivered | InvitationBounced
_Recognition = SessionOpened | OtpSent | OtpVerified | OtpFailed
_End = SigningCompleted | SigningDeclined | SigningFailed | SigningCancelled | SigningExpired


def sentence(told: Happened, wording: Wording) -> str | None:
    """What happened; None for a type that there are no words for."""
    fact = told.fact
    if fact is None:
        return None
    return of_envelope(fact, wording) if isinstance(fact, EnvelopeFact) else of_signing(told.entry.stream, fact, wording)


def of_envelope(fact: EnvelopeFact, wording: Wording) -> str:
    """What happened to the envelope."""
    match fact:
        case EnvelopeCreated():
            order = "one after the other" if fact.order is OrderMode.SEQUENTIAL else "in any order"
            deadline = "without a deadline" if fact.deadline is None else f"until {wording.moment(fact.deadline)}"
            count = f"{counted(len(fact.documents), 'document')} and {counted(len(fact.participants), 'participant')}"
            return f"The envelope was created with {count}, who sign {order}, {deadline}."
        case DocumentAdded():
            whose = ", ".join(map(wording.who, fact.participants)) or "nobody yet"
            return f"{wording.document(fact.document.id)} was added, to be signed by {whose}."
        case ParticipantAdded():
            return f"{wording.who(fact.slot.participant)} was added as a participant."
        case EnvelopeSent():
            return "The envelope was sent."
        case ParticipantCompleted():
            return f"The envelope noted that {wording.who(fact.participant)} has completed."
        case ParticipantFailed():
            return f"The envelope noted that {wording.who(fact.participant)} will not sign: {FAILURES[fact.reason]}."
        case DeadlineExtended():
            return f"The deadline was moved to {wording.moment(fact.deadline)}."
        case DocumentExecuted():
            return f"The executed form of {wording.document(fact.document)} was stored, SHA-256 {fact.sha256}."
        case CertificateIssued():
            return f"The certificate of completion was stored, SHA-256 {fact.sha256}."
        case SealRenewed():
            what = "the certificate of completion" if fact.document is None else wording.document(fact.document)
            return f"The seal of {what} was renewed by a time stamp of {wording.moment(fact.stamped_at)}, SHA-256 {fact.sha256}."
        case EnvelopeCompleted():
            return "The envelope was completed."
        case EnvelopeDeclined():
            return f"The envelope ended because {wording.who(fact.participant)} declined."
        case EnvelopeCancelled():
            return f"The envelope was cancelled.{_reason(fact.reason, wording)}"
        case EnvelopeExpired():
            return "The envelope expired: its deadline had passed."
        case EnvelopeFailed():
            return "The envelope failed."
        case _ as unreachable:
            assert_never(unreachable)


def of_signing(participant: UUID, fact: SigningFact, wording: Wording) -> str:
    """What happened in the signing of one participant."""
    who = wording.who(participant)
    match fact:
        case ProcessCreated():
            return f"The signing of {who} was prepared, with {counted(len(fact.documents), 'document')} to sign."
        case DocumentAssigned():
            return f"{wording.document(fact.document.id)} was given to {who} to sign."
        case Invited() | InvitationResent() | InvitationDelivered() | InvitationBounced():
            return _of_invitation(who, fact, wording)
        case SessionOpened() | OtpSent() | OtpVerified() | OtpFailed():
            return _of_recognition(who, fact, wording)
        case Started():
            return f"{who} began to sign."
        case DocumentViewed():
            return f"{who} was shown {wording.document(fact.document)}, SHA-256 {fact.sha256}."
        case ConsentGiven():
            return f"{who} consented to the disclosure with SHA-256 {fact.text_sha256}, shown in {fact.locale}."
        case FieldsFilled():
            labels = ", ".join(wording.field(value.field) for value in fact.values)
            return f"{who} filled in {counted(len(fact.values), 'field')}{labels and ': '}{labels}."
        case DocumentSigned():
            return _signed(who, fact, wording)
        case SigningCompleted() | SigningDeclined() | SigningFailed() | SigningCancelled() | SigningExpired():
            return _of_end(who, fact, wording)
        case _ as unreachable:
            assert_never(unreachable)


def _of_invitation(who: str, fact: _Invitation, wording: Wording) -> str:
    match fact:
        case Invited():
            return f"{who} was invited, with a token that is valid until {wording.moment(fact.invitation.expires_at)}."
        case InvitationResent():
            until = wording.moment(fact.invitation.expires_at)
            return f"{who} was invited again, with a new token that is valid until {until}; the one before it no longer works."
        case InvitationDelivered():
            channel = CHANNELS[fact.channel]
            return f"The invitation of {who} by {channel} was taken by the next mail system; that it was read is not known."
        case InvitationBounced():
            return f"The invitation of {who} could not be handed over: {BOUNCES[fact.reason]}."
        case _ as unreachable:
            assert_never(unreachable)


def _of_recognition(who: str, fact: _Recognition, wording: Wording) -> str:
    match fact:
        case SessionOpened():
            user = wording.value(fact.user)
            return f"{who} opened a signing session, having signed in as {user} at {wording.moment(fact.signed_in_at)}."
        case OtpSent():
            return (
                f"A one-time code was sent to {who} by {CHANNELS[fact.channel]}, valid until {wording.moment(fact.expires_at)}."
            )
        case OtpVerified():
            return f"{who} entered the one-time code."
        case OtpFailed():
            return f"A wrong one-time code was entered for {who}; failed attempt {fact.attempt}."
        case _ as unreachable:
            assert_never(unreachable)


def _of_end(who: str, fact: _End, wording: Wording) -> str:
    match fact:
        case SigningCompleted():
            return f"{who} completed signing."
        case SigningDeclined():
            return f"{who} declined to sign.{_reason(fact.reason, wording)}"
        case SigningFailed():
            return f"The signing of {who} failed: {FAILURES[fact.reason]}."
        case SigningCancelled():
            return f"The signing of {who} was cancelled."
        case SigningExpired():
            return f"The signing of {who} expired."
        case _ as unreachable:
            assert_never(unreachable)


def _signed(who: str, fact: DocumentSigned, wording: Wording) -> str:
    said = "" if fact.attestation is None else f" The accepted statement: {wording.quoted(fact.attestation)}"
    drawn = "" if fact.image is None else f" The drawn signature: {_picture(fact.image, wording)}"
    return f"{who} signed {wording.document(fact.document)}, SHA-256 {fact.sha256}, {METHODS[fact.method]}.{said}{drawn}"


def _picture(image: Personal, wording: Wording) -> str:
    """Where a picture is, since it is nothing to be read."""
    disclosed = isinstance(wording.personal.get(image.commitment), Disclosed)
    return wording.images if disclosed else wording.value(image)


def _reason(reason: Personal | None, wording: Wording) -> str:
    return "" if reason is None else f" The reason given: {wording.quoted(reason)}"


def counted(number: int, thing: str) -> str:
    """`1 document`, `2 documents`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"
