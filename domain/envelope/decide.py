"""What may be done with an envelope alone.

Commands that concern an envelope together with its signings are in `domain.coordination`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never
from uuid import UUID

from domain.envelope.facts import (
    MAX_DOCUMENTS,
    MAX_PARTICIPANTS,
    CertificateIssued,
    DeadlineExtended,
    DocumentExecuted,
    EnvelopeCancelled,
    EnvelopeCompleted,
    EnvelopeCreated,
    EnvelopeDeclined,
    EnvelopeExpired,
    EnvelopeFact,
    EnvelopeFailed,
    EnvelopeSent,
    EnvelopeStatus,
    FailureReason,
    OnParticipantFail,
    ParticipantCompleted,
    ParticipantFailed,
    SlotStatus,
)
from domain.envelope.state import (
    Envelope,
)
from domain.errors import (
    DeadlineInPast,
    DeadlineMissing,
    DeadlineNotLater,
    DeadlinePassed,
    EnvelopeClosed,
    EnvelopeNotFound,
    EnvelopeNotSent,
    NoDocuments,
    NoParticipants,
    NotInvited,
    NotYetDue,
    ParticipantNotFound,
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
            done = ParticipantCompleted(command.participant)
            return (done, *_outcome(state, command.participant, SlotStatus.COMPLETED))
        case FailParticipant():
            _in_turn(state, command.participant, now)
            failed = ParticipantFailed(command.participant, command.reason)
            return (failed, *_after_failure(state, command))
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
    if created.deadline is not None and created.deadline <= now:
        raise DeadlineInPast(created.deadline)
    return (created,)


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


def _outcome(state: Envelope, participant: UUID, outcome: SlotStatus) -> tuple[EnvelopeFact, ...]:
    """The terminal fact once the last participant has completed or failed; none before that."""
    outcomes = {**state.outcomes, participant: outcome}
    if SlotStatus.OPEN in outcomes.values():
        return ()
    return (EnvelopeCompleted(),) if SlotStatus.COMPLETED in outcomes.values() else (EnvelopeFailed(),)


def _after_failure(state: Envelope, command: FailParticipant) -> tuple[EnvelopeFact, ...]:
    if state.on_participant_fail is OnParticipantFail.CONTINUE:
        return _outcome(state, command.participant, SlotStatus.FAILED)
    if command.reason is FailureReason.DECLINED:
        return (EnvelopeDeclined(command.participant),)
    return (EnvelopeFailed(),)


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
