"""Files by signed URL: the PDF of a template version or of a document goes up, blobs come down.

The URL is the credential (`FileUrls`): no header authenticates. A URL stops working when it expires,
and at once when the credential that asked for it is revoked.
"""

from hashlib import sha256
from typing import Any, Final, assert_never

from fastapi import FastAPI, Request
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.deps import (
    Accepted,
    Answer,
    Deps,
    DocumentUploadGrant,
    DownloadGrant,
    Key,
    Outcome,
    PdfLimits,
    Refused,
    UploadGrant,
    UrlRefused,
)
from api.http import RECEIPTS_DESCRIBED, RequestLimits, idempotency_value, json_answer, pdf_response, send_answer
from api.problems import REFUSALS, Problem, problem
from api.surfaces.files.problems import CredentialRevoked, answer_problems
from domain import library, template
from domain.actor import Actor, ActorKind
from domain.library import LibraryDocument, StoreDocumentFile
from domain.template import StoreFile, Template

__all__ = ["REFUSALS", "build"]

#: What clients send with raw bytes: the right type, none, or what curl and object stores' tools put there by
#: default. A form (multipart/form-data) would carry the PDF inside something else.
UPLOAD_TYPES: Final = frozenset(
    {
        "",
        "application/pdf",
        "application/x-pdf",
        "application/octet-stream",
        "binary/octet-stream",
        "application/x-www-form-urlencoded",
    }
)

_CREDENTIALS: Final = (ActorKind.PARTNER_KEY, ActorKind.PROJECT_KEY, ActorKind.ORGANIZATION_KEY)

_ERRORS: Final = {403: "The URL does not permit this, or no longer.", 404: "There is no such template version, document or file."}
_UPLOAD_ERRORS: Final = _ERRORS | {
    409: "The version or document has another PDF already.",
    413: "The file is larger than the URL permits.",
    415: "The body is not the PDF itself.",
    422: "The file is not a PDF that can be signed, or a field of the version is not on its pages; `code` and `detail` say why and what to do.",
}


class Uploaded(BaseModel):
    """The PDF as it was stored."""

    sha256: str = Field(description="SHA-256 of the bytes, 64 hex digits.")
    size_bytes: int = Field(alias="sizeBytes")
    pages: int


def build(deps: Deps) -> FastAPI:
    """The application at `/files/...`."""
    app = FastAPI(
        title="Files",
        summary="Upload and download of PDFs by signed URL",
        description=(__doc__ or "") + RECEIPTS_DESCRIBED,
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.add_middleware(RequestLimits, deps=deps, max_body_bytes=deps.settings.upload_limit_bytes)
    answer_problems(app)

    @app.put(
        "/files/upload/{token}",
        response_model=Uploaded,
        responses=_documented(_UPLOAD_ERRORS),
        openapi_extra={
            "requestBody": {"required": True, "content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}}}}
        },
    )
    async def upload(token: str, request: Request) -> Response:
        """Stores the PDF of one template version or document. The same bytes again are fine; others are refused."""
        grant = deps.urls.open(token, request.method)
        if isinstance(grant, DownloadGrant):
            raise UrlRefused(Refused.METHOD)
        await _require_active(deps, grant.actor)
        return send_answer(await _store(deps, grant, request))

    shown: dict[str, Any] = {
        "response_class": Response,
        "responses": {
            200: {"content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}}}},
            **_documented(_ERRORS),
        },
    }

    @app.head("/files/download/{token}", **shown)
    @app.get("/files/download/{token}", **shown)
    async def download(token: str, request: Request) -> Response:
        """The file, as it was stored: its SHA-256 is checked on the way out and sent as `Repr-Digest`."""
        grant = deps.urls.open(token, request.method)
        if not isinstance(grant, DownloadGrant):
            raise UrlRefused(Refused.METHOD)
        await _require_active(deps, grant.actor)
        content = await deps.blobs.get(grant.sha256)
        if content is None:
            return problem(request, 404, "file-not-found", "The file is not in the store.")
        return pdf_response(content, grant.sha256, grant.filename)

    return app


def _documented(statuses: dict[int, str]) -> dict[int | str, dict[str, object]]:
    return {status: {"model": Problem, "description": description} for status, description in statuses.items()}


async def _require_active(deps: Deps, actor: Actor) -> None:
    """Revoking a credential takes the rights away that it gave out (raises CredentialRevoked)."""
    if actor.kind in _CREDENTIALS and not await deps.identity.is_active(actor.id):
        raise CredentialRevoked


def _target(grant: UploadGrant | DocumentUploadGrant) -> str:
    """What is uploaded to, however often and by whichever URL."""
    match grant:
        case UploadGrant():
            return f"{grant.template} {grant.version}"
        case DocumentUploadGrant():
            return f"{grant.document}"
        case _ as unreachable:
            assert_never(unreachable)


async def _command(deps: Deps, grant: UploadGrant | DocumentUploadGrant, accepted: Accepted) -> StoreFile | StoreDocumentFile:
    """The command that records the file; raises a Refusal if it would be refused now."""
    match grant:
        case UploadGrant():
            of_version = StoreFile(grant.template, grant.version, accepted.file, accepted.sizes)
            template.decide(of_version, await deps.ledger.state(Template, grant.template), deps.clock.now())
            return of_version
        case DocumentUploadGrant():
            of_document = StoreDocumentFile(grant.document, accepted.file)
            library.decide(of_document, await deps.ledger.state(LibraryDocument, grant.document), deps.clock.now())
            return of_document
        case _ as unreachable:
            assert_never(unreachable)


async def _store(deps: Deps, grant: UploadGrant | DocumentUploadGrant, request: Request) -> Answer:
    value = idempotency_value(request)
    data = await _read(request, grant.limit_bytes)
    digest = sha256(data)
    # What is repeated is the upload of these bytes to this place, perhaps by another URL.
    target = f"PUT {_target(grant)} {digest.hexdigest()}".encode()
    key = None if value is None else Key(f"files:{grant.actor.kind}:{grant.actor.id}", value, target)
    if key is not None and (first := await deps.ledger.answered(key)) is not None:
        return first
    accepted = await deps.files.inspect(data, PdfLimits(grant.limit_bytes, deps.settings.upload_limit_pages))
    file = accepted.file
    # Decided once beforehand, so that what is refused leaves no blobs behind that nothing refers to.
    command = await _command(deps, grant, accepted)
    # The blobs first: a fact must never name bytes that are not there. A crash here leaves unused blobs.
    await deps.files.keep(accepted)

    def render(outcome: Outcome) -> Answer:
        return json_answer(200, {"sha256": file.sha256, "sizeBytes": file.size_bytes, "pages": file.pages})

    return await deps.ledger.handle(command, grant.actor, render, key=key)


async def _read(request: Request, limit_bytes: int) -> bytes:
    """The body; HTTPException 413 as soon as it is known to be larger than `limit_bytes`, 415 if it is not plain bytes."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in UPLOAD_TYPES:
        raise HTTPException(415, f"Send the PDF itself as the body, as application/pdf; this is {media_type}.")
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise HTTPException(415, "Send the PDF as it is, without a Content-Encoding.")
    too_large = HTTPException(413, f"The file is larger than {limit_bytes} bytes, the most that this URL permits.")
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared) > limit_bytes:
        raise too_large
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > limit_bytes:
            raise too_large
    return bytes(data)
