"""Given these facts, when this command comes, then those facts follow: the words of the domain's tests."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Generic, TypeVar
from uuid import UUID

import pytest

from domain import coordination
from domain import envelope as envelopes
from domain import signing as signings
from domain.actor import IdentityMethod, Mode, Provenance
from domain.coordination import (
    AddDocument,
    AddParticipant,
    CreateEnvelope,
    Decision,
    Fact,
    PackageCommand,
    ParticipantCommand,
    Participate,
)
from domain.envelope import MAX_DOCUMENTS, Document, Envelope, EnvelopeCreated, OnParticipantFail, OrderMode, PlacedField, Slot
from domain.errors import ImpossibleHistory, Refusal
from domain.evidence import PackageHistory
from domain.field import FieldType
from domain.personal import Personal, Subject, SubjectKind, conceal
from domain.signing import (
    Channel,
    DocumentReference,
    FieldValue,
    Invitation,
    OpenSession,
    ProcessCreated,
    SendOtp,
    Session,
    SessionToken,
    SignatureMethod,
    SignatureMode,
    SignDocuments,
    Signing,
    SigningStatus,
    VerifyOtp,
    ViewDocument,
)

C = TypeVar("C")
S = TypeVar("S")
F = TypeVar("F")
R = TypeVar("R", bound=Refusal)

NOW = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def uid(number: int) -> UUID:
    return UUID(int=number)


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


TENANT, ENVELOPE = uid(1), uid(2)


def personal(value: str, kind: SubjectKind = SubjectKind.ENVELOPE, key: str = "e") -> Personal:
    return conceal(value, sha256(value.encode()).digest(), Subject(TENANT, kind, key))


PROVENANCE = Provenance(IdentityMethod.TOKEN)
AGENT = Provenance(IdentityMethod.AGENT)


@dataclass(frozen=True)
class Given(Generic[C, S, F]):
    """A decider with the history it starts from; `at` is the time of the facts added last."""

    decide: Callable[[C, S | None, datetime], tuple[F, ...]]
    evolve: Callable[[S | None, F, datetime], S]
    state: S | None = None
    at: datetime = NOW

    def given(self, *facts: F, at: datetime | None = None) -> "Given[C, S, F]":
        time = at or self.at
        state = self.state
        for fact in facts:
            state = self.evolve(state, fact, time)
        return replace(self, state=state, at=time)

    def when(self, command: C, at: datetime | None = None) -> tuple[F, ...]:
        """The facts that follow; they fold, as whatever is decided must."""
        facts = self.decide(command, self.state, at or self.at)
        self.given(*facts, at=at)
        return facts

    def refuses(self, command: C, refusal: type[R], at: datetime | None = None) -> R:
        with pytest.raises(refusal) as caught:
            self.decide(command, self.state, at or self.at)
        assert str(caught.value)
        return caught.value

    def cannot_be(self, fact: F, at: datetime | None = None) -> None:
        """A history that goes on with `fact` is refused."""
        with pytest.raises(ImpossibleHistory):
            self.given(fact, at=at)


def document(number: int) -> Document:
    return Document(uid(100 + number), digest(f"document {number}"), 3)


#: Of one document more than an envelope may have.
HASHES = {document(it).id: document(it).sha256 for it in range(MAX_DOCUMENTS + 1)}


def who(number: int) -> UUID:
    return uid(200 + number)


def creation(
    *numbers: int,
    documents: int = 1,
    order: OrderMode = OrderMode.PARALLEL,
    on_fail: OnParticipantFail = OnParticipantFail.CANCEL_FLOW,
    deadline: datetime | None = None,
    attempts_max: int | None = None,
    cooldown_seconds: int | None = None,
    shares: Sequence[Sequence[int]] | None = None,
    send: bool = True,
    mode: Mode = Mode.LIVE,
    in_person: Sequence[int] = (),
) -> CreateEnvelope:
    """An envelope with a participant for each of `numbers`.

    `shares` says which documents each one signs, `in_person` for whom no agent may sign.
    """
    pdfs = tuple(document(index) for index in range(documents))
    owned = shares or [range(documents)] * len(numbers)
    slots = tuple(Slot(who(index), number, tuple(pdfs[it].id for it in owned[index])) for index, number in enumerate(numbers))
    created = EnvelopeCreated(TENANT, mode, pdfs, slots, order, on_fail, deadline, None, personal("subject"), None, None)
    processes = {
        slot.participant: process(
            slot,
            index,
            mode=mode,
            attempts_max=attempts_max,
            cooldown_seconds=cooldown_seconds,
            human_only=index in in_person,
        )
        for index, slot in enumerate(slots)
    }
    return CreateEnvelope(ENVELOPE, created, processes, send)


def process(slot: Slot, person: int, **settings: object) -> ProcessCreated:
    """The process of a slot; its documents are numbered ones."""
    created = ProcessCreated(
        TENANT,
        Mode.LIVE,
        ENVELOPE,
        slot.number,
        tuple(DocumentReference(it, HASHES[it]) for it in slot.documents),
        (SignatureMode.EMAIL,),
        personal(f"Person {person}", SubjectKind.PERSON, f"email:person{person}@example.com"),
        None,
        None,
        None,
    )
    return replace(created, **settings)  # type: ignore[arg-type]


def add_document(pdf: int, *numbers: int) -> AddDocument:
    """Adds a numbered document, for the numbered participants to sign."""
    return AddDocument(ENVELOPE, document(pdf), tuple(who(number) for number in numbers))


def add_participant(place: int, number: int, *pdfs: int, person: int | None = None, **settings: object) -> AddParticipant:
    """Adds `who(place)`, with the numbered documents to sign; `person` is who that is, by default somebody new."""
    slot = Slot(who(place), number, tuple(document(it).id for it in pdfs))
    return AddParticipant(ENVELOPE, slot, process(slot, place if person is None else person, **settings))


def placed(
    number: int, pdf: int = 0, page: int = 1, type: FieldType = FieldType.SIGNATURE, *, required: bool = True
) -> PlacedField:
    return PlacedField(who(number), document(pdf).id, type, page, 0, 0, 1, 1, required=required)


def session(number: int, expires_at: datetime) -> Session:
    return Session(uid(20_000 + number), digest(f"session {number}"), expires_at)


def open_session(number: int, opened: Session) -> OpenSession:
    return OpenSession(who(number), opened, personal("user"), NOW)


def view(number: int, pdf: int = 0, token: SessionToken | None = None) -> ViewDocument:
    return ViewDocument(who(number), document(pdf).id, document(pdf).sha256, PROVENANCE, token)


def sign(number: int, *pdfs: int, token: SessionToken | None = None, values: tuple[int, ...] = ()) -> SignDocuments:
    """Signs the numbered documents, or the whole slot when none is named; `values` are the fields to fill in, by number."""
    wanted = tuple(document(it).id for it in pdfs) or None
    filled = tuple(FieldValue(field, personal(f"value {field}")) for field in values)
    return SignDocuments(who(number), wanted, SignatureMethod.TYPED, None, None, PROVENANCE, token=token, values=filled)


def send_code(number: int, code: str, expires_at: datetime) -> SendOtp:
    return SendOtp(who(number), Channel.EMAIL, personal(code), expires_at, PROVENANCE)


def enter_code(number: int, code: str) -> VerifyOtp:
    return VerifyOtp(who(number), personal(code).commitment, PROVENANCE)


@dataclass
class PackageLog:
    """An envelope with its signings in memory: decides with just what `needs` names, as the ledger does."""

    now: datetime = NOW
    lifetime: timedelta = timedelta(days=30)
    envelope: Envelope | None = None
    signings: dict[UUID, Signing] = field(default_factory=dict)
    log: list[tuple[UUID, Fact, datetime]] = field(default_factory=list)
    history: PackageHistory = field(default_factory=lambda: PackageHistory(ENVELOPE))
    minted: int = 0

    def invitations(self, count: int) -> tuple[Invitation, ...]:
        first, self.minted = self.minted, self.minted + count
        return tuple(
            Invitation(uid(10_000 + it), digest(f"token {it}"), self.now + self.lifetime) for it in range(first, self.minted)
        )

    def decide(self, command: PackageCommand) -> Decision:
        needs = coordination.needs(command, self.envelope)
        package = coordination.Package(self.envelope, {it: self.signings.get(it) for it in needs.signings})
        return coordination.decide(command, package, self.now, self.invitations(needs.invitations))

    def record(self, decision: Decision, at: datetime | None = None) -> None:
        """Appends a decision at `at`, through `evolve` of each stream and the check across them."""
        time = at or self.now
        for stream, facts in decision.facts.items():
            for fact in facts:
                if isinstance(fact, envelopes.EnvelopeFact):
                    self.envelope = envelopes.evolve(self.envelope, fact, time)
                else:
                    self.signings[stream] = signings.evolve(self.signings.get(stream), fact, time)
                self.history.feed(stream, fact, time)
                self.log.append((stream, fact, time))
        self.now = time

    def do(self, command: PackageCommand, at: datetime | None = None) -> dict[UUID, tuple[Fact, ...]]:
        """Decides and records at once; returns the facts by stream."""
        self.now = at or self.now
        decision = self.decide(command)
        self.record(decision)
        self.history.finish()
        return dict(decision.facts)

    def act(self, command: ParticipantCommand, at: datetime | None = None) -> dict[UUID, tuple[Fact, ...]]:
        return self.do(Participate(ENVELOPE, command), at)

    def refuses(self, command: PackageCommand | ParticipantCommand, refusal: type[R], at: datetime | None = None) -> R:
        """The refusal of `command`, after which nothing has changed."""
        self.now = at or self.now
        before = (self.envelope, dict(self.signings), list(self.log))
        whole = Participate(ENVELOPE, command) if isinstance(command, ParticipantCommand) else command
        with pytest.raises(refusal) as caught:
            self.decide(whole)
        assert (self.envelope, self.signings, self.log) == before
        assert str(caught.value)
        return caught.value

    def token_of(self, number: int) -> SessionToken:
        invitation = self.signings[who(number)].invitation
        assert invitation is not None
        return SessionToken(invitation.token_sha256)

    def status(self, number: int) -> SigningStatus:
        return self.signings[who(number)].status


def created(*numbers: int, at: datetime = NOW, **settings: object) -> PackageLog:
    """A log that begins with `creation(*numbers, **settings)`."""
    log = PackageLog(now=at)
    log.do(creation(*numbers, **settings))  # type: ignore[arg-type]
    return log
