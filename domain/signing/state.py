"""What the facts of a signing add up to, and which histories cannot be."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import assert_never
from uuid import UUID

from domain.actor import Mode, Provenance
from domain.envelope import FailureReason
from domain.errors import ImpossibleHistory
from domain.ids import is_sha256
from domain.signing.facts import (
    MAX_ATTEMPTS,
    MAX_COOLDOWN_SECONDS,
    ConsentGiven,
    DocumentAssigned,
    DocumentSigned,
    DocumentViewed,
    FieldsFilled,
    Invitation,
    InvitationBounced,
    InvitationDelivered,
    InvitationResent,
    Invited,
    OtpFailed,
    OtpSent,
    OtpVerified,
    ProcessCreated,
    Session,
    SessionOpened,
    SigningCancelled,
    SigningCompleted,
    SigningDeclined,
    SigningExpired,
    SigningFact,
    SigningFailed,
    SigningStatus,
    Started,
)


@dataclass(frozen=True, slots=True)
class PendingCode:
    """A one-time code that waits for its answer, by its commitment (64 hex digits)."""

    code: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Signing:
    """A signing as its facts have left it. `signed` maps a document to the time it was signed.

    `starting` is what was observed of the first act, between `Started` and that act, or while documents whose fields were
    filled in (`filling`) are still to be signed.
    """

    tenant: UUID
    mode: Mode
    envelope: UUID
    number: int
    documents: Mapping[UUID, str]
    status: SigningStatus
    created_at: datetime
    attempts_max: int | None
    cooldown: timedelta | None
    human_only: bool = False
    invitation: Invitation | None = None
    invitations: frozenset[UUID] = frozenset()
    session: Session | None = None
    sessions: frozenset[UUID] = frozenset()
    reported: frozenset[UUID] = frozenset()
    signed: Mapping[UUID, datetime] = field(default_factory=lambda: MappingProxyType({}))
    code: PendingCode | None = None
    code_sent_at: datetime | None = None
    failed_attempts: int = 0
    failed_at: datetime | None = None
    ended_at: datetime | None = None
    starting: Provenance | None = None
    filled: frozenset[int] = frozenset()
    filling: tuple[UUID, ...] = ()

    @property
    def unsigned(self) -> tuple[UUID, ...]:
        """The documents still to sign, in the order of the envelope."""
        return tuple(document for document in self.documents if document not in self.signed)

    @property
    def rights(self) -> tuple[Invitation | Session, ...]:
        """Whose tokens are accepted: the latest invitation and the session that was opened last."""
        return tuple(right for right in (self.invitation, self.session) if right is not None)

    @property
    def in_person(self) -> bool:
        """Whether only somebody who has signed in as a person may sign; in test mode an agent may always."""
        return self.human_only and self.mode is Mode.LIVE

    @property
    def next_attempt_at(self) -> datetime | None:
        """Before this time no further attempt is accepted; None when one is possible at once."""
        return None if self.cooldown is None or self.failed_at is None else self.failed_at + self.cooldown

    @property
    def next_code_at(self) -> datetime | None:
        """Before this time no further code is sent; None when one may be sent at once."""
        if self.cooldown is None or self.code_sent_at is None:
            return None
        return max(self.code_sent_at, self.failed_at or self.code_sent_at) + self.cooldown

    @property
    def unsettled(self) -> bool:
        """Whether the decision that led here goes on: its next fact is still to come."""
        # A draft's participant may have nothing to sign yet, and then has not signed everything.
        signed = bool(self.documents) and len(self.signed) == len(self.documents)
        return not self.status.final and (self.starting is not None or self.exhausted or signed)

    @property
    def exhausted(self) -> bool:
        """Whether all attempts have been used up."""
        return self.attempts_max is not None and self.failed_attempts >= self.attempts_max


def evolve(state: Signing | None, fact: SigningFact, at: datetime) -> Signing:
    """The state after `fact`; raises ImpossibleHistory if it could not have been decided in `state`."""
    if isinstance(fact, ProcessCreated):
        return _created(fact, state, at)
    if state is None:
        raise ImpossibleHistory(f"{fact.TYPE} before the process is created")
    if state.status.final:
        raise ImpossibleHistory(f"{fact.TYPE} after the signing is {state.status}")
    if state.unsettled:
        _require(_goes_on(state, fact), fact, "it is not what the fact before it leads to")
        state = replace(state, starting=None)
    match fact:
        case DocumentAssigned():
            return _assigned(state, fact)
        case Invited() | InvitationResent() | InvitationDelivered() | InvitationBounced():
            return _invitation(state, fact, at)
        case SessionOpened():
            return _session(state, fact, at)
        case Started():
            _require(state.status is SigningStatus.INVITED, fact, "it is not the first act after an invitation")
            return replace(state, status=SigningStatus.STARTED, starting=fact.provenance)
        case SigningCancelled():
            return _ended(state, SigningStatus.CANCELLED, at)
        case SigningExpired():
            return _ended(state, SigningStatus.EXPIRED, at)
        case SigningDeclined():
            _require(state.status is not SigningStatus.CREATED, fact, "the participant was not invited")
            return _ended(state, SigningStatus.DECLINED, at)
        case DocumentViewed() | ConsentGiven() | FieldsFilled() | DocumentSigned() | SigningCompleted():
            _require(state.status is SigningStatus.STARTED, fact, "the signing has not started")
            return _acted(state, fact, at)
        case OtpSent() | OtpVerified() | OtpFailed() | SigningFailed():
            _require(state.status is SigningStatus.STARTED, fact, "the signing has not started")
            return _authenticated(state, fact, at)
        case _ as unreachable:
            assert_never(unreachable)


def _goes_on(state: Signing, fact: SigningFact) -> bool:
    if state.exhausted:
        return isinstance(fact, SigningFailed)
    if state.filling:
        return isinstance(fact, DocumentSigned) and (fact.document, fact.provenance) == (state.filling[0], state.starting)
    if state.starting is not None:
        if isinstance(fact, DocumentViewed | ConsentGiven | FieldsFilled | DocumentSigned):
            return fact.provenance == state.starting
        return isinstance(fact, OtpSent)
    return isinstance(fact, SigningCompleted)


def _require(holds: bool, fact: SigningFact, otherwise: str) -> None:
    if not holds:
        raise ImpossibleHistory(f"{fact.TYPE}: {otherwise}")


def _created(fact: ProcessCreated, state: Signing | None, at: datetime) -> Signing:
    if state is not None:
        raise ImpossibleHistory("a process is created twice")
    documents = {document.id: document.sha256 for document in fact.documents}
    _require(len(documents) == len(fact.documents), fact, "a document twice")
    _require(all(is_sha256(sha256) for sha256 in documents.values()), fact, "a document without a hash")
    _require(fact.number >= 1, fact, "a number below 1")
    _require(fact.attempts_max is None or 1 <= fact.attempts_max <= MAX_ATTEMPTS, fact, "attempts out of range")
    _require(fact.cooldown_seconds is None or 0 <= fact.cooldown_seconds <= MAX_COOLDOWN_SECONDS, fact, "cooldown out of range")
    return Signing(
        tenant=fact.tenant,
        mode=fact.mode,
        envelope=fact.envelope,
        number=fact.number,
        documents=MappingProxyType(documents),
        status=SigningStatus.CREATED,
        created_at=at,
        attempts_max=fact.attempts_max,
        cooldown=None if fact.cooldown_seconds is None else timedelta(seconds=fact.cooldown_seconds),
        human_only=fact.human_only,
    )


def _assigned(state: Signing, fact: DocumentAssigned) -> Signing:
    _require(state.status is SigningStatus.CREATED, fact, "the participant was invited before")
    _require(fact.document.id not in state.documents, fact, "the participant had it to sign before")
    _require(is_sha256(fact.document.sha256), fact, "a document without a hash")
    return replace(state, documents=MappingProxyType({**state.documents, fact.document.id: fact.document.sha256}))


def _ended(state: Signing, status: SigningStatus, at: datetime) -> Signing:
    return replace(state, status=status, ended_at=at, code=None)


def _invitation(
    state: Signing, fact: Invited | InvitationResent | InvitationDelivered | InvitationBounced, at: datetime
) -> Signing:
    if isinstance(fact, InvitationDelivered | InvitationBounced):
        _require(fact.invitation in state.invitations, fact, "there is no such invitation")
        _require(fact.invitation not in state.reported, fact, "its delivery was reported before")
        return replace(state, reported=state.reported | {fact.invitation})
    _require(fact.invitation.id not in state.invitations, fact, "the same invitation twice")
    _require(fact.invitation.expires_at >= at, fact, "its token has expired already")
    _require(is_sha256(fact.invitation.token_sha256), fact, "its token has no hash")
    known = state.invitations | {fact.invitation.id}
    if isinstance(fact, Invited):
        _require(state.status is SigningStatus.CREATED, fact, "the participant was invited before")
        _require(bool(state.documents), fact, "the participant has nothing to sign")
        return replace(state, status=SigningStatus.INVITED, invitation=fact.invitation, invitations=known)
    if state.invitation is None:
        raise ImpossibleHistory(f"{fact.TYPE}: the participant was not invited before")
    _require(fact.invitation.token_sha256 != state.invitation.token_sha256, fact, "the token is the one before it")
    return replace(state, invitation=fact.invitation, invitations=known)


def _session(state: Signing, fact: SessionOpened, at: datetime) -> Signing:
    _require(state.status is not SigningStatus.CREATED, fact, "the participant was not invited")
    _require(fact.session.id not in state.sessions, fact, "the same session twice")
    _require(fact.session.expires_at >= at, fact, "its token has expired already")
    _require(is_sha256(fact.session.token_sha256), fact, "its token has no hash")
    others = [right.token_sha256 for right in state.rights]
    _require(fact.session.token_sha256 not in others, fact, "the token is one that was given before")
    return replace(state, session=fact.session, sessions=state.sessions | {fact.session.id})


def _acted(
    state: Signing, fact: DocumentViewed | ConsentGiven | FieldsFilled | DocumentSigned | SigningCompleted, at: datetime
) -> Signing:
    match fact:
        case FieldsFilled():
            fields = {value.field for value in fact.values}
            _require(bool(fields) and len(fields) == len(fact.values), fact, "nothing is filled in, or a field twice")
            _require(fields.isdisjoint(state.filled), fact, "a field that was filled in before")
            follows = fact.documents == tuple(document for document in state.unsigned if document in fact.documents)
            _require(bool(fact.documents) and follows, fact, "the documents are not those to be signed, in their order")
            return replace(state, filled=state.filled | fields, filling=fact.documents, starting=fact.provenance)
        case ConsentGiven():
            _require(is_sha256(fact.text_sha256), fact, "the text has no hash")
            return state
        case DocumentViewed():
            _require(state.documents.get(fact.document) == fact.sha256, fact, "not a document of this signing")
            return state
        case DocumentSigned():
            _require(state.documents.get(fact.document) == fact.sha256, fact, "not a document of this signing")
            _require(fact.document not in state.signed, fact, "the document was signed before")
            known = not state.in_person or fact.provenance.identity.signed_in
            _require(known, fact, "somebody who has to sign in person did not sign in")
            after = replace(state, signed=MappingProxyType({**state.signed, fact.document: at}), filling=state.filling[1:])
            return replace(after, starting=fact.provenance) if after.filling else after
        case SigningCompleted():
            _require(not state.unsigned, fact, "a document is not signed")
            return _ended(state, SigningStatus.COMPLETED, at)
        case _ as unreachable:
            assert_never(unreachable)


def _authenticated(state: Signing, fact: OtpSent | OtpVerified | OtpFailed | SigningFailed, at: datetime) -> Signing:
    match fact:
        case OtpSent():
            _require(state.next_code_at is None or at >= state.next_code_at, fact, "sooner than the cooldown allows")
            _require(fact.expires_at >= at, fact, "the code has expired already")
            return replace(state, code=PendingCode(fact.code.commitment, fact.expires_at), code_sent_at=at)
        case OtpVerified() | OtpFailed():
            _require(state.code is not None and at <= state.code.expires_at, fact, "no code waits for an answer")
            _require(state.next_attempt_at is None or at >= state.next_attempt_at, fact, "sooner than the cooldown allows")
            if isinstance(fact, OtpVerified):
                return replace(state, code=None)
            _require(fact.attempt == state.failed_attempts + 1, fact, "attempts are miscounted")
            return replace(state, failed_attempts=fact.attempt, failed_at=at)
        case SigningFailed():
            _require(fact.reason is FailureReason.ATTEMPTS_EXHAUSTED and state.exhausted, fact, "attempts are left")
            return _ended(state, SigningStatus.FAILED, at)
        case _ as unreachable:
            assert_never(unreachable)
