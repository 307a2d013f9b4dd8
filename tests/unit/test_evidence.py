"""The check across the streams of one envelope: what single streams cannot show, and where it says so."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain.actor import Mode
from domain.coordination import CancelEnvelope, ExpireEnvelope, ExtendEnvelope
from domain.envelope import EnvelopeCancelled, EnvelopeCreated, OnParticipantFail, OrderMode, ParticipantCompleted
from domain.errors import ImpossibleHistory
from domain.evidence import PackageEnd, PackageHistory
from domain.signing import Channel, DocumentReference, InvitationDelivered, ProcessCreated, SigningCancelled, SigningExpired
from tests.given import ENVELOPE, MICROSECOND, NOW, PackageLog, created, digest, sign, uid, view, who
from tests.property.packages import Recorded

DEADLINE = NOW + timedelta(days=7)


def replay(log: list[Recorded], streams: set[Any] | None = None) -> PackageEnd:
    history = PackageHistory(ENVELOPE, streams)
    for stream, fact, at in log:
        if streams is None or stream in streams:
            history.feed(stream, fact, at)
    return history.finish()


def refused(log: list[Recorded], because: str) -> None:
    with pytest.raises(ImpossibleHistory, match=because):
        replay(log)


def sequential() -> PackageLog:
    """Two after each other, a minute apart, both sign."""
    log = created(1, 2, order=OrderMode.SEQUENTIAL, deadline=DEADLINE)
    log.act(view(0), at=NOW + timedelta(minutes=1))
    log.act(sign(0), at=NOW + timedelta(minutes=2))
    log.act(sign(1), at=NOW + timedelta(minutes=3))
    return log


def index_of(log: list[Recorded], kind: str, stream: Any = None) -> int:
    return next(it for it, (where, fact, _) in enumerate(log) if kind == fact.TYPE and stream in (None, where))


def without(log: list[Recorded], index: int) -> list[Recorded]:
    return log[:index] + log[index + 1 :]


def changed(log: list[Recorded], index: int, **fields: Any) -> list[Recorded]:
    stream, fact, at = log[index]
    return [*log[:index], (stream, replace(fact, **fields), at), *log[index + 1 :]]


def test_a_history_is_open_until_the_envelope_ends_and_closed_then() -> None:
    log = created(1, 1)
    assert replay(log.log) is PackageEnd.OPEN
    log.act(sign(0))
    assert replay(log.log) is PackageEnd.OPEN
    log.do(CancelEnvelope(ENVELOPE))
    assert replay(log.log) is PackageEnd.CLOSED
    assert replay(sequential().log) is PackageEnd.CLOSED


def test_a_decision_under_way_is_said_to_be() -> None:
    log = sequential().log
    history = PackageHistory(ENVELOPE)
    under_way = []
    for stream, fact, at in log[: index_of(log, "signing.document-viewed/1") + 1]:
        history.feed(stream, fact, at)
        under_way.append((fact.TYPE, history.unsettled))
    assert under_way == [
        ("envelope.created/3", True),
        ("envelope.sent/1", True),
        ("signing.process-created/2", True),
        ("signing.invited/1", True),
        ("signing.process-created/2", False),
        ("signing.started/1", True),
        ("signing.document-viewed/1", False),
    ]


def test_every_cut_within_a_decision_is_noticed() -> None:
    log = sequential().log
    settled = {5, 7, 11, len(log)}
    for length in range(1, len(log) + 1):
        if length in settled:
            replay(log[:length])
        else:
            refused(log[:length], "must follow")
    refused([], "without its envelope")


def test_an_invitation_out_of_turn_is_impossible() -> None:
    log = sequential().log
    second = index_of(log, "signing.invited/1", who(1))
    stream, fact, _ = log[second]
    early = log[5][2]
    refused([*log[:5], (stream, fact, early), *log[5:second], *log[second + 1 :]], "without the fact that it follows from")


def test_an_invitation_before_the_envelope_is_sent_is_impossible() -> None:
    sent, draft = created(1), created(1, send=False)
    invited = sent.log[index_of(sent.log, "signing.invited/1")]
    refused([*draft.log, invited], "without the fact that it follows from")


def test_a_lost_invitation_is_noticed() -> None:
    log = sequential().log
    refused(without(log, index_of(log, "signing.invited/1", who(1))), "must follow")


def test_a_completed_signing_is_followed_by_the_envelopes_word_on_it() -> None:
    log = sequential().log
    refused(without(log, index_of(log, "envelope.participant-completed/1")), "must follow")


def test_the_envelopes_word_on_a_signing_follows_its_completion() -> None:
    log = created(1, 1).log
    refused([*log, (ENVELOPE, ParticipantCompleted(who(0)), NOW)], "without the fact that it follows from")


def test_the_word_on_another_participant_is_impossible() -> None:
    log = created(1, 1)
    log.act(sign(0))
    refused(changed(log.log, len(log.log) - 1, participant=who(1)), "must follow")


@pytest.mark.parametrize("end", [SigningCancelled(), SigningExpired()])
def test_a_signing_does_not_end_while_the_envelope_goes_on(end: SigningCancelled | SigningExpired) -> None:
    refused([*created(1, 1).log, (who(0), end, NOW)], "without the fact that it follows from")


def test_an_ended_envelope_leaves_no_signing_open() -> None:
    log = created(1, 1)
    log.do(CancelEnvelope(ENVELOPE))
    refused(log.log[:-1], "must follow")
    refused(without(log.log, len(log.log) - 2), "must follow")
    swapped = [*log.log[:-2], log.log[-1], log.log[-2]]
    refused(swapped, "must follow")


def test_a_cancelled_envelope_cancels_and_an_expired_one_expires() -> None:
    log = created(1, deadline=DEADLINE)
    log.do(ExpireEnvelope(ENVELOPE), at=DEADLINE + MICROSECOND)
    refused([*log.log[:-1], (who(0), SigningCancelled(), log.now)], "must follow")
    log = created(1)
    log.do(CancelEnvelope(ENVELOPE))
    refused([*log.log[:-1], (who(0), SigningExpired(), log.now)], "must follow")


@pytest.mark.parametrize("act", [view, sign])
def test_an_act_after_the_deadline_is_impossible(act: Callable[[int], Any]) -> None:
    log = created(1, deadline=DEADLINE)
    before = len(log.log)
    log.act(act(0), at=DEADLINE)
    replay(log.log)
    late = [(stream, fact, at + MICROSECOND) for stream, fact, at in log.log[before:]]
    refused([*log.log[:before], *late], "after the envelope's deadline")


def test_an_act_after_the_deadline_is_possible_once_it_was_extended() -> None:
    log = created(1, deadline=DEADLINE)
    log.do(ExtendEnvelope(ENVELOPE, DEADLINE + timedelta(days=1)))
    extended = len(log.log) - 1
    log.act(view(0), at=DEADLINE + MICROSECOND)
    replay(log.log)
    refused(without(log.log, extended), "after the envelope's deadline")


def test_a_report_of_a_delivery_may_come_after_the_deadline() -> None:
    log = created(1, deadline=DEADLINE)
    invitation = log.signings[who(0)].invitation
    assert invitation is not None
    report = (who(0), InvitationDelivered(invitation.id, Channel.EMAIL), DEADLINE + MICROSECOND)
    assert replay([*log.log, report]) is PackageEnd.OPEN


def test_one_decision_has_one_time() -> None:
    log = sequential().log
    for index in (1, 4, 6, len(log) - 1):
        stream, fact, at = log[index]
        later = [(where, it, time + MICROSECOND) for where, it, time in log[index + 1 :]]
        refused([*log[:index], (stream, fact, at + MICROSECOND), *later], "another time|must follow")


def test_time_does_not_go_back() -> None:
    log = sequential().log
    first = index_of(log, "signing.started/1")
    earlier = [(stream, fact, at - timedelta(minutes=10)) for stream, fact, at in log[first:]]
    refused([*log[:first], *earlier], "earlier than the fact before it")


def test_the_decisions_of_a_sequence_do_not_change_places() -> None:
    log = sequential().log
    first, second = log[7:11], log[11:]
    times = [at for _, _, at in log[7:]]
    swapped = [(stream, fact, at) for (stream, fact, _), at in zip(second + first, times, strict=True)]
    refused([*log[:7], *swapped], "signing.started/1")


MISMATCHES: dict[str, dict[str, Any]] = {
    "another envelope": {"envelope": uid(3)},
    "another tenant": {"tenant": uid(4)},
    "another mode": {"mode": Mode.TEST},
    "another number": {"number": 2},
    "another role": {"role": "witness"},
    "another document": {"documents": (DocumentReference(uid(5), digest("document 0")),)},
    "other bytes": {"documents": (DocumentReference(uid(100), digest("other")),)},
}


@pytest.mark.parametrize("case", MISMATCHES)
def test_a_process_that_does_not_match_its_place_is_impossible(case: str) -> None:
    log = created(1).log
    refused(changed(log, index_of(log, "signing.process-created/2"), **MISMATCHES[case]), "envelope")


def test_a_process_without_a_place_is_impossible() -> None:
    log = created(1)
    process = log.log[index_of(log.log, "signing.process-created/2")]
    refused([*log.log, (who(9), process[1], NOW)], "without the fact that it follows from")
    refused([(who(0), process[1], NOW)], "without the fact that it follows from")


def test_facts_of_one_kind_do_not_stand_in_a_stream_of_the_other() -> None:
    log = created(1).log
    refused([*log, (who(0), EnvelopeCancelled(None), NOW)], "in the stream of a signing")
    with pytest.raises(ImpossibleHistory, match="in the stream of an envelope"):
        replay([*log, (ENVELOPE, InvitationDelivered(uid(1), Channel.EMAIL), NOW)])


# Histories that hold only some of the streams


@pytest.mark.parametrize("streams", [{ENVELOPE}, {who(0)}, {who(1)}, {ENVELOPE, who(0)}, {ENVELOPE, who(1)}, {who(0), who(1)}])
def test_a_part_is_accepted_and_said_to_be_one(streams: set[Any]) -> None:
    assert replay(sequential().log, streams) is PackageEnd.PARTIAL
    declined = created(1, 2, 3, order=OrderMode.SEQUENTIAL, on_fail=OnParticipantFail.CONTINUE)
    declined.act(sign(0))
    declined.do(CancelEnvelope(ENVELOPE))
    assert replay(declined.log, streams) is PackageEnd.PARTIAL


def test_a_part_without_its_envelope_still_names_the_envelope() -> None:
    log = created(1).log
    process = log[index_of(log, "signing.process-created/2")][1]
    assert isinstance(process, ProcessCreated)
    history = PackageHistory(uid(3), {who(0)})
    with pytest.raises(ImpossibleHistory, match="another envelope"):
        history.feed(who(0), process, NOW)


def test_a_stream_that_was_left_out_is_not_fed() -> None:
    log = created(1).log
    creation = log[0][1]
    assert isinstance(creation, EnvelopeCreated)
    with pytest.raises(ImpossibleHistory, match="left out"):
        PackageHistory(ENVELOPE, {who(0)}).feed(ENVELOPE, creation, NOW)


def test_what_a_part_does_hold_is_checked() -> None:
    log = sequential().log
    part = {ENVELOPE, who(1)}
    with pytest.raises(ImpossibleHistory, match="must follow"):
        replay(without(log, index_of(log, "signing.invited/1", who(1))), part)
    with pytest.raises(ImpossibleHistory, match="must follow"):
        replay(log[:-2], part)
    with pytest.raises(ImpossibleHistory, match="must follow"):
        replay(without(log, index_of(log, "signing.completed/1", who(1))), part)
