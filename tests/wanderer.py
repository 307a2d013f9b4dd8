"""Random but legal logs: what the deciders allow of many things tried."""

import contextlib
from datetime import timedelta
from uuid import UUID

from domain import coordination, template
from domain.actor import Mode
from domain.coordination import Participate
from domain.envelope import CertificateIssued, Document, DocumentExecuted, OnParticipantFail, OrderMode
from domain.errors import Refusal
from domain.personal import SubjectKind
from domain.signing import (
    Channel,
    Invitation,
    OpenSession,
    ReportDelivery,
    ResendInvitation,
    SendOtp,
    Session,
    SignatureMethod,
    SignDocuments,
    Signing,
    VerifyOtp,
)
from tests.histories import RecordedLog


class Wanderer:
    """Does at random what may be done with templates and envelopes; what is refused leaves no trace."""

    def __init__(self, seed: int) -> None:
        self.log = RecordedLog(seed=seed)
        self.templates: list[UUID] = []
        self.envelopes: list[tuple[UUID, tuple[UUID, ...]]] = []

    def go(self, kind: int, which: int) -> None:
        acts = (*[self._act] * 4, self._open, self._sign, self._sign, self._close, *[self._template] * 3, *[self._draft] * 2)
        if not self.envelopes:
            self._open(which)
        with contextlib.suppress(Refusal):
            acts[kind % len(acts)](which)

    def _open(self, which: int) -> None:
        self.envelopes.append(
            self.log.open_envelope(
                participants=1 + which % 3,
                documents=1 + which // 3 % 3,
                order=tuple(OrderMode)[which // 9 % 2],
                on_fail=tuple(OnParticipantFail)[which // 18 % 2],
                deadline=(None, timedelta(minutes=2), timedelta(days=1))[which // 36 % 3],
            )
        )

    def _draft(self, which: int) -> None:
        """Makes a draft, or puts something into one: also into one that was sent, which refuses."""
        if which % 3 == 0:
            self.envelopes.append(self.log.drafted(participants=1 + which % 2, documents=1 + which // 2 % 3, send=which % 5 == 0))
            return
        envelope, _ = self._pick(which)
        if which % 3 == 1:
            self.log.on_package(coordination.SendEnvelope(envelope))
            return
        paper = Document(self.log.uuid(), self.log.random.randbytes(32).hex(), 1 + which % 4)
        places = tuple(self.log.states[envelope].slots)
        self.log.on_package(coordination.AddDocument(envelope, paper, places[: which // 3 % 3]))

    def _pick(self, which: int) -> tuple[UUID, UUID]:
        envelope, whose = self.envelopes[which % len(self.envelopes)]
        return envelope, whose[which // 7 % len(whose)]

    def _act(self, which: int) -> None:
        log = self.log
        envelope, who = self._pick(which)
        signing: Signing = log.states[who]
        papers = tuple(signing.documents)
        invitation = next(iter(sorted(signing.invitations)), who)
        sign = SignDocuments(who, papers[:1], SignatureMethod.TYPED, None, None, log.provenance())
        fresh = Invitation(log.uuid(), log.random.randbytes(32).hex(), log.now + timedelta(days=1))
        session = Session(log.uuid(), log.random.randbytes(32).hex(), log.now + timedelta(minutes=15))
        package_commands: tuple[coordination.PackageCommand, ...] = (
            Participate(envelope, sign),
            Participate(envelope, ReportDelivery(who, invitation, Channel.EMAIL)),
            Participate(envelope, ResendInvitation(who, fresh)),
            Participate(envelope, OpenSession(who, session, log.personal("oidc|ana"), log.now)),
            coordination.ExtendEnvelope(envelope, log.now + timedelta(days=2)),
            coordination.RecordExecuted(envelope, DocumentExecuted(papers[-1], "cd" * 32, "ef" * 32)),
            coordination.RecordCertified(envelope, CertificateIssued("01" * 32)),
        )
        log.on_package(package_commands[which % len(package_commands)])

    def _sign(self, which: int) -> None:
        self.log.sign(*self._pick(which))

    def _close(self, which: int) -> None:
        envelope, who = self._pick(which)
        if which % 4 == 0:
            self.log.later(minutes=3)
            self.log.on_package(coordination.ExpireEnvelope(envelope))
        elif which % 4 == 1:
            self.log.decline(envelope, who)
        elif which % 4 == 2:
            reason = self.log.personal("no longer needed", SubjectKind.ENVELOPE, str(envelope))
            self.log.on_package(coordination.CancelEnvelope(envelope, reason if which % 8 == 2 else None))
        else:
            self._exhaust(envelope, who)

    def _exhaust(self, envelope: UUID, who: UUID) -> None:
        """Uses up all attempts at a one-time code."""
        log = self.log
        until = log.now + timedelta(minutes=10)
        log.on_package(Participate(envelope, SendOtp(who, Channel.EMAIL, log.personal("123456"), until, log.provenance())))
        for _ in range(3):
            log.on_package(Participate(envelope, VerifyOtp(who, "0" * 64, log.provenance())))
            log.later(seconds=31)

    def _template(self, which: int) -> None:
        log = self.log
        if not self.templates or which % 8 == 0:
            self.templates.append(log.uuid())
            it = self.templates[-1]
        else:
            it = self.templates[which % len(self.templates)]
        name = log.personal("Contract", SubjectKind.TEMPLATE, str(it))
        field = template.Field("signature", template.FieldType.SIGNATURE, 1 if which % 2 else None, which, which)
        commands = (
            template.AddVersion(it, name, name if which % 2 else None),
            template.StoreFile(it, 1 + which % 3, template.StoredFile("23" * 32, 1000 + which, 3)),
            template.DefineFields(it, (field,)),
            template.DeleteVersion(it, 1 + which % 3),
            template.DeleteTemplate(it),
        )
        if it not in log.states:
            log.on_template(template.CreateTemplate(log.tenant, Mode.LIVE, it, name, None), it)
        else:
            log.on_template(commands[which // 8 % len(commands)], it)
