"""Documents: made as drafts that wait for a PDF, then final, and looked at until they are executed."""

from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.auth import Caller
from api.deps import Answer, Deps, Outcome
from api.http import json_answer, read_json, send_answer
from api.surfaces.sessions import library as views
from api.surfaces.sessions.access import absent, callers_key, check_owner, deps_of, dry_run, organization, typed
from api.surfaces.sessions.commands import first_answer
from api.surfaces.sessions.documentation import documented, list_parameters
from api.surfaces.sessions.library import KINDS, DocumentList, LibraryItem, NewDocument
from api.surfaces.sessions.lists import listing, unknown_cursor, window
from api.surfaces.sessions.models import unix_seconds
from api.surfaces.sessions.validation import parse
from domain.actor import Mode
from domain.ids import IdError, parse_typed_id, typed_id
from domain.library import CreateDocument, DocumentKind, LibraryDocument
from domain.personal import Subject, SubjectKind
from projections import library
from projections.library import DocumentRow

router = APIRouter(prefix="/v1/documents", tags=["Documents"])

_NOUN: Final = "document"


@router.post(
    "",
    summary="Create a document",
    **documented(202, LibraryItem, 409, body=NewDocument, changes=True, simulated=True),
)
async def create(request: Request) -> Response:
    """Makes a document that waits for its PDF: PUT it to `upload_url`. Then it is final and can go into envelopes."""
    deps, caller = deps_of(request), await organization(request)
    body = parse(NewDocument, await read_json(request))
    key = await callers_key(request, caller)
    simulated = dry_run(request)
    if not simulated and (first := await first_answer(deps, key)) is not None:
        return send_answer(first)
    document, title = deps.new_id(), body.title or body.type
    about = Subject(caller.tenant, SubjectKind.DOCUMENT, str(document))
    command = CreateDocument(
        tenant=caller.tenant,
        mode=caller.mode,
        document=document,
        kind=DocumentKind.GENERATED,
        type=body.type,
        title=deps.vault.conceal(title, about),
        details=deps.vault.conceal(views.details_of(body), about),
    )
    now = deps.clock.now()
    url, seconds = views.upload(deps, caller, document)

    def render(outcome: Outcome) -> Answer:
        at = unix_seconds(max((recorded.receipt.at for recorded in outcome.recorded), default=now))
        made = LibraryItem(
            id=typed_id("doc", document),
            created=at,
            updated=at,
            mode=caller.mode.value,
            livemode=caller.mode is Mode.LIVE,
            metadata=body.metadata or {},
            entity_id=body.entity_id,
            type=body.type,
            title=title,
            parameters=body.parameters,
            status="draft",
            execution_status="draft",
            signing_envelope_ids=[],
            sha256=None,
            pages=None,
            upload_url=None if simulated else url,
            upload_expires_in=None if simulated else seconds,
        )
        return json_answer(202, made.model_dump())

    if simulated:
        return send_answer(render(Outcome((), {})))
    return send_answer(await deps.ledger.handle(command, caller.actor, render, key=key))


@router.get("", summary="List documents", **documented(200, DocumentList, parameters=list_parameters("document", "doc")))
async def index(request: Request) -> Response:
    """Documents of the organization, newest first."""
    deps, caller = deps_of(request), await organization(request)
    wanted = listing(request)
    await deps.gate.wait(["library", "envelopes"], deps.settings.read_wait_seconds)
    after, before = await _place(deps, caller, wanted.starting_after), await _place(deps, caller, wanted.ending_before)
    if (after, before) == (None, None) and (wanted.starting_after, wanted.ending_before) != (None, None):
        raise unknown_cursor(wanted, _NOUN)
    async with deps.reads.connection() as conn:

        async def page(limit: int, place: int | None, descending: bool) -> tuple[DocumentRow, ...]:
            return await library.page(conn, caller.tenant, caller.mode, KINDS, limit, after=place, descending=descending)

        found = await window(wanted.limit, after, before, page)
    data = await views.shown(deps, caller, found.rows)
    cursor = data[-1].id if data and found.has_more else None
    answer = DocumentList(data=data, has_more=found.has_more, url="/v1/documents", next_cursor=cursor)
    return send_answer(json_answer(200, answer.model_dump()))


async def _place(deps: Deps, caller: Caller, name: str | None) -> int | None:
    """Where in lists a document stands; None if the caller has none of this id."""
    try:
        document = None if name is None else parse_typed_id("doc", name)
    except IdError:
        return None
    if document is None:
        return None
    async with deps.reads.connection() as conn:
        row = await library.get(conn, caller.tenant, caller.mode, KINDS, document)
    return None if row is None else row.created_position


@router.get("/{id}", summary="Fetch a document", **documented(200, LibraryItem, 404))
async def fetch(request: Request, id: str) -> Response:
    """The document as it is now, with a fresh `upload_url` while it waits for its PDF."""
    deps, caller = deps_of(request), await organization(request)
    return send_answer(json_answer(200, (await read(deps, caller, id)).model_dump()))


async def read(deps: Deps, caller: Caller, id: str) -> LibraryItem:
    """The caller's document with this id; raises Problem 404."""
    document = typed("doc", id, _NOUN)
    state = await deps.ledger.state(LibraryDocument, document)
    if state is None or state.deleted or state.kind not in KINDS:
        raise absent(_NOUN)
    check_owner(caller, state.tenant, state.mode, _NOUN)
    await deps.gate.wait(["library", "envelopes"], deps.settings.read_wait_seconds)
    async with deps.reads.connection() as conn:
        row = await library.get(conn, caller.tenant, caller.mode, KINDS, document)
    if row is None:
        raise absent(_NOUN)
    return (await views.shown(deps, caller, [row]))[0]
