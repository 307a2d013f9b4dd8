"""What may be done with an envelope alone.

Commands that concern an envelope together with its signings are in `domain.coordination`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never
from uuid import UUID

from domain.envelope.facts import (
    MAX_ASSIGNMENTS,
    MAX_DOCUMENTS,
    MAX_PARTICIPANTS,
    CertificateIssued,
    DeadlineExtended,
    DocumentExecuted,
    EnvelopeCancelled,
    EnvelopeCreated,
    EnvelopeExpired,
    EnvelopeFact,
    EnvelopeSent,
    EnvelopeStatus,
    FailureReason,
    ParticipantCompleted,
    ParticipantFailed,
)
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
    EnvelopeClosed,
    EnvelopeNotFound,
    EnvelopeNotSent,
    NoDocuments,
    NoParticipants,
    NotInvited,
    NotYetDue,
    ParticipantNotFound,
    TooManyAssignments,
    TooManyDocuments,
    TooManyParticipants,
)
from domain.personal import (
    Personal,
)


@dataclass(frozen=True, slots=True)
class OpenEnvelope:
    envelope: UUID
    created: EnvelopeCreated


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


EnvelopeCommand = (
    OpenEnvelope
    | MarkSent
    | CompleteParticipant
    | FailParticipant
    | ExtendDeadline
    | MarkCancelled
    | MarkExpired
    | RecordExecution
    | RecordCertificate
)


def decide(command: EnvelopeCommand, state: Envelope | None, now: datetime) -> tuple[EnvelopeFact, ...]:
    """The facts that follow from `command`; raises a Refusal. `state` is None before the first fact."""
    if isinstance(command, OpenEnvelope):
        return _open(command.created, state, now)
    if state is None:
        raise EnvelopeNotFound(command.envelope)
    match command:
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
            return () if state.certified else (command.issued,)
        case _ as unreachable:
            assert_never(unreachable)


def refuse_late(state: Envelope, now: datetime) -> None:
    """Raises DeadlinePassed when `now` is after the deadline, whether or not the expiry is recorded yet."""
    if state.deadline is not None and now > state.deadline:
        raise DeadlinePassed(state.deadline)


def _open(created: EnvelopeCreated, state: Envelope | None, now: datetime) -> tuple[EnvelopeFact, ...]:
    if state is not None:
        return ()
    if not created.participants:
        raise NoParticipants
    if len(created.participants) > MAX_PARTICIPANTS:
        raise TooManyParticipants(len(created.participants), MAX_PARTICIPANTS)
    if not created.documents:
        raise NoDocuments
    if len(created.documents) > MAX_DOCUMENTS:
        raise TooManyDocuments(len(created.documents), MAX_DOCUMENTS)
    _refuse_assignments(created)
    if created.deadline is not None and created.deadline <= now:
        raise DeadlineInPast(created.deadline)
    return (created,)


def _refuse_assignments(created: EnvelopeCreated) -> None:
    known = {document.id for document in created.documents}
    for slot in created.participants:
        if not slot.documents:
            raise NoDocuments
        for document in slot.documents:
            if document not in known:
                raise DocumentNotFound(document)
    count = sum(len(slot.documents) for slot in created.participants)
    if count > MAX_ASSIGNMENTS:
        raise TooManyAssignments(count, MAX_ASSIGNMENTS)


def _send(state: Envelope, now: datetime) -> tuple[EnvelopeFact, ...]:
    if state.status is EnvelopeStatus.SENT:
        return ()
    if state.status.final:
        raise EnvelopeClosed(state.status)
    refuse_late(state, now)
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


def _refuse_unless_completed(state: Envelope) -> None:
    if state.status is EnvelopeStatus.COMPLETED:
        return
    if state.status.final:
        raise EnvelopeClosed(state.status)
    raise EnvelopeNotSent
