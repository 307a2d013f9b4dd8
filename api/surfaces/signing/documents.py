"""Chattel documents: records of what somebody owns, with a PDF that packages can use. They belong to the account that made them."""

from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.deps import Accepted, Answer, Outcome, PdfLimits, UnusablePdf
from api.http import send_answer
from api.surfaces.signing.access import Once, User
from api.surfaces.signing.answers import INVALID_BODY, Failed, answer, deps_of, in_milliseconds
from api.surfaces.signing.bodies import read
from api.surfaces.signing.chattels import (
    Chattel,
    ChattelFile,
    ChattelRecord,
    Chattels,
    DocumentBody,
    DocumentChangeBody,
    chattel,
    chattel_record,
    chattel_type,
    chattels,
    document_id,
    loan_record,
    owner_subject,
    values_of,
)
from api.surfaces.signing.documentation import documented
from domain.errors import DocumentFileAlreadyStored
from domain.library import CreateDocument, DeleteDocument, DocumentKind, LibraryDocument, ReviseDocument, StoreDocumentFile

router: Final = APIRouter(prefix="/v1/documents", tags=["Documents"])

_PDF: Final = "application/pdf"


def _uploading() -> dict[str, Any]:
    arguments = documented(200, Chattel, 404, 413, 415, changes=True)
    pdf = {_PDF: {"schema": {"type": "string", "format": "binary"}}}
    return {**arguments, "openapi_extra": {**arguments["openapi_extra"], "requestBody": {"required": True, "content": pdf}}}


@router.get("", summary="List your documents", **documented(200, Chattels))
async def list_documents(request: Request, caller: User) -> Response:
    """Your documents, the last updated first, at most 500."""
    rows = await chattels(request, caller)
    values = await values_of(deps_of(request), *rows)
    return send_answer(answer(200, Chattels(documents=[chattel_record(row, values) for row in rows])))


@router.post("", summary="Create a document", **documented(201, Chattel, body=DocumentBody, changes=True))
async def create(request: Request, caller: User, key: Once) -> Response:
    """A record of something you own, with its loan if there is one."""
    deps, body = deps_of(request), await read(request, DocumentBody)
    kind, whose, made = chattel_type(body.chattel_type), owner_subject(caller), deps.new_id()
    loan = None if body.loan is None else body.loan.model_dump(mode="json")
    command = CreateDocument(
        tenant=caller.tenant,
        mode=caller.mode,
        document=made,
        kind=DocumentKind.CHATTEL,
        type=kind,
        title=deps.vault.conceal(body.title, whose),
        description=deps.vault.conceal(body.description, whose) if body.description else None,
        details=None if loan is None else deps.vault.conceal(loan, whose),
        owner=deps.vault.conceal({"issuer": caller.user.issuer, "subject": caller.user.subject}, whose),
    )

    def render(outcome: Outcome) -> Answer:
        at = in_milliseconds(outcome.recorded[0].receipt.at)
        record = ChattelRecord(
            id=document_id(made),
            title=body.title,
            description=body.description or None,
            chattel_type=kind,
            loan=loan_record(loan),
            file=None,
            created_at=at,
            updated_at=at,
        )
        return answer(201, Chattel(document=record))

    return send_answer(await deps.ledger.handle(command, caller.actor, render, key=key))


@router.get("/{id}", summary="Get a document", **documented(200, Chattel, 404))
async def get(request: Request, caller: User, id: str) -> Response:
    """One of your documents."""
    row = await chattel(request, caller, id)
    return send_answer(answer(200, Chattel(document=chattel_record(row, await values_of(deps_of(request), row)))))


@router.patch("/{id}", summary="Change a document", **documented(200, Chattel, 404, body=DocumentChangeBody, changes=True))
async def change(request: Request, caller: User, id: str, key: Once) -> Response:
    """Title, description and type; the loan stays as it is."""
    deps, body = deps_of(request), await read(request, DocumentChangeBody)
    kind = None if body.chattel_type is None else chattel_type(body.chattel_type)
    row = await chattel(request, caller, id)
    record = chattel_record(row, await values_of(deps, row))
    given = body.model_fields_set
    revised = record.model_copy(
        update={
            "title": body.title if "title" in given else record.title,
            "description": (body.description or None) if "description" in given else record.description,
            "chattel_type": kind or record.chattel_type,
        }
    )
    whose = owner_subject(caller)
    state = await deps.ledger.state(LibraryDocument, row.id) if revised == record else None
    if state is not None:  # the same commitments again: nothing is recorded
        command = ReviseDocument(row.id, state.type, state.title, state.description)
    else:
        command = ReviseDocument(
            row.id,
            revised.chattel_type,
            None if revised.title is None else deps.vault.conceal(revised.title, whose),
            None if revised.description is None else deps.vault.conceal(revised.description, whose),
        )

    def render(outcome: Outcome) -> Answer:
        at = in_milliseconds(outcome.recorded[-1].receipt.at) if outcome.recorded else record.updated_at
        return answer(200, Chattel(document=revised.model_copy(update={"updated_at": at})))

    return send_answer(await deps.ledger.handle(command, caller.actor, render, key=key))


@router.delete("/{id}", summary="Delete a document", **documented(204, None, 404, changes=True))
async def delete(request: Request, caller: User, id: str, key: Once) -> Response:
    """Packages that were made with it keep their copy."""
    row = await chattel(request, caller, id)

    def render(outcome: Outcome) -> Answer:
        return Answer(204, "application/json", b"")

    return send_answer(await deps_of(request).ledger.handle(DeleteDocument(row.id), caller.actor, render, key=key))


@router.put("/{id}/file", summary="Store a document's PDF", **_uploading())
async def store_file(request: Request, caller: User, id: str, key: Once) -> Response:
    """The body is the PDF itself. The same bytes again are fine; other bytes are refused, since a package may have the first."""
    deps, row = deps_of(request), await chattel(request, caller, id)
    data = await _upload(request)
    record = chattel_record(row, await values_of(deps, row))
    accepted = await _inspected(request, data)
    file = accepted.file
    if row.file is not None and row.file.sha256 != file.sha256:
        raise DocumentFileAlreadyStored
    # The blobs first: a fact must never name bytes that are not there. A crash here leaves unused blobs.
    await deps.files.keep(accepted)

    def render(outcome: Outcome) -> Answer:
        at = in_milliseconds(outcome.recorded[-1].receipt.at) if outcome.recorded else record.updated_at
        stored = ChattelFile.model_validate(file, from_attributes=True)
        return answer(200, Chattel(document=record.model_copy(update={"file": stored, "updated_at": at})))

    return send_answer(await deps.ledger.handle(StoreDocumentFile(row.id, file), caller.actor, render, key=key))


async def _upload(request: Request) -> bytes:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != _PDF:
        raise HTTPException(415, f"Send the PDF itself as the body, as Content-Type: {_PDF}.")
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise HTTPException(415, "Send the PDF as it is, without a Content-Encoding.")
    return await request.body()


async def _inspected(request: Request, data: bytes) -> Accepted:
    """An upload that was looked into; raises Failed 400 for what is not a PDF to sign."""
    deps = deps_of(request)
    try:
        return await deps.files.inspect(data, PdfLimits(deps.settings.upload_limit_bytes, deps.settings.upload_limit_pages))
    except UnusablePdf as err:
        raise Failed(400, f"{INVALID_BODY} {err.sentence}") from err
