"""What the facts of an envelope add up to, and which histories cannot be."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import assert_never
from uuid import UUID

from domain.actor import Mode
from domain.envelope.facts import (
    MAX_ASSIGNMENTS,
    MAX_COPIES,
    MAX_DOCUMENTS,
    MAX_PARTICIPANTS,
    MAX_PLACED_FIELDS,
    CertificateIssued,
    DeadlineExtended,
    Document,
    DocumentAdded,
    DocumentExecuted,
    EnvelopeCancelled,
    EnvelopeCompleted,
    EnvelopeCreated,
    EnvelopeDeclined,
    EnvelopeExpired,
    EnvelopeFact,
    EnvelopeFailed,
    EnvelopeSent,
    EnvelopeStatus,
    FailureReason,
    OnParticipantFail,
    OrderMode,
    ParticipantAdded,
    ParticipantCompleted,
    ParticipantFailed,
    PlacedField,
    SealRenewed,
    Slot,
    SlotStatus,
    has_extent,
    labels_of,
)
from domain.errors import (
    ImpossibleHistory,
)
from domain.ids import is_sha256

#: The terminal facts that follow from what the participants did.
Ending = EnvelopeCompleted | EnvelopeDeclined | EnvelopeFailed


@dataclass(frozen=True, slots=True)
class Envelope:
    """An envelope as its facts have left it; `slots` and `outcomes` go by participant.

    `executed` has the hash of each executed document's file as it is now, `certificate` that of the certificate.
    """

    tenant: UUID
    mode: Mode
    status: EnvelopeStatus
    documents: tuple[Document, ...]
    slots: Mapping[UUID, Slot]
    outcomes: Mapping[UUID, SlotStatus]
    order: OrderMode
    on_participant_fail: OnParticipantFail
    deadline: datetime | None
    declined_by: UUID | None = None
    fields: tuple[PlacedField, ...] = ()
    zone: str | None = None
    executed: Mapping[UUID, str] = field(default_factory=lambda: MappingProxyType({}))
    certificate: str | None = None

    @property
    def assignments(self) -> int:
        """Documents to sign, counted over all participants."""
        return sum(len(slot.documents) for slot in self.slots.values())

    @property
    def ending(self) -> Ending | None:
        """The terminal fact that the participants' outcomes lead to, None while they leave the flow open."""
        outcomes = self.outcomes.values()
        if self.status is EnvelopeStatus.DRAFT:
            return None
        if SlotStatus.FAILED in outcomes and self.on_participant_fail is OnParticipantFail.CANCEL_FLOW:
            return EnvelopeFailed() if self.declined_by is None else EnvelopeDeclined(self.declined_by)
        if SlotStatus.OPEN in outcomes:
            return None
        return EnvelopeCompleted() if SlotStatus.COMPLETED in outcomes else EnvelopeFailed()

    @property
    def unsettled(self) -> bool:
        """Whether the decision that led here goes on: its next fact, the ending, is still to come."""
        return not self.status.final and self.ending is not None

    def open_participants(self) -> tuple[UUID, ...]:
        """Those who have neither completed nor failed, in the order of the envelope."""
        return tuple(who for who, outcome in self.outcomes.items() if outcome is SlotStatus.OPEN)

    def due(self) -> tuple[UUID, ...]:
        """Those whose turn it is: all open ones, or in a sequential envelope those with the lowest number."""
        waiting = self.open_participants()
        if self.order is OrderMode.PARALLEL or not waiting:
            return waiting
        lowest = min(self.slots[who].number for who in waiting)
        return tuple(who for who in waiting if self.slots[who].number == lowest)

    def due_after(self, participant: UUID) -> tuple[UUID, ...]:
        """Those whose turn begins when `participant` completes or fails."""
        after = replace(self, outcomes=MappingProxyType({**self.outcomes, participant: SlotStatus.COMPLETED}))
        before = self.due()
        return tuple(who for who in after.due() if who not in before)


def evolve(state: Envelope | None, fact: EnvelopeFact, at: datetime) -> Envelope:
    """The state after `fact`; raises ImpossibleHistory if it could not have been decided in `state`."""
    if isinstance(fact, EnvelopeCreated):
        return _created(fact, state, at)
    if state is None:
        raise ImpossibleHistory(f"{fact.TYPE} before the envelope is created")
    if isinstance(fact, DocumentExecuted | CertificateIssued | SealRenewed):
        return _with_file(state, fact)
    if state.status.final:
        raise ImpossibleHistory(f"{fact.TYPE} after the envelope is {state.status}")
    late = state.deadline is not None and at > state.deadline
    if late != isinstance(fact, EnvelopeExpired):
        raise ImpossibleHistory(f"{fact.TYPE} {'after' if late else 'before'} the deadline")
    ending = state.ending
    if ending is not None or isinstance(fact, EnvelopeCompleted | EnvelopeDeclined | EnvelopeFailed):
        if fact != ending:
            raise ImpossibleHistory(f"{fact.TYPE} is not what the participants' outcomes lead to")
        return replace(state, status=_status_after(ending))
    match fact:
        case DocumentAdded():
            return _document_added(state, fact)
        case ParticipantAdded():
            return _participant_added(state, fact.slot)
        case EnvelopeSent():
            if state.status is EnvelopeStatus.SENT:
                raise ImpossibleHistory("an envelope is sent twice")
            if not state.slots or not all(slot.documents for slot in state.slots.values()):
                raise ImpossibleHistory("an envelope is sent to nobody, or to somebody who has nothing to sign")
            return replace(state, status=EnvelopeStatus.SENT)
        case ParticipantCompleted():
            return _participant_done(state, fact.participant, SlotStatus.COMPLETED)
        case ParticipantFailed():
            after = _participant_done(state, fact.participant, SlotStatus.FAILED)
            return replace(after, declined_by=fact.participant) if fact.reason is FailureReason.DECLINED else after
        case DeadlineExtended():
            if state.deadline is None or fact.deadline <= state.deadline:
                raise ImpossibleHistory("a deadline is extended to an earlier time")
            return replace(state, deadline=fact.deadline)
        case EnvelopeCancelled():
            return replace(state, status=EnvelopeStatus.CANCELLED)
        case EnvelopeExpired():
            return replace(state, status=EnvelopeStatus.EXPIRED)
        case _ as unreachable:
            assert_never(unreachable)


def _status_after(ending: Ending) -> EnvelopeStatus:
    match ending:
        case EnvelopeCompleted():
            return EnvelopeStatus.COMPLETED
        case EnvelopeDeclined():
            return EnvelopeStatus.DECLINED
        case EnvelopeFailed():
            return EnvelopeStatus.FAILED
        case _ as unreachable:
            assert_never(unreachable)


def _created(fact: EnvelopeCreated, state: Envelope | None, at: datetime) -> Envelope:
    if state is not None:
        raise ImpossibleHistory("an envelope is created twice")
    slots = {slot.participant: slot for slot in fact.participants}
    if len(slots) != len(fact.participants):
        raise ImpossibleHistory("an envelope with repeated participants")
    _check_copies(fact)
    _check_fields(fact)
    if fact.template is not None and fact.template.version < 1:
        raise ImpossibleHistory("a template version below 1")
    if fact.deadline is not None and fact.deadline < at:
        raise ImpossibleHistory("an envelope created after its deadline")
    draft = Envelope(
        tenant=fact.tenant,
        mode=fact.mode,
        status=EnvelopeStatus.DRAFT,
        documents=fact.documents,
        slots=MappingProxyType(slots),
        outcomes=MappingProxyType(dict.fromkeys(slots, SlotStatus.OPEN)),
        order=fact.order,
        on_participant_fail=fact.on_participant_fail,
        deadline=fact.deadline,
        fields=fact.fields,
        zone=fact.zone,
    )
    _check_contents(draft)
    return draft


def _check_contents(state: Envelope) -> None:
    """What holds of a draft's documents and slots, however they came into it."""
    documents = {document.id for document in state.documents}
    if len(state.slots) > MAX_PARTICIPANTS or len(documents) > MAX_DOCUMENTS or state.assignments > MAX_ASSIGNMENTS:
        raise ImpossibleHistory("an envelope with too many participants or documents, or with too many to sign together")
    if len(documents) != len(state.documents):
        raise ImpossibleHistory("an envelope with repeated documents")
    if not all(is_sha256(document.sha256) and document.pages >= 1 for document in state.documents):
        raise ImpossibleHistory("a document that cannot be a PDF")
    for slot in state.slots.values():
        if not documents.issuperset(slot.documents):
            raise ImpossibleHistory("a participant with unknown documents")
        if len(set(slot.documents)) != len(slot.documents) or slot.number < 1:
            raise ImpossibleHistory("a participant with a document twice, or with a number below 1")


def _check_copies(fact: EnvelopeCreated) -> None:
    ids = {copy.id for copy in fact.copies}
    if len(fact.copies) > MAX_COPIES or len(ids) != len(fact.copies):
        raise ImpossibleHistory("an envelope with too many or repeated recipients of copies")
    if not ids.isdisjoint(slot.participant for slot in fact.participants):
        raise ImpossibleHistory("a recipient of a copy with the id of a participant")


def _check_fields(fact: EnvelopeCreated) -> None:
    if len(fact.fields) > MAX_PLACED_FIELDS:
        raise ImpossibleHistory("an envelope with too many fields")
    pages = {document.id: document.pages for document in fact.documents}
    signed = {(slot.participant, document) for slot in fact.participants for document in slot.documents}
    for placed in fact.fields:
        if (placed.participant, placed.document) not in signed:
            raise ImpossibleHistory("a field for nobody, or on a document that its participant does not sign")
        if not 1 <= placed.page <= pages.get(placed.document, 0) or not has_extent(placed):
            raise ImpossibleHistory("a field that is on no page of its document")
    if len(set(labels_of(fact.fields))) != len(fact.fields):
        raise ImpossibleHistory("two fields of one name")


def _document_added(state: Envelope, fact: DocumentAdded) -> Envelope:
    if state.status is not EnvelopeStatus.DRAFT:
        raise ImpossibleHistory("a document is added to an envelope that has been sent")
    if len(set(fact.participants)) != len(fact.participants) or not state.slots.keys() >= set(fact.participants):
        raise ImpossibleHistory("a document is added for somebody twice, or for somebody without a place in the envelope")
    slots = {
        who: replace(slot, documents=(*slot.documents, fact.document.id)) if who in fact.participants else slot
        for who, slot in state.slots.items()
    }
    after = replace(state, documents=(*state.documents, fact.document), slots=MappingProxyType(slots))
    _check_contents(after)
    return after


def _participant_added(state: Envelope, slot: Slot) -> Envelope:
    if state.status is not EnvelopeStatus.DRAFT:
        raise ImpossibleHistory("a participant is added to an envelope that has been sent")
    if slot.participant in state.slots:
        raise ImpossibleHistory("a participant is added twice")
    after = replace(
        state,
        slots=MappingProxyType({**state.slots, slot.participant: slot}),
        outcomes=MappingProxyType({**state.outcomes, slot.participant: SlotStatus.OPEN}),
    )
    _check_contents(after)
    return after


def _participant_done(state: Envelope, participant: UUID, outcome: SlotStatus) -> Envelope:
    if state.status is not EnvelopeStatus.SENT:
        raise ImpossibleHistory("a participant acts before the envelope is sent")
    if participant not in state.due():
        raise ImpossibleHistory("a participant acts out of turn, twice, or without a place in the envelope")
    return replace(state, outcomes=MappingProxyType({**state.outcomes, participant: outcome}))


def _with_file(state: Envelope, fact: DocumentExecuted | CertificateIssued | SealRenewed) -> Envelope:
    if state.status is not EnvelopeStatus.COMPLETED:
        raise ImpossibleHistory(f"{fact.TYPE} while the envelope is {state.status}")
    if not is_sha256(fact.sha256):
        raise ImpossibleHistory(f"{fact.TYPE} without a hash")
    if isinstance(fact, SealRenewed):
        return _renewed(state, fact)
    of_body = fact.body_sha256 is None or is_sha256(fact.body_sha256)
    if not of_body or (fact.body_bytes is not None and fact.body_bytes < 1):
        raise ImpossibleHistory(f"{fact.TYPE} without the hash or the size of its body")
    if fact.seal is not None and not is_sha256(fact.seal.certificate_sha256):
        raise ImpossibleHistory(f"{fact.TYPE} with a seal by no certificate")
    if isinstance(fact, CertificateIssued):
        if state.certificate is not None:
            raise ImpossibleHistory("a second certificate")
        return replace(state, certificate=fact.sha256)
    if fact.normalised_sha256 is not None and not is_sha256(fact.normalised_sha256):
        raise ImpossibleHistory(f"{fact.TYPE} without the hash of what was drawn on")
    if fact.document in state.executed or fact.document not in {document.id for document in state.documents}:
        raise ImpossibleHistory("a document is executed twice or is not in the envelope")
    return replace(state, executed=MappingProxyType({**state.executed, fact.document: fact.sha256}))


def _renewed(state: Envelope, fact: SealRenewed) -> Envelope:
    before = state.certificate if fact.document is None else state.executed.get(fact.document)
    if before is None or before != fact.previous_sha256 or fact.sha256 == before:
        raise ImpossibleHistory("a seal is renewed of a file that is not the last one")
    if fact.document is None:
        return replace(state, certificate=fact.sha256)
    return replace(state, executed=MappingProxyType({**state.executed, fact.document: fact.sha256}))
