"""Facts as events of this surface: what each is called, and which resource it is about."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from domain.consent import ConsentAccepted, ConsentWithdrawn
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
    EnvelopeFailed,
    EnvelopeSent,
    ParticipantAdded,
    ParticipantCompleted,
    ParticipantFailed,
    SealRenewed,
)
from domain.library import (
    DocumentCommented,
    DocumentCreated,
    DocumentDeleted,
    DocumentFileStored,
    DocumentFinalized,
    DocumentRevised,
)
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
    SigningFailed,
    Started,
)

#: The kind of a resource. A package's document is named in the fact, the others are the stream itself.
About = Literal["signing_envelope", "signing_session", "document", "package_document", "consent"]


@dataclass(frozen=True, slots=True)
class Word:
    """What a fact is called, and what it is about. Types named in the documentation are spelled as there."""

    type: str
    about: About


def _of(about: About, **words: type) -> dict[str, Word]:
    prefix = "document" if about == "package_document" else about
    return {fact.TYPE: Word(f"{prefix}.{word}", about) for word, fact in words.items()}  # type: ignore[attr-defined]


_ENVELOPE: Final = _of(
    "signing_envelope",
    created=EnvelopeCreated,
    document_added=DocumentAdded,
    signer_added=ParticipantAdded,
    sent=EnvelopeSent,
    signer_signed=ParticipantCompleted,
    signer_failed=ParticipantFailed,
    updated=DeadlineExtended,
    certificate_issued=CertificateIssued,
    seal_renewed=SealRenewed,
    completed=EnvelopeCompleted,
    declined=EnvelopeDeclined,
    voided=EnvelopeCancelled,
    expired=EnvelopeExpired,
    failed=EnvelopeFailed,
)
_SESSION: Final = _of(
    "signing_session",
    created=ProcessCreated,
    document_assigned=DocumentAssigned,
    invited=Invited,
    invitation_resent=InvitationResent,
    invitation_delivered=InvitationDelivered,
    invitation_bounced=InvitationBounced,
    opened=SessionOpened,
    started=Started,
    code_sent=OtpSent,
    code_verified=OtpVerified,
    code_failed=OtpFailed,
    consent_given=ConsentGiven,
    fields_filled=FieldsFilled,
    completed=SigningCompleted,
    declined=SigningDeclined,
    failed=SigningFailed,
    cancelled=SigningCancelled,
    expired=SigningExpired,
)

#: Every fact that this surface has a resource for.
WORDS: Final[Mapping[str, Word]] = {
    **_ENVELOPE,
    **_SESSION,
    **_of("package_document", viewed=DocumentViewed, signed=DocumentSigned, executed=DocumentExecuted),
    **_of(
        "document",
        created=DocumentCreated,
        generated=DocumentFileStored,
        updated=DocumentRevised,
        commented=DocumentCommented,
        finalized=DocumentFinalized,
        voided=DocumentDeleted,
    ),
    **_of("consent", accepted=ConsentAccepted, withdrawn=ConsentWithdrawn),
}
