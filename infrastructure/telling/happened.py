"""The entries of an envelope and its signings, with their facts, and what they say all together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from domain import envelope as envelopes
from domain import signing as signings
from domain.entry import Entry, decode
from domain.envelope import Document, DocumentAdded, EnvelopeCreated, EnvelopeFact, EnvelopeStatus, ParticipantAdded
from domain.signing import ProcessCreated, SigningFact, SigningStatus
from infrastructure.codec import CodecError, decode_fact


@dataclass(frozen=True, slots=True)
class Happened:
    """An entry with its place in the log, its leaf hash (32 bytes) and its fact; None for a type that is not known here."""

    position: int
    leaf: bytes
    entry: Entry
    fact: EnvelopeFact | SigningFact | None


def happened(position: int, leaf: bytes, raw: bytes) -> Happened:
    """A stored entry with its fact; raises EntryError for bytes that are none."""
    entry = decode(raw)
    try:
        fact = decode_fact(entry.type, entry.data, entry.personal)
    except CodecError:
        fact = None
    return Happened(position, leaf, entry, fact if isinstance(fact, EnvelopeFact | SigningFact) else None)


def created_of(told: Sequence[Happened]) -> EnvelopeCreated | None:
    """How the envelope was created."""
    return next((each.fact for each in told if isinstance(each.fact, EnvelopeCreated)), None)


def documents_of(told: Sequence[Happened]) -> dict[UUID, Document]:
    """The documents to sign, by id."""
    found: list[Document] = []
    for each in told:
        if isinstance(each.fact, EnvelopeCreated):
            found += each.fact.documents
        elif isinstance(each.fact, DocumentAdded):
            found.append(each.fact.document)
    return {document.id: document for document in found}


def participants_of(told: Sequence[Happened]) -> dict[UUID, int]:
    """The places of all participants of the envelope, counted from 1, by participant."""
    found: list[UUID] = []
    for each in told:
        if isinstance(each.fact, EnvelopeCreated):
            found += [slot.participant for slot in each.fact.participants]
        elif isinstance(each.fact, ParticipantAdded):
            found.append(each.fact.slot.participant)
    return {who: place for place, who in enumerate(found, 1)}


def processes_of(told: Sequence[Happened]) -> dict[UUID, ProcessCreated]:
    """The signings among the entries, by participant."""
    return {each.entry.stream: each.fact for each in told if isinstance(each.fact, ProcessCreated)}


_ENVELOPE_STATUS: Final[Mapping[type[object], EnvelopeStatus]] = {
    envelopes.EnvelopeSent: EnvelopeStatus.SENT,
    envelopes.EnvelopeCompleted: EnvelopeStatus.COMPLETED,
    envelopes.EnvelopeDeclined: EnvelopeStatus.DECLINED,
    envelopes.EnvelopeCancelled: EnvelopeStatus.CANCELLED,
    envelopes.EnvelopeExpired: EnvelopeStatus.EXPIRED,
    envelopes.EnvelopeFailed: EnvelopeStatus.FAILED,
}
_SIGNING_STATUS: Final[Mapping[type[object], SigningStatus]] = {
    signings.Invited: SigningStatus.INVITED,
    signings.Started: SigningStatus.STARTED,
    signings.SigningCompleted: SigningStatus.COMPLETED,
    signings.SigningDeclined: SigningStatus.DECLINED,
    signings.SigningFailed: SigningStatus.FAILED,
    signings.SigningCancelled: SigningStatus.CANCELLED,
    signings.SigningExpired: SigningStatus.EXPIRED,
}


def envelope_status(told: Sequence[Happened]) -> EnvelopeStatus:
    """Where the envelope stands by its own facts."""
    status = EnvelopeStatus.DRAFT
    for each in told:
        status = _ENVELOPE_STATUS.get(type(each.fact), status)
    return status


def signing_status(told: Sequence[Happened], participant: UUID) -> SigningStatus:
    """Where the signing of a participant stands by its own facts."""
    status = SigningStatus.CREATED
    for each in told:
        if each.entry.stream == participant:
            status = _SIGNING_STATUS.get(type(each.fact), status)
    return status
