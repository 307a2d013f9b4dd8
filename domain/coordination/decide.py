"""What a command brings about in all streams of an envelope, and what a decision has to know for it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never
from uuid import UUID

from domain import envelope as envelopes
from domain import signing as signings
from domain.coordination.commands import (
    AddDocument,
    AddParticipant,
    CancelEnvelope,
    CreateEnvelope,
    ExpireEnvelope,
    ExtendEnvelope,
    PackageCommand,
    ParticipantCommand,
    Participate,
    RecordCertified,
    RecordExecuted,
    RecordRenewed,
    RemindEnvelope,
    SendEnvelope,
)
from domain.coordination.filling import refuse_values
from domain.envelope import (
    DocumentAdded,
    Envelope,
    EnvelopeExpired,
    EnvelopeFact,
    EnvelopeStatus,
    FailureReason,
    OnParticipantFail,
)
from domain.errors import (
    Conflict,
    DuplicateParticipant,
    EnvelopeClosed,
    EnvelopeNotFound,
    EnvelopeNotSent,
    ImpossibleHistory,
    ParticipantNotFound,
)
from domain.personal import Subject, SubjectKind
from domain.signing import (
    DeclineSigning,
    DocumentReference,
    Invitation,
    OpenSession,
    ProcessCreated,
    ReportBounce,
    ReportDelivery,
    ResendInvitation,
    SendOtp,
    SignDocuments,
    Signing,
    SigningCommand,
    SigningCompleted,
    SigningDeclined,
    SigningFact,
    SigningFailed,
    VerifyOtp,
)

Fact = EnvelopeFact | SigningFact


@dataclass(frozen=True, slots=True)
class Needs:
    """What a decision takes beside the envelope: the signings to load and invitations to mint."""

    signings: tuple[UUID, ...] = ()
    invitations: int = 0


@dataclass(frozen=True, slots=True)
class Package:
    """An envelope with those of its signings that a decision needs; absent streams are None."""

    envelope: Envelope | None
    signings: Mapping[UUID, Signing | None]


@dataclass(frozen=True, slots=True)
class Decision:
    """Facts by stream, in the order in which the streams were first touched.

    What was allowed only until some time says so in `not_after`: the facts may not be recorded later.
    """

    facts: Mapping[UUID, tuple[Fact, ...]]
    not_after: datetime | None = None


def needs(command: PackageCommand, envelope: Envelope | None) -> Needs:
    """What to load and to mint before deciding `command`."""
    if isinstance(command, CreateEnvelope):
        return Needs(tuple(command.processes), len(command.processes) if command.send else 0)
    if envelope is None:
        return Needs()
    match command:
        case AddDocument():
            return Needs(tuple(who for who in envelope.slots if who in command.participants))
        case AddParticipant():
            return Needs((command.slot.participant,))
        case SendEnvelope() | RemindEnvelope():
            return Needs(envelope.due(), len(envelope.due()))
        case CancelEnvelope() | ExpireEnvelope():
            return Needs(envelope.open_participants())
        case ExtendEnvelope() | RecordExecuted() | RecordCertified() | RecordRenewed():
            return Needs()
        case Participate():
            return _needs_of(command.command, envelope)
        case _ as unreachable:
            assert_never(unreachable)


def _needs_of(command: ParticipantCommand, envelope: Envelope) -> Needs:
    who = command.participant
    if who not in envelope.slots:
        return Needs()
    ends_all = isinstance(command, DeclineSigning | VerifyOtp) and envelope.on_participant_fail is OnParticipantFail.CANCEL_FLOW
    if ends_all:
        return Needs((who, *(other for other in envelope.open_participants() if other != who)))
    if isinstance(command, DeclineSigning | VerifyOtp | SignDocuments):
        following = envelope.due_after(who)
        return Needs((who, *following), len(following))
    return Needs((who,))


def decide(command: PackageCommand, package: Package, now: datetime, invitations: tuple[Invitation, ...] = ()) -> Decision:
    """The facts that follow from `command` over all streams concerned; raises a Refusal.

    `package` holds the envelope and the signings, `invitations` the fresh ones, that `needs` named.
    """
    work = _Working(package.envelope, dict(package.signings), now, iter(invitations))
    match command:
        case CreateEnvelope():
            if package.envelope is None:
                _create(work, command)
        case AddDocument():
            work.on_envelope(command.envelope, envelopes.AppendDocument(command.envelope, command.document, command.participants))
        case AddParticipant():
            _add_participant(work, command)
        case SendEnvelope():
            _send(work, command.envelope)
        case RemindEnvelope():
            _remind(work, command)
        case CancelEnvelope():
            work.on_envelope(command.envelope, envelopes.MarkCancelled(command.envelope, command.reason))
        case ExpireEnvelope():
            work.on_envelope(command.envelope, envelopes.MarkExpired(command.envelope))
        case ExtendEnvelope():
            work.on_envelope(command.envelope, envelopes.ExtendDeadline(command.envelope, command.deadline))
            work.limit(None if package.envelope is None else package.envelope.deadline)
            return work.decision()
        case RecordExecuted():
            work.on_envelope(command.envelope, envelopes.RecordExecution(command.envelope, command.executed))
            return work.decision()
        case RecordCertified():
            work.on_envelope(command.envelope, envelopes.RecordCertificate(command.envelope, command.issued))
            return work.decision()
        case RecordRenewed():
            work.on_envelope(command.envelope, envelopes.RecordRenewal(command.envelope, command.renewed))
            return work.decision()
        case Participate():
            _participate(work, command)
        case _ as unreachable:
            assert_never(unreachable)
    if work.envelope is not None and not _may_be_late(command):
        work.limit(work.envelope.deadline)
    return work.decision()


def _may_be_late(command: PackageCommand) -> bool:
    """Expiry comes after the deadline by its nature, and a report of a delivery may."""
    if isinstance(command, Participate):
        return isinstance(command.command, ReportDelivery | ReportBounce)
    return isinstance(command, ExpireEnvelope)


@dataclass
class _Working:
    """State as the decision goes on: each fact is folded in at once, so what follows sees it."""

    envelope: Envelope | None
    signings: dict[UUID, Signing | None]
    now: datetime
    invitations: Iterator[Invitation]
    facts: dict[UUID, tuple[Fact, ...]] = field(default_factory=dict)
    not_after: datetime | None = None

    def limit(self, until: datetime | None) -> None:
        if until is not None and (self.not_after is None or until < self.not_after):
            self.not_after = until

    def decision(self) -> Decision:
        # What changes nothing holds at any time.
        return Decision(self.facts, self.not_after if self.facts else None)

    def on_signing(self, command: SigningCommand) -> None:
        """Decides for one signing, then carries what that means to the envelope."""
        who = command.participant
        for fact in signings.decide(command, self.signings.get(who), self.now):
            self._append(who, fact)
            self.signings[who] = signings.evolve(self.signings.get(who), fact, self.now)
            follow_up = _follow_up(who, fact)
            envelope = None if self.signings[who] is None else self.signings[who].envelope  # type: ignore[union-attr]
            if follow_up is not None and envelope is not None:
                self.on_envelope(envelope, follow_up(envelope))

    def on_envelope(self, stream: UUID, command: envelopes.EnvelopeCommand) -> None:
        """Decides for the envelope, then closes or invites the signings concerned."""
        facts = envelopes.decide(command, self.envelope, self.now)
        for fact in facts:
            self._append(stream, fact)
            self.envelope = envelopes.evolve(self.envelope, fact, self.now)
        if not facts or self.envelope is None:
            return
        for fact in facts:
            if isinstance(fact, DocumentAdded):
                for who in fact.participants:
                    self.on_signing(signings.AssignDocument(who, DocumentReference(fact.document.id, fact.document.sha256)))
        if self.envelope.status is EnvelopeStatus.SENT:
            self._invite_due(self.envelope)
        elif self.envelope.status.final:
            expired = isinstance(facts[-1], EnvelopeExpired)
            for who in self.envelope.open_participants():
                self.on_signing(signings.ExpireSigning(who) if expired else signings.CancelSigning(who))

    def _invite_due(self, envelope: Envelope) -> None:
        for who in envelope.due():
            signing = self.signings.get(who)
            if signing is not None and signing.status is signings.SigningStatus.CREATED:
                invitation = next(self.invitations)
                self.limit(invitation.expires_at)
                self.on_signing(signings.Invite(who, invitation))

    def _append(self, stream: UUID, fact: Fact) -> None:
        self.facts[stream] = (*self.facts.get(stream, ()), fact)


def _follow_up(who: UUID, fact: SigningFact) -> "Callable[[UUID], envelopes.EnvelopeCommand] | None":
    if isinstance(fact, SigningCompleted):
        return lambda envelope: envelopes.CompleteParticipant(envelope, who)
    if isinstance(fact, SigningDeclined):
        return lambda envelope: envelopes.FailParticipant(envelope, who, FailureReason.DECLINED)
    if isinstance(fact, SigningFailed):
        return lambda envelope: envelopes.FailParticipant(envelope, who, fact.reason)
    return None


def check_process(envelope: UUID, state: Envelope, participant: UUID, created: ProcessCreated) -> None:
    """Raises ImpossibleHistory unless `created` is the process of the participant's slot in the envelope."""
    slot = state.slots.get(participant)
    if slot is None or created.envelope != envelope:
        raise ImpossibleHistory(f"process {participant} has no place in envelope {envelope}")
    hashes = {document.id: document.sha256 for document in state.documents}
    expected = (state.tenant, state.mode, slot.number, slot.role, tuple((it, hashes[it]) for it in slot.documents))
    documents = tuple((document.id, document.sha256) for document in created.documents)
    if (created.tenant, created.mode, created.number, created.role, documents) != expected:
        raise ImpossibleHistory(f"process {participant} does not match its place in the envelope")


def _create(work: _Working, command: CreateEnvelope) -> None:
    _refuse_same_person(_person_of(process) for process in command.processes.values())
    work.on_envelope(command.envelope, envelopes.OpenEnvelope(command.envelope, command.created))
    if work.envelope is None or command.processes.keys() != work.envelope.slots.keys():
        raise ImpossibleHistory("an envelope whose participants and processes differ")
    for who in work.envelope.slots:
        check_process(command.envelope, work.envelope, who, command.processes[who])
        if work.signings.get(who) is not None:
            raise ImpossibleHistory(f"process {who} exists before its envelope")
        work.on_signing(signings.OpenProcess(who, command.processes[who]))
    if command.send:
        _send(work, command.envelope)


def _send(work: _Working, envelope: UUID) -> None:
    work.on_envelope(envelope, envelopes.MarkSent(envelope))


def _add_participant(work: _Working, command: AddParticipant) -> None:
    who, process = command.slot.participant, command.process
    if work.envelope is not None and who not in work.envelope.slots:
        if command.looked_at is not None and not command.looked_at.issuperset(work.envelope.slots):
            raise Conflict
        known = [command.persons.get(other) for other in work.envelope.slots]
        _refuse_same_person([*known, _person_of(process)])
    before = len(work.facts)
    work.on_envelope(command.envelope, envelopes.AppendParticipant(command.envelope, command.slot))
    if len(work.facts) == before or work.envelope is None:
        return
    check_process(command.envelope, work.envelope, who, process)
    if work.signings.get(who) is not None:
        raise ImpossibleHistory(f"process {who} exists before its place in the envelope")
    work.on_signing(signings.OpenProcess(who, process))


def _person_of(process: ProcessCreated) -> Subject | None:
    return None if process.name.disclosure is None else process.name.disclosure.subject


def _refuse_same_person(persons: Iterable[Subject | None]) -> None:
    """One person holds one place: two are the same when their contact is. None is somebody of whom that is not known."""
    seen: dict[str, int] = {}
    for index, subject in enumerate(persons):
        if subject is None or subject.kind is not SubjectKind.PERSON:
            continue
        first = seen.setdefault(subject.key, index)
        if first != index:
            raise DuplicateParticipant(index, first)


def _remind(work: _Working, command: RemindEnvelope) -> None:
    envelope = work.envelope
    if envelope is None:
        raise EnvelopeNotFound(command.envelope)
    if envelope.status.final:
        raise EnvelopeClosed(envelope.status)
    if envelope.status is EnvelopeStatus.DRAFT:
        raise EnvelopeNotSent
    envelopes.refuse_late(envelope, work.now)
    for who in envelope.due():
        invitation = next(work.invitations)
        work.limit(invitation.expires_at)
        work.on_signing(ResendInvitation(who, invitation))


def _participate(work: _Working, command: Participate) -> None:
    envelope, act = work.envelope, command.command
    if envelope is None:
        raise EnvelopeNotFound(command.envelope)
    if act.participant not in envelope.slots:
        raise ParticipantNotFound(act.participant)
    if isinstance(act, ReportDelivery | ReportBounce):
        work.on_signing(act)
        return
    signing = work.signings.get(act.participant)
    if not isinstance(act, ResendInvitation | OpenSession) and act.token is not None and signing is not None:
        work.limit(signings.check_token(signing, act.token))
    if signing is not None and not signing.status.final:
        if envelope.status is EnvelopeStatus.DRAFT:
            raise EnvelopeNotSent
        envelopes.refuse_late(envelope, work.now)
    if isinstance(act, VerifyOtp) and signing is not None and signing.code is not None:
        work.limit(signing.code.expires_at)
    if isinstance(act, ResendInvitation):
        work.limit(act.invitation.expires_at)
    if isinstance(act, OpenSession):
        work.limit(act.session.expires_at)
    if isinstance(act, SendOtp):
        work.limit(act.expires_at)
    work.on_signing(act)
    if isinstance(act, SignDocuments) and signing is not None:
        _check_values(envelope, signing, act)


def _check_values(envelope: Envelope, before: Signing, act: SignDocuments) -> None:
    """After the signing itself has decided: whoever may not sign is told that first."""
    signed = [document for document in before.unsigned if act.documents is None or document in act.documents]
    if signed:
        refuse_values(envelope, act.participant, signed, act.values)
