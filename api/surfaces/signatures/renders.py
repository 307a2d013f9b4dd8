"""Renders: stored PDFs that signature requests are made from. Rendering itself is not done here; a render is uploaded."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import WithJsonSchema
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.auth import Caller
from api.deps import Answer, Deps, Outcome, PdfLimits, UnusablePdf
from api.http import send_answer
from api.surfaces.signatures.access import Project, key_for
from api.surfaces.signatures.answers import Failed, absent, deps_of, named, reference, resource
from api.surfaces.signatures.bodies import MAX_NAME_CHARACTERS
from api.surfaces.signatures.documentation import PDF, documented
from api.surfaces.signatures.models import Render
from api.surfaces.signatures.parsing import path_id, query_fault, read_body, refused
from api.surfaces.signatures.requests import repeated
from api.text import NAME, SENTENCES
from domain.ids import milliseconds
from domain.library import CreateDocument, DocumentKind
from domain.personal import Personal, Subject, SubjectKind
from domain.template import StoredFile
from projections import library

router = APIRouter(prefix="/v1/renders", tags=["Renders"])

#: The published limit of a PDF.
MAX_PDF_BYTES: Final = 20 * 1024 * 1024

WHAT: Final = "render"

#: What the library keeps for other surfaces is no render.
_KINDS: Final = (DocumentKind.RENDER,)

_PDF_TYPE: Final = "application/pdf"

_NAME: Final = re.compile(NAME)

_UPLOAD: Final[Mapping[str, Any]] = PDF


def _render_id(id: Annotated[str, Path(description="The render's id (UUID).")]) -> UUID:
    return path_id(id, WHAT)


RenderId = Annotated[UUID, Depends(_render_id)]
Name = Annotated[
    str | None,
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": MAX_NAME_CHARACTERS, "pattern": f"^{NAME}$"}),
    Query(description="What the document is called; recipients get to see it."),
]


@router.post(
    "",
    summary="Stores a PDF as a render.",
    **documented(201, Render, body=_UPLOAD, repeats="A repeat: the render that was stored first."),
)
async def create(request: Request, caller: Project, name: Name = None) -> Response:
    """The body is the PDF itself. It is looked into before it is accepted: real, not encrypted, with pages that can be signed."""
    deps = deps_of(request)
    _check_name(name)
    data = await _upload(request, _limit_bytes(deps))
    key = key_for(request, caller, "render")
    if (first := await repeated(deps, key)) is not None:
        return send_answer(resource(200, await _fetch(deps, caller, named(first))))
    document, file = deps.new_id(), await _stored(deps, data)
    title = _title(deps, caller, document, name)
    command = CreateDocument(caller.tenant, caller.mode, document, DocumentKind.RENDER, title=title, file=file)
    times: list[datetime] = []

    def render(outcome: Outcome) -> Answer:
        times[:] = [recorded.receipt.at for recorded in outcome.recorded]
        return reference(201, document)

    answer = await deps.ledger.handle(command, caller.actor, render, key=key)
    if named(answer) != document:  # another upload with this key was faster
        return send_answer(resource(200, await _fetch(deps, caller, named(answer))))
    return send_answer(resource(201, _shown(deps, caller, document, file, times[0], times[-1])))


@router.get("/{id}", summary="Gets a render.", **documented(200, Render, 404))
async def get(request: Request, caller: Project, id: RenderId) -> Response:
    """Where the render stands, and a signed URL of its PDF."""
    return send_answer(resource(200, await _fetch(deps_of(request), caller, id)))


def _check_name(name: str | None) -> None:
    if name is None:
        return
    if not 0 < len(name) <= MAX_NAME_CHARACTERS:
        raise query_fault("name", f"Expected 1 to {MAX_NAME_CHARACTERS} characters")
    if not _NAME.fullmatch(name):
        raise query_fault("name", SENTENCES[f"^{NAME}$"])


def _limit_bytes(deps: Deps) -> int:
    """The published limit, or less where the settings say so."""
    return min(MAX_PDF_BYTES, deps.settings.upload_limit_bytes)


async def _upload(request: Request, limit_bytes: int) -> bytes:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != _PDF_TYPE:
        raise HTTPException(415, f"Send the PDF itself as the body, as Content-Type: {_PDF_TYPE}.")
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise HTTPException(415, "Send the PDF as it is, without a Content-Encoding.")
    return await read_body(request, limit_bytes)


async def _stored(deps: Deps, data: bytes) -> StoredFile:
    """An upload, once its bytes are in the store; raises Failed for what is not a PDF to sign.

    The blobs are there before the fact: a fact must never name bytes that are not. A crash between them leaves unused blobs.
    """
    try:
        accepted = await deps.files.inspect(data, PdfLimits(_limit_bytes(deps), deps.settings.upload_limit_pages))
    except UnusablePdf as err:
        raise refused((), err.sentence) from err
    await deps.files.keep(accepted)
    return accepted.file


def _title(deps: Deps, caller: Caller, document: UUID, name: str | None) -> Personal | None:
    subject = Subject(caller.tenant, SubjectKind.DOCUMENT, str(document))
    return None if name is None else deps.vault.conceal(name, subject)


async def _fetch(deps: Deps, caller: Caller, id: UUID) -> Render:
    """The render as it is now; raises Failed with the documented 404."""
    await deps.gate.wait(["library"], deps.settings.read_wait_seconds)
    async with deps.reads.connection() as connection:
        row = await library.get(connection, caller.tenant, caller.mode, _KINDS, id)
    if row is None or row.file is None:
        raise Failed(absent(WHAT))
    return _shown(deps, caller, row.id, row.file, row.created_at, row.finalized_at or row.created_at)


def _shown(deps: Deps, caller: Caller, id: UUID, file: StoredFile, began: datetime, done: datetime) -> Render:
    return Render(
        id=id,
        status="succeeded",
        poll_url=f"{deps.settings.base_url}/v1/renders/{id}",
        download_url=deps.urls.download(file.sha256, f"{id}.pdf", caller.actor),
        error_message=None,
        created_at=began,
        completed_at=done,
        duration_ms=milliseconds(done) - milliseconds(began),
    )
