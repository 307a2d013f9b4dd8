"""What may be done with an envelope alone.

Commands that concern an envelope together with its signings are in `domain.coordination`.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never
from uuid import UUID

from domain.envelope.facts import (
    MAX_ASSIGNMENTS,
    MAX_COPIES,
    MAX_DOCUMENTS,
    MAX_PARTICIPANTS,
    MAX_PLACED_FIELDS,
    CertificateIssued,
    DeadlineExtended,
    Document,
    DocumentAdded,
    DocumentExecuted,
    EnvelopeCancelled,
    EnvelopeCreated,
    EnvelopeExpired,
    EnvelopeFact,
    EnvelopeSent,
    EnvelopeStatus,
    FailureReason,
    ParticipantAdded,
    ParticipantCompleted,
    ParticipantFailed,
    SealRenewed,
    Slot,
    has_extent,
    labels_of,
)
from domain.envelope.size import MAX_CREATION_BYTES, creation_bytes
from domain.envelope.state import (
    Envelope,
    evolve,
)
from domain.errors import (
    DeadlineInPast,
    DeadlineMissing,
    DeadlineNotLater,
    DeadlinePassed,
    DocumentNotFound,
    DuplicateField,
    EnvelopeClosed,
    EnvelopeNotDraft,
    EnvelopeNotFound,
    EnvelopeNotSent,
    EnvelopeTooLarge,
    FieldMisplaced,
    FieldOutsideDocument,
    FileNotTheLast,
    NoDocuments,
    NoParticipants,
    NotInvited,
    NotYetDue,
    ParticipantNotFound,
    TooManyAssignments,
    TooManyCopies,
    TooManyDocuments,
    TooManyFields,
    TooManyParticipants,
)
from domain.personal import (
    Personal,
)
from domain.placement import MAX_MILLIPOINTS


@dataclass(frozen=True, slots=True)
class OpenEnvelope:
    envelope: UUID
    created: EnvelopeCreated


@dataclass(frozen=True, slots=True)
class AppendDocument:
    """Adds a document to a draft, for `participants` to sign."""

    envelope: UUID
    document: Document
    participants: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class AppendParticipant:
    """Adds a participant to a draft."""

    envelope: UUID
    slot: Slot


@dataclass(frozen=True, slots=True)
class MarkSent:
    envelope: UUID


@dataclass(frozen=True, slots=True)
class CompleteParticipant:
    envelope: UUID
    participant: UUID


@dataclass(frozen=True, slots=True)
class FailParticipant:
    envelope: UUID
    participant: UUID
    reason: FailureReason


@dataclass(frozen=True, slots=True)
class ExtendDeadline:
    envelope: UUID
    deadline: datetime


@dataclass(frozen=True, slots=True)
class MarkCancelled:
    envelope: UUID
    reason: Personal | None


@dataclass(frozen=True, slots=True)
class MarkExpired:
    envelope: UUID


@dataclass(frozen=True, slots=True)
class RecordExecution:
    envelope: UUID
    executed: DocumentExecuted


@dataclass(frozen=True, slots=True)
class RecordCertificate:
    envelope: UUID
    issued: CertificateIssued


@dataclass(frozen=True, slots=True)
class RecordRenewal:
    envelope: UUID
    renewed: SealRenewed


EnvelopeCommand = (
    OpenEnvelope
    | AppendDocument
    | AppendParticipant
    | MarkSent
    | CompleteParticipant
    | FailParticipant
    | ExtendDeadline
    | MarkCancelled
    | MarkExpired
    | RecordExecution
    | RecordCertificate
    | RecordRenewal
)


def decide(command: EnvelopeCommand, state: Envelope | None, now: datetime) -> tuple[EnvelopeFact, ...]:
    """The facts that follow from `command`; raises a Refusal. `state` is None before the first fact."""
    if isinstance(command, OpenEnvelope):
        return _open(command.created, state, now)
    if state is None:
        raise EnvelopeNotFound(command.envelope)
    match command:
        case AppendDocument():
            return _append_document(command, state, now)
        case AppendParticipant():
            return _append_participant(command.slot, state, now)
        case MarkSent():
            return _send(state, now)
        case CompleteParticipant():
            _in_turn(state, command.participant, now)
            return _with_ending(state, ParticipantCompleted(command.participant), now)
        case FailParticipant():
            _in_turn(state, command.participant, now)
            return _with_ending(state, ParticipantFailed(command.participant, command.reason), now)
        case ExtendDeadline():
            return _extend(command, state, now)
        case MarkCancelled():
            if state.status.final:
                raise EnvelopeClosed(state.status)
            refuse_late(state, now)
            return (EnvelopeCancelled(command.reason),)
        case MarkExpired():
            return _expire(state, now)
        case RecordExecution():
            _refuse_unless_completed(state)
            if command.executed.document not in {document.id for document in state.documents}:
                raise DocumentNotFound(command.executed.document)
            return () if command.executed.document in state.executed else (command.executed,)
        case RecordCertificate():
            _refuse_unless_completed(state)
            return () if state.certificate is not None else (command.issued,)
        case RecordRenewal():
            return _renew(command.renewed, state)
        case _ as unreachable:
            assert_never(unreachable)


def refuse_late(state: Envelope, now: datetime) -> None:
    """Raises DeadlinePassed when `now` is after the deadline, whether or not the expiry is recorded yet."""
    if state.deadline is not None and now > state.deadline:
        raise DeadlinePassed(state.deadline)


def _open(created: EnvelopeCreated, state: Envelope | None, now: datetime) -> tuple[EnvelopeFact, ...]:
    if state is not None:
        return ()
    _refuse_too_many(len(created.participants), len(created.documents))
    known = {document.id for document in created.documents}
    for slot in created.participants:
        _refuse_unknown(slot, known)
    _refuse_assignments(sum(len(slot.documents) for slot in created.participants))
    _refuse_fields(created)
    if len(created.copies) > MAX_COPIES:
        raise TooManyCopies(len(created.copies), MAX_COPIES)
    size = creation_bytes(created)
    if size > MAX_CREATION_BYTES:
        raise EnvelopeTooLarge(size, MAX_CREATION_BYTES)
    if created.deadline is not None and created.deadline <= now:
        raise DeadlineInPast(created.deadline)
    return (created,)


def _refuse_too_many(participants: int, documents: int) -> None:
    if participants > MAX_PARTICIPANTS:
        raise TooManyParticipants(participants, MAX_PARTICIPANTS)
    if documents > MAX_DOCUMENTS:
        raise TooManyDocuments(documents, MAX_DOCUMENTS)


def _refuse_assignments(count: int) -> None:
    if count > MAX_ASSIGNMENTS:
        raise TooManyAssignments(count, MAX_ASSIGNMENTS)


def _refuse_unknown(slot: Slot, known: Collection[UUID]) -> None:
    for document in slot.documents:
        if document not in known:
            raise DocumentNotFound(document)


def _refuse_fields(created: EnvelopeCreated) -> None:
    """Every field is on a page that there is, of a document that its participant signs."""
    if len(created.fields) > MAX_PLACED_FIELDS:
        raise TooManyFields(len(created.fields), MAX_PLACED_FIELDS)
    slots = {slot.participant: slot for slot in created.participants}
    pages = {document.id: document.pages for document in created.documents}
    names: set[str] = set()
    for name, placed in zip(labels_of(created.fields), created.fields, strict=True):
        if name in names:
            raise DuplicateField(name)
        names.add(name)
        if placed.participant not in slots:
            raise ParticipantNotFound(placed.participant)
        if placed.document not in slots[placed.participant].documents:
            raise DocumentNotFound(placed.document)
        if not 1 <= placed.page <= pages[placed.document]:
            raise FieldOutsideDocument(name, placed.page, pages[placed.document])
        if not has_extent(placed):
            raise FieldMisplaced(name, MAX_MILLIPOINTS)


def _append_document(command: AppendDocument, state: Envelope, now: datetime) -> tuple[EnvelopeFact, ...]:
    document, participants = command.document, tuple(dict.fromkeys(command.participants))
    if document.id in {known.id for known in state.documents}:
        return ()
    _refuse_unless_draft(state, now)
    for participant in participants:
        if participant not in state.slots:
            raise ParticipantNotFound(participant)
    _refuse_too_many(len(state.slots), len(state.documents) + 1)
    _refuse_assignments(state.assignments + len(participants))
    return (DocumentAdded(document, participants),)


def _append_participant(slot: Slot, state: Envelope, now: datetime) -> tuple[EnvelopeFact, ...]:
    if slot.participant in state.slots:
        return ()
    _refuse_unless_draft(state, now)
    _refuse_unknown(slot, {document.id for document in state.documents})
    _refuse_too_many(len(state.slots) + 1, len(state.documents))
    _refuse_assignments(state.assignments + len(slot.documents))
    return (ParticipantAdded(slot),)


def _refuse_unless_draft(state: Envelope, now: datetime) -> None:
    if state.status.final:
        raise EnvelopeClosed(state.status)
    if state.status is not EnvelopeStatus.DRAFT:
        raise EnvelopeNotDraft
    refuse_late(state, now)


def _send(state: Envelope, now: datetime) -> tuple[EnvelopeFact, ...]:
    if state.status is EnvelopeStatus.SENT:
        return ()
    if state.status.final:
        raise EnvelopeClosed(state.status)
    refuse_late(state, now)
    if not state.slots:
        raise NoParticipants
    if not all(slot.documents for slot in state.slots.values()):
        raise NoDocuments
    return (EnvelopeSent(),)


def _in_turn(state: Envelope, participant: UUID, now: datetime) -> None:
    if state.status.final:
        raise EnvelopeClosed(state.status)
    if state.status is EnvelopeStatus.DRAFT:
        raise EnvelopeNotSent
    if participant not in state.slots:
        raise ParticipantNotFound(participant)
    refuse_late(state, now)
    if participant not in state.due():
        raise NotInvited


def _with_ending(state: Envelope, fact: ParticipantCompleted | ParticipantFailed, now: datetime) -> tuple[EnvelopeFact, ...]:
    """`fact`, and the terminal fact if it is the one that the envelope was waiting for."""
    ending = evolve(state, fact, now).ending
    return (fact,) if ending is None else (fact, ending)


def _extend(command: ExtendDeadline, state: Envelope, now: datetime) -> tuple[EnvelopeFact, ...]:
    if state.status.final:
        raise EnvelopeClosed(state.status)
    if state.deadline is None:
        raise DeadlineMissing
    refuse_late(state, now)
    if command.deadline == state.deadline:
        return ()
    if command.deadline < state.deadline:
        raise DeadlineNotLater(state.deadline)
    return (DeadlineExtended(command.deadline),)


def _expire(state: Envelope, now: datetime) -> tuple[EnvelopeFact, ...]:
    if state.status.final:
        return ()
    if state.deadline is None or now <= state.deadline:
        raise NotYetDue(state.deadline)
    return (EnvelopeExpired(),)


def _renew(renewed: SealRenewed, state: Envelope) -> tuple[EnvelopeFact, ...]:
    _refuse_unless_completed(state)
    if renewed.document is not None and renewed.document not in {document.id for document in state.documents}:
        raise DocumentNotFound(renewed.document)
    last = state.certificate if renewed.document is None else state.executed.get(renewed.document)
    if last == renewed.sha256:
        return ()
    if last != renewed.previous_sha256:
        raise FileNotTheLast(renewed.previous_sha256)
    return (renewed,)


def _refuse_unless_completed(state: Envelope) -> None:
    if state.status is EnvelopeStatus.COMPLETED:
        return
    if state.status.final:
        raise EnvelopeClosed(state.status)
    raise EnvelopeNotSent
