"""From a request for an envelope to the command that creates it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from api.auth import Caller
from api.deps import Deps, Reference
from api.surfaces.sessions.access import absent, check_owner, typed
from api.surfaces.sessions.envelope_models import NewEnvelope, NewSigner
from api.surfaces.sessions.envelope_views import ENTITY, INTERVAL, REMINDERS
from api.surfaces.sessions.library import KINDS
from api.surfaces.sessions.people import text
from api.surfaces.sessions.validation import invalid_field, moment
from domain.coordination import CreateEnvelope
from domain.envelope import Document, EnvelopeCreated, OnParticipantFail, OrderMode, Slot
from domain.library import LibraryDocument, final_file
from domain.personal import Personal, Subject, SubjectKind, person
from domain.signing import DocumentReference, ProcessCreated, SignatureMode


@dataclass(frozen=True, slots=True)
class Creation:
    """The command, and the personal values in it by the names under which they are shown."""

    command: CreateEnvelope
    texts: Mapping[str, object]


async def creation(deps: Deps, caller: Caller, body: NewEnvelope) -> Creation:
    """The command for a draft; raises Problem for what the body names and there is not, DocumentNotFinal."""
    envelope = deps.new_id()
    about = Subject(caller.tenant, SubjectKind.ENVELOPE, str(envelope))
    made = await _documents(deps, caller, body, about)
    people = {deps.new_id(): sent for sent in body.signers}
    slots = [
        Slot(who, _number(body, index, sent), _own(made, index, sent), sent.role)
        for index, (who, sent) in enumerate(people.items())
    ]
    metadata = _metadata(body)

    def conceal(value: str | None) -> Personal | None:
        return None if value is None else deps.vault.conceal(value, about)

    created = EnvelopeCreated(
        tenant=caller.tenant,
        mode=caller.mode,
        documents=tuple(made.values()),
        participants=tuple(slots),
        order=OrderMode(body.routing),
        on_participant_fail=OnParticipantFail.CANCEL_FLOW,
        deadline=None if body.expires_at is None else moment(body.expires_at),
        template=None,
        subject=conceal(body.subject),
        message=conceal(body.message),
        metadata=deps.vault.conceal({**metadata}, about),
        zone=body.time_zone or deps.settings.time_zone,
    )
    processes = {slot.participant: _process(deps, caller, envelope, slot, made, people[slot.participant]) for slot in slots}
    texts: dict[str, object] = {
        f"{envelope}/subject": body.subject,
        f"{envelope}/message": body.message,
        f"{envelope}/metadata": metadata,
    }
    for who, sent in people.items():
        texts |= {f"{who}/name": _name(sent), f"{who}/email": sent.email, f"{who}/details": _details(sent)}
    return Creation(CreateEnvelope(envelope, created, processes, send=False), texts)


async def _documents(deps: Deps, caller: Caller, body: NewEnvelope, about: Subject) -> dict[str, Document]:
    """The envelope's documents, made from those of the library that the body names, by the names there."""
    ids = [typed("doc", name, "document", f"document_ids.{index}") for index, name in enumerate(body.document_ids)]
    if len(set(ids)) != len(ids):
        raise invalid_field("document_ids", "duplicate", "Must not name a document twice.")
    states = await asyncio.gather(*(deps.ledger.state(LibraryDocument, id) for id in ids))
    titles = await deps.reveal({str(id): Reference(id, 1, "/title") for id in ids})
    made = {}
    for index, (name, id, state) in enumerate(zip(body.document_ids, ids, states, strict=True)):
        place = f"document_ids.{index}"
        if state is None or state.deleted or state.kind not in KINDS:
            raise absent("document", place)
        check_owner(caller, state.tenant, state.mode, "document", place)
        file, title = final_file(state, id), text(titles[str(id)])
        concealed = None if title is None else deps.vault.conceal(title, about)
        made[name] = Document(deps.new_id(), file.sha256, file.pages, concealed, source=id)
    return made


def _own(made: Mapping[str, Document], index: int, sent: NewSigner) -> tuple[UUID, ...]:
    """The documents that a signer signs, in the order of the envelope."""
    if sent.document_ids is None:
        return tuple(document.id for document in made.values())
    place = f"signers.{index}.document_ids"
    if len(set(sent.document_ids)) != len(sent.document_ids):
        raise invalid_field(place, "duplicate", "Must not name a document twice.")
    for name in sent.document_ids:
        if name not in made:
            raise invalid_field(place, "unknown_document", "Must be among the document_ids of the envelope.")
    return tuple(document.id for name, document in made.items() if name in sent.document_ids)


def _number(body: NewEnvelope, index: int, sent: NewSigner) -> int:
    if sent.order is not None:
        return sent.order
    return index + 1 if body.routing == "sequential" else 1


def _metadata(body: NewEnvelope) -> dict[str, str]:
    own = {ENTITY: body.entity_id}
    if body.reminder_policy is not None:
        own[INTERVAL] = str(body.reminder_policy.interval_hours)
        own[REMINDERS] = str(body.reminder_policy.max_reminders)
    return {**(body.metadata or {}), **own}


def _name(sent: NewSigner) -> str:
    """What the signer is called; where only an address or a stakeholder was given, that is all there is to call them."""
    return sent.name or sent.email or sent.stakeholder_id or ""


def _details(sent: NewSigner) -> dict[str, str]:
    known = {"stakeholder_id": sent.stakeholder_id, "human_clerk_user_id": sent.human_clerk_user_id}
    return {name: value for name, value in known.items() if value is not None}


def _process(
    deps: Deps, caller: Caller, envelope: UUID, slot: Slot, made: Mapping[str, Document], sent: NewSigner
) -> ProcessCreated:
    subject = person(caller.tenant, email=sent.email, otherwise=slot.participant)
    hashes = {document.id: document.sha256 for document in made.values()}
    details = _details(sent)
    return ProcessCreated(
        tenant=caller.tenant,
        mode=caller.mode,
        envelope=envelope,
        number=slot.number,
        documents=tuple(DocumentReference(document, hashes[document]) for document in slot.documents),
        modes=(SignatureMode.EMAIL,),
        name=deps.vault.conceal(_name(sent), subject),
        email=None if sent.email is None else deps.vault.conceal(sent.email, subject),
        phone=None,
        document_number=None,
        role=sent.role,
        details=deps.vault.conceal({**details}, subject) if details else None,
        human_only=sent.agent_authorized == "forbidden",
    )
