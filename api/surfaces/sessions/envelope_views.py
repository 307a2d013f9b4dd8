"""Envelopes as they are shown: from the read model in lists, from the log after a change."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from api.deps import Deps, Outcome, Reference, stakeholder_of
from api.surfaces.sessions.completion import document_id, envelope_status
from api.surfaces.sessions.envelope_models import (
    MAX_REMINDERS,
    EnvelopeDocument,
    EnvelopeSigner,
    ReminderPolicy,
    SignerStatus,
    SigningEnvelope,
)
from api.surfaces.sessions.models import EnvelopeStatusWord, Session, unix_seconds
from api.surfaces.sessions.people import text
from api.surfaces.sessions.validation import RESERVED_PREFIX
from domain.actor import Mode
from domain.entry import decode
from domain.envelope import Envelope, EnvelopeStatus, OrderMode
from domain.ids import typed_id
from domain.signing import Signing, SigningStatus
from projections.envelopes import EnvelopeRow
from projections.signers import SignerRow

#: Our own metadata of an envelope, under the reserved prefix beside the client's.
ENTITY: Final = f"{RESERVED_PREFIX}entity_id"
INTERVAL: Final = f"{RESERVED_PREFIX}reminder_interval_hours"
REMINDERS: Final = f"{RESERVED_PREFIX}max_reminders"

_SIGNERS: Final[Mapping[SigningStatus, SignerStatus]] = {
    SigningStatus.CREATED: "pending",
    SigningStatus.INVITED: "sent",
    SigningStatus.STARTED: "sent",
    SigningStatus.COMPLETED: "signed",
    SigningStatus.DECLINED: "declined",
    SigningStatus.FAILED: "failed",
    SigningStatus.CANCELLED: "voided",
    SigningStatus.EXPIRED: "expired",
}

_ENVELOPES: Final[Mapping[EnvelopeStatus, EnvelopeStatusWord]] = {
    EnvelopeStatus.DRAFT: "draft",
    EnvelopeStatus.SENT: "sent",
    EnvelopeStatus.COMPLETED: "completed",
    EnvelopeStatus.DECLINED: "declined",
    EnvelopeStatus.CANCELLED: "voided",
    EnvelopeStatus.EXPIRED: "expired",
    EnvelopeStatus.FAILED: "failed",
}

#: The statuses that a list can be filtered by: the envelope's, and whether somebody has signed where that matters.
FILTERS: Final[Mapping[str, tuple[EnvelopeStatus, bool | None]]] = {
    **{word: (status, None) for status, word in _ENVELOPES.items()},
    "sent": (EnvelopeStatus.SENT, False),
    "partially_signed": (EnvelopeStatus.SENT, True),
}


@dataclass(frozen=True, slots=True)
class DocumentLook:
    id: UUID
    source: UUID | None
    pages: int
    sha256: str
    executed_sha256: str | None = None
    title: Reference | None = None

    @property
    def shown_id(self) -> str:
        return document_id(self.id, self.source)


@dataclass(frozen=True, slots=True)
class SignerLook:
    id: UUID
    number: int
    role: str | None
    documents: tuple[UUID, ...]
    status: SignerStatus
    human_only: bool
    signed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Look:
    """What is shown of an envelope, but for what is personal."""

    id: UUID
    mode: Mode
    status: EnvelopeStatusWord
    created: datetime
    updated: datetime
    deadline: datetime | None
    order: OrderMode
    documents: tuple[DocumentLook, ...]
    signers: tuple[SignerLook, ...]
    reason: Reference | None = None

    def references(self, *, titles: bool = False) -> dict[str, Reference | None]:
        """Where its personal values stand, by the names under which `show` looks for them."""
        wanted: dict[str, Reference | None] = {
            f"{self.id}/{name}": Reference(self.id, 1, f"/{name}") for name in ("subject", "message", "metadata")
        }
        wanted[f"{self.id}/reason"] = self.reason
        for who in self.signers:
            wanted |= {f"{who.id}/{name}": Reference(who.id, 1, f"/{name}") for name in ("name", "email", "details")}
        if titles:
            wanted |= {f"{document.id}/title": document.title for document in self.documents}
        return wanted


def of_row(row: EnvelopeRow, people: Sequence[SignerRow]) -> Look:
    """The look of an envelope of the read model."""
    partially = row.status is EnvelopeStatus.SENT and row.completed > 0
    return Look(
        id=row.id,
        mode=row.mode,
        status="partially_signed" if partially else _ENVELOPES[row.status],
        created=row.created_at,
        updated=row.updated_at,
        deadline=row.deadline,
        order=row.order_mode,
        documents=tuple(
            DocumentLook(it.id, it.source, it.pages, it.sha256, it.executed_sha256, it.title) for it in row.documents
        ),
        signers=tuple(
            SignerLook(
                who.id,
                who.number,
                who.role,
                tuple(document.id for document in who.documents),
                _SIGNERS[who.status],
                who.human_only,
                who.completed_at,
            )
            for who in people
        ),
        reason=row.reason,
    )


@dataclass(frozen=True, slots=True)
class Present:
    """An envelope as the log has it before a change; `texts` are its personal values by name."""

    id: UUID
    state: Envelope
    signings: Mapping[UUID, Signing]
    created: datetime
    updated: datetime
    texts: Mapping[str, object]

    def look(self) -> Look:
        return of_state(self.id, self.state, self.signings, self.created, self.updated)

    def after(self, outcome: Outcome) -> Look:
        """The look once `outcome` has come of a command."""
        receipts = [recorded.receipt.at for recorded in outcome.recorded]
        changed = {who: state for who, state in outcome.states.items() if isinstance(state, Signing)}
        state = outcome.state(Envelope, self.id)
        return of_state(self.id, state, {**self.signings, **changed}, self.created, max(receipts, default=self.updated))


async def present(deps: Deps, envelope: UUID, state: Envelope) -> Present:
    """All of an envelope that `state` is of, as the log has it."""
    entries, signings = await asyncio.gather(
        deps.recorder.read_stream(envelope), asyncio.gather(*(deps.ledger.state(Signing, who) for who in state.slots))
    )
    known = {who: signing for who, signing in zip(state.slots, signings, strict=True) if signing is not None}
    created, updated = decode(entries[0].raw).at, decode(entries[-1].raw).at
    look = of_state(envelope, state, known, created, updated)
    return Present(envelope, state, known, created, updated, await deps.reveal(look.references()))


def of_state(envelope: UUID, state: Envelope, signings: Mapping[UUID, Signing], created: datetime, updated: datetime) -> Look:
    """The look of an envelope's state with those of its signings."""
    slots = sorted(state.slots.values(), key=lambda slot: slot.number)
    return Look(
        id=envelope,
        mode=state.mode,
        status=envelope_status(state),
        created=created,
        updated=updated,
        deadline=state.deadline,
        order=state.order,
        documents=tuple(DocumentLook(it.id, it.source, it.pages, it.sha256) for it in state.documents),
        signers=tuple(
            SignerLook(
                slot.participant,
                slot.number,
                slot.role,
                slot.documents,
                _SIGNERS[signings[slot.participant].status],
                signings[slot.participant].human_only,
                _signed_at(signings[slot.participant]),
            )
            for slot in slots
        ),
    )


def _signed_at(signing: Signing) -> datetime | None:
    return signing.ended_at if signing.status is SigningStatus.COMPLETED else None


def show(
    look: Look,
    texts: Mapping[str, object],
    expand: Collection[str] = (),
    sessions: Mapping[UUID, Session] | None = None,
    reason: str | None = None,
) -> SigningEnvelope:
    """The envelope as it is answered. `texts` are the values at its references, `sessions` those of its signers, if wanted."""
    shown = {document.id: document.shown_id for document in look.documents}
    metadata = texts.get(f"{look.id}/metadata")
    known = {key: value for key, value in metadata.items() if isinstance(value, str)} if isinstance(metadata, dict) else {}
    return SigningEnvelope(
        id=typed_id("env", look.id),
        created=unix_seconds(look.created),
        updated=unix_seconds(look.updated),
        mode=look.mode.value,
        livemode=look.mode is Mode.LIVE,
        metadata={key: value for key, value in known.items() if not key.startswith(RESERVED_PREFIX)},
        entity_id=known.get(ENTITY),
        status=look.status,
        subject=text(texts.get(f"{look.id}/subject")),
        message=text(texts.get(f"{look.id}/message")),
        routing=look.order.value,
        expires_at=None if look.deadline is None else unix_seconds(look.deadline),
        reminder_policy=reminder_policy(known),
        void_reason=reason or text(texts.get(f"{look.id}/reason")),
        document_ids=list(shown.values()),
        documents=[_document(it, texts) for it in look.documents] if "documents" in expand else None,
        signers=[_signer(who, texts, shown, (sessions or {}).get(who.id)) for who in look.signers],
    )


def reminder_policy(metadata: object) -> ReminderPolicy | None:
    """The policy that an envelope's metadata holds, if it holds one."""
    if not isinstance(metadata, dict):
        return None
    interval, most = metadata.get(INTERVAL), metadata.get(REMINDERS)
    if not isinstance(interval, str) or not isinstance(most, str) or not (interval.isdigit() and most.isdigit()):
        return None
    return ReminderPolicy(interval_hours=max(1, int(interval)), max_reminders=min(int(most), MAX_REMINDERS))


def _document(document: DocumentLook, texts: Mapping[str, object]) -> EnvelopeDocument:
    return EnvelopeDocument(
        id=document.shown_id,
        title=text(texts.get(f"{document.id}/title")),
        pages=document.pages,
        sha256=document.sha256,
        executed_sha256=document.executed_sha256,
    )


def _signer(
    who: SignerLook, texts: Mapping[str, object], documents: Mapping[UUID, str], session: Session | None
) -> EnvelopeSigner:
    return EnvelopeSigner(
        id=typed_id("sgn", who.id),
        stakeholder_id=stakeholder_of(who.id, texts.get(f"{who.id}/details")),
        email=text(texts.get(f"{who.id}/email")),
        name=text(texts.get(f"{who.id}/name")),
        role=who.role,
        order=who.number,
        status=who.status,
        document_ids=[documents[document] for document in who.documents],
        agent_authorized="forbidden" if who.human_only else "allowed",
        signed_at=None if who.signed_at is None else unix_seconds(who.signed_at),
        signing_session=typed_id("sgs", who.id) if session is None else session,
    )
