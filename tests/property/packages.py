"""Strategies for envelopes, commands that are allowed or not, and the histories they make."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from domain.actor import IdentityMethod, Mode, Provenance
from domain.coordination import (
    AddDocument,
    CancelEnvelope,
    CreateEnvelope,
    Decision,
    ExpireEnvelope,
    ExtendEnvelope,
    Fact,
    PackageCommand,
    ParticipantCommand,
    Participate,
    RecordCertified,
    RecordExecuted,
    RecordRenewed,
    RemindEnvelope,
    SendEnvelope,
)
from domain.envelope import CertificateIssued, DocumentExecuted, EnvelopeStatus, OnParticipantFail, OrderMode, SealRenewed
from domain.errors import Refusal
from domain.field import FieldType
from domain.signing import (
    BounceReason,
    Channel,
    DeclineSigning,
    FieldValue,
    GiveConsent,
    Invitation,
    OpenSession,
    ReportBounce,
    ReportDelivery,
    ResendInvitation,
    SendOtp,
    Session,
    SessionToken,
    SignatureMethod,
    SignDocuments,
    VerifyOtp,
    ViewDocument,
)
from tests.given import (
    ENVELOPE,
    MICROSECOND,
    NOW,
    PackageLog,
    add_document,
    add_participant,
    creation,
    digest,
    document,
    personal,
    placed,
    uid,
    who,
)

MINUTE = timedelta(minutes=1)
CODES = ("111111", "222222")
KINDS = (
    *("view", "consent", "code", "code", "answer", "answer", "answer"),
    *("sign", "sign", "sign", "resend", "report", "session", "decline"),
)
PROVENANCES = tuple(Provenance(method) for method in (IdentityMethod.TOKEN, IdentityMethod.AGENT, IdentityMethod.OIDC))

Recorded = tuple[UUID, Fact, datetime]


@st.composite
def creations(draw: st.DrawFn) -> CreateEnvelope:
    """Up to four participants and three documents, every order, policy and deadline.

    A draft may be without participants or documents, and its participants without documents.
    """
    send = draw(st.sampled_from([True, True, False]))
    numbers = draw(st.lists(st.integers(1, 3), min_size=1 if send else 0, max_size=4))
    documents = draw(st.integers(1 if send else 0, 3))
    share = st.lists(st.sampled_from(range(documents)), min_size=1 if send else 0, max_size=documents, unique=True)
    shares = [draw(share) if documents else [] for _ in numbers]
    command = creation(
        *numbers,
        documents=documents,
        order=draw(st.sampled_from(OrderMode)),
        on_fail=draw(st.sampled_from(OnParticipantFail)),
        deadline=draw(st.sampled_from([None, NOW + 5 * MINUTE, NOW + 30 * MINUTE])),
        attempts_max=draw(st.sampled_from([None, 1, 2])),
        cooldown_seconds=draw(st.sampled_from([None, 0, 60])),
        shares=shares,
        send=send,
        mode=draw(st.sampled_from([Mode.LIVE, Mode.LIVE, Mode.TEST])),
        in_person=draw(st.lists(st.integers(0, 3), max_size=2)),
    )
    places = [
        placed(number, pdf, 3, kind, required=kind is FieldType.SIGNATURE)
        for number, share in enumerate(shares)
        for pdf in share
        for kind in (FieldType.SIGNATURE, FieldType.TEXT)
    ]
    fields = draw(st.lists(st.sampled_from(places), max_size=4)) if places else []
    return replace(command, created=replace(command.created, fields=tuple(fields)))


def _tokens(log: PackageLog, number: int) -> st.SearchStrategy[SessionToken | None]:
    signing = log.signings.get(who(number))
    choices: list[SessionToken | None] = [None, None, None, SessionToken(digest("guess"))]
    if signing is not None:
        choices += [SessionToken(right.token_sha256) for right in signing.rights]
        choices += [SessionToken(digest(f"session {index}")) for index in range(len(signing.sessions))]
    return st.sampled_from(choices)


def _values(log: PackageLog, it: UUID) -> st.SearchStrategy[tuple[FieldValue, ...]]:
    """Mostly for texts of the participant's own that are empty yet, now and then for any field and for none that there is."""
    fields = () if log.envelope is None else log.envelope.fields
    filled = log.signings[it].filled if it in log.signings else frozenset()
    own = [
        number
        for number, placed in enumerate(fields, 1)
        if placed.participant == it and placed.type is FieldType.TEXT and number not in filled
    ]
    strange = st.lists(st.integers(0, len(fields) + 1), max_size=2)
    wanted = st.one_of(*[st.lists(st.sampled_from(own), max_size=3, unique=True)] * 3, strange) if own else st.just([])
    return wanted.map(lambda numbers: tuple(FieldValue(number, personal(f"value {number}")) for number in numbers))


def numbers(log: PackageLog) -> st.SearchStrategy[int]:
    """Mostly those whose turn it is, sometimes anybody, sometimes a stranger."""
    due = () if log.envelope is None else log.envelope.due()
    anybody = st.integers(0, 4)
    likely = [number for number in range(4) if who(number) in due]
    return st.one_of(*[st.sampled_from(likely)] * 5, anybody) if likely else anybody


@st.composite
def participant_commands(draw: st.DrawFn, log: PackageLog, kinds: Sequence[str] = KINDS) -> ParticipantCommand:
    """What somebody may try, a stranger to the envelope included."""
    number = draw(numbers(log))
    it, token, provenance = who(number), draw(_tokens(log, number)), draw(st.sampled_from(PROVENANCES))
    own = [] if log.envelope is None or it not in log.envelope.slots else log.envelope.slots[it].documents
    pdf = document(draw(st.sampled_from([*(number for number in range(3) if document(number).id in own), 3])))
    signing = log.signings.get(it)
    kind = draw(st.sampled_from(kinds))
    if kind == "view":
        return ViewDocument(it, pdf.id, draw(st.sampled_from([pdf.sha256, pdf.sha256, digest("other")])), provenance, token)
    if kind == "code":
        return SendOtp(it, Channel.EMAIL, personal(draw(st.sampled_from(CODES))), log.now + 3 * MINUTE, provenance, token)
    if kind == "answer":
        return VerifyOtp(it, personal(draw(st.sampled_from(CODES))).commitment, provenance, token)
    if kind == "consent":
        return GiveConsent(it, digest("text"), "en", provenance, token)
    if kind == "sign":
        wanted = draw(st.sampled_from([None, None, (pdf.id,), ()]))
        return SignDocuments(it, wanted, SignatureMethod.CLICKED, None, None, provenance, None, token, draw(_values(log, it)))
    if kind == "decline":
        return DeclineSigning(it, None, provenance, token)
    if kind == "session":
        index = draw(st.integers(0, 9)) if signing is None else len(signing.sessions)
        expires_at = log.now + draw(st.sampled_from([MINUTE, 15 * MINUTE, timedelta(days=60)]))
        opened = Session(uid(20_000 + number * 100 + index), digest(f"session {index}"), expires_at)
        return OpenSession(it, opened, personal("user"), log.now)
    if kind == "resend":
        (invitation,) = log.invitations(1)
        return ResendInvitation(it, invitation)
    known = [uid(9), *([] if signing is None else sorted(signing.invitations))]
    invitation_id = draw(st.sampled_from(known))
    if draw(st.booleans()):
        return ReportDelivery(it, invitation_id, Channel.EMAIL)
    return ReportBounce(it, invitation_id, BounceReason.REFUSED)


@st.composite
def renewals(draw: st.DrawFn, log: PackageLog) -> SealRenewed:
    """Mostly of the last form of a file, now and then of one before it, or of none."""
    files = {} if log.envelope is None else dict(log.envelope.executed)
    which = draw(st.sampled_from([None, *files, document(3).id]))
    last = files.get(which) if which is not None else None if log.envelope is None else log.envelope.certificate
    previous = draw(st.sampled_from([last or digest("sealed")] * 3 + [digest("sealed")]))
    return SealRenewed(which, previous, digest(f"{previous} and a time stamp"), log.now)


@st.composite
def envelope_commands(draw: st.DrawFn, log: PackageLog) -> PackageCommand:
    """What the sender or a follower does."""
    others: list[PackageCommand] = [
        SendEnvelope(ENVELOPE),
        SendEnvelope(ENVELOPE),
        ExpireEnvelope(ENVELOPE),
        ExtendEnvelope(ENVELOPE, NOW + draw(st.integers(0, 60)) * MINUTE),
        RecordExecuted(
            ENVELOPE, DocumentExecuted(document(draw(st.sampled_from([0, 0, 1, 3]))).id, digest("body"), digest("sealed"))
        ),
        RecordCertified(ENVELOPE, CertificateIssued(digest("certificate"))),
        RecordRenewed(ENVELOPE, draw(renewals(log))),
        RemindEnvelope(ENVELOPE),
        CancelEnvelope(ENVELOPE),
    ]
    return draw(st.sampled_from(others))


@st.composite
def additions(draw: st.DrawFn, log: PackageLog) -> PackageCommand:
    """A document for some of the participants, or a participant for some of the documents, and now and then for strangers."""
    envelope = log.envelope
    inside = [] if envelope is None else [it for it in range(5) if who(it) in envelope.slots]
    papers = [] if envelope is None else [it for it in range(4) if document(it) in envelope.documents]
    if draw(st.booleans()):
        wanted = st.lists(st.sampled_from([*inside, *inside, 4]), max_size=3, unique=draw(st.booleans()))
        command: AddDocument = add_document(draw(st.integers(0, 3)), *draw(wanted))
        return command
    signed = draw(st.lists(st.sampled_from([*papers, *papers, *papers, 3]), max_size=3, unique=True))
    mode = Mode.LIVE if envelope is None else envelope.mode
    place, number = draw(st.integers(0, 4)), draw(st.integers(1, 3))
    return add_participant(place, number, *signed, mode=mode, human_only=draw(st.booleans()))


def drafting(log: PackageLog) -> st.SearchStrategy[PackageCommand]:
    """What a sender does with a draft: puts something in, and sooner or later sends it."""
    return st.one_of(additions(log), additions(log), st.just(SendEnvelope(ENVELOPE)))


@st.composite
def commands(draw: st.DrawFn, log: PackageLog) -> PackageCommand:
    """In a draft mostly what the sender puts in; then what participants do, sometimes what the sender or a follower does."""
    if log.envelope is not None and log.envelope.status is EnvelopeStatus.DRAFT and draw(st.integers(0, 7)) < 7:
        return draw(drafting(log))
    if draw(st.integers(0, 7)) < 6:
        return Participate(ENVELOPE, draw(participant_commands(log)))
    return draw(envelope_commands(log))


def instants(log: PackageLog) -> st.SearchStrategy[datetime]:
    """Times from now on, those among them where something begins or ends."""
    marks = [log.now, log.now + MICROSECOND, log.now + MINUTE, log.now + 10 * MINUTE]
    if log.envelope is not None and log.envelope.deadline is not None:
        marks += [log.envelope.deadline, log.envelope.deadline + MICROSECOND]
    for signing in log.signings.values():
        marks += [it for it in (signing.next_attempt_at, signing.next_code_at) if it is not None]
        if signing.code is not None:
            marks.append(signing.code.expires_at)
        marks += [right.expires_at for right in signing.rights]
    return st.sampled_from(sorted({it for it in marks if it >= log.now}))


def recording_times(log: PackageLog, decision: Decision) -> st.SearchStrategy[datetime]:
    """When a decision may be recorded: from now until `not_after`."""
    last = decision.not_after
    choices = [log.now, log.now + MICROSECOND, log.now + MINUTE]
    return st.sampled_from([it for it in choices if last is None or it <= last] + ([] if last is None else [last]))


@st.composite
def histories(draw: st.DrawFn) -> list[list[Recorded]]:
    """The appends of a legal history, each with its facts."""
    log = PackageLog(lifetime=draw(st.sampled_from([20 * MINUTE, timedelta(days=30)])))
    log.do(draw(creations()))
    appends = [list(log.log)]
    for _ in range(draw(st.integers(0, 14))):
        if draw(st.integers(0, 4)) == 0:
            log.now = draw(instants(log))
        try:
            decision = log.decide(draw(commands(log)))
        except Refusal:
            continue
        if decision.facts:
            before = len(log.log)
            log.record(decision, draw(recording_times(log, decision)))
            appends.append(log.log[before:])
    return appends


def flat(appends: list[list[Recorded]]) -> list[Recorded]:
    return [recorded for append in appends for recorded in append]


def invitation_of(fact: Fact) -> Invitation | None:
    found: Any = getattr(fact, "invitation", None)
    return found if isinstance(found, Invitation) else None
