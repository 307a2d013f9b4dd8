"""A document's body made into the command that creates its envelope."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from api.deps import Deps, Reference
from api.fields import NoSuchParticipant, placed_fields
from api.surfaces.partner.access import MODE, Caller
from api.surfaces.partner.answers import Failed
from api.surfaces.partner.bodies import DocumentBody, FlowPolicyBody, IdentityBody, ParticipantBody, PolicyBody
from api.surfaces.partner.placing import VersionFile
from api.surfaces.partner.refusals import template_absent, version_absent
from api.surfaces.partner.validation import at
from domain.coordination import CreateEnvelope
from domain.entry import decode
from domain.envelope import Document, EnvelopeCreated, PlacedField, Slot, TemplateVersion
from domain.errors import DuplicateParticipant
from domain.personal import Personal, Subject, SubjectKind, person
from domain.signing import DocumentReference, ProcessCreated
from domain.template import Field, StoredFile, Template, TemplateCreated, TemplateRenamed, VersionAdded, refuse_outside

#: The facts that name a version of a template.
_NAMING: Final = (TemplateCreated.TYPE, VersionAdded.TYPE, TemplateRenamed.TYPE)


@dataclass(frozen=True, slots=True)
class _Source:
    """The template version that a document is made from; `name` is None if it was erased."""

    version: TemplateVersion
    file: StoredFile
    fields: tuple[Field, ...]
    name: str | None


async def publication(deps: Deps, caller: Caller, body: DocumentBody) -> CreateEnvelope:
    """The command for a body; raises Failed when the template version is not there, DuplicateParticipant."""
    source = await _source(deps, caller, body)
    _refuse_same_person(body.participants)
    envelope, document = deps.new_id(), DocumentReference(deps.new_id(), source.file.sha256)
    subject = Subject(caller.tenant, SubjectKind.ENVELOPE, str(envelope))
    participants = {deps.new_id(): sent for sent in body.participants}
    fields = await _fields(deps, source, document.id, tuple(participants))
    created = EnvelopeCreated(
        tenant=caller.tenant,
        mode=MODE,
        documents=(
            Document(
                document.id,
                document.sha256,
                source.file.pages,
                None if source.name is None else deps.vault.conceal(source.name, subject),
            ),
        ),
        participants=tuple(Slot(who, number, (document.id,)) for number, who in enumerate(participants, 1)),
        order=body.order_mode,
        on_participant_fail=(body.flow_policy or FlowPolicyBody()).on_participant_fail,
        deadline=body.deadline_at,
        template=source.version,
        subject=None,
        message=None,
        metadata=None if body.metadata is None else deps.vault.conceal(body.metadata, subject),
        fields=fields,
        zone=body.time_zone or deps.settings.time_zone,
    )
    processes = {
        who: _process(deps, caller, envelope, who, number, document, sent)
        for number, (who, sent) in enumerate(participants.items(), 1)
    }
    return CreateEnvelope(envelope, created, processes)


async def _source(deps: Deps, caller: Caller, body: DocumentBody) -> _Source:
    """The template version named in the body, from the log itself: it may have been uploaded a moment ago."""
    template, (owner, number) = body.template_id, body.template_version
    if owner is not None and owner != template:
        raise Failed(at(("templateVersion",), "Belongs to another template than templateId."))
    state = await deps.ledger.state(Template, template)
    if state is None or state.tenant != caller.tenant or state.mode is not MODE or state.deleted:
        raise Failed(template_absent(str(template)))
    version = state.versions.get(number)
    if version is None:
        raise Failed(version_absent(str(template), number))
    if version.file is None:
        raise Failed(at(("templateVersion",), "No PDF has been uploaded for this version of the template."))
    return _Source(TemplateVersion(template, number), version.file, version.fields, await _name(deps, template, number))


async def _fields(deps: Deps, source: _Source, document: UUID, participants: Sequence[UUID]) -> tuple[PlacedField, ...]:
    """The version's fields that stand somewhere; raises FieldLeavesPage for one that was placed before its page was known."""
    try:
        fields = placed_fields(source.fields, document, participants)
    except NoSuchParticipant as err:
        raise Failed(at(("participants",), err.sentence)) from err
    if fields:
        held = VersionFile(source.version.template, source.version.version, source.file)
        refuse_outside(source.fields, (await held.pages(deps)).sizes)
    return fields


async def _name(deps: Deps, template: UUID, number: int) -> str | None:
    """What the version was named last."""
    named = None
    for stored in await deps.recorder.read_stream(template):
        if stored.type in _NAMING and decode(stored.raw).data.get("version", 1) == number:
            named = Reference(template, stored.version, "/name")
    name = None if named is None else (await deps.reveal({"name": named}))["name"]
    return name if isinstance(name, str) else None


def _refuse_same_person(participants: Iterable[ParticipantBody]) -> None:
    """One document number is one person; equal addresses are found by the decision itself."""
    first: dict[str, int] = {}
    for index, sent in enumerate(participants):
        number = (sent.identity or IdentityBody()).document_number
        if number is not None and first.setdefault(number.casefold(), index) != index:
            raise DuplicateParticipant(index, first[number.casefold()])


def _process(
    deps: Deps, caller: Caller, envelope: UUID, who: UUID, number: int, document: DocumentReference, sent: ParticipantBody
) -> ProcessCreated:
    known, policy = sent.identity or IdentityBody(), sent.policy or PolicyBody()
    subject = person(caller.tenant, email=known.email, phone=known.phone, otherwise=who)

    def conceal(value: str | None) -> Personal | None:
        return None if value is None else deps.vault.conceal(value, subject)

    return ProcessCreated(
        tenant=caller.tenant,
        mode=MODE,
        envelope=envelope,
        number=number,
        documents=(document,),
        modes=tuple(sent.signature_mode),
        name=deps.vault.conceal(sent.display_name, subject),
        email=conceal(known.email),
        phone=conceal(known.phone),
        document_number=conceal(known.document_number),
        attempts_max=policy.attempts_max,
        cooldown_seconds=policy.cooldown_seconds,
    )
