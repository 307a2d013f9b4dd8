"""Signings alone: tokens, codes, attempts and cooldown, documents, and the histories that cannot be."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.actor import IdentityMethod, Mode, Provenance
from domain.envelope import FailureReason
from domain.errors import (
    CooldownActive,
    DocumentChanged,
    DocumentNotFound,
    HumanSignatureRequired,
    NotInvited,
    OtpExpired,
    OtpNotSent,
    ParticipantNotFound,
    PolicyOutOfRange,
    SessionExpired,
    SessionTokenInvalid,
    SigningClosed,
)
from domain.signing import (
    MAX_ATTEMPTS,
    MAX_COOLDOWN_SECONDS,
    AssignDocument,
    BounceReason,
    CancelSigning,
    Channel,
    ConsentGiven,
    DeclineSigning,
    DocumentAssigned,
    DocumentReference,
    DocumentSigned,
    DocumentViewed,
    ExpireSigning,
    GiveConsent,
    Invitation,
    InvitationBounced,
    InvitationDelivered,
    InvitationResent,
    Invite,
    Invited,
    OpenProcess,
    OpenSession,
    OtpFailed,
    OtpSent,
    OtpVerified,
    ProcessCreated,
    ReportBounce,
    ReportDelivery,
    ResendInvitation,
    SessionOpened,
    SessionToken,
    SignatureMethod,
    SignatureMode,
    SignDocuments,
    Signing,
    SigningAct,
    SigningCancelled,
    SigningCommand,
    SigningCompleted,
    SigningDeclined,
    SigningExpired,
    SigningFact,
    SigningFailed,
    SigningStatus,
    Started,
    ViewDocument,
    check_token,
    decide,
    evolve,
)
from tests.given import (
    AGENT,
    ENVELOPE,
    MICROSECOND,
    NOW,
    PROVENANCE,
    TENANT,
    Given,
    digest,
    document,
    enter_code,
    personal,
    send_code,
    session,
    sign,
    uid,
    view,
    who,
)

Start = Given[SigningCommand, Signing, SigningFact]

ME = who(0)
FIRST, SECOND = document(0), document(1)
CREATED = ProcessCreated(
    TENANT,
    Mode.LIVE,
    ENVELOPE,
    1,
    (DocumentReference(FIRST.id, FIRST.sha256), DocumentReference(SECOND.id, SECOND.sha256)),
    (SignatureMode.EMAIL,),
    personal("Ana"),
    None,
    None,
    None,
    attempts_max=2,
    cooldown_seconds=60,
)
EXPIRY = NOW + timedelta(days=30)
INVITATION = Invitation(uid(50), digest("token"), EXPIRY)
RENEWED = Invitation(uid(51), digest("another token"), EXPIRY)
STARTED = Started(PROVENANCE)
CODE_EXPIRY = NOW + timedelta(minutes=10)
CODE = OtpSent(Channel.EMAIL, personal("123456"), CODE_EXPIRY)
CONSENT = GiveConsent(ME, digest("text"), "es-CO", PROVENANCE)
CONSENTED = ConsentGiven(digest("text"), "es-CO", PROVENANCE)
VIEWED = DocumentViewed(FIRST.id, FIRST.sha256, PROVENANCE)
COOLDOWN = timedelta(seconds=60)


def signed(number: int) -> DocumentSigned:
    return DocumentSigned(document(number).id, document(number).sha256, SignatureMethod.TYPED, None, None, PROVENANCE)


THIRD = DocumentReference(document(2).id, document(2).sha256)
SESSION = session(0, NOW + timedelta(minutes=15))
OPENED = SessionOpened(SESSION, personal("user"), NOW - timedelta(minutes=1))
OPEN = OpenSession(ME, OPENED.session, OPENED.user, OPENED.signed_in_at)

nothing: Start = Given(decide, evolve)
waiting = nothing.given(CREATED)
invited = waiting.given(Invited(INVITATION))
started = invited.given(STARTED, VIEWED)
in_session = invited.given(OPENED)
coded = started.given(CODE)
FINAL = {
    SigningStatus.COMPLETED: started.given(signed(0), signed(1), SigningCompleted()),
    SigningStatus.DECLINED: invited.given(SigningDeclined(None, PROVENANCE)),
    SigningStatus.FAILED: coded.given(OtpFailed(1, PROVENANCE)).given(
        OtpFailed(2, PROVENANCE), SigningFailed(FailureReason.ATTEMPTS_EXHAUSTED), at=NOW + COOLDOWN
    ),
    SigningStatus.CANCELLED: waiting.given(SigningCancelled()),
    SigningStatus.EXPIRED: invited.given(SigningExpired()),
}
EVERY_ACT: tuple[SigningAct, ...] = (
    view(0),
    sign(0),
    sign(0, 1),
    CONSENT,
    send_code(0, "123456", CODE_EXPIRY),
    enter_code(0, "123456"),
    DeclineSigning(ME, None, PROVENANCE),
)


# Beginning


def test_a_process_is_created_once() -> None:
    assert nothing.when(OpenProcess(ME, CREATED)) == (CREATED,)
    assert waiting.when(OpenProcess(ME, CREATED)) == ()


@pytest.mark.parametrize(
    ("policy", "value"),
    [
        ("attempts_max", 0),
        ("attempts_max", MAX_ATTEMPTS + 1),
        ("cooldown_seconds", -1),
        ("cooldown_seconds", MAX_COOLDOWN_SECONDS + 1),
    ],
)
def test_a_policy_out_of_range_is_refused(policy: str, value: int) -> None:
    created = replace(CREATED, attempts_max=value) if policy == "attempts_max" else replace(CREATED, cooldown_seconds=value)
    assert nothing.refuses(OpenProcess(ME, created), PolicyOutOfRange).policy == policy
    nothing.cannot_be(created)


@pytest.mark.parametrize(
    "command",
    [*EVERY_ACT, ResendInvitation(ME, RENEWED), OPEN, CancelSigning(ME), Invite(ME, INVITATION), AssignDocument(ME, THIRD)],
)
def test_a_signing_that_is_not_there_refuses_everything(command: SigningCommand) -> None:
    assert nothing.refuses(command, ParticipantNotFound).participant == ME


@pytest.mark.parametrize("command", [*EVERY_ACT, ResendInvitation(ME, RENEWED), OPEN])
def test_nobody_acts_before_being_invited(command: SigningCommand) -> None:
    waiting.refuses(command, NotInvited)


def test_a_participant_is_invited_once() -> None:
    assert waiting.when(Invite(ME, INVITATION)) == (Invited(INVITATION),)
    assert invited.when(Invite(ME, RENEWED)) == ()


def test_the_first_act_starts_the_signing_and_later_ones_do_not() -> None:
    assert invited.when(view(0)) == (STARTED, VIEWED)
    assert invited.when(CONSENT) == (STARTED, CONSENTED)
    assert invited.when(send_code(0, "123456", CODE_EXPIRY)) == (STARTED, CODE)
    assert started.when(view(0)) == (VIEWED,)
    assert started.when(CONSENT) == (CONSENTED,)


# Invitations and tokens


def test_a_resent_invitation_rotates_the_token() -> None:
    before, after = SessionToken(INVITATION.token_sha256), SessionToken(RENEWED.token_sha256)
    assert invited.when(ResendInvitation(ME, RENEWED)) == (InvitationResent(RENEWED),)
    assert invited.when(view(0, token=before)) != ()
    resent = invited.given(InvitationResent(RENEWED))
    resent.refuses(view(0, token=before), SessionTokenInvalid)
    assert resent.when(view(0, token=after)) != ()


@pytest.mark.parametrize("start", [waiting, invited, *FINAL.values()])
def test_a_wrong_token_learns_nothing_of_the_state(start: Start) -> None:
    start.refuses(view(0, token=SessionToken(digest("guess"))), SessionTokenInvalid)


def test_a_token_is_good_until_its_last_microsecond() -> None:
    token = SessionToken(INVITATION.token_sha256)
    assert invited.when(sign(0, token=token), at=EXPIRY) != ()
    refusal = invited.refuses(sign(0, token=token), SessionExpired, at=EXPIRY + MICROSECOND)
    assert refusal.expires_at == EXPIRY


def test_the_fate_of_an_invitation_is_reported_once() -> None:
    delivered = InvitationDelivered(INVITATION.id, Channel.EMAIL)
    bounced = InvitationBounced(INVITATION.id, BounceReason.REFUSED)
    assert invited.when(ReportDelivery(ME, INVITATION.id, Channel.EMAIL)) == (delivered,)
    assert invited.when(ReportBounce(ME, INVITATION.id, BounceReason.REFUSED)) == (bounced,)
    for report in (delivered, bounced):
        after = invited.given(report)
        assert after.when(ReportDelivery(ME, INVITATION.id, Channel.EMAIL)) == ()
        assert after.when(ReportBounce(ME, INVITATION.id, BounceReason.REFUSED)) == ()
        after.cannot_be(delivered)
        after.cannot_be(bounced)
        assert after.given(InvitationResent(RENEWED)).when(ReportDelivery(ME, RENEWED.id, Channel.EMAIL)) != ()


def test_a_report_about_an_unknown_invitation_or_an_ended_signing_adds_nothing() -> None:
    assert invited.when(ReportDelivery(ME, uid(99), Channel.EMAIL)) == ()
    for start in FINAL.values():
        assert start.when(ReportBounce(ME, INVITATION.id, BounceReason.UNREACHABLE)) == ()


# Sessions


def test_somebody_who_signed_in_gets_a_session_whose_token_works_beside_the_invitations() -> None:
    assert invited.when(OPEN) == (OPENED,)
    assert started.when(OPEN) == (OPENED,)
    for token in (SESSION.token_sha256, INVITATION.token_sha256):
        assert in_session.when(view(0, token=SessionToken(token))) == (STARTED, VIEWED)
    in_session.refuses(view(0, token=SessionToken(digest("guess"))), SessionTokenInvalid)


def test_opening_a_session_is_not_yet_an_act() -> None:
    assert in_session.state is not None
    assert in_session.state.status is SigningStatus.INVITED
    assert in_session.state.session == SESSION


def test_a_later_session_replaces_the_one_before() -> None:
    later = session(1, EXPIRY)
    after = in_session.given(SessionOpened(later, personal("user"), NOW))
    after.refuses(view(0, token=SessionToken(SESSION.token_sha256)), SessionTokenInvalid)
    assert after.when(view(0, token=SessionToken(later.token_sha256))) != ()
    assert after.when(view(0, token=SessionToken(INVITATION.token_sha256))) != ()


def test_a_resent_invitation_leaves_the_session_open() -> None:
    resent = in_session.given(InvitationResent(RENEWED))
    assert resent.when(view(0, token=SessionToken(SESSION.token_sha256))) != ()
    resent.refuses(view(0, token=SessionToken(INVITATION.token_sha256)), SessionTokenInvalid)


def test_each_token_is_good_until_its_own_last_microsecond() -> None:
    short, long = SessionToken(SESSION.token_sha256), SessionToken(INVITATION.token_sha256)
    assert in_session.when(sign(0, token=short), at=SESSION.expires_at) != ()
    late = SESSION.expires_at + MICROSECOND
    assert in_session.refuses(sign(0, token=short), SessionExpired, at=late).expires_at == SESSION.expires_at
    assert in_session.when(sign(0, token=long), at=late) != ()
    lasting = invited.given(replace(OPENED, session=replace(SESSION, expires_at=EXPIRY + timedelta(days=1))))
    assert lasting.refuses(sign(0, token=long), SessionExpired, at=EXPIRY + MICROSECOND).expires_at == EXPIRY
    assert lasting.when(sign(0, token=short), at=EXPIRY + MICROSECOND) != ()


def test_whoever_shows_no_token_where_one_is_asked_for_is_refused() -> None:
    for start in (invited, in_session):
        assert start.state is not None
        with pytest.raises(SessionTokenInvalid):
            check_token(start.state, None)
    assert in_session.state is not None
    assert check_token(in_session.state, SessionToken(SESSION.token_sha256)) == SESSION.expires_at
    assert check_token(in_session.state, SessionToken(INVITATION.token_sha256)) == EXPIRY


# Agents


PERSON = Provenance(IdentityMethod.OIDC)


def by_agent(act: SignDocuments) -> SignDocuments:
    return replace(act, provenance=AGENT)


def test_an_agent_signs_where_no_human_is_asked_for() -> None:
    assert started.when(by_agent(sign(0, 0))) == (replace(signed(0), provenance=AGENT),)


def test_no_agent_signs_in_live_mode_for_somebody_who_has_to_sign_in_person() -> None:
    human = nothing.given(replace(CREATED, human_only=True), Invited(INVITATION))
    human.refuses(by_agent(sign(0)), HumanSignatureRequired)
    human.refuses(by_agent(sign(0, 1, token=SessionToken(INVITATION.token_sha256))), HumanSignatureRequired)
    human.refuses(by_agent(sign(0, token=SessionToken(digest("guess")))), SessionTokenInvalid)
    human.refuses(sign(0), HumanSignatureRequired)  # whoever has the token alone may be an agent that does not say so
    in_person = [replace(fact, provenance=PERSON) for fact in (STARTED, signed(0), signed(1))]
    assert human.when(replace(sign(0), provenance=PERSON)) == (*in_person, SigningCompleted())
    assert human.when(replace(view(0), provenance=AGENT)) != ()


def test_in_test_mode_an_agent_always_signs() -> None:
    rehearsal = nothing.given(replace(CREATED, human_only=True, mode=Mode.TEST), Invited(INVITATION))
    assert len(rehearsal.when(by_agent(sign(0)))) == 4


# Documents


def test_a_participant_of_a_draft_may_have_nothing_to_sign_yet_and_is_not_done_with_it() -> None:
    idle = nothing.given(replace(CREATED, documents=()))
    assert idle.state is not None
    assert not idle.state.unsettled
    assigned = idle.given(DocumentAssigned(THIRD))
    assert idle.when(AssignDocument(ME, THIRD)) == (DocumentAssigned(THIRD),)
    assert assigned.when(AssignDocument(ME, THIRD)) == ()
    assert assigned.state is not None
    assert assigned.state.unsigned == (THIRD.id,)
    ready = assigned.given(Invited(INVITATION))
    assert ready.when(sign(0)) == (STARTED, signed(2), SigningCompleted())


def test_assigned_documents_come_after_those_there_were() -> None:
    assert waiting.given(DocumentAssigned(THIRD)).state.unsigned == (FIRST.id, SECOND.id, THIRD.id)  # type: ignore[union-attr]


def test_what_was_shown_is_a_document_of_the_signing_in_its_very_bytes() -> None:
    assert invited.refuses(replace(view(0), document=uid(9)), DocumentNotFound).document == uid(9)
    assert invited.refuses(ViewDocument(ME, FIRST.id, SECOND.sha256, PROVENANCE), DocumentChanged).document == FIRST.id


def test_the_whole_slot_is_signed_at_once() -> None:
    assert invited.when(sign(0)) == (STARTED, signed(0), signed(1), SigningCompleted())


def test_documents_are_signed_one_by_one_and_the_last_completes() -> None:
    assert started.when(sign(0, 1)) == (signed(1),)
    rest = started.given(signed(1))
    assert rest.when(sign(0, 1)) == ()
    assert rest.when(sign(0, 0)) == (signed(0), SigningCompleted())
    assert rest.when(sign(0)) == (signed(0), SigningCompleted())
    assert rest.when(sign(0, 0, 1)) == (signed(0), SigningCompleted())


def test_naming_no_document_signs_nothing() -> None:
    assert invited.when(replace(sign(0), documents=())) == ()


def test_a_document_named_twice_is_signed_once() -> None:
    assert started.when(replace(sign(0), documents=(FIRST.id, FIRST.id))) == (signed(0),)


def test_a_strange_document_is_not_signed() -> None:
    strange = replace(sign(0), documents=(FIRST.id, uid(9)))
    assert started.refuses(strange, DocumentNotFound).document == uid(9)


def test_other_bytes_than_those_shown_are_not_signed() -> None:
    assert started.when(replace(sign(0, 0), sha256=FIRST.sha256)) == (signed(0),)
    assert started.refuses(replace(sign(0, 0), sha256=SECOND.sha256), DocumentChanged).document == FIRST.id
    assert started.refuses(replace(sign(0), sha256=FIRST.sha256), DocumentChanged).document == SECOND.id


def test_declining_ends_the_signing_started_or_not() -> None:
    for start in (invited, started, coded):
        assert start.when(DeclineSigning(ME, None, PROVENANCE)) == (SigningDeclined(None, PROVENANCE),)


# One-time codes, attempts and cooldown


def test_the_right_code_is_good_once() -> None:
    assert coded.when(enter_code(0, "123456")) == (OtpVerified(PROVENANCE),)
    coded.given(OtpVerified(PROVENANCE)).refuses(enter_code(0, "123456"), OtpNotSent)


def test_a_code_must_have_been_sent() -> None:
    started.refuses(enter_code(0, "123456"), OtpNotSent)
    invited.refuses(enter_code(0, "123456"), OtpNotSent)


def test_a_code_is_good_until_its_last_microsecond() -> None:
    assert coded.when(enter_code(0, "123456"), at=CODE_EXPIRY) == (OtpVerified(PROVENANCE),)
    refusal = coded.refuses(enter_code(0, "123456"), OtpExpired, at=CODE_EXPIRY + MICROSECOND)
    assert refusal.expires_at == CODE_EXPIRY


def test_a_later_code_replaces_the_one_before() -> None:
    later = coded.given(OtpSent(Channel.SMS, personal("654321"), CODE_EXPIRY), at=NOW + COOLDOWN)
    assert later.when(enter_code(0, "123456")) == (OtpFailed(1, PROVENANCE),)
    assert later.when(enter_code(0, "654321")) == (OtpVerified(PROVENANCE),)


def test_the_cooldown_holds_to_the_microsecond_between_attempts() -> None:
    failed = coded.given(OtpFailed(1, PROVENANCE))
    until = NOW + COOLDOWN
    assert failed.refuses(enter_code(0, "123456"), CooldownActive, at=until - MICROSECOND).until == until
    assert failed.when(enter_code(0, "123456"), at=until) == (OtpVerified(PROVENANCE),)
    failed.cannot_be(OtpVerified(PROVENANCE), at=until - MICROSECOND)


def test_the_cooldown_holds_to_the_microsecond_between_codes() -> None:
    until = NOW + COOLDOWN
    assert coded.refuses(send_code(0, "1", CODE_EXPIRY), CooldownActive, at=until - MICROSECOND).until == until
    assert coded.when(send_code(0, "1", CODE_EXPIRY), at=until) != ()
    coded.cannot_be(CODE, at=until - MICROSECOND)
    failed = coded.given(OtpFailed(1, PROVENANCE), at=until)
    assert (
        failed.refuses(send_code(0, "1", CODE_EXPIRY), CooldownActive, at=until + COOLDOWN - MICROSECOND).until
        == until + COOLDOWN
    )
    failed.cannot_be(CODE, at=until + COOLDOWN - MICROSECOND)
    assert failed.when(send_code(0, "1", CODE_EXPIRY), at=until + COOLDOWN) != ()


def test_the_last_attempt_that_fails_ends_the_signing() -> None:
    failed = coded.given(OtpFailed(1, PROVENANCE))
    exhausted = (OtpFailed(2, PROVENANCE), SigningFailed(FailureReason.ATTEMPTS_EXHAUSTED))
    assert failed.when(enter_code(0, "000000"), at=NOW + COOLDOWN) == exhausted


def test_a_right_code_does_not_give_the_attempts_back() -> None:
    verified = coded.given(OtpFailed(1, PROVENANCE)).given(OtpVerified(PROVENANCE), at=NOW + COOLDOWN)
    again = verified.given(OtpSent(Channel.EMAIL, personal("7"), CODE_EXPIRY), at=NOW + 2 * COOLDOWN)
    assert len(again.when(enter_code(0, "8"))) == 2


def test_without_a_policy_attempts_are_neither_counted_down_nor_delayed() -> None:
    start = nothing.given(
        replace(CREATED, attempts_max=None, cooldown_seconds=None),
        Invited(INVITATION),
        STARTED,
        CODE,
        *(OtpFailed(n, PROVENANCE) for n in range(1, 500)),
    )
    assert start.when(enter_code(0, "000000")) == (OtpFailed(500, PROVENANCE),)
    assert start.when(send_code(0, "1", CODE_EXPIRY)) != ()


# Ends


@pytest.mark.parametrize("status", FINAL)
def test_an_ended_signing_refuses_acts_and_says_how_it_ended(status: SigningStatus) -> None:
    start = FINAL[status]
    assert start.state is not None
    assert start.state.status is status
    for act in (*EVERY_ACT, ResendInvitation(ME, RENEWED), OPEN):
        assert start.refuses(act, SigningClosed).status == status
    for follower in (CancelSigning(ME), ExpireSigning(ME), Invite(ME, INVITATION)):
        assert start.when(follower) == ()


EVERY_FACT: tuple[SigningFact, ...] = (
    CREATED,
    Invited(RENEWED),
    InvitationResent(RENEWED),
    InvitationDelivered(INVITATION.id, Channel.EMAIL),
    InvitationBounced(INVITATION.id, BounceReason.REFUSED),
    OPENED,
    STARTED,
    VIEWED,
    CODE,
    OtpVerified(PROVENANCE),
    OtpFailed(1, PROVENANCE),
    CONSENTED,
    signed(0),
    SigningCompleted(),
    SigningDeclined(None, PROVENANCE),
    SigningFailed(FailureReason.ATTEMPTS_EXHAUSTED),
    SigningCancelled(),
    SigningExpired(),
    DocumentAssigned(THIRD),
)


@pytest.mark.parametrize("status", FINAL)
@pytest.mark.parametrize("fact", EVERY_FACT, ids=lambda fact: fact.TYPE)
def test_no_fact_follows_an_end(status: SigningStatus, fact: SigningFact) -> None:
    FINAL[status].cannot_be(fact)


@pytest.mark.parametrize("fact", EVERY_FACT[1:], ids=lambda fact: fact.TYPE)
def test_no_fact_comes_before_the_process_is_created(fact: SigningFact) -> None:
    nothing.cannot_be(fact)


@pytest.mark.parametrize("fact", EVERY_FACT[2:16], ids=lambda fact: fact.TYPE)
def test_before_the_invitation_only_an_end_from_outside_is_possible(fact: SigningFact) -> None:
    waiting.cannot_be(fact)


# Impossible histories

both_signed = started.given(signed(0), signed(1))
exhausted = coded.given(OtpFailed(1, PROVENANCE)).given(OtpFailed(2, PROVENANCE), at=NOW + COOLDOWN)
just_started = invited.given(STARTED)

IMPOSSIBLE: dict[str, tuple[Start, SigningFact]] = {
    "created twice": (waiting, CREATED),
    "invited to sign nothing": (nothing.given(replace(CREATED, documents=())), Invited(INVITATION)),
    "a document assigned twice": (waiting, DocumentAssigned(CREATED.documents[0])),
    "a document assigned after the invitation": (invited, DocumentAssigned(THIRD)),
    "a document assigned without a hash": (waiting, DocumentAssigned(replace(THIRD, sha256="f" * 63))),
    "a session before the invitation": (waiting, OPENED),
    "the same session again": (in_session, replace(OPENED, session=replace(SESSION, token_sha256=digest("other")))),
    "a session with the token of the one before": (in_session, replace(OPENED, session=replace(SESSION, id=uid(61)))),
    "a session with the token of the invitation": (
        invited,
        replace(OPENED, session=replace(SESSION, token_sha256=INVITATION.token_sha256)),
    ),
    "a session without a hash": (invited, replace(OPENED, session=replace(SESSION, token_sha256="token"))),
    "a session that has expired": (invited, replace(OPENED, session=replace(SESSION, expires_at=NOW - MICROSECOND))),
    "started to open a session": (just_started, OPENED),
    "a session instead of the completion": (both_signed, OPENED),
    "signed by an agent where a human was asked for": (
        nothing.given(replace(CREATED, human_only=True), Invited(INVITATION), STARTED, VIEWED),
        replace(signed(0), provenance=AGENT),
    ),
    "signed by a token alone where a human was asked for": (
        nothing.given(replace(CREATED, human_only=True), Invited(INVITATION), STARTED, VIEWED),
        signed(0),
    ),
    "a document twice": (nothing, replace(CREATED, documents=(CREATED.documents[0], CREATED.documents[0]))),
    "a document without a hash": (nothing, replace(CREATED, documents=(DocumentReference(FIRST.id, "f" * 63),))),
    "a number below 1": (nothing, replace(CREATED, number=0)),
    "invited twice": (invited, Invited(RENEWED)),
    "resent before it was sent": (waiting, InvitationResent(RENEWED)),
    "the same invitation again": (invited, InvitationResent(replace(RENEWED, id=INVITATION.id))),
    "the same token again": (invited, InvitationResent(replace(RENEWED, token_sha256=INVITATION.token_sha256))),
    "a token without a hash": (waiting, Invited(replace(INVITATION, token_sha256="token"))),
    "a token that has expired": (waiting, Invited(replace(INVITATION, expires_at=NOW - MICROSECOND))),
    "a report about an unknown invitation": (invited, InvitationDelivered(RENEWED.id, Channel.EMAIL)),
    "started twice": (started, STARTED),
    "started for nothing": (just_started, SigningCancelled()),
    "started to decline": (just_started, SigningDeclined(None, PROVENANCE)),
    "started to be invited again": (just_started, InvitationResent(RENEWED)),
    "started by a code that was never sent": (just_started, OtpVerified(PROVENANCE)),
    "an act without a start": (invited, VIEWED),
    "a signature without a start": (invited, signed(0)),
    "other bytes shown": (started, DocumentViewed(FIRST.id, SECOND.sha256, PROVENANCE)),
    "a strange document shown": (started, DocumentViewed(uid(9), FIRST.sha256, PROVENANCE)),
    "a consent to no text": (started, ConsentGiven("", "en", PROVENANCE)),
    "other bytes signed": (started, replace(signed(0), sha256=SECOND.sha256)),
    "a strange document signed": (started, replace(signed(0), document=uid(9))),
    "a document signed twice": (started.given(signed(0)), signed(0)),
    "completed with an unsigned document": (started.given(signed(0)), SigningCompleted()),
    "cancelled instead of completed": (both_signed, SigningCancelled()),
    "declined after all was signed": (both_signed, SigningDeclined(None, PROVENANCE)),
    "viewed between the last signature and completion": (both_signed, VIEWED),
    "failed with attempts left": (coded.given(OtpFailed(1, PROVENANCE)), SigningFailed(FailureReason.ATTEMPTS_EXHAUSTED)),
    "failed by declining": (exhausted, SigningFailed(FailureReason.DECLINED)),
    "signed with no attempts left": (exhausted, signed(0)),
    "a code with no attempts left": (exhausted, CODE),
    "one failure more than attempts": (exhausted, OtpFailed(3, PROVENANCE)),
    "attempts miscounted": (coded, OtpFailed(2, PROVENANCE)),
    "verified without a code": (started, OtpVerified(PROVENANCE)),
    "failed without a code": (started, OtpFailed(1, PROVENANCE)),
    "verified twice": (coded.given(OtpVerified(PROVENANCE)), OtpVerified(PROVENANCE)),
    "a code that has expired": (started, replace(CODE, expires_at=NOW - MICROSECOND)),
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_a_history_that_no_decision_leads_to_is_impossible(case: str) -> None:
    start, fact = IMPOSSIBLE[case]
    start.cannot_be(fact)


@pytest.mark.parametrize("fact", [OtpVerified(PROVENANCE), OtpFailed(1, PROVENANCE)], ids=lambda fact: fact.TYPE)
def test_an_answer_to_a_code_after_its_expiry_is_impossible(fact: SigningFact) -> None:
    coded.given(fact, at=CODE_EXPIRY)
    coded.cannot_be(fact, at=CODE_EXPIRY + MICROSECOND)
