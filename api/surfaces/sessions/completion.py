"""Sessions as this surface shows them, and the evidence of a completion, from state and facts alone."""

from collections.abc import Mapping
from datetime import datetime
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
    Target,
    unix_seconds,
)
from domain.actor import Mode
from domain.entry import format_time
from domain.envelope import Envelope, EnvelopeStatus, SlotStatus
from domain.ids import ProcessId, event_id, typed_id
from domain.personal import Personal
from domain.signing import DocumentSigned, Signing, SigningStatus

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


def session_of(participant: UUID, signing: Signing, envelope: Envelope, now: datetime) -> Session:
    """The session of a participant at `now`: what has run out is expired, recorded or not."""
    token_ends = None if signing.invitation is None else signing.invitation.expires_at
    expires_at = min((end for end in (envelope.deadline, token_ends) if end is not None), default=None)
    over = not signing.status.final and expires_at is not None and now > expires_at
    return Session(
        id=typed_id("sgs", participant),
        target=Target(
            document_id=None, signing_envelope_id=typed_id("env", signing.envelope), signer_id=typed_id("sgn", participant)
        ),
        stakeholder_id=typed_id("stk", participant),
        created_at=unix_seconds(signing.created_at),
        expires_at=None if expires_at is None else unix_seconds(expires_at),
        status="expired" if over else _STATUS[signing.status],
        livemode=signing.mode is Mode.LIVE,
    )


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


def completed(participant: UUID, outcome: Outcome) -> Completed:
    """The answer to a completion; `outcome` holds its facts and the states after them."""
    signing = outcome.state(Signing, participant)
    envelope = outcome.state(Envelope, signing.envelope)
    own = [recorded for recorded in outcome.recorded if recorded.receipt.stream == participant]
    return Completed(
        session=session_of(participant, signing, envelope, own[-1].receipt.at),
        acknowledgement=_acknowledgement(ProcessId(signing.envelope, participant), own),
        envelope_status=envelope_status(envelope),
        document_ids=[typed_id("doc", document.id) for document in envelope.documents],
    )


def _acknowledgement(process: ProcessId, own: list[Recorded]) -> Acknowledgement:
    """`own` are the entries of the completion in the signer's stream: signatures, and the end."""
    signatures = [(recorded.fact, recorded.receipt) for recorded in own if isinstance(recorded.fact, DocumentSigned)]
    fact, receipt = signatures[0]
    head = own[-1].receipt
    observed = fact.provenance
    return Acknowledgement(
        id=f"ack_{event_id(receipt.at, receipt.leaf)}",
        method=fact.method.value,
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
                document_id=typed_id("doc", signed.document),
                document_sha256=signed.sha256,
                event_id=event_id(place.at, place.leaf),
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
