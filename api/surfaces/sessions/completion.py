"""Sessions as this surface shows them, and the evidence of a completion, from state and facts alone."""

from collections.abc import Mapping
from datetime import datetime
from hmac import compare_digest
from typing import Final, assert_never
from uuid import UUID

from api.deps import Outcome, Recorded
from api.surfaces.sessions.models import (
    Acknowledgement,
    Completed,
    EnvelopeStatusWord,
    ProcessHead,
    Provenance,
    Session,
    SessionStatus,
    SignedDocument,
    SigningMethod,
    Target,
    unix_seconds,
)
from api.surfaces.sessions.people import Signer
from domain.actor import IdentityMethod, Mode
from domain.entry import format_time
from domain.envelope import Envelope, EnvelopeStatus, SlotStatus
from domain.ids import ProcessId, event_id, typed_id
from domain.personal import Personal
from domain.signing import DocumentSigned, Invitation, Signing, SigningStatus
from domain.signing import Session as OpenedSession

_STATUS: Final[Mapping[SigningStatus, SessionStatus]] = {
    SigningStatus.CREATED: "pending",
    SigningStatus.INVITED: "pending",
    SigningStatus.STARTED: "pending",
    SigningStatus.COMPLETED: "completed",
    SigningStatus.DECLINED: "declined",
    SigningStatus.FAILED: "failed",
    SigningStatus.CANCELLED: "cancelled",
    SigningStatus.EXPIRED: "expired",
}

_METHODS: Final[Mapping[IdentityMethod, SigningMethod]] = {
    IdentityMethod.TOKEN: "session_token",
    IdentityMethod.AGENT: "agent_authorized",
    IdentityMethod.OIDC: "human_oauth",
    IdentityMethod.OTP_EMAIL: "one_time_code",
    IdentityMethod.OTP_SMS: "one_time_code",
    IdentityMethod.PASSWORD: "password",
}

#: Whose token lets somebody act.
Right = Invitation | OpenedSession


def session_of(signer: Signer, signing: Signing, envelope: Envelope, now: datetime, right: Right | None) -> Session:
    """A signer's session at `now`, by the right that is looked at: what has run out is expired, recorded or not.

    `signing` and `envelope` are the states to show, which may be newer than the signer's.
    """
    ends = None if right is None else right.expires_at
    expires_at = min((end for end in (envelope.deadline, ends) if end is not None), default=None)
    over = not signing.status.final and expires_at is not None and now > expires_at
    return Session(
        id=typed_id("sgs", signer.id),
        target=Target(
            document_id=None, signing_envelope_id=typed_id("env", signing.envelope), signer_id=typed_id("sgn", signer.id)
        ),
        stakeholder_id=signer.stakeholder_id,
        human_clerk_user_id=signer.opened_by if isinstance(right, OpenedSession) else None,
        created_at=unix_seconds(signing.created_at),
        expires_at=None if expires_at is None else unix_seconds(expires_at),
        status="expired" if over else _STATUS[signing.status],
        disclosure_packet_hash=None if signer.disclosure_sha256 is None else f"sha256:{signer.disclosure_sha256}",
        livemode=signing.mode is Mode.LIVE,
    )


def right_of(signing: Signing, token: str | None, now: datetime) -> Right | None:
    """The right to sign that a token gives (64 hex digits of its SHA-256); without a token, the one that lasts.

    That is the session that somebody signed in for while it is open, else the invitation.
    """
    if token is not None:
        return next((right for right in signing.rights if compare_digest(right.token_sha256, token)), None)
    session = signing.session
    return session if session is not None and now <= session.expires_at else signing.invitation


def envelope_status(envelope: Envelope) -> EnvelopeStatusWord:
    """The envelope's status in this surface's words; after the first signature it is partially signed."""
    match envelope.status:
        case EnvelopeStatus.DRAFT:
            return "draft"
        case EnvelopeStatus.SENT:
            return "partially_signed" if SlotStatus.COMPLETED in envelope.outcomes.values() else "sent"
        case EnvelopeStatus.COMPLETED:
            return "completed"
        case EnvelopeStatus.DECLINED:
            return "declined"
        case EnvelopeStatus.CANCELLED:
            return "voided"
        case EnvelopeStatus.EXPIRED:
            return "expired"
        case EnvelopeStatus.FAILED:
            return "failed"
        case _ as unreachable:
            assert_never(unreachable)


def shown_documents(envelope: Envelope) -> list[str]:
    """The documents of an envelope by the ids that clients know: the library's, where they came from there."""
    return [document_id(document.id, document.source) for document in envelope.documents]


def document_id(document: UUID, source: UUID | None) -> str:
    """How a document of an envelope is named."""
    return typed_id("doc", document if source is None else source)


def completed(signer: Signer, outcome: Outcome, token: str) -> Completed:
    """The answer to a completion by `token` (its SHA-256); `outcome` holds its facts and the states after them."""
    participant = signer.id
    signing = outcome.state(Signing, participant)
    envelope = outcome.state(Envelope, signing.envelope)
    own = [recorded for recorded in outcome.recorded if recorded.receipt.stream == participant]
    return Completed(
        session=session_of(signer, signing, envelope, own[-1].receipt.at, right_of(signing, token, own[-1].receipt.at)),
        acknowledgement=_acknowledgement(ProcessId(signing.envelope, participant), envelope, own),
        envelope_status=envelope_status(envelope),
        document_ids=shown_documents(envelope),
    )


def _acknowledgement(process: ProcessId, envelope: Envelope, own: list[Recorded]) -> Acknowledgement:
    """`own` are the entries of the completion in the signer's stream: signatures, and the end."""
    signatures = [(recorded.fact, recorded.receipt) for recorded in own if isinstance(recorded.fact, DocumentSigned)]
    fact, receipt = signatures[0]
    head = own[-1].receipt
    observed = fact.provenance
    sources = {document.id: document.source for document in envelope.documents}
    return Acknowledgement(
        id=f"ack_{event_id(receipt.at, receipt.leaf)}",
        method=fact.method.value,
        signing_method=_METHODS[observed.identity],
        electronic_signature_text_hash=_hash(fact.attestation),
        signature_blob_hash=_hash(fact.image),
        ip_hash=_hash(observed.ip),
        signed_at=unix_seconds(receipt.at),
        provenance=Provenance(
            identity=observed.identity.value,
            ip_source=None if observed.ip_source is None else observed.ip_source.value,
            user_agent_hash=_hash(observed.user_agent),
            client_metadata_hash=_hash(observed.client),
        ),
        documents=[
            SignedDocument(
                document_id=document_id(signed.document, sources[signed.document]),
                document_sha256=signed.sha256,
                event_id=f"evt_{event_id(place.at, place.leaf)}",
                version=place.version,
                position=place.position,
                hash=place.leaf.hex(),
            )
            for signed, place in signatures
        ],
        head=ProcessHead(
            process_id=str(process),
            version=head.version,
            position=head.position,
            hash=head.leaf.hex(),
            recorded_at=format_time(head.at),
        ),
    )


def _hash(value: Personal | None) -> str | None:
    return None if value is None else f"sha256:{value.commitment}"
