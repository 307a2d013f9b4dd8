"""Documents: signing processes made from a template, and what is done with them."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import WithJsonSchema
from starlette.responses import Response

from api.deps import Answer, Deps, Key, Outcome
from api.http import send_answer
from api.surfaces.partner.access import MODE, Caller, Partner
from api.surfaces.partner.answers import Failed, Success, deps_of
from api.surfaces.partner.bodies import DOCUMENT, EXTEND, DocumentBody, ExtendBody
from api.surfaces.partner.documentation import documented
from api.surfaces.partner.lists import Cursor, Limit, Sort, bad_query, listing
from api.surfaces.partner.models import (
    Cancelled,
    DocumentStatus,
    Extended,
    FetchedDocument,
    ListedDocument,
    NewDocument,
    NewParticipant,
    Participant,
    ParticipantStatus,
    Resent,
    Summary,
)
from api.surfaces.partner.publishing import publication
from api.surfaces.partner.refusals import document_absent, participant_absent
from api.surfaces.partner.validation import body_of
from domain.coordination import CancelEnvelope, ExtendEnvelope, Participate
from domain.envelope import Envelope, EnvelopeStatus
from domain.errors import EnvelopeNotFound
from domain.ids import IdError, ProcessId, parse_uuid
from domain.signing import ResendInvitation, SigningStatus
from projections import envelopes, signers
from projections.envelopes import EnvelopeRow
from projections.signers import SignerRow

router = APIRouter(prefix="/v1/documents", tags=["Documents"])

LISTED: Final = Success(200, "documents_listed", "Documents listed.")
CREATED: Final = Success(201, "document_created", "Document created.")
FETCHED: Final = Success(200, "document_fetched", "Document fetched.")
EXTENDED: Final = Success(200, "document_deadline_extended", "Deadline extended.")
CANCELLED: Final = Success(200, "document_cancelled", "Document cancelled.")
RESENT: Final = Success(200, "invitation_resent", "Invitation resent.")
SUMMARY: Final = Success(200, "document_summary_fetched", "Document summary fetched.")

#: A document costs one credit.
CREDITS: Final = 1

#: Statuses as they are filtered by: the envelope's, and whether a participant has acted where that matters.
FILTERS: Final[dict[DocumentStatus, tuple[tuple[EnvelopeStatus, ...], bool | None]]] = {
    "CREATED": ((EnvelopeStatus.DRAFT, EnvelopeStatus.SENT), False),
    "IN_PROGRESS": ((EnvelopeStatus.DRAFT, EnvelopeStatus.SENT), True),
    "COMPLETED": ((EnvelopeStatus.COMPLETED,), None),
    "FAILED": ((EnvelopeStatus.FAILED, EnvelopeStatus.DECLINED), None),
    "CANCELLED": ((EnvelopeStatus.CANCELLED,), None),
    "EXPIRED": ((EnvelopeStatus.EXPIRED,), None),
}

PARTICIPANTS: Final[dict[SigningStatus, ParticipantStatus]] = {
    SigningStatus.CREATED: "CREATED",
    SigningStatus.INVITED: "INVITED",
    SigningStatus.STARTED: "IN_PROGRESS",
    SigningStatus.COMPLETED: "COMPLETED",
    SigningStatus.DECLINED: "FAILED",
    SigningStatus.FAILED: "FAILED",
    SigningStatus.CANCELLED: "CANCELLED",
    SigningStatus.EXPIRED: "EXPIRED",
}


def status_of(row: EnvelopeRow) -> DocumentStatus:
    """An envelope's status in this surface's words."""
    for status, (statuses, started) in FILTERS.items():
        if row.status in statuses and started in (None, row.started):
            return status
    raise LookupError(f"{row.status} has no word on this surface")


def _document_id(document: Annotated[str, Path(alias="documentId", description="Document identifier.")]) -> UUID:
    try:
        return parse_uuid(document)
    except IdError as err:
        raise Failed(document_absent(document)) from err


def _participant_id(
    document: Annotated[str, Path(alias="documentId", description="Document identifier.")],
    participant: Annotated[str, Path(alias="participantId", description="Participant that will receive the resend.")],
) -> UUID:
    try:
        return parse_uuid(participant)
    except IdError as err:
        raise Failed(participant_absent(document, participant)) from err


DocumentId = Annotated[UUID, Depends(_document_id)]
ParticipantId = Annotated[UUID, Depends(_participant_id)]
Status = Annotated[
    str | None, WithJsonSchema({"type": "string", "enum": list(FILTERS)}), Query(description="Filters by document status.")
]


@router.get("", summary="Lists tenant documents.", **documented(LISTED, list[ListedDocument], 400))
async def index(
    request: Request, caller: Partner, limit: Limit = None, cursor: Cursor = None, sort: Sort = None, status: Status = None
) -> Response:
    """Lists signing processes for the tenant. `pagination` is null when one page holds them all."""
    wanted = listing(limit, cursor, sort, "documents", status or "")
    statuses, started = _filter(status)
    deps = deps_of(request)
    await deps.gate.wait(["envelopes"], deps.settings.read_wait_seconds)
    async with deps.reads.connection() as connection:
        found = await envelopes.page(
            connection,
            caller.tenant,
            MODE,
            wanted.limit + 1,
            after=wanted.after,
            descending=wanted.descending,
            statuses=statuses,
            started=started,
        )
    rows, pagination = wanted.part(found, [row.created_position for row in found])
    data = [
        ListedDocument(document_id=str(row.id), created_at=row.created_at, status=status_of(row), template_id=_template(row))
        for row in rows
    ]
    return send_answer(LISTED.answer(request, data, pagination))


@router.post(
    "", summary="Publishes a signing document.", **documented(CREATED, NewDocument, 402, 404, body=DOCUMENT, changes=True)
)
async def create(request: Request, caller: Partner, body: Annotated[DocumentBody, Depends(body_of(DOCUMENT))]) -> Response:
    """Creates the signing flow from a template and a participant list, and invites those whose turn it is.

    It costs one credit where the tenant has a balance.
    """
    deps, key = deps_of(request), await caller.key(request)
    if (first := await _first_answer(deps, key)) is not None:
        return send_answer(first)
    command = await publication(deps, caller, body)

    def render(outcome: Outcome) -> Answer:
        data = NewDocument(
            document_id=str(command.envelope),
            status="CREATED",
            template_id=str(body.template_id),
            participants=[
                NewParticipant(
                    participant_id=str(participant),
                    display_name=sent.display_name,
                    process_id=str(ProcessId(command.envelope, participant)),
                )
                for participant, sent in zip(command.processes, body.participants, strict=True)
            ],
        )
        return CREATED.answer(request, data)

    return send_answer(await deps.ledger.handle(command, caller.actor, render, key=key, credits=CREDITS))


@router.get("/{documentId}", summary="Gets a document.", **documented(FETCHED, FetchedDocument, 404))
async def fetch(request: Request, caller: Partner, document: DocumentId) -> Response:
    """Returns the current status and metadata for the signing flow."""
    deps = deps_of(request)
    await deps.gate.wait(["envelopes", "signers"], deps.settings.read_wait_seconds)
    async with deps.reads.connection() as connection:
        row = await envelopes.get(connection, caller.tenant, MODE, document)
        if row is None:
            raise EnvelopeNotFound(document)
        people = await signers.of_envelope(connection, caller.tenant, MODE, document)
    opened = await deps.reveal({"metadata": row.metadata, **{str(person.id): person.name for person in people}})
    metadata = opened["metadata"]
    data = FetchedDocument(
        document_id=str(document),
        status=status_of(row),
        created_at=row.created_at,
        updated_at=row.updated_at,
        template_id=_template(row),
        deadline_at=row.deadline,
        metadata=metadata if isinstance(metadata, dict) else None,
        participants=[_participant(person, opened[str(person.id)]) for person in people],
    )
    return send_answer(FETCHED.answer(request, data))


@router.post(
    "/{documentId}/extend", summary="Extends the deadline.", **documented(EXTENDED, Extended, 404, body=EXTEND, changes=True)
)
async def extend(
    request: Request, caller: Partner, document: DocumentId, body: Annotated[ExtendBody, Depends(body_of(EXTEND))]
) -> Response:
    """Updates the process maximum date without creating a new document. A deadline can only become later."""
    deps = deps_of(request)
    await _owned(deps, caller, document)
    data = Extended(document_id=str(document), deadline_at=body.new_deadline_at)
    answer = await deps.ledger.handle(
        ExtendEnvelope(document, body.new_deadline_at),
        caller.actor,
        lambda outcome: EXTENDED.answer(request, data),
        key=await caller.key(request),
    )
    return send_answer(answer)


@router.delete(
    "/{documentId}/cancel", summary="Cancels an active document.", **documented(CANCELLED, Cancelled, 404, changes=True)
)
async def cancel(request: Request, caller: Partner, document: DocumentId) -> Response:
    """Stops the signing flow and prevents further participant progress."""
    deps = deps_of(request)
    await _owned(deps, caller, document)
    answer = await deps.ledger.handle(
        CancelEnvelope(document),
        caller.actor,
        lambda outcome: CANCELLED.answer(request, Cancelled(document_id=str(document))),
        key=await caller.key(request),
    )
    return send_answer(answer)


@router.post(
    "/{documentId}/participants/{participantId}/resend",
    summary="Resends an invitation.",
    **documented(RESENT, Resent, 404, changes=True),
)
async def resend(request: Request, caller: Partner, document: DocumentId, participant: ParticipantId) -> Response:
    """Triggers the invitation again for a specific document participant. The one before it is no longer accepted."""
    deps = deps_of(request)
    await _owned(deps, caller, document)
    data = Resent(document_id=str(document), participant_id=str(participant))
    invitation = deps.invitations.invitation(deps.clock.now())
    answer = await deps.ledger.handle(
        Participate(document, ResendInvitation(participant, invitation)),
        caller.actor,
        lambda outcome: RESENT.answer(request, data),
        key=await caller.key(request),
    )
    return send_answer(answer)


@router.get("/{documentId}/summary", summary="Gets an operational summary.", **documented(SUMMARY, Summary, 404))
async def summary(request: Request, caller: Partner, document: DocumentId) -> Response:
    """Returns a compact view of document progress for internal dashboards or reconciliation."""
    deps = deps_of(request)
    await deps.gate.wait(["envelopes"], deps.settings.read_wait_seconds)
    async with deps.reads.connection() as connection:
        row = await envelopes.get(connection, caller.tenant, MODE, document)
    if row is None:
        raise EnvelopeNotFound(document)
    open_ones = 0 if row.status.final else len(row.participants) - row.completed - row.failed
    data = Summary(
        document_id=str(document), status=status_of(row), completed_participants=row.completed, pending_participants=open_ones
    )
    return send_answer(SUMMARY.answer(request, data))


async def _owned(deps: Deps, caller: Caller, document: UUID) -> None:
    """Raises EnvelopeNotFound unless the document is the caller's; whether it has ended is left to the decision."""
    state = await deps.ledger.state(Envelope, document)
    if state is None or state.tenant != caller.tenant or state.mode is not MODE:
        raise EnvelopeNotFound(document)


async def _first_answer(deps: Deps, key: Key | None) -> Answer | None:
    """What this request was answered before: the template may have been deleted since."""
    return None if key is None else await deps.ledger.answered(key)


def _filter(status: str | None) -> tuple[tuple[EnvelopeStatus, ...] | None, bool | None]:
    if status is None:
        return None, None
    for known, wanted in FILTERS.items():
        if status == known:
            return wanted
    raise Failed(bad_query(f"Invalid status: one of {', '.join(FILTERS)}.", "INVALID_STATUS", "status"))


def _participant(person: SignerRow, name: object) -> Participant:
    return Participant(
        participant_id=str(person.id),
        display_name=name if isinstance(name, str) else None,
        status=PARTICIPANTS[person.status],
        process_id=str(ProcessId(person.envelope, person.id)),
    )


def _template(row: EnvelopeRow) -> str | None:
    return None if row.template is None else str(row.template)
