"""A whole envelope with its signings, under commands that are allowed and commands that are not."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from domain import coordination
from domain.actor import IdentityMethod, Mode
from domain.coordination import (
    AddDocument,
    AddParticipant,
    CreateEnvelope,
    Decision,
    ExpireEnvelope,
    ExtendEnvelope,
    PackageCommand,
    Participate,
    RecordCertified,
    RecordExecuted,
    SendEnvelope,
)
from domain.envelope import (
    CertificateIssued,
    DeadlineExtended,
    DocumentAdded,
    DocumentExecuted,
    EnvelopeCancelled,
    EnvelopeCompleted,
    EnvelopeDeclined,
    EnvelopeExpired,
    EnvelopeFailed,
    EnvelopeSent,
    OrderMode,
    ParticipantAdded,
)
from domain.errors import Refusal
from domain.evidence import PackageEnd, PackageHistory
from domain.signing import (
    DeclineSigning,
    DocumentAssigned,
    DocumentSigned,
    GiveConsent,
    Invitation,
    InvitationBounced,
    InvitationDelivered,
    InvitationResent,
    Invited,
    ProcessCreated,
    SendOtp,
    Session,
    SessionOpened,
    SignDocuments,
    SigningCancelled,
    SigningCompleted,
    SigningDeclined,
    SigningExpired,
    SigningFailed,
    VerifyOtp,
    ViewDocument,
)
from tests.given import ENVELOPE, PackageLog, who
from tests.property.packages import (
    MINUTE,
    creations,
    drafting,
    envelope_commands,
    instants,
    participant_commands,
    recording_times,
)
from tests.property.replay import Replay

ENDS_OF_ENVELOPES = (EnvelopeCompleted, EnvelopeDeclined, EnvelopeCancelled, EnvelopeExpired, EnvelopeFailed)
ENDS_OF_SIGNINGS = (SigningCompleted, SigningDeclined, SigningFailed, SigningCancelled, SigningExpired)
MAY_BE_LATE = (InvitationDelivered, InvitationBounced, DocumentExecuted, CertificateIssued)
SETTLES = AddDocument | AddParticipant | SendEnvelope | ExpireEnvelope | ExtendEnvelope | RecordExecuted | RecordCertified

Answer = tuple[Mapping[UUID, Any], datetime | None] | tuple[type[Refusal], dict[str, object]]


class PackageMachine(RuleBasedStateMachine):
    """The ledger's part is played by `PackageLog`: it folds what is decided, at any time until `not_after`."""

    @initialize(creation=creations(), lifetime=st.sampled_from([20 * MINUTE, timedelta(days=30)]), data=st.data())
    def create(self, creation: CreateEnvelope, lifetime: timedelta, data: st.DataObject) -> None:
        self.log = PackageLog(lifetime=lifetime)
        self.creation = creation
        self.try_out(creation, data)

    @rule(data=st.data())
    def look(self, data: st.DataObject) -> None:
        self.participate(data, "view", "consent")

    @rule(data=st.data())
    def sign(self, data: st.DataObject) -> None:
        self.participate(data, "sign")

    @rule(data=st.data())
    def send_code(self, data: st.DataObject) -> None:
        self.participate(data, "code")

    @rule(data=st.data())
    def enter_code(self, data: st.DataObject) -> None:
        self.participate(data, "answer")

    @rule(data=st.data())
    def decline(self, data: st.DataObject) -> None:
        self.participate(data, "decline")

    @rule(data=st.data())
    def resend_or_report(self, data: st.DataObject) -> None:
        self.participate(data, "resend", "report")

    @rule(data=st.data())
    def sign_in(self, data: st.DataObject) -> None:
        self.participate(data, "session")

    @rule(data=st.data())
    def edit(self, data: st.DataObject) -> None:
        self.try_out(data.draw(drafting(self.log)), data)

    @rule(data=st.data())
    def command_the_envelope(self, data: st.DataObject) -> None:
        self.try_out(data.draw(envelope_commands(self.log)), data)

    @rule(data=st.data())
    def pass_time(self, data: st.DataObject) -> None:
        self.log.now = data.draw(instants(self.log))

    @rule()
    def create_again(self) -> None:
        assert not self.log.decide(self.creation).facts

    def participate(self, data: st.DataObject, *kinds: str) -> None:
        self.try_out(Participate(ENVELOPE, data.draw(participant_commands(self.log, kinds))), data)

    def try_out(self, command: PackageCommand, data: st.DataObject) -> None:
        log = self.log
        before = (log.envelope, dict(log.signings), list(log.log))
        needs = coordination.needs(command, log.envelope)
        invitations = log.invitations(needs.invitations)
        loaded = {it: log.signings.get(it) for it in needs.signings}
        everything = {**{who(number): None for number in range(5)}, **log.signings}
        decision = self.answer(command, loaded, invitations)
        # Loading more than what was named changes nothing.
        assert described(self.answer(command, everything, invitations)) == described(decision)
        assert (log.envelope, log.signings, log.log) == before
        if isinstance(decision, Refusal):
            event(f"refused: {decision.code}")
            assert str(decision)
            return
        assert all(decision.facts.values())
        assert decision.not_after is None or decision.not_after >= log.now
        self.check_token(command, decision)
        at = data.draw(recording_times(log, decision)) if decision.facts else log.now
        log.record(decision, at)
        invited = [it for it, facts in decision.facts.items() if any(isinstance(fact, Invited) for fact in facts)]
        assert log.envelope is not None
        assert invited == [it for it in log.envelope.slots if it in invited]
        if isinstance(command, SETTLES):
            assert not log.decide(command).facts
        for facts in decision.facts.values():
            for fact in facts:
                event(fact.TYPE)

    def check_token(self, command: PackageCommand, decision: Decision) -> None:
        """Whoever got something done with a token holds one that was given last, and only for as long as that one lasts."""
        if not isinstance(command, Participate) or not decision.facts:
            return
        act = command.command
        if not isinstance(act, ViewDocument | SendOtp | VerifyOtp | GiveConsent | SignDocuments | DeclineSigning):
            return
        if act.token is None:
            return
        own = [fact for stream, fact, _ in self.log.log if stream == act.participant]
        invitations = [fact.invitation for fact in own if isinstance(fact, Invited | InvitationResent)]
        sessions = [fact.session for fact in own if isinstance(fact, SessionOpened)]
        rights: list[Invitation | Session] = [*invitations[-1:], *sessions[-1:]]
        used = [it for it in rights if it.token_sha256 == act.token.sha256]
        assert used
        assert decision.not_after is not None
        assert self.log.now <= decision.not_after <= used[0].expires_at
        event(f"a token of {type(used[0]).__name__}")

    def answer(self, command: PackageCommand, signings: Mapping[UUID, Any], invitations: Any) -> Decision | Refusal:
        package = coordination.Package(self.log.envelope, signings)
        try:
            return coordination.decide(command, package, self.log.now, invitations)
        except Refusal as refusal:
            return refusal

    @invariant()
    def everything_ends_once_and_together(self) -> None:
        log = self.log
        ends = [fact for _, fact, _ in log.log if isinstance(fact, ENDS_OF_ENVELOPES)]
        assert log.envelope is not None
        assert len(ends) == log.envelope.status.final
        for it, signing in log.signings.items():
            own = [fact for stream, fact, _ in log.log if stream == it and isinstance(fact, ENDS_OF_SIGNINGS)]
            assert len(own) == signing.status.final
            assert signing.status.final or not log.envelope.status.final
        assert log.history.finish() is (PackageEnd.CLOSED if ends else PackageEnd.OPEN)

    @invariant()
    def nobody_overtakes(self) -> None:
        if self.creation.created.order is OrderMode.PARALLEL:
            return
        assert self.log.envelope is not None
        numbers = {who: slot.number for who, slot in self.log.envelope.slots.items()}
        waiting = dict(numbers)
        for it, fact, _ in self.log.log:
            if isinstance(fact, Invited | SigningCompleted | SigningDeclined | SigningFailed):
                assert all(number >= numbers[it] for number in waiting.values())
            if isinstance(fact, ENDS_OF_SIGNINGS):
                del waiting[it]

    @invariant()
    def what_is_sent_stays_as_it_is_and_is_what_everybody_signs(self) -> None:
        envelope = self.log.envelope
        assert envelope is not None
        kinds = [type(fact) for _, fact, _ in self.log.log]
        if EnvelopeSent in kinds:
            later = kinds[kinds.index(EnvelopeSent) :]
            assert not {DocumentAdded, ParticipantAdded, DocumentAssigned}.intersection(later)
            assert envelope.slots
            assert all(slot.documents for slot in envelope.slots.values())
        assert envelope.slots.keys() == self.log.signings.keys()
        for it, signing in self.log.signings.items():
            assert tuple(signing.documents) == envelope.slots[it].documents
        hashes = {pdf.id: pdf.sha256 for pdf in envelope.documents}
        assert all(hashes[pdf] == sha256 for signing in self.log.signings.values() for pdf, sha256 in signing.documents.items())

    @invariant()
    def nobody_is_done_without_having_signed_everything(self) -> None:
        for it, fact, _ in self.log.log:
            if isinstance(fact, SigningCompleted):
                assert self.log.signings[it].signed.keys() == self.log.signings[it].documents.keys() != set()

    @invariant()
    def who_has_to_sign_in_person_has_signed_in(self) -> None:
        humans = {it for it, fact, _ in self.log.log if isinstance(fact, ProcessCreated) and fact.human_only}
        for it, fact, _ in self.log.log:
            if isinstance(fact, DocumentSigned) and it in humans and self.creation.created.mode is Mode.LIVE:
                event("signed in person")
                assert fact.provenance.identity is IdentityMethod.OIDC
            elif isinstance(fact, DocumentSigned) and fact.provenance.identity is IdentityMethod.AGENT:
                event("signed by an agent")

    @invariant()
    def nothing_is_done_after_the_deadline(self) -> None:
        deadline = self.creation.created.deadline
        for _, fact, at in self.log.log:
            if isinstance(fact, EnvelopeExpired | SigningExpired):
                assert deadline is not None
                assert at > deadline
            elif deadline is not None and not isinstance(fact, MAY_BE_LATE):
                assert at <= deadline
            if isinstance(fact, DeadlineExtended):
                deadline = fact.deadline

    def teardown(self) -> None:
        """The log as a whole is what the deciders would write again, and its streams alone fold too."""
        if not hasattr(self, "log"):
            return
        Replay(ENVELOPE).run(self.log.log)
        for left_out in (ENVELOPE, who(0)):
            streams = {ENVELOPE, *self.log.signings} - {left_out}
            history = PackageHistory(ENVELOPE, streams)
            for stream, fact, at in self.log.log:
                if stream in streams:
                    history.feed(stream, fact, at)
            assert history.finish() is PackageEnd.PARTIAL


def described(answer: Decision | Refusal) -> Answer:
    if isinstance(answer, Refusal):
        return type(answer), answer.details()
    return answer.facts, answer.not_after


TestPackage = PackageMachine.TestCase
TestPackage.settings = settings(stateful_step_count=40, max_examples=2 * settings().max_examples)
