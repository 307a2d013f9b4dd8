"""Managers' packages: drafted, filled, activated, cancelled, and their signers reminded."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response

from api.auth import UserCaller
from api.deps import Answer, Deps, Key, Outcome
from api.http import send_answer
from api.surfaces.signing.access import Once, User, number
from api.surfaces.signing.answers import NOT_FOUND, Failed, Row, answer, deps_of, in_milliseconds, when
from api.surfaces.signing.bodies import read
from api.surfaces.signing.documentation import documented
from api.surfaces.signing.drafting import (
    CancelBody,
    DocumentBody,
    SignerBody,
    SigningBody,
    about,
    added_document,
    added_signer,
    numeric,
    opening,
)
from api.surfaces.signing.places import numbers_of
from api.surfaces.signing.records import (
    Document,
    DocumentRecord,
    Signer,
    SignerRecord,
    Signing,
    SigningRecord,
    document_record,
    opened,
    references,
    signer_record,
    signing_record,
)
from api.surfaces.signing.session import FORBIDDEN, Visitor, visitor_of
from api.surfaces.signing.sources import library_source, template_source
from domain.coordination import CancelEnvelope, PackageCommand, RemindEnvelope, SendEnvelope
from domain.directory import Module, Place, Tier
from domain.envelope import Envelope, EnvelopeStatus
from domain.errors import Conflict
from domain.signing import ProcessCreated
from projections import directory, documents, envelopes, signers
from projections.directory import LocationRow
from projections.documents import DocumentRow
from projections.envelopes import DOCUMENTS_PER_FACT, EnvelopeRow
from projections.signers import SignerRow

router: Final = APIRouter(prefix="/v1/signing/manager/signings", tags=["Manager signings"])

#: Rows of a list, as documented for administrators.
MAX_SIGNINGS: Final = 500

#: How often a signer is added anew after others were added in the same moment.
MAX_TRIES: Final = 5

_READ_MODELS: Final = frozenset(("envelopes", "signers", "directory"))


class Signings(Row):
    """Packages in the caller's scope."""

    signings: list[SigningRecord]
    scope: Literal["managed", "global"]


class SigningDetail(Row):
    """A package with what is in it."""

    signing: SigningRecord
    documents: list[DocumentRecord]
    signers: list[SignerRecord]


class Resent(Row):
    """To how many signers the invitation was sent again."""

    ok: bool
    resent: int = Field(description="Signers whose turn it is and who have not finished.")
    signing: SigningRecord


@dataclass(frozen=True, slots=True)
class Managed:
    """A package in the caller's scope, with its rows."""

    deps: Deps
    visitor: Visitor
    envelope: EnvelopeRow
    documents: tuple[DocumentRow, ...]
    signers: tuple[SignerRow, ...]

    async def place(self) -> Place | None:
        """Where the package belongs."""
        return await _place(self.deps, self.visitor, self.envelope)

    async def detail(self) -> SigningDetail:
        """All of it as records."""
        numbers = await numbers_of(self.deps, self.visitor.caller, [self.envelope])
        texts = await opened(self.deps, references([self.envelope], self.signers, self.documents))
        return SigningDetail(
            signing=signing_record(self.envelope, numbers, texts),
            documents=[document_record(row, self.envelope, texts) for row in self.documents],
            signers=[signer_record(row, self.envelope, texts) for row in self.signers],
        )


async def managed(request: Request, visitor: Visitor, signing_id: str, at_least: Tier) -> Managed:
    """The package of a path; raises Failed 403 for a tier that is too low, 404 for what is not in the caller's scope."""
    visitor.require(Module.SIGNINGS, Tier.READ)
    wanted = number(signing_id, "signing")
    found = await _read(deps_of(request), visitor, wanted)
    place = None if found is None else await _place(deps_of(request), visitor, found.envelope)
    if found is None or not _covers(visitor, place):
        raise Failed(404, NOT_FOUND)
    visitor.require(Module.SIGNINGS, at_least, place)
    return found


def _covers(visitor: Visitor, place: Place | None) -> bool:
    """A package that no location of the directory has is an administrator's business alone."""
    return visitor.access.admin or (place is not None and visitor.access.scope().covers(place))


async def _read(deps: Deps, visitor: Visitor, wanted: int) -> Managed | None:
    caller = visitor.caller
    await deps.gate.wait(_READ_MODELS, deps.settings.read_wait_seconds)
    async with deps.reads.connection() as conn:
        envelope = await envelopes.get_by_number(conn, caller.tenant, caller.mode, wanted)
        if envelope is None:
            return None
        return Managed(
            deps,
            visitor,
            envelope,
            await documents.of_envelope(conn, caller.tenant, caller.mode, envelope.id, MAX_SIGNINGS),
            await signers.of_envelope(conn, caller.tenant, caller.mode, envelope.id),
        )


async def _place(deps: Deps, visitor: Visitor, envelope: EnvelopeRow) -> Place | None:
    if envelope.location is None:
        return None
    async with deps.reads.connection() as conn:
        row = await directory.location(conn, visitor.caller.tenant, visitor.caller.mode, envelope.location)
    return None if row is None else row.place


async def location_of(request: Request, visitor: Visitor, text: str, module: Module, at_least: Tier) -> LocationRow:
    """The location with a numeric id; raises Failed 400, 403 outside the caller's scope, 404 for none."""
    deps, wanted = deps_of(request), number(text, "location")
    await deps.gate.wait({"directory"}, deps.settings.read_wait_seconds)
    async with deps.reads.connection() as conn:
        row = await directory.location(conn, visitor.caller.tenant, visitor.caller.mode, wanted)
    if row is None:
        raise Failed(404, NOT_FOUND)
    if not visitor.access.allows(module, at_least, row.place):
        raise Failed(403, FORBIDDEN)
    return row


@router.get("", summary="List packages", **documented(200, Signings, 400, 403, 404))
async def list_signings(
    request: Request,
    caller: User,
    locationId: Annotated[str | None, Query()] = None,  # noqa: N803
) -> Response:
    """Packages of the locations where the caller may read signings, most recently updated first, at most 500."""
    deps, visitor = deps_of(request), await visitor_of(request, caller)
    visitor.require(Module.SIGNINGS, Tier.READ)
    only = None
    if locationId is not None:
        only = frozenset([(await location_of(request, visitor, locationId, Module.SIGNINGS, Tier.READ)).id])
    await deps.gate.wait(_READ_MODELS, deps.settings.read_wait_seconds)
    async with deps.reads.connection() as conn:
        scope = only or await directory.location_ids(
            conn, caller.tenant, caller.mode, visitor.access.scope(Module.SIGNINGS, at_least=Tier.READ)
        )
        rows = await envelopes.latest(conn, caller.tenant, caller.mode, MAX_SIGNINGS, locations=scope)
    numbers, texts = await numbers_of(deps, caller, rows), await opened(deps, references(rows))
    records = [signing_record(row, numbers, texts) for row in rows]
    return send_answer(answer(200, Signings(signings=records, scope=visitor.scope)))


@router.get("/{signingId}", summary="Get one package", **documented(200, SigningDetail, 400, 403, 404))
async def get_signing(request: Request, caller: User, signingId: str) -> Response:  # noqa: N803
    """A package with its documents and signers."""
    found = await managed(request, await visitor_of(request, caller), signingId, Tier.READ)
    return send_answer(answer(200, await found.detail()))


@router.post("", summary="Draft a package", **documented(201, Signing, 403, 404, body=SigningBody, changes=True))
async def create(request: Request, caller: User, key: Once) -> Response:
    """A draft at a location; documents and signers are added to it before it is activated."""
    deps, visitor, body = deps_of(request), await visitor_of(request, caller), await read(request, SigningBody)
    visitor.require(Module.SIGNINGS, Tier.WRITE)
    location = await location_of(request, visitor, numeric(body.location_id), Module.SIGNINGS, Tier.WRITE)
    command = await opening(deps, visitor, body, location)
    flow = await numbers_of(deps, caller, ids=[command.created.flow])

    def render(outcome: Outcome) -> Answer:
        receipt = outcome.recorded[0].receipt
        record = SigningRecord(
            id=str(receipt.position),
            status="draft",
            outcome=None,
            title=body.title,
            note=body.note or None,
            location_id=str(location.number),
            flow_id=None if command.created.flow is None else str(flow[command.created.flow]),
            order=body.order,
            deadline_at=when(command.created.deadline),
            cancel_reason=None,
            created_at=in_milliseconds(receipt.at),
            sent_at=None,
            ended_at=None,
            updated_at=in_milliseconds(receipt.at),
        )
        return answer(201, Signing(signing=record))

    return await _do(deps, visitor, command, render, key)


@router.post(
    "/{signingId}/documents",
    summary="Add a document to a draft",
    **documented(201, Document, 403, 404, body=DocumentBody, changes=True),
)
async def add_document(request: Request, caller: User, signingId: str, key: Once) -> Response:  # noqa: N803
    """The PDF as it is now; what becomes of its source later does not change the package."""
    body = await read(request, DocumentBody)
    found = await managed(request, await visitor_of(request, caller), signingId, Tier.WRITE)
    if body.document_id is not None:
        source = await library_source(found.deps, found.visitor, body.document_id)
    else:
        source = await template_source(found.deps, found.visitor, numeric(body.template_id or 0), await found.place())
    title = (await found.deps.reveal({"title": source.title}))["title"]
    called = body.title or (title if isinstance(title, str) else None)
    command = added_document(found.deps, found.visitor, found.envelope, found.signers, body, source, called)

    def render(outcome: Outcome) -> Answer:
        receipt = outcome.recorded[0].receipt
        record = DocumentRecord(
            id=str(receipt.position * DOCUMENTS_PER_FACT),
            signing_id=str(found.envelope.number),
            position=len(outcome.state(Envelope, found.envelope.id).documents),
            status="pending",
            title=called,
            pages=source.file.pages,
            sha256=source.file.sha256,
            created_at=in_milliseconds(receipt.at),
            updated_at=in_milliseconds(receipt.at),
        )
        return answer(201, Document(document=record))

    return await _do(found.deps, found.visitor, command, render, key)


@router.post(
    "/{signingId}/signers", summary="Add a signer to a draft", **documented(201, Signer, 403, 404, body=SignerBody, changes=True)
)
async def add_signer(request: Request, caller: User, signingId: str, key: Once) -> Response:  # noqa: N803
    """A person with what they are to sign. One person signs a package once."""
    body = await read(request, SignerBody)
    for _ in range(MAX_TRIES - 1):
        with suppress(Conflict):  # somebody was added since the signers were looked at
            return await _add_signer(request, caller, signingId, body, key)
        if key is not None and (first := await deps_of(request).ledger.answered(key)) is not None:
            return send_answer(first)
    return await _add_signer(request, caller, signingId, body, key)


async def _add_signer(request: Request, caller: UserCaller, signing_id: str, body: SignerBody, key: Key | None) -> Response:
    found = await managed(request, await visitor_of(request, caller), signing_id, Tier.WRITE)
    known = await found.deps.reveal({str(row.id): row.email for row in found.signers})
    emails = {row.id: email for row in found.signers if isinstance(email := known[str(row.id)], str)}
    command = added_signer(found.deps, found.visitor, found.envelope, found.documents, found.signers, emails, body)
    numbers = {row.id: row.number for row in found.documents}

    def render(outcome: Outcome) -> Answer:
        receipt = next(it.receipt for it in outcome.recorded if isinstance(it.fact, ProcessCreated))
        record = SignerRecord(
            id=str(receipt.position),
            signing_id=str(found.envelope.number),
            status="pending",
            number=command.slot.number,
            full_name=body.full_name,
            email=body.email,
            role=body.role,
            document_ids=[str(numbers[document]) for document in command.slot.documents],
            e_sign_recorded_at=None,
            created_at=in_milliseconds(receipt.at),
            updated_at=in_milliseconds(receipt.at),
        )
        return answer(201, Signer(signer=record))

    return await _do(found.deps, found.visitor, command, render, key)


@router.post("/{signingId}/activate", summary="Send a draft", **documented(200, Signing, 403, 404, changes=True))
async def activate(request: Request, caller: User, signingId: str, key: Once) -> Response:  # noqa: N803
    """Freezes documents and signers, and invites those whose turn it is. 409 if it is active already."""
    found = await managed(request, await visitor_of(request, caller), signingId, Tier.WRITE)
    if found.envelope.status is EnvelopeStatus.SENT:
        raise Failed(409, "The package is active already.")
    record = (await found.detail()).signing

    def render(outcome: Outcome) -> Answer:
        # Nothing is recorded where somebody else activated it in the same moment.
        at = in_milliseconds(outcome.recorded[0].receipt.at) if outcome.recorded else record.updated_at
        return answer(200, Signing(signing=record.model_copy(update={"status": "active", "sent_at": at, "updated_at": at})))

    return await _do(found.deps, found.visitor, SendEnvelope(found.envelope.id), render, key)


@router.post(
    "/{signingId}/cancel",
    summary="Cancel a package",
    **documented(200, Signing, 403, 404, body=CancelBody, body_required=False, changes=True),
)
async def cancel(request: Request, caller: User, signingId: str, key: Once) -> Response:  # noqa: N803
    """Ends the package; signers can no longer act. 409 if it has ended already."""
    body = await read(request, CancelBody, optional=True)
    found = await managed(request, await visitor_of(request, caller), signingId, Tier.WRITE)
    record = (await found.detail()).signing
    reason = found.deps.vault.conceal(body.reason, about(found.visitor, found.envelope.id)) if body.reason else None

    def render(outcome: Outcome) -> Answer:
        at = in_milliseconds(outcome.recorded[0].receipt.at)
        ended = {"status": "cancelled", "outcome": EnvelopeStatus.CANCELLED.value, "ended_at": at, "updated_at": at}
        return answer(200, Signing(signing=record.model_copy(update={**ended, "cancel_reason": body.reason or None})))

    return await _do(found.deps, found.visitor, CancelEnvelope(found.envelope.id, reason), render, key)


@router.post("/{signingId}/resend", summary="Send invitations again", **documented(200, Resent, 403, 404, changes=True))
async def resend(request: Request, caller: User, signingId: str, key: Once) -> Response:  # noqa: N803
    """Sends the invitation again to everybody whose turn it is and who has not finished."""
    found = await managed(request, await visitor_of(request, caller), signingId, Tier.WRITE)
    record = (await found.detail()).signing

    def render(outcome: Outcome) -> Answer:
        return answer(200, Resent(ok=True, resent=len(outcome.recorded), signing=record))

    return await _do(found.deps, found.visitor, RemindEnvelope(found.envelope.id), render, key)


async def _do(
    deps: Deps, visitor: Visitor, command: PackageCommand, render: Callable[[Outcome], Answer], key: Key | None
) -> Response:
    return send_answer(await deps.ledger.handle(command, visitor.caller.actor, render, key=key))
