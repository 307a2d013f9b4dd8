"""What shows only across streams: whether the facts of an envelope and its signings fit together.

`evolve` refuses what cannot be in one stream. A decision over several streams is one append: its facts
are neighbours in the log, carry one time, and stand stream by stream in the order in which the
decision touched them (`domain.coordination`). So what must come next is known after every fact.
"""

from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, assert_never
from uuid import UUID

from domain import envelope as envelopes
from domain import signing as signings
from domain.coordination import Fact, check_filled, check_process
from domain.envelope import (
    CertificateIssued,
    DeadlineExtended,
    DocumentAdded,
    DocumentExecuted,
    Envelope,
    EnvelopeCancelled,
    EnvelopeCompleted,
    EnvelopeCreated,
    EnvelopeDeclined,
    EnvelopeExpired,
    EnvelopeFact,
    EnvelopeFailed,
    EnvelopeSent,
    FailureReason,
    ParticipantAdded,
    ParticipantCompleted,
    ParticipantFailed,
    SealRenewed,
)
from domain.errors import ImpossibleHistory
from domain.signing import (
    DocumentAssigned,
    DocumentReference,
    FieldsFilled,
    InvitationBounced,
    InvitationDelivered,
    Invited,
    ProcessCreated,
    Signing,
    SigningCancelled,
    SigningCompleted,
    SigningDeclined,
    SigningExpired,
    SigningFact,
    SigningFailed,
    SigningStatus,
)


class PackageEnd(StrEnum):
    """How far the history of an envelope goes."""

    #: The envelope has a terminal fact, and so has every signing.
    CLOSED = "closed"
    #: The envelope was still open at the last fact.
    OPEN = "open"
    #: Streams were left out, so what spans them was not checked.
    PARTIAL = "partial"


#: Facts that a decision about another stream brings about; none of them begins a decision.
_CONSEQUENCES: Final = (
    ProcessCreated,
    DocumentAssigned,
    Invited,
    SigningCancelled,
    SigningExpired,
    ParticipantCompleted,
    ParticipantFailed,
)

#: Facts of a signing that may be recorded after the deadline.
_TIMELESS: Final = (InvitationDelivered, InvitationBounced, SigningExpired)


@dataclass(frozen=True, slots=True)
class _Awaited:
    """The next fact of a decision: its stream, its kind, and the fact itself where that is determined."""

    stream: UUID
    kind: type[Fact] | None = None
    fact: Fact | None = None

    def matches(self, stream: UUID, fact: Fact) -> bool:
        if stream != self.stream or (self.kind is not None and type(fact) is not self.kind):
            return False
        return self.fact is None or fact == self.fact

    def __str__(self) -> str:
        return f"{'the next fact' if self.kind is None else self.kind.TYPE} of {self.stream}"


class PackageHistory:
    """Replays one envelope with its signings, fact by fact in the order of the log.

    `streams` names the streams that will be fed when they are not all: then what concerns the others
    is not checked, and `finish` says PARTIAL. `envelope` and `signings` are the states so far.
    """

    def __init__(self, envelope: UUID, streams: Collection[UUID] | None = None) -> None:
        self.id = envelope
        self.envelope: Envelope | None = None
        self.signings: dict[UUID, Signing] = {}
        self._streams = None if streams is None else frozenset(streams)
        self._awaited: deque[_Awaited] = deque()
        self._at: datetime | None = None
        self._just_created = False

    @property
    def unsettled(self) -> bool:
        """Whether a decision is under way: then the log's very next entry must be of this envelope too."""
        return bool(self._awaited)

    def feed(self, stream: UUID, fact: Fact, at: datetime) -> None:
        """Takes the next fact; raises ImpossibleHistory if the deciders cannot have appended it here."""
        if not self._holds(stream):
            raise ImpossibleHistory(f"{fact.TYPE} of a stream that was to be left out")
        if self._at is not None and at < self._at:
            raise ImpossibleHistory(f"{fact.TYPE} is earlier than the fact before it")
        just_created, self._just_created = self._just_created, False
        if just_created and isinstance(fact, EnvelopeSent) and at == self._at:
            self._awaited.clear()
        elif self._awaited:
            self._take(stream, fact, at)
        else:
            self._require_beginning(stream, fact)
        self._at = at
        if stream == self.id:
            self._on_envelope(fact, at, just_created=just_created)
        else:
            self._on_signing(stream, fact, at)

    def finish(self) -> PackageEnd:
        """How the history ends; raises ImpossibleHistory if it breaks off within a decision."""
        if self._awaited:
            raise ImpossibleHistory(f"the history ends where {self._awaited[0]} must follow")
        if self._streams is not None:
            return PackageEnd.PARTIAL
        if self.envelope is None:
            raise ImpossibleHistory("a history without its envelope")
        return PackageEnd.CLOSED if self.envelope.status.final else PackageEnd.OPEN

    def _holds(self, stream: UUID) -> bool:
        return self._streams is None or stream in self._streams

    def _take(self, stream: UUID, fact: Fact, at: datetime) -> None:
        awaited = self._awaited.popleft()
        if not awaited.matches(stream, fact):
            raise ImpossibleHistory(f"{fact.TYPE} of {stream} where {awaited} must follow")
        if at != self._at:
            raise ImpossibleHistory(f"{fact.TYPE} at another time than the decision that it belongs to")

    def _require_beginning(self, stream: UUID, fact: Fact) -> None:
        if isinstance(fact, _CONSEQUENCES) and self._holds(self._cause_of(fact)):
            raise ImpossibleHistory(f"{fact.TYPE} of {stream} without the fact that it follows from")

    def _cause_of(self, fact: Fact) -> UUID:
        """The stream of the fact that brings `fact`, a consequence, about."""
        return fact.participant if isinstance(fact, ParticipantCompleted | ParticipantFailed) else self.id

    def _await(self, stream: UUID, kind: type[Fact] | None = None, fact: Fact | None = None) -> None:
        if self._holds(stream):
            self._awaited.append(_Awaited(stream, kind if fact is None else type(fact), fact))

    def _on_signing(self, who: UUID, fact: Fact, at: datetime) -> None:
        if not isinstance(fact, SigningFact):
            raise ImpossibleHistory(f"{fact.TYPE} in the stream of a signing")
        if isinstance(fact, ProcessCreated):
            self._check_process(who, fact)
        if isinstance(fact, FieldsFilled) and self.envelope is not None:
            check_filled(self.envelope, who, fact)
        if self.envelope is not None and not isinstance(fact, _TIMELESS):
            deadline = self.envelope.deadline
            if deadline is not None and at > deadline:
                raise ImpossibleHistory(f"{fact.TYPE} after the envelope's deadline")
        signing = signings.evolve(self.signings.get(who), fact, at)
        self.signings[who] = signing
        if signing.unsettled:
            self._awaited.appendleft(_Awaited(who))
        elif isinstance(fact, SigningCompleted):
            self._await(self.id, fact=ParticipantCompleted(who))
        elif isinstance(fact, SigningDeclined):
            self._await(self.id, fact=ParticipantFailed(who, FailureReason.DECLINED))
        elif isinstance(fact, SigningFailed):
            self._await(self.id, fact=ParticipantFailed(who, fact.reason))

    def _check_process(self, who: UUID, created: ProcessCreated) -> None:
        if self.envelope is not None:
            check_process(self.id, self.envelope, who, created)
        elif created.envelope != self.id:
            raise ImpossibleHistory(f"process {who} belongs to another envelope")

    def _on_envelope(self, fact: Fact, at: datetime, *, just_created: bool) -> None:
        if not isinstance(fact, EnvelopeFact):
            raise ImpossibleHistory(f"{fact.TYPE} in the stream of an envelope")
        envelope = envelopes.evolve(self.envelope, fact, at)
        self.envelope = envelope
        if envelope.unsettled:
            self._awaited.appendleft(_Awaited(self.id))
            return
        match fact:
            case EnvelopeCreated():
                self._just_created = True
                self._await_processes(envelope, invited=())
            case DocumentAdded():
                assigned = DocumentAssigned(DocumentReference(fact.document.id, fact.document.sha256))
                for who in fact.participants:
                    self._await(who, fact=assigned)
            case ParticipantAdded():
                self._await(fact.slot.participant, ProcessCreated)
            case EnvelopeSent():
                if just_created:
                    self._await_processes(envelope, invited=envelope.due())
                else:
                    self._await_invitations(envelope)
            case ParticipantCompleted() | ParticipantFailed():
                self._await_invitations(envelope)
            case EnvelopeExpired():
                self._await_endings(envelope, SigningExpired)
            case EnvelopeCompleted() | EnvelopeDeclined() | EnvelopeCancelled() | EnvelopeFailed():
                self._await_endings(envelope, SigningCancelled)
            case DeadlineExtended() | DocumentExecuted() | CertificateIssued() | SealRenewed():
                pass
            case _ as unreachable:
                assert_never(unreachable)

    def _await_processes(self, envelope: Envelope, invited: Collection[UUID]) -> None:
        for who in envelope.slots:
            self._await(who, ProcessCreated)
            if who in invited:
                self._await(who, Invited)

    def _await_invitations(self, envelope: Envelope) -> None:
        for who in envelope.due():
            signing = self.signings.get(who)
            if signing is not None and signing.status is SigningStatus.CREATED:
                self._await(who, Invited)

    def _await_endings(self, envelope: Envelope, ending: Callable[[], SigningCancelled | SigningExpired]) -> None:
        for who in envelope.open_participants():
            self._await(who, fact=ending())
