"""What a legal history is, said without `evolve`'s checks: one that the deciders would write again.

Every decision is guessed from its first facts, decided anew, and compared with what stands in the log.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from domain import coordination
from domain import envelope as envelopes
from domain import signing as signings
from domain.coordination import (
    AddDocument,
    AddParticipant,
    CancelEnvelope,
    CreateEnvelope,
    ExpireEnvelope,
    ExtendEnvelope,
    Fact,
    Package,
    PackageCommand,
    ParticipantCommand,
    Participate,
    RecordCertified,
    RecordExecuted,
    RecordRenewed,
    SendEnvelope,
)
from domain.envelope import (
    CertificateIssued,
    DeadlineExtended,
    DocumentAdded,
    DocumentExecuted,
    Envelope,
    EnvelopeCancelled,
    EnvelopeCreated,
    EnvelopeExpired,
    EnvelopeSent,
    ParticipantAdded,
    SealRenewed,
)
from domain.errors import ImpossibleHistory, Refusal
from domain.signing import (
    ConsentGiven,
    DeclineSigning,
    DocumentSigned,
    DocumentViewed,
    FieldsFilled,
    GiveConsent,
    InvitationBounced,
    InvitationDelivered,
    InvitationResent,
    OpenSession,
    OtpFailed,
    OtpSent,
    OtpVerified,
    ProcessCreated,
    ReportBounce,
    ReportDelivery,
    ResendInvitation,
    SendOtp,
    SessionOpened,
    SignDocuments,
    Signing,
    SigningDeclined,
    Started,
    VerifyOtp,
    ViewDocument,
)
from tests.given import MICROSECOND, PROVENANCE
from tests.property.packages import Recorded, invitation_of


class Undecidable(Exception):
    """No command leads to what comes next in the log."""


class Replay:
    def __init__(self, envelope: UUID) -> None:
        self.id = envelope
        self.envelope: Envelope | None = None
        self.signings: dict[UUID, Signing] = {}
        self.at: datetime | None = None

    def run(self, log: Sequence[Recorded]) -> None:
        """Raises Undecidable unless the whole log is a sequence of decisions about this envelope."""
        if not log:
            raise Undecidable("nothing")
        rest = list(log)
        while rest:
            rest = rest[self._one(rest) :]

    def _one(self, rest: list[Recorded]) -> int:
        """Decides again what `rest` begins with; returns how many facts that were."""
        stream, first, at = rest[0]
        if self.at is not None and at < self.at:
            raise Undecidable("time goes back")
        self.at = at
        command = self._command(stream, first, rest)
        # A deadline lies after the decision to create, which may be recorded at its very moment.
        now = at - MICROSECOND if isinstance(command, CreateEnvelope) else at
        invitations = tuple(found for _, fact, _ in rest[: 2 + 2 * self._slots(first)] if (found := invitation_of(fact)))
        try:
            decision = coordination.decide(command, Package(self.envelope, dict(self.signings)), now, invitations)
        except (Refusal, ImpossibleHistory, StopIteration) as err:
            raise Undecidable(f"{first.TYPE}: {err!r}") from err
        again = [(where, fact, at) for where, facts in decision.facts.items() for fact in facts]
        if not again or again != rest[: len(again)] or (decision.not_after is not None and at > decision.not_after):
            raise Undecidable(f"{first.TYPE} is followed by something else")
        for where, fact, time in again:
            if isinstance(fact, envelopes.EnvelopeFact):
                self.envelope = envelopes.evolve(self.envelope, fact, time)
            else:
                self.signings[where] = signings.evolve(self.signings.get(where), fact, time)
        return len(again)

    def _slots(self, first: Fact) -> int:
        if isinstance(first, EnvelopeCreated):
            return len(first.participants)
        return 0 if self.envelope is None else len(self.envelope.slots)

    def _command(self, stream: UUID, first: Fact, rest: list[Recorded]) -> PackageCommand:
        if isinstance(first, Started):
            if len(rest) < 2:
                raise Undecidable("started for nothing")
            act = rest[1][1]
            if isinstance(act, OtpSent):
                return Participate(self.id, SendOtp(stream, act.channel, act.code, act.expires_at, first.provenance))
            return Participate(self.id, self._act(stream, act, rest[2:]))
        if not isinstance(first, envelopes.EnvelopeFact):
            return Participate(self.id, self._act(stream, first, rest[1:]))
        if stream != self.id:
            raise Undecidable("an envelope's fact in another stream")
        return self._of_the_sender(first, rest)

    def _of_the_sender(self, first: envelopes.EnvelopeFact, rest: list[Recorded]) -> PackageCommand:
        match first:
            case EnvelopeCreated():
                facts = rest[1 : 2 + 2 * len(first.participants)]
                processes = {where: fact for where, fact, _ in facts if isinstance(fact, ProcessCreated)}
                wanted = {slot.participant for slot in first.participants}
                sent = len(rest) > 1 and isinstance(rest[1][1], EnvelopeSent)
                return CreateEnvelope(self.id, first, {it: process for it, process in processes.items() if it in wanted}, sent)
            case DocumentAdded():
                return AddDocument(self.id, first.document, first.participants)
            case ParticipantAdded():
                process = rest[1][1] if len(rest) > 1 else None
                if not isinstance(process, ProcessCreated):
                    raise Undecidable("a participant without a process")
                return AddParticipant(self.id, first.slot, process)
            case EnvelopeSent():
                return SendEnvelope(self.id)
            case EnvelopeCancelled():
                return CancelEnvelope(self.id, first.reason)
            case EnvelopeExpired():
                return ExpireEnvelope(self.id)
            case DeadlineExtended():
                return ExtendEnvelope(self.id, first.deadline)
            case DocumentExecuted():
                return RecordExecuted(self.id, first)
            case CertificateIssued():
                return RecordCertified(self.id, first)
            case SealRenewed():
                return RecordRenewed(self.id, first)
            case _:
                raise Undecidable(f"{first.TYPE} is never the first fact of a decision")

    def _act(self, who: UUID, fact: Fact, rest: list[Recorded]) -> ParticipantCommand:
        match fact:
            case InvitationResent():
                return ResendInvitation(who, fact.invitation)
            case InvitationDelivered():
                return ReportDelivery(who, fact.invitation, fact.channel)
            case InvitationBounced():
                return ReportBounce(who, fact.invitation, fact.reason)
            case SessionOpened():
                return OpenSession(who, fact.session, fact.user, fact.signed_in_at)
            case DocumentViewed():
                return ViewDocument(who, fact.document, fact.sha256, fact.provenance)
            case OtpSent():
                return SendOtp(who, fact.channel, fact.code, fact.expires_at, PROVENANCE)
            case OtpVerified():
                signing = self.signings.get(who)
                code = "" if signing is None or signing.code is None else signing.code.code
                return VerifyOtp(who, code, fact.provenance)
            case OtpFailed():
                return VerifyOtp(who, "wrong", fact.provenance)
            case ConsentGiven():
                return GiveConsent(who, fact.text_sha256, fact.locale, fact.provenance)
            case FieldsFilled():
                signed = rest[0][1] if rest else None
                if not isinstance(signed, DocumentSigned):
                    raise Undecidable("filled in and not signed")
                return SignDocuments(
                    who, fact.documents, signed.method, signed.attestation, signed.image, fact.provenance, values=fact.values
                )
            case DocumentSigned():
                return SignDocuments(
                    who, (fact.document,), fact.method, fact.attestation, fact.image, fact.provenance, sha256=fact.sha256
                )
            case SigningDeclined():
                return DeclineSigning(who, fact.reason, fact.provenance)
            case _:
                raise Undecidable(f"{fact.TYPE} is never the first fact of a decision")


def decidable(envelope: UUID, log: Sequence[Recorded]) -> bool:
    """Whether the log is what the deciders would have written."""
    try:
        Replay(envelope).run(log)
    except Undecidable:
        return False
    return True
