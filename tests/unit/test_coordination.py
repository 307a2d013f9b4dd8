"""Decisions over an envelope and its signings: what one command brings about in all streams, and when."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain import coordination
from domain.actor import Mode
from domain.coordination import (
    CancelEnvelope,
    ExpireEnvelope,
    ExtendEnvelope,
    Needs,
    PackageCommand,
    Participate,
    RecordCertified,
    RecordExecuted,
    RemindEnvelope,
    SendEnvelope,
)
from domain.envelope import (
    CertificateIssued,
    DeadlineExtended,
    DocumentExecuted,
    EnvelopeCancelled,
    EnvelopeCompleted,
    EnvelopeDeclined,
    EnvelopeExpired,
    EnvelopeFailed,
    EnvelopeSent,
    EnvelopeStatus,
    FailureReason,
    OnParticipantFail,
    OrderMode,
    ParticipantCompleted,
    ParticipantFailed,
)
from domain.errors import (
    DeadlinePassed,
    DuplicateParticipant,
    EnvelopeClosed,
    EnvelopeNotFound,
    EnvelopeNotSent,
    ImpossibleHistory,
    NotInvited,
    NotYetDue,
    ParticipantNotFound,
    SessionExpired,
    SessionTokenInvalid,
    SigningClosed,
)
from domain.evidence import PackageEnd
from domain.personal import SubjectKind
from domain.signing import (
    BounceReason,
    Channel,
    DeclineSigning,
    DocumentSigned,
    InvitationDelivered,
    InvitationResent,
    Invited,
    OtpFailed,
    ProcessCreated,
    ReportBounce,
    ReportDelivery,
    ResendInvitation,
    SessionToken,
    SigningCancelled,
    SigningCompleted,
    SigningDeclined,
    SigningExpired,
    SigningFailed,
    SigningStatus,
    Started,
)
from tests.given import (
    ENVELOPE,
    MICROSECOND,
    NOW,
    PROVENANCE,
    PackageLog,
    created,
    creation,
    digest,
    document,
    enter_code,
    personal,
    send_code,
    sign,
    uid,
    view,
    who,
)

DEADLINE = NOW + timedelta(days=7)
SEQUENTIAL, CONTINUE = OrderMode.SEQUENTIAL, OnParticipantFail.CONTINUE
CANCEL, EXPIRE, SEND = CancelEnvelope(ENVELOPE), ExpireEnvelope(ENVELOPE), SendEnvelope(ENVELOPE)
REMIND = RemindEnvelope(ENVELOPE)
ENDED = (SigningStatus.COMPLETED, SigningStatus.DECLINED, SigningStatus.FAILED, SigningStatus.CANCELLED, SigningStatus.EXPIRED)


def decline(number: int) -> DeclineSigning:
    return DeclineSigning(who(number), None, PROVENANCE)


def kinds(facts: dict[Any, tuple[Any, ...]]) -> dict[Any, tuple[type, ...]]:
    return {stream: tuple(type(fact) for fact in stream_facts) for stream, stream_facts in facts.items()}


def exhaust(log: PackageLog, number: int) -> dict[Any, tuple[Any, ...]]:
    """Enters the wrong code; the participant has one attempt."""
    log.act(send_code(number, "123456", log.now + timedelta(minutes=10)))
    return log.act(enter_code(number, "000000"))


# Creation and sending


def test_an_envelope_begins_with_all_its_processes_and_invites_whose_turn_it_is() -> None:
    command = creation(1, 2, order=SEQUENTIAL)
    facts = PackageLog().do(command)
    assert list(facts) == [ENVELOPE, who(0), who(1)]
    assert facts[ENVELOPE] == (command.created, EnvelopeSent())
    assert facts[who(0)][0] == command.processes[who(0)]
    assert kinds(facts)[who(0)] == (ProcessCreated, Invited)
    assert kinds(facts)[who(1)] == (ProcessCreated,)


def test_in_parallel_everybody_is_invited_with_a_token_of_their_own() -> None:
    log = created(1, 2, 3)
    invitations = [log.signings[who(it)].invitation for it in range(3)]
    assert len({it.id for it in invitations if it}) == len({it.token_sha256 for it in invitations if it}) == 3


def test_a_draft_invites_nobody_until_it_is_sent() -> None:
    log = created(2, 1, order=SEQUENTIAL, send=False)
    assert [log.status(it) for it in (0, 1)] == [SigningStatus.CREATED, SigningStatus.CREATED]
    log.refuses(sign(1), EnvelopeNotSent)
    log.refuses(decline(1), EnvelopeNotSent)
    log.refuses(ResendInvitation(who(1), log.invitations(1)[0]), EnvelopeNotSent)
    facts = log.do(SEND)
    assert kinds(facts) == {ENVELOPE: (EnvelopeSent,), who(1): (Invited,)}
    assert log.do(SEND) == {}


def test_creating_an_envelope_again_adds_nothing_not_even_what_differs() -> None:
    log = created(1, send=False)
    assert log.do(creation(1)) == {}
    assert log.do(creation(1, 2)) == {}


def test_the_same_person_has_one_place() -> None:
    command = creation(1, 2, 3)
    first, third = command.processes[who(0)], command.processes[who(2)]
    assert first.name.disclosure is not None
    same = replace(third, name=personal("Ana again", SubjectKind.PERSON, first.name.disclosure.subject.key))
    refusal = PackageLog().refuses(replace(command, processes={**command.processes, who(2): same}), DuplicateParticipant)
    assert (refusal.index, refusal.first) == (2, 0)


def test_people_without_a_contact_are_not_taken_for_one_another() -> None:
    command = creation(1, 2)
    nameless = {it: replace(process, name=personal("Ana")) for it, process in command.processes.items()}
    assert PackageLog().do(replace(command, processes=nameless)) != {}


MISMATCHES: dict[str, dict[str, Any]] = {
    "another envelope": {"envelope": uid(3)},
    "another tenant": {"tenant": uid(4)},
    "another mode": {"mode": Mode.TEST},
    "another number": {"number": 2},
    "another role": {"role": "witness"},
    "no documents": {"documents": ()},
}


@pytest.mark.parametrize("case", MISMATCHES)
def test_a_process_that_does_not_match_its_place_is_a_fault_and_not_recorded(case: str) -> None:
    command = creation(1)
    wrong = replace(command, processes={who(0): replace(command.processes[who(0)], **MISMATCHES[case])})
    with pytest.raises(ImpossibleHistory):
        PackageLog().decide(wrong)


def test_processes_are_those_of_the_participants() -> None:
    command = creation(1, 2)
    for processes in ({who(0): command.processes[who(0)]}, {**command.processes, who(9): creation(1, 2, 3).processes[who(2)]}):
        with pytest.raises(ImpossibleHistory):
            PackageLog().decide(replace(command, processes=processes))


def test_a_participant_takes_part_in_no_envelope_before() -> None:
    taken = created(1)
    taken.envelope = None
    with pytest.raises(ImpossibleHistory, match="exists before its envelope"):
        taken.decide(creation(1))


# Signing


def test_the_last_signature_completes_the_envelope_in_the_same_decision() -> None:
    log = created(1)
    facts = log.act(sign(0))
    assert kinds(facts) == {
        who(0): (Started, DocumentSigned, SigningCompleted),
        ENVELOPE: (ParticipantCompleted, EnvelopeCompleted),
    }
    assert log.history.finish() is PackageEnd.CLOSED


def test_a_completed_participant_hands_over_to_the_next_number() -> None:
    log = created(1, 2, 2, 3, order=SEQUENTIAL)
    assert kinds(log.act(sign(0))) == {
        who(0): (Started, DocumentSigned, SigningCompleted),
        ENVELOPE: (ParticipantCompleted,),
        who(1): (Invited,),
        who(2): (Invited,),
    }
    assert who(3) not in log.act(sign(2))
    assert who(3) in log.act(sign(1))


@pytest.mark.parametrize("act", [sign(1), view(1), decline(1), send_code(1, "1", NOW + timedelta(minutes=1)), enter_code(1, "1")])
def test_nobody_acts_before_their_turn(act: Any) -> None:
    created(1, 2, order=SEQUENTIAL).refuses(act, NotInvited)


def test_documents_are_shared_out_and_each_participant_signs_their_own() -> None:
    log = created(1, 1, documents=3, shares=[(0, 2), (1, 2)])
    assert set(log.act(sign(0, 2))) == {who(0)}
    assert set(log.act(sign(0, 0))) == {who(0), ENVELOPE}
    assert kinds(log.act(sign(1)))[who(1)] == (Started, DocumentSigned, DocumentSigned, SigningCompleted)
    assert log.envelope is not None
    assert log.envelope.status is EnvelopeStatus.COMPLETED


def test_an_act_in_an_ended_signing_is_refused_as_closed_even_after_the_deadline() -> None:
    log = created(1, 1, deadline=DEADLINE)
    log.act(sign(0))
    assert log.refuses(sign(0), SigningClosed, at=DEADLINE + MICROSECOND).status == SigningStatus.COMPLETED


def test_strangers_and_unknown_envelopes_are_not_found() -> None:
    assert created(1).refuses(sign(9), ParticipantNotFound).participant == who(9)
    for command in (Participate(ENVELOPE, sign(0)), SEND, CANCEL, EXPIRE):
        PackageLog().refuses(command, EnvelopeNotFound)


def test_a_signing_of_another_envelope_is_not_found_here() -> None:
    log, other = created(1), created(1, 2)
    package = coordination.Package(log.envelope, other.signings)
    with pytest.raises(ParticipantNotFound):
        coordination.decide(Participate(ENVELOPE, sign(1)), package, NOW)


# Failing


def test_a_decline_ends_the_whole_flow() -> None:
    log = created(1, 1, 2, order=SEQUENTIAL)
    log.act(view(1))
    assert kinds(log.act(decline(0))) == {
        who(0): (SigningDeclined,),
        ENVELOPE: (ParticipantFailed, EnvelopeDeclined),
        who(1): (SigningCancelled,),
        who(2): (SigningCancelled,),
    }
    assert log.history.finish() is PackageEnd.CLOSED


def test_exhausted_attempts_end_the_whole_flow() -> None:
    log = created(1, 1, attempts_max=1)
    assert kinds(exhaust(log, 0)) == {
        who(0): (OtpFailed, SigningFailed),
        ENVELOPE: (ParticipantFailed, EnvelopeFailed),
        who(1): (SigningCancelled,),
    }


def test_a_wrong_code_with_attempts_left_concerns_nobody_else() -> None:
    log = created(1, 1, attempts_max=2)
    assert set(exhaust(log, 0)) == {who(0)}


def test_a_flow_that_continues_goes_on_to_the_next_after_a_decline() -> None:
    log = created(1, 2, order=SEQUENTIAL, on_fail=CONTINUE)
    assert kinds(log.act(decline(0))) == {who(0): (SigningDeclined,), ENVELOPE: (ParticipantFailed,), who(1): (Invited,)}
    assert kinds(log.act(sign(1)))[ENVELOPE] == (ParticipantCompleted, EnvelopeCompleted)


def test_a_flow_that_continues_goes_on_to_the_next_after_exhausted_attempts() -> None:
    log = created(1, 2, order=SEQUENTIAL, on_fail=CONTINUE, attempts_max=1)
    facts = exhaust(log, 0)
    assert facts[ENVELOPE] == (ParticipantFailed(who(0), FailureReason.ATTEMPTS_EXHAUSTED),)
    assert kinds(facts)[who(1)] == (Invited,)


def test_an_envelope_that_all_decline_has_failed_even_if_it_continues() -> None:
    log = created(1, 1, on_fail=CONTINUE, attempts_max=1)
    log.act(decline(0))
    assert exhaust(log, 1)[ENVELOPE][-1] == EnvelopeFailed()
    assert log.history.finish() is PackageEnd.CLOSED


# Deadline, expiry, cancelling


def test_until_the_deadline_to_the_microsecond_and_no_longer() -> None:
    for act in (sign(0), view(0), decline(0), send_code(0, "1", DEADLINE + timedelta(days=1))):
        assert created(1, deadline=DEADLINE).act(act, at=DEADLINE) != {}
        late = created(1, deadline=DEADLINE).refuses(act, DeadlinePassed, at=DEADLINE + MICROSECOND)
        assert late.deadline == DEADLINE
    for command in (CANCEL, ExtendEnvelope(ENVELOPE, DEADLINE + timedelta(days=2))):
        assert created(1, deadline=DEADLINE).do(command, at=DEADLINE) != {}
        created(1, deadline=DEADLINE).refuses(command, DeadlinePassed, at=DEADLINE + MICROSECOND)


def test_nothing_is_resent_or_sent_after_the_deadline_though_the_expiry_is_not_recorded() -> None:
    late = DEADLINE + MICROSECOND
    log = created(1, deadline=DEADLINE)
    log.refuses(ResendInvitation(who(0), log.invitations(1)[0]), DeadlinePassed, at=late)
    created(1, deadline=DEADLINE, send=False).refuses(SEND, DeadlinePassed, at=late)


def test_an_expiry_ends_every_open_signing() -> None:
    log = created(1, 2, 3, order=SEQUENTIAL, deadline=DEADLINE)
    log.act(sign(0))
    log.refuses(EXPIRE, NotYetDue, at=DEADLINE)
    facts = log.do(EXPIRE, at=DEADLINE + MICROSECOND)
    assert facts == {ENVELOPE: (EnvelopeExpired(),), who(1): (SigningExpired(),), who(2): (SigningExpired(),)}
    assert log.do(EXPIRE) == {}
    assert log.history.finish() is PackageEnd.CLOSED


def test_a_draft_expires_too() -> None:
    log = created(1, deadline=DEADLINE, send=False)
    assert log.do(EXPIRE, at=DEADLINE + MICROSECOND)[who(0)] == (SigningExpired(),)


def test_an_extension_lets_the_envelope_live_on_and_invites_nobody_again() -> None:
    log = created(1, deadline=DEADLINE)
    later = DEADLINE + timedelta(days=3)
    assert log.do(ExtendEnvelope(ENVELOPE, later)) == {ENVELOPE: (DeadlineExtended(later),)}
    assert log.do(ExtendEnvelope(ENVELOPE, later)) == {}
    log.refuses(EXPIRE, NotYetDue, at=later)
    assert log.act(sign(0)) != {}


@pytest.mark.parametrize("send", [True, False])
def test_a_cancel_ends_every_open_signing_sent_or_not(send: bool) -> None:
    log = created(1, 2, order=SEQUENTIAL, send=send)
    assert kinds(log.do(CANCEL)) == {ENVELOPE: (EnvelopeCancelled,), who(0): (SigningCancelled,), who(1): (SigningCancelled,)}
    assert log.refuses(CANCEL, EnvelopeClosed).status == EnvelopeStatus.CANCELLED
    assert log.refuses(sign(0), SigningClosed).status == SigningStatus.CANCELLED
    log.refuses(SEND, EnvelopeClosed)


def test_a_cancel_leaves_those_who_have_signed_as_they_are() -> None:
    log = created(1, 1)
    log.act(sign(0))
    assert set(log.do(CANCEL)) == {ENVELOPE, who(1)}
    assert log.status(0) is SigningStatus.COMPLETED


# Invitations


def test_a_reminder_goes_to_those_whose_turn_it_is() -> None:
    log = created(1, 1, 2, order=SEQUENTIAL)
    old = log.token_of(0)
    assert kinds(log.do(REMIND)) == {who(0): (InvitationResent,), who(1): (InvitationResent,)}
    log.refuses(view(0, token=old), SessionTokenInvalid)
    log.act(sign(0))
    assert kinds(log.do(REMIND)) == {who(1): (InvitationResent,)}
    log.act(sign(1))
    assert set(log.do(REMIND)) == {who(2)}


def test_nobody_is_reminded_before_the_sending_after_the_end_or_after_the_deadline() -> None:
    draft = created(1, send=False)
    draft.refuses(REMIND, EnvelopeNotSent)
    draft.do(CANCEL)
    draft.refuses(REMIND, EnvelopeClosed)
    assert PackageLog().refuses(REMIND, EnvelopeNotFound).envelope == ENVELOPE
    created(1, deadline=DEADLINE).refuses(REMIND, DeadlinePassed, at=DEADLINE + MICROSECOND)


def test_a_resent_invitation_makes_the_token_before_it_useless() -> None:
    log = created(1)
    old = log.token_of(0)
    (fresh,) = log.invitations(1)
    assert log.act(ResendInvitation(who(0), fresh)) == {who(0): (InvitationResent(fresh),)}
    log.refuses(sign(0, token=old), SessionTokenInvalid)
    assert log.act(sign(0, token=log.token_of(0))) != {}


def test_a_wrong_token_learns_neither_of_the_deadline_nor_of_the_draft() -> None:
    wrong = SessionToken(digest("guess"))
    created(1, deadline=DEADLINE).refuses(sign(0, token=wrong), SessionTokenInvalid, at=DEADLINE + MICROSECOND)
    created(1, send=False).refuses(sign(0, token=wrong), SessionTokenInvalid)


def test_a_session_ends_before_the_deadline_when_its_token_does() -> None:
    log = PackageLog(lifetime=timedelta(days=1))
    log.do(creation(1, deadline=DEADLINE))
    log.refuses(sign(0, token=log.token_of(0)), SessionExpired, at=NOW + timedelta(days=1) + MICROSECOND)
    assert log.act(sign(0)) != {}


def test_a_delivery_may_be_reported_after_the_deadline_but_not_after_the_end() -> None:
    log = created(1, 1, deadline=DEADLINE)
    first, second = (log.signings[who(it)].invitation for it in (0, 1))
    assert first is not None
    assert second is not None
    report = ReportDelivery(who(0), first.id, Channel.EMAIL)
    assert log.act(report, at=DEADLINE + MICROSECOND) == {who(0): (InvitationDelivered(first.id, Channel.EMAIL),)}
    log.do(EXPIRE)
    assert log.act(ReportBounce(who(1), second.id, BounceReason.UNREACHABLE)) == {}


# Papers


def test_executed_documents_and_the_certificate_follow_completion() -> None:
    log = created(1, deadline=DEADLINE)
    executed = DocumentExecuted(document(0).id, digest("body"), digest("sealed"))
    log.refuses(RecordExecuted(ENVELOPE, executed), EnvelopeNotSent)
    log.act(sign(0))
    late = DEADLINE + timedelta(days=1)
    assert log.do(RecordExecuted(ENVELOPE, executed), at=late) == {ENVELOPE: (executed,)}
    assert log.do(RecordExecuted(ENVELOPE, executed)) == {}
    certificate = CertificateIssued(digest("certificate"))
    assert log.do(RecordCertified(ENVELOPE, certificate)) == {ENVELOPE: (certificate,)}
    assert log.do(RecordCertified(ENVELOPE, certificate)) == {}


# How long a decision holds


def test_a_decision_holds_until_the_first_of_what_it_rests_on_ends() -> None:
    log = created(1, 1, deadline=DEADLINE)
    expiry = NOW + timedelta(minutes=10)

    def until(command: PackageCommand) -> Any:
        return log.decide(command).not_after

    assert until(Participate(ENVELOPE, sign(0))) == DEADLINE
    assert until(CANCEL) == DEADLINE
    assert until(Participate(ENVELOPE, send_code(0, "1", expiry))) == expiry
    assert until(ExtendEnvelope(ENVELOPE, DEADLINE + timedelta(days=1))) == DEADLINE
    log.act(send_code(0, "1", expiry))
    assert until(Participate(ENVELOPE, enter_code(0, "1"))) == expiry
    short = PackageLog(lifetime=timedelta(hours=1))
    short.do(creation(1, deadline=DEADLINE))
    assert short.decide(Participate(ENVELOPE, sign(0, token=short.token_of(0)))).not_after == NOW + timedelta(hours=1)
    (renewed,) = short.invitations(1)
    assert short.decide(Participate(ENVELOPE, ResendInvitation(who(0), renewed))).not_after == renewed.expires_at
    assert PackageLog(lifetime=timedelta(hours=2)).decide(creation(1)).not_after == NOW + timedelta(hours=2)


def test_what_changes_nothing_holds_at_any_time() -> None:
    log = created(1, deadline=DEADLINE)
    log.now = DEADLINE + MICROSECOND
    assert log.decide(SEND) == coordination.Decision({}, None)


def test_what_has_no_end_holds_for_ever() -> None:
    log = created(1)
    assert log.decide(Participate(ENVELOPE, sign(0))).not_after is None
    assert log.decide(CANCEL).not_after is None


# What must be loaded


def test_needs_name_just_the_signings_that_a_decision_touches() -> None:
    log = created(1, 1, 2, order=SEQUENTIAL)

    def needs(command: PackageCommand) -> Needs:
        return coordination.needs(command, log.envelope)

    assert needs(Participate(ENVELOPE, view(0))) == Needs((who(0),))
    assert needs(Participate(ENVELOPE, sign(0))) == Needs((who(0),))
    assert needs(Participate(ENVELOPE, decline(1))) == Needs((who(1), who(0), who(2)))
    assert needs(CANCEL) == Needs((who(0), who(1), who(2)))
    assert needs(ExtendEnvelope(ENVELOPE, DEADLINE)) == Needs()
    assert needs(Participate(ENVELOPE, sign(9))) == Needs()
    log.act(sign(0))
    assert needs(Participate(ENVELOPE, sign(1))) == Needs((who(1), who(2)), 1)
    assert coordination.needs(SEND, None) == Needs()
