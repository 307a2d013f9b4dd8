"""Signature requests created and sent: one command, or a list of what is wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.auth import Caller
from api.deps import Answer, Deps, Outcome, PdfLimits, Reference, UnusablePdf, find_text
from api.http import send_answer
from api.surfaces.signatures.access import Project, key_for
from api.surfaces.signatures.answers import Failed, Failure, absent, deps_of, named, reference, resource
from api.surfaces.signatures.bodies import DEFAULT_HOURS, CreateBody, RecipientBody
from api.surfaces.signatures.documentation import documented, json_body
from api.surfaces.signatures.models import SignatureRequest
from api.surfaces.signatures.parsing import Faults, parse, plain, read_json, refused
from api.surfaces.signatures.placement import placed
from api.surfaces.signatures.requests import present, repeated
from api.surfaces.signatures.rules import check, signs
from api.surfaces.signatures.showing import Details, default_name, recipient
from domain.actor import Mode
from domain.coordination import CreateEnvelope
from domain.envelope import CopyRecipient, Document, EnvelopeCreated, OnParticipantFail, OrderMode, Slot
from domain.library import DocumentKind, LibraryDocument, final_file
from domain.personal import Subject, SubjectKind, person
from domain.signing import DocumentReference, ProcessCreated, SignatureMode
from domain.template import StoredFile

router = APIRouter(prefix="/v1/signatures", tags=["Signatures"])

#: A request costs one credit; in test mode it is free.
CREDITS: Final[Mapping[Mode, int]] = {Mode.LIVE: 1, Mode.TEST: 0}


@dataclass(frozen=True, slots=True)
class _Source:
    """The render that a request is made from; `title` is None if it has none."""

    id: UUID
    file: StoredFile
    title: str | None


@dataclass(frozen=True, slots=True)
class _People:
    """The recipients' ids, in the order of the request."""

    ids: tuple[UUID, ...]
    recipients: tuple[RecipientBody, ...]

    def details(self, index: int) -> Details:
        sent = self.recipients[index]
        return Details(sent.first_name, sent.last_name or "", sent.order or index + 1, index)

    def name(self, index: int) -> str:
        sent = self.recipients[index]
        return f"{sent.first_name} {sent.last_name or ''}".strip()

    @property
    def signers(self) -> dict[int, UUID]:
        return {index: self.ids[index] for index, sent in enumerate(self.recipients) if signs(sent)}

    @property
    def copies(self) -> dict[int, UUID]:
        return {index: self.ids[index] for index, sent in enumerate(self.recipients) if not signs(sent)}


@router.post(
    "",
    summary="Sends a render out for signature.",
    **documented(
        201,
        SignatureRequest,
        402,
        404,
        body=json_body(CreateBody),
        repeats="A repeat: the request that was created first, as it is now.",
    ),
)
async def create(request: Request, caller: Project) -> Response:
    """Creates a signature request from a stored PDF and invites those whose turn it is, all or nothing.

    It costs one credit where the project has a balance; in test mode it is free.
    """
    body = parse(CreateBody, await read_json(request))
    deps, key = deps_of(request), key_for(request, caller, "create")
    if (first := await repeated(deps, key)) is not None:
        return await _again(deps, caller, first)
    source = await _source(deps, caller, body.render_id)
    command, people = await _composed(deps, caller, body, source)
    made: list[datetime] = []

    def render(outcome: Outcome) -> Answer:
        made.append(outcome.recorded[0].receipt.at)
        return reference(201, command.envelope)

    credits = CREDITS[caller.mode]
    answer = await deps.ledger.handle(command, caller.actor, render, key=key, credits=credits)
    if answer.body != reference(201, command.envelope).body:
        return await _again(deps, caller, answer)  # another request with this key was faster
    return send_answer(resource(201, _created(body, command, people, made[-1])))


async def _again(deps: Deps, caller: Caller, first: Answer) -> Response:
    """The answer to a repeat: what the first request made, as it is by now."""
    return await present(deps, caller, named(first))


async def _source(deps: Deps, caller: Caller, render: UUID) -> _Source:
    """The render, from the log itself: it may have been uploaded a moment ago."""
    state = await deps.ledger.state(LibraryDocument, render)
    if state is None or (state.tenant, state.mode, state.kind) != (caller.tenant, caller.mode, DocumentKind.RENDER):
        raise Failed(absent("render"))
    file, title = final_file(state, render), None
    if state.title is not None:
        title = plain((await deps.reveal({"title": Reference(render, 1, "/title")}))["title"])
    return _Source(render, file, title or None)


async def _composed(deps: Deps, caller: Caller, body: CreateBody, source: _Source) -> tuple[CreateEnvelope, _People]:
    """The command for a body; raises Failed with all that is wrong with it."""
    faults, people = Faults(), _People(tuple(deps.new_id() for _ in body.recipients), tuple(body.recipients))
    check(body, faults)
    faults.refuse()
    envelope, document = deps.new_id(), DocumentReference(deps.new_id(), source.file.sha256)
    anchors = list(dict.fromkeys(tag.anchor_string for tag in body.anchor_tags or ()))
    try:
        found = await find_text(await _pdf(deps, source), anchors, _limits(deps, source))
    except UnusablePdf as err:
        raise refused(("anchorTags" if anchors else "renderId",), err.sentence) from err
    fields = placed(body, people.signers, document.id, found, faults)
    faults.refuse()
    about = Subject(caller.tenant, SubjectKind.ENVELOPE, str(envelope))
    name = body.name or default_name(source.id)
    created = EnvelopeCreated(
        tenant=caller.tenant,
        mode=caller.mode,
        documents=(
            Document(document.id, document.sha256, source.file.pages, deps.vault.conceal(source.title or name, about), source.id),
        ),
        participants=tuple(Slot(who, people.details(index).order, (document.id,)) for index, who in people.signers.items()),
        order=OrderMode.PARALLEL if body.recipients[0].order is None else OrderMode.SEQUENTIAL,
        on_participant_fail=OnParticipantFail.CANCEL_FLOW,
        deadline=deps.clock.now() + timedelta(hours=body.expiration_hours or DEFAULT_HOURS),
        template=None,
        subject=deps.vault.conceal(name, about),
        message=None,
        metadata=None,
        fields=fields,
        copies=tuple(_copy(deps, caller, people, index) for index in people.copies),
        zone=body.time_zone or deps.settings.time_zone,
    )
    processes = {who: _process(deps, caller, envelope, document, people, index) for index, who in people.signers.items()}
    return CreateEnvelope(envelope, created, processes), people


def _limits(deps: Deps, source: _Source) -> PdfLimits:
    """What was accepted once is looked into again, whatever the settings say by now."""
    return PdfLimits(source.file.size_bytes, source.file.pages)


async def _pdf(deps: Deps, source: _Source) -> bytes:
    content = await deps.blobs.get(source.file.sha256)
    if content is None:
        raise Failed(Failure(500, "internal", "The render's PDF is not in the store."))
    return content


def _process(
    deps: Deps, caller: Caller, envelope: UUID, document: DocumentReference, people: _People, index: int
) -> ProcessCreated:
    who, sent, known = people.ids[index], people.recipients[index], people.details(index)
    subject = person(caller.tenant, email=sent.email, otherwise=who)
    return ProcessCreated(
        tenant=caller.tenant,
        mode=caller.mode,
        envelope=envelope,
        number=known.order,
        documents=(document,),
        modes=(SignatureMode.EMAIL,),
        name=deps.vault.conceal(people.name(index), subject),
        email=deps.vault.conceal(sent.email, subject),
        phone=None,
        document_number=None,
        details=deps.vault.conceal(known.spell(), subject),
    )


def _copy(deps: Deps, caller: Caller, people: _People, index: int) -> CopyRecipient:
    who, sent = people.ids[index], people.recipients[index]
    subject = person(caller.tenant, email=sent.email, otherwise=who)
    return CopyRecipient(
        who,
        deps.vault.conceal(people.name(index), subject),
        deps.vault.conceal(sent.email, subject),
        deps.vault.conceal(people.details(index).spell(), subject),
    )


def _created(body: CreateBody, command: CreateEnvelope, people: _People, at: datetime) -> SignatureRequest:
    """The request as it was just created."""
    return SignatureRequest(
        id=command.envelope,
        render_id=body.render_id,
        name=body.name or default_name(body.render_id),
        status="sent",
        recipients=[
            recipient(who, people.details(index), sent.email, sent.designation or "Signer")
            for index, (who, sent) in enumerate(zip(people.ids, people.recipients, strict=True))
        ],
        expiration_hours=body.expiration_hours or DEFAULT_HOURS,
        signed_download_url=None,
        certificate_url=None,
        error_message=None,
        created_at=at,
        completed_at=None,
    )
