"""Envelopes alone: routing, deadline, endings, and the histories that cannot be."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain.envelope import (
    MAX_ASSIGNMENTS,
    MAX_DOCUMENTS,
    MAX_PARTICIPANTS,
    CertificateIssued,
    CompleteParticipant,
    DeadlineExtended,
    Document,
    DocumentExecuted,
    Envelope,
    EnvelopeCancelled,
    EnvelopeCommand,
    EnvelopeCompleted,
    EnvelopeCreated,
    EnvelopeDeclined,
    EnvelopeExpired,
    EnvelopeFact,
    EnvelopeFailed,
    EnvelopeSent,
    EnvelopeStatus,
    ExtendDeadline,
    FailParticipant,
    FailureReason,
    MarkCancelled,
    MarkExpired,
    MarkSent,
    OnParticipantFail,
    OpenEnvelope,
    OrderMode,
    ParticipantCompleted,
    ParticipantFailed,
    RecordCertificate,
    RecordExecution,
    Slot,
    TemplateVersion,
    decide,
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
    NotInvited,
    NotYetDue,
    ParticipantNotFound,
    TooManyAssignments,
    TooManyDocuments,
    TooManyParticipants,
)
from tests.given import ENVELOPE, MICROSECOND, NOW, Given, creation, digest, document, uid, who

Start = Given[EnvelopeCommand, Envelope, EnvelopeFact]

DEADLINE = NOW + timedelta(days=7)
SEQUENTIAL, CONTINUE = OrderMode.SEQUENTIAL, OnParticipantFail.CONTINUE
DECLINED, EXHAUSTED = FailureReason.DECLINED, FailureReason.ATTEMPTS_EXHAUSTED

nothing: Start = Given(decide, evolve)


def opened(*numbers: int, **settings: Any) -> EnvelopeCreated:
    return creation(*numbers, **settings).created


def draft(*numbers: int, **settings: Any) -> Start:
    return nothing.given(opened(*numbers, **settings))


def sent(*numbers: int, **settings: Any) -> Start:
    return draft(*numbers, **settings).given(EnvelopeSent())


def open_it(created: EnvelopeCreated) -> OpenEnvelope:
    return OpenEnvelope(ENVELOPE, created)


def complete(number: int) -> CompleteParticipant:
    return CompleteParticipant(ENVELOPE, who(number))


def fail(number: int, reason: FailureReason = DECLINED) -> FailParticipant:
    return FailParticipant(ENVELOPE, who(number), reason)


def done(*numbers: int) -> tuple[ParticipantCompleted, ...]:
    return tuple(ParticipantCompleted(who(number)) for number in numbers)


SEND, CANCEL, EXPIRE = MarkSent(ENVELOPE), MarkCancelled(ENVELOPE, None), MarkExpired(ENVELOPE)
EXECUTED = DocumentExecuted(document(0).id, digest("body"), digest("sealed"))
CERTIFICATE = CertificateIssued(digest("certificate"))
completed = sent(1).given(*done(0), EnvelopeCompleted())

FINAL = {
    EnvelopeStatus.COMPLETED: completed,
    EnvelopeStatus.DECLINED: sent(1).given(ParticipantFailed(who(0), DECLINED), EnvelopeDeclined(who(0))),
    EnvelopeStatus.CANCELLED: sent(1).given(EnvelopeCancelled(None)),
    EnvelopeStatus.EXPIRED: sent(1, deadline=DEADLINE).given(EnvelopeExpired(), at=DEADLINE + MICROSECOND),
    EnvelopeStatus.FAILED: sent(1).given(ParticipantFailed(who(0), EXHAUSTED), EnvelopeFailed()),
}


# Creation


def test_an_envelope_is_created_as_asked() -> None:
    created = opened(1, 2, documents=3, deadline=DEADLINE)
    assert nothing.when(open_it(created)) == (created,)
    assert nothing.given(created).when(open_it(created)) == ()


def test_a_participant_signs_documents_of_the_envelope_only() -> None:
    stranger = replace(opened(1), participants=(Slot(who(0), 1, (uid(999),)),))
    assert nothing.refuses(open_it(stranger), DocumentNotFound).document == uid(999)


def test_an_envelope_has_limits() -> None:
    most = opened(*range(1, MAX_PARTICIPANTS + 1))
    assert nothing.when(open_it(most)) == (most,)
    assert nothing.refuses(open_it(opened(*range(1, MAX_PARTICIPANTS + 2))), TooManyParticipants).count == MAX_PARTICIPANTS + 1
    full = opened(1, documents=MAX_DOCUMENTS)
    assert nothing.when(open_it(full)) == (full,)
    assert nothing.refuses(open_it(opened(1, documents=MAX_DOCUMENTS + 1)), TooManyDocuments).most == MAX_DOCUMENTS
    assert nothing.when(open_it(opened(1, 2, 3, 4, 5, documents=100))) != ()
    assert nothing.refuses(open_it(opened(1, 2, 3, 4, 5, 6, documents=100)), TooManyAssignments).most == MAX_ASSIGNMENTS


@pytest.mark.parametrize("early", [timedelta(0), MICROSECOND, timedelta(days=1)])
def test_a_deadline_lies_in_the_future(early: timedelta) -> None:
    assert nothing.refuses(open_it(opened(1, deadline=NOW - early)), DeadlineInPast).deadline == NOW - early
    assert nothing.when(open_it(opened(1, deadline=NOW + MICROSECOND))) != ()


# Sending


def test_a_draft_is_sent_once() -> None:
    assert draft(1).when(SEND) == (EnvelopeSent(),)
    assert sent(1).when(SEND) == ()


def test_a_draft_takes_no_acts() -> None:
    draft(1).refuses(complete(0), EnvelopeNotSent)
    draft(1).refuses(fail(0), EnvelopeNotSent)


def test_a_draft_can_be_cancelled_extended_and_expired() -> None:
    start = draft(1, deadline=DEADLINE)
    assert start.when(CANCEL) == (EnvelopeCancelled(None),)
    assert start.when(ExtendDeadline(ENVELOPE, DEADLINE + MICROSECOND)) == (DeadlineExtended(DEADLINE + MICROSECOND),)
    assert start.when(EXPIRE, at=DEADLINE + MICROSECOND) == (EnvelopeExpired(),)


@pytest.mark.parametrize("command", [SEND, complete(0), fail(0), CANCEL, EXPIRE, RecordCertificate(ENVELOPE, CERTIFICATE)])
def test_an_envelope_that_is_not_there_refuses_everything(command: EnvelopeCommand) -> None:
    assert nothing.refuses(command, EnvelopeNotFound).envelope == ENVELOPE


# Order


def test_in_parallel_anybody_may_be_first() -> None:
    start = sent(1, 2, 3)
    assert start.when(complete(2)) == done(2)
    assert start.given(*done(2)).when(complete(0)) == done(0)
    assert start.given(*done(2, 0)).when(complete(1)) == (*done(1), EnvelopeCompleted())


def test_in_sequence_the_lower_number_goes_first() -> None:
    start = sent(2, 1, order=SEQUENTIAL)
    start.refuses(complete(0), NotInvited)
    start.cannot_be(ParticipantCompleted(who(0)))
    assert start.when(complete(1)) == done(1)
    assert start.given(*done(1)).when(complete(0)) == (*done(0), EnvelopeCompleted())


def test_in_sequence_equal_numbers_go_at_once_and_all_before_the_next() -> None:
    start = sent(1, 5, 1, order=SEQUENTIAL)
    assert start.state is not None
    assert start.state.due() == (who(0), who(2))
    assert start.state.due_after(who(2)) == ()
    after = start.given(*done(2))
    after.refuses(complete(1), NotInvited)
    assert after.state is not None
    assert after.state.due_after(who(0)) == (who(1),)
    assert after.given(*done(0)).when(complete(1)) == (*done(1), EnvelopeCompleted())


def test_a_participant_acts_once() -> None:
    start = sent(1, 2).given(*done(0))
    start.refuses(complete(0), NotInvited)
    start.refuses(fail(0), NotInvited)
    start.cannot_be(ParticipantCompleted(who(0)))
    start.cannot_be(ParticipantFailed(who(0), DECLINED))


def test_a_stranger_does_not_act() -> None:
    assert sent(1).refuses(complete(9), ParticipantNotFound).participant == who(9)
    sent(1).cannot_be(ParticipantCompleted(who(9)))


# Failure


@pytest.mark.parametrize(
    ("reason", "ending"), [(DECLINED, EnvelopeDeclined(who(1))), (EXHAUSTED, EnvelopeFailed())], ids=["declined", "exhausted"]
)
def test_a_failure_ends_a_flow_that_does_not_continue(reason: FailureReason, ending: EnvelopeFact) -> None:
    start = sent(1, 1, 1)
    assert start.when(fail(1, reason)) == (ParticipantFailed(who(1), reason), ending)
    after = start.given(*done(0))
    assert after.when(fail(1, reason)) == (ParticipantFailed(who(1), reason), ending)


@pytest.mark.parametrize("reason", [DECLINED, EXHAUSTED])
def test_a_failure_leaves_the_others_when_the_flow_continues(reason: FailureReason) -> None:
    start = sent(1, 2, order=SEQUENTIAL, on_fail=CONTINUE)
    failed = ParticipantFailed(who(0), reason)
    assert start.when(fail(0, reason)) == (failed,)
    assert start.given(failed).when(complete(1)) == (*done(1), EnvelopeCompleted())
    last = start.given(*done(0))
    assert last.when(fail(1, reason)) == (ParticipantFailed(who(1), reason), EnvelopeCompleted())


@pytest.mark.parametrize("reason", [DECLINED, EXHAUSTED])
def test_an_envelope_that_nobody_signs_has_failed_even_if_the_flow_continues(reason: FailureReason) -> None:
    start = sent(1, 1, on_fail=CONTINUE).given(ParticipantFailed(who(1), DECLINED))
    assert start.when(fail(0, reason)) == (ParticipantFailed(who(0), reason), EnvelopeFailed())


# Deadline


def test_the_deadline_itself_is_still_in_time_and_a_microsecond_later_is_not() -> None:
    start, late = sent(1, deadline=DEADLINE), DEADLINE + MICROSECOND
    for command in (complete(0), fail(0), CANCEL, ExtendDeadline(ENVELOPE, DEADLINE + timedelta(days=1))):
        assert start.when(command, at=DEADLINE) != ()
        assert start.refuses(command, DeadlinePassed, at=late).deadline == DEADLINE
    draft(1, deadline=DEADLINE).refuses(SEND, DeadlinePassed, at=late)
    assert start.refuses(EXPIRE, NotYetDue, at=DEADLINE).deadline == DEADLINE
    assert start.when(EXPIRE, at=late) == (EnvelopeExpired(),)


def test_no_fact_but_the_expiry_comes_after_the_deadline_and_none_before() -> None:
    start, late = sent(1, deadline=DEADLINE), DEADLINE + MICROSECOND
    facts: tuple[EnvelopeFact, ...] = (
        ParticipantCompleted(who(0)),
        ParticipantFailed(who(0), DECLINED),
        EnvelopeCancelled(None),
        DeadlineExtended(late),
    )
    for fact in facts:
        start.given(fact, at=DEADLINE)
        start.cannot_be(fact, at=late)
    start.cannot_be(EnvelopeExpired(), at=DEADLINE)
    sent(1).cannot_be(EnvelopeExpired(), at=late)


def test_an_envelope_without_a_deadline_neither_expires_nor_is_extended() -> None:
    assert sent(1).refuses(EXPIRE, NotYetDue, at=NOW + timedelta(days=9_999)).deadline is None
    sent(1).refuses(ExtendDeadline(ENVELOPE, DEADLINE), DeadlineMissing)
    sent(1).cannot_be(DeadlineExtended(DEADLINE))


def test_a_deadline_moves_later_only() -> None:
    start = sent(1, deadline=DEADLINE)
    later = DEADLINE + timedelta(days=1)
    assert start.when(ExtendDeadline(ENVELOPE, DEADLINE)) == ()
    assert start.refuses(ExtendDeadline(ENVELOPE, DEADLINE - MICROSECOND), DeadlineNotLater).current == DEADLINE
    start.cannot_be(DeadlineExtended(DEADLINE))
    extended = start.given(DeadlineExtended(later))
    assert extended.when(complete(0), at=later) != ()
    extended.refuses(EXPIRE, NotYetDue, at=later)
    assert extended.when(EXPIRE, at=later + MICROSECOND) == (EnvelopeExpired(),)


# Endings


@pytest.mark.parametrize("status", FINAL)
def test_an_ended_envelope_refuses_changes_and_says_how_it_ended(status: EnvelopeStatus) -> None:
    start = FINAL[status]
    assert start.state is not None
    assert start.state.status is status
    for command in (SEND, complete(0), fail(0), CANCEL, ExtendDeadline(ENVELOPE, DEADLINE + timedelta(days=9))):
        assert start.refuses(command, EnvelopeClosed).status == status
    assert start.when(EXPIRE) == ()


@pytest.mark.parametrize("status", FINAL)
def test_no_fact_but_the_papers_of_a_completed_envelope_follows_its_ending(status: EnvelopeStatus) -> None:
    facts: tuple[EnvelopeFact, ...] = (
        opened(1),
        EnvelopeSent(),
        ParticipantCompleted(who(0)),
        ParticipantFailed(who(0), DECLINED),
        DeadlineExtended(DEADLINE + timedelta(days=9)),
        EnvelopeCompleted(),
        EnvelopeDeclined(who(0)),
        EnvelopeCancelled(None),
        EnvelopeExpired(),
        EnvelopeFailed(),
    )
    for fact in facts:
        FINAL[status].cannot_be(fact)
    if status is not EnvelopeStatus.COMPLETED:
        FINAL[status].cannot_be(EXECUTED)
        FINAL[status].cannot_be(CERTIFICATE)
        assert FINAL[status].refuses(RecordCertificate(ENVELOPE, CERTIFICATE), EnvelopeClosed).status == status


def test_a_completed_envelope_gets_its_executed_documents_and_certificate_once() -> None:
    long_after = NOW + timedelta(days=9_999)
    assert completed.when(RecordExecution(ENVELOPE, EXECUTED), at=long_after) == (EXECUTED,)
    assert completed.when(RecordCertificate(ENVELOPE, CERTIFICATE), at=long_after) == (CERTIFICATE,)
    papers = completed.given(EXECUTED, CERTIFICATE)
    assert papers.when(RecordExecution(ENVELOPE, replace(EXECUTED, sha256=digest("again")))) == ()
    assert papers.when(RecordCertificate(ENVELOPE, CertificateIssued(digest("again")))) == ()
    papers.cannot_be(EXECUTED)
    papers.cannot_be(CERTIFICATE)


def test_executed_documents_come_after_completion_and_are_those_of_the_envelope() -> None:
    sent(1).refuses(RecordExecution(ENVELOPE, EXECUTED), EnvelopeNotSent)
    stranger = replace(EXECUTED, document=uid(999))
    assert completed.refuses(RecordExecution(ENVELOPE, stranger), DocumentNotFound).document == uid(999)
    completed.cannot_be(stranger)
    completed.cannot_be(replace(EXECUTED, sha256="none"))
    completed.cannot_be(replace(EXECUTED, body_sha256="none"))
    completed.cannot_be(CertificateIssued("none"))


# Impossible histories

two = sent(1, 1)
all_done = two.given(*done(0, 1))
stopped = two.given(ParticipantFailed(who(0), DECLINED))
CREATED = opened(1, documents=2)
SLOT = CREATED.participants[0]
PDF = CREATED.documents[0]

IMPOSSIBLE: dict[str, tuple[Start, EnvelopeFact]] = {
    "sent before it is created": (nothing, EnvelopeSent()),
    "created twice": (draft(1), CREATED),
    "sent twice": (two, EnvelopeSent()),
    "an act in a draft": (draft(1), ParticipantCompleted(who(0))),
    "completed while somebody is open": (two.given(*done(0)), EnvelopeCompleted()),
    "failed while somebody is open": (two, EnvelopeFailed()),
    "declined though nobody declined": (two, EnvelopeDeclined(who(0))),
    "declined by another": (stopped, EnvelopeDeclined(who(1))),
    "failed though it was declined": (stopped, EnvelopeFailed()),
    "failed though the only one declined": (sent(1).given(ParticipantFailed(who(0), DECLINED)), EnvelopeFailed()),
    "declined though attempts were exhausted": (
        two.given(ParticipantFailed(who(0), EXHAUSTED)),
        EnvelopeDeclined(who(0)),
    ),
    "completed after a decline": (stopped, EnvelopeCompleted()),
    "another act after the flow was stopped": (stopped, ParticipantCompleted(who(1))),
    "cancelled instead of declined": (stopped, EnvelopeCancelled(None)),
    "extended instead of declined": (
        sent(1, 1, deadline=DEADLINE).given(ParticipantFailed(who(0), DECLINED)),
        DeadlineExtended(DEADLINE + MICROSECOND),
    ),
    "cancelled instead of completed": (all_done, EnvelopeCancelled(None)),
    "failed instead of completed": (all_done, EnvelopeFailed()),
    "declined under a flow that continues": (
        sent(1, 1, on_fail=CONTINUE).given(ParticipantFailed(who(0), DECLINED)),
        EnvelopeDeclined(who(0)),
    ),
    "completed though nobody signed": (
        sent(1, on_fail=CONTINUE).given(ParticipantFailed(who(0), DECLINED)),
        EnvelopeCompleted(),
    ),
    "executed before completion": (two, EXECUTED),
    "certified before completion": (two, CERTIFICATE),
    "a participant twice": (nothing, replace(CREATED, participants=(SLOT, SLOT))),
    "too many participants": (nothing, opened(*range(1, MAX_PARTICIPANTS + 2))),
    "documents that are not there": (nothing, replace(CREATED, documents=())),
    "a document twice": (nothing, replace(CREATED, documents=(PDF, PDF, CREATED.documents[1]))),
    "too many documents": (nothing, opened(1, documents=MAX_DOCUMENTS + 1)),
    "a document without a hash": (nothing, replace(CREATED, documents=(Document(PDF.id, "A" * 64, 1), CREATED.documents[1]))),
    "a document without pages": (nothing, replace(CREATED, documents=(replace(PDF, pages=0), CREATED.documents[1]))),
    "sent to nobody": (nothing.given(replace(CREATED, participants=())), EnvelopeSent()),
    "sent to somebody without documents": (
        nothing.given(replace(CREATED, participants=(SLOT, replace(SLOT, participant=who(1), documents=())))),
        EnvelopeSent(),
    ),
    "a participant with a document twice": (nothing, replace(CREATED, participants=(replace(SLOT, documents=(PDF.id, PDF.id)),))),
    "a participant with a strange document": (nothing, replace(CREATED, participants=(replace(SLOT, documents=(uid(9),)),))),
    "a number below 1": (nothing, replace(CREATED, participants=(replace(SLOT, number=0),))),
    "too many assignments": (nothing, opened(1, 2, 3, 4, 5, 6, documents=100)),
    "created after its deadline": (nothing, replace(CREATED, deadline=NOW - MICROSECOND)),
    "a template version below 1": (nothing, replace(CREATED, template=TemplateVersion(uid(7), 0))),
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_a_history_that_no_decision_leads_to_is_impossible(case: str) -> None:
    start, fact = IMPOSSIBLE[case]
    start.cannot_be(fact)
