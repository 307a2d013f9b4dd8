"""Signature requests: read, listed, cancelled, and the files they end in."""

from dataclasses import replace
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import WithJsonSchema
from starlette.responses import Response

from api.auth import Caller
from api.deps import Answer, Deps, Key, Outcome
from api.executed import missing
from api.http import pdf_response, send_answer
from api.surfaces.signatures.access import Project, key_for
from api.surfaces.signatures.answers import Failed, Failure, absent, deps_of, in_milliseconds, reference, resource
from api.surfaces.signatures.bodies import CancelBody
from api.surfaces.signatures.documentation import documented, json_body
from api.surfaces.signatures.models import SignatureList, SignatureRequest
from api.surfaces.signatures.parsing import parse, path_id, query_fault, read_json
from api.surfaces.signatures.refusals import conflict
from api.surfaces.signatures.showing import fetch, fetch_all, status_of
from domain.coordination import CancelEnvelope
from domain.envelope import Envelope, EnvelopeStatus
from domain.errors import EnvelopeNotFound
from domain.ids import IdError, parse_uuid
from domain.personal import Subject, SubjectKind
from projections import envelopes
from projections.envelopes import EnvelopeRow
from projections.moment import Moment

router = APIRouter(prefix="/v1/signatures", tags=["Signatures"])

#: The published page sizes.
MAX_LIMIT: Final = 100
DEFAULT_LIMIT: Final = 50

WHAT: Final = "signature request"


def _signature_id(id: Annotated[str, Path(description="The signature request id (UUID).")]) -> UUID:
    return path_id(id, WHAT)


SignatureId = Annotated[UUID, Depends(_signature_id)]
Limit = Annotated[
    str | None,
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MAX_LIMIT}),
    Query(description=f"Page size. Default: {DEFAULT_LIMIT}."),
]
RenderId = Annotated[
    str | None,
    WithJsonSchema({"type": "string", "format": "uuid"}),
    Query(alias="renderId", description="Only requests of this render."),
]
Cursor = Annotated[
    str | None,
    WithJsonSchema({"type": "string", "format": "date-time"}),
    Query(description="Only requests that were created strictly before this time: `nextCursor` of the page before, or any."),
]


@router.get("", summary="Lists signature requests.", **documented(200, SignatureList, 400))
async def index(
    request: Request, caller: Project, limit: Limit = None, render: RenderId = None, cursor: Cursor = None
) -> Response:
    """The project's requests, the newest first."""
    deps, size, source, than = deps_of(request), _limit(limit), _render(render), _moment(cursor)
    await deps.gate.wait(["envelopes", "signers"], deps.settings.read_wait_seconds)
    async with deps.reads.connection() as connection:
        # One more than is shown says how short the cursor may be.
        rows = await envelopes.older(connection, caller.tenant, caller.mode, size + 1, than=than, source=source)
    found = rows[:size]
    page = SignatureList(
        signatures=await fetch_all(deps, caller, found),
        next_cursor=_next(found[-1], rows[size] if len(rows) > size else None) if found else None,
        has_more=len(found) == size,
    )
    return send_answer(resource(200, page))


@router.get("/{id}", summary="Gets a signature request.", **documented(200, SignatureRequest, 404))
async def get(request: Request, caller: Project, id: SignatureId) -> Response:
    """Its current status and, once available, where the signed document and the certificate of completion are."""
    return await present(deps_of(request), caller, id)


@router.post(
    "/{id}/cancel",
    summary="Cancels a signature request.",
    **documented(
        200,
        SignatureRequest,
        404,
        body=json_body(CancelBody),
        optional=True,
        repeats="The resource as it is now; also for a repeat.",
    ),
)
async def cancel(request: Request, caller: Project, id: SignatureId) -> Response:
    """Ends it; nobody can sign any more. What has ended cannot be cancelled."""
    body = parse(CancelBody, await read_json(request, optional=True))
    deps, key = deps_of(request), key_for(request, caller, f"cancel:{id}")
    if await repeated(deps, key):
        return await present(deps, caller, id)
    state = await deps.ledger.state(Envelope, id)
    if state is None or (state.tenant, state.mode) != (caller.tenant, caller.mode) or state.status is EnvelopeStatus.DRAFT:
        raise EnvelopeNotFound(id)
    about = Subject(caller.tenant, SubjectKind.ENVELOPE, str(id))
    command = CancelEnvelope(id, deps.vault.conceal(body.reason, about) if body.reason else None)

    def render(outcome: Outcome) -> Answer:
        return reference(200, id)

    await deps.ledger.handle(command, caller.actor, render, key=key)
    return await present(deps, caller, id)


@router.get("/{id}/download", summary="Downloads the signed document.", **documented(200, None, 404, 409))
async def download(request: Request, caller: Project, id: SignatureId) -> Response:
    """The signed PDF, once the request has completed and it is archived; the first one, of several documents."""
    deps = deps_of(request)
    row = await _row(deps, caller, id)
    executed = row.documents[0].executed_sha256 if row.documents else None
    return await _file(deps, row, executed, "signed document", f"{id}-signed.pdf")


@router.get("/{id}/certificate", summary="Downloads the certificate of completion.", **documented(200, None, 404, 409))
async def certificate(request: Request, caller: Project, id: SignatureId) -> Response:
    """The certificate of completion, once the request has completed and it is made."""
    deps = deps_of(request)
    row = await _row(deps, caller, id)
    return await _file(deps, row, row.certificate_sha256, "certificate", f"{id}-certificate.pdf")


async def present(deps: Deps, caller: Caller, id: UUID, status: int = 200) -> Response:
    """The request as it is now; raises Failed with the documented 404."""
    found = await fetch(deps, caller, id)
    if found is None:
        raise Failed(absent(WHAT))
    return send_answer(resource(status, found))


async def repeated(deps: Deps, key: Key | None) -> Answer | None:
    """What was kept of the first request under this key, if there was one."""
    return None if key is None else await deps.ledger.answered(key)


async def _row(deps: Deps, caller: Caller, id: UUID) -> EnvelopeRow:
    await deps.gate.wait(["envelopes"], deps.settings.read_wait_seconds)
    async with deps.reads.connection() as connection:
        row = await envelopes.get(connection, caller.tenant, caller.mode, id)
    if row is None or row.status is EnvelopeStatus.DRAFT:
        raise Failed(absent(WHAT))
    return row


async def _file(deps: Deps, row: EnvelopeRow, sha256: str | None, what: str, filename: str) -> Response:
    """A PDF that came of a request; raises Failed with the documented 409 while it is not there."""
    if sha256 is None:
        raise Failed(await _not_there(deps, row, what))
    content = await deps.blobs.get(sha256)
    if content is None:
        raise Failed(Failure(500, "internal", f"The {what} is not in the store."))
    return pdf_response(content, sha256, filename)


async def _not_there(deps: Deps, row: EnvelopeRow, what: str) -> Failure:
    status = status_of(row, deps.clock.now())
    said = conflict(f"The {what} is not available; the signature request is {status}.")
    if status != "completed":
        return said
    why = missing(await deps.executions.state(row.id), deps.clock.now())
    wait = {} if why.retry_after is None else {"Retry-After": str(why.retry_after)}
    return replace(said, message=f"{said.message} {why.sentence}", headers=wait)


# The list's parameters


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= MAX_LIMIT):
        raise query_fault("limit", f"Expected an integer from 1 to {MAX_LIMIT}")
    return int(text)


def _render(text: str | None) -> UUID | None:
    try:
        return None if text is None else parse_uuid(text)
    except IdError as err:
        raise query_fault("renderId", "Invalid uuid") from err


def _moment(text: str | None) -> Moment | None:
    found = None if text is None else Moment.parse(text)
    if text is not None and found is None:
        raise query_fault("cursor", "Expected an ISO 8601 time")
    return found


def _next(last: EnvelopeRow, following: EnvelopeRow | None) -> str:
    """The time to go on from: in milliseconds as all times here, unless a row would be lost by that."""
    rounded = last.created_at.replace(microsecond=last.created_at.microsecond // 1000 * 1000)
    if following is None or following.created_at < rounded:
        return in_milliseconds(rounded)
    return last.moment.spell()
