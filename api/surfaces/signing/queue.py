"""The signer's queue: the packages that somebody is assigned to, and nothing else, whatever other roles they hold."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from api.auth import UserCaller
from api.deps import Answer, Deps, Key, Outcome
from api.fields import VALUES_DESCRIBED, Values, filled
from api.http import provenance, send_answer
from api.standing import email_subject, person_of
from api.surfaces.signing.access import Once, User, number
from api.surfaces.signing.answers import NOT_FOUND, Failed, Row, answer, deps_of, in_milliseconds
from api.surfaces.signing.bodies import Body, read
from api.surfaces.signing.documentation import documented
from api.surfaces.signing.places import numbers_of
from api.surfaces.signing.records import (
    Document,
    DocumentRecord,
    Documents,
    Opened,
    Signer,
    SignerRecord,
    Signers,
    Signing,
    SigningRecord,
    document_record,
    opened,
    references,
    signer_record,
    signing_record,
)
from domain.actor import IdentityMethod
from domain.coordination import Participate
from domain.envelope import Envelope
from domain.errors import SigningClosed
from domain.personal import Subject
from domain.signing import DocumentSigned, SignatureMethod, SignDocuments
from domain.signing import Signing as SigningState
from projections import documents, envelopes, signers
from projections.documents import DocumentRow
from projections.envelopes import EnvelopeRow
from projections.signers import SignerRow

router: Final = APIRouter(prefix="/v1/signing/signer", tags=["Signer queue"])

#: The caps that the documentation names.
MAX_SIGNINGS: Final = 100
MAX_DOCUMENTS: Final = 500
MAX_SIGNERS: Final = 200

_READ_MODELS: Final = frozenset(("envelopes", "signers", "directory"))

NOT_LINKED: Final = "No signer assignment is linked to your account. Contact your manager to be assigned."


class Assignments(Row):
    """Everything that is assigned to the caller."""

    signers: list[SignerRecord]
    signings: list[SigningRecord]


class SignBody(Body):
    """What may be sent with a signature."""

    client_meta: dict[str, Any] | None = Field(None, description="What the client says of itself; kept as such.")
    fields: Annotated[Values | None, Field(description=VALUES_DESCRIBED)] = None


class Signed(Row):
    """A recorded signature."""

    ok: bool
    first_e_sign: bool = Field(description="Whether this call recorded it; false for a repeat.")
    observed_at: str = Field(description="When the signature was first observed.")
    document: DocumentRecord | None
    signer: SignerRecord | None
    vault_job_enqueued: bool = Field(description="Whether the package belongs to an organization whose integrations are told.")


@dataclass(frozen=True, slots=True)
class Assigned:
    """A package, and the caller's own rows in it."""

    envelope: EnvelopeRow
    own: tuple[SignerRow, ...]


async def assigned(request: Request, caller: UserCaller, signing_id: str) -> Assigned:
    """The package of a path, if the caller is one of its signers; raises Failed 400 or 404."""
    deps, wanted = deps_of(request), number(signing_id, "signing")
    subject = await person_of(deps, caller)
    if subject is not None:
        await deps.gate.wait(_READ_MODELS, deps.settings.read_wait_seconds)
        async with deps.reads.connection() as conn:
            envelope = await envelopes.get_by_number(conn, caller.tenant, caller.mode, wanted)
            if envelope is not None:
                own = await signers.of_person_in(conn, caller.tenant, caller.mode, subject, envelope.id)
                if own:
                    return Assigned(envelope, own)
    raise Failed(404, NOT_FOUND)


@router.get("/signings", summary="List your signing packages", **documented(200, Assignments, 404))
async def list_signings(request: Request, caller: User) -> Response:
    """The packages that are assigned to the caller, most recently updated first, at most 100."""
    deps = deps_of(request)
    subject = await person_of(deps, caller)
    if subject is None:
        raise Failed(404, NOT_LINKED)
    await deps.gate.wait(_READ_MODELS, deps.settings.read_wait_seconds)
    async with deps.reads.connection() as conn:
        found = await signers.of_person(conn, caller.tenant, caller.mode, subject, MAX_SIGNINGS)
        packages = {it.envelope.id: it.envelope for it in found}
    if not found:
        raise Failed(404, NOT_LINKED)
    numbers = await numbers_of(deps, caller, packages.values())
    latest = sorted(packages.values(), key=lambda row: (row.updated_at, row.number), reverse=True)
    texts = await opened(deps, references(latest, [it.signer for it in found]))
    return send_answer(
        answer(
            200,
            Assignments(
                signers=[signer_record(it.signer, it.envelope, texts) for it in found],
                signings=[signing_record(row, numbers, texts) for row in latest],
            ),
        )
    )


@router.get("/signings/{signingId}", summary="Get one signing package", **documented(200, Signing, 400, 404))
async def get_signing(request: Request, caller: User, signingId: str) -> Response:  # noqa: N803
    """The package, if it is assigned to the caller."""
    deps, found = deps_of(request), await assigned(request, caller, signingId)
    numbers = await numbers_of(deps, caller, [found.envelope])
    texts = await opened(deps, references([found.envelope]))
    return send_answer(answer(200, Signing(signing=signing_record(found.envelope, numbers, texts))))


@router.get("/signings/{signingId}/documents", summary="List documents in a package", **documented(200, Documents, 400, 404))
async def list_documents(request: Request, caller: User, signingId: str) -> Response:  # noqa: N803
    """The package's documents by position, at most 500."""
    deps, found = deps_of(request), await assigned(request, caller, signingId)
    async with deps.reads.connection() as conn:
        rows = await documents.of_envelope(conn, caller.tenant, caller.mode, found.envelope.id, MAX_DOCUMENTS)
    texts = await opened(deps, references(documents=rows))
    return send_answer(answer(200, Documents(documents=[document_record(row, found.envelope, texts) for row in rows])))


@router.get("/signings/{signingId}/documents/{documentId}", summary="Get one document", **documented(200, Document, 400, 404))
async def get_document(request: Request, caller: User, signingId: str, documentId: str) -> Response:  # noqa: N803
    """A document of a package that is assigned to the caller."""
    deps = deps_of(request)
    found, row = await _document(request, caller, signingId, documentId)
    texts = await opened(deps, references(documents=[row]))
    return send_answer(answer(200, Document(document=document_record(row, found.envelope, texts))))


@router.get("/signings/{signingId}/signers", summary="List co-signers on a package", **documented(200, Signers, 400, 404))
async def list_signers(request: Request, caller: User, signingId: str) -> Response:  # noqa: N803
    """Everybody who is to sign the package, by number, at most 200."""
    deps, found = deps_of(request), await assigned(request, caller, signingId)
    rows = (await _signers(deps, caller, found.envelope))[:MAX_SIGNERS]
    texts = await opened(deps, references(signers=rows))
    return send_answer(answer(200, Signers(signers=[signer_record(row, found.envelope, texts) for row in rows])))


@router.get("/signings/{signingId}/signers/{signerId}", summary="Get one co-signer", **documented(200, Signer, 400, 404))
async def get_signer(request: Request, caller: User, signingId: str, signerId: str) -> Response:  # noqa: N803
    """A signer of a package that is assigned to the caller."""
    deps, wanted = deps_of(request), number(signerId, "signer")
    found = await assigned(request, caller, signingId)
    row = next((it for it in await _signers(deps, caller, found.envelope) if it.created_position == wanted), None)
    if row is None:
        raise Failed(404, NOT_FOUND)
    texts = await opened(deps, references(signers=[row]))
    return send_answer(answer(200, Signer(signer=signer_record(row, found.envelope, texts))))


@router.post(
    "/signings/{signingId}/documents/{documentId}/sign",
    summary="Record an e-signature",
    **documented(200, Signed, 404, body=SignBody, body_required=False, changes=True),
)
async def sign(request: Request, caller: User, signingId: str, documentId: str, key: Once) -> Response:  # noqa: N803
    """Records that the caller has signed the document. A repeat is answered alike, with the time of the first."""
    deps, body = deps_of(request), await read(request, SignBody, optional=True)
    found, row = await _document(request, caller, signingId, documentId)
    subject = email_subject(caller)
    mine = [signer for signer in found.own if any(document.id == row.id for document in signer.documents)]
    if not mine or subject is None:
        raise Failed(404, NOT_FOUND)
    own = next((signer for signer in mine if _signed_at(signer, row.id) is None), mine[0])
    scene = _Scene(deps, found.envelope, row, own, await opened(deps, references(signers=[own], documents=[row])))
    signed = _signed_at(own, row.id)
    if signed is not None:
        return send_answer(answer(200, scene.repeated()))
    try:
        return send_answer(await _record(request, caller, scene, subject, body, key))
    except SigningClosed:
        # Two at once, and the other one completed it: then it is a repeat as well.
        scene = await scene.again(caller)
        if _signed_at(scene.own, row.id) is None:
            raise
        return send_answer(answer(200, scene.repeated()))


async def _record(
    request: Request, caller: UserCaller, scene: "_Scene", subject: Subject, body: SignBody, key: Key | None
) -> Answer:
    state = await scene.deps.ledger.state(Envelope, scene.envelope.id) if body.fields else None
    values = () if state is None else await filled(scene.deps, state, scene.own.id, body.fields or {}, subject)
    command = SignDocuments(
        participant=scene.own.id,
        documents=(scene.row.id,),
        method=SignatureMethod.CLICKED,
        attestation=None,
        image=None,
        provenance=provenance(request, scene.deps, subject, IdentityMethod.OIDC, body.client_meta),
        values=values,
    )

    def render(outcome: Outcome) -> Answer:
        return answer(200, scene.after(outcome))

    return await scene.deps.ledger.handle(Participate(scene.envelope.id, command), caller.actor, render, key=key)


@dataclass(frozen=True, slots=True)
class _Scene:
    """What an answer to a signature is made of: the rows before it, and their texts."""

    deps: Deps
    envelope: EnvelopeRow
    row: DocumentRow
    own: SignerRow
    texts: Opened

    @property
    def told(self) -> bool:
        return self.envelope.location is not None

    def repeated(self) -> Signed:
        """The answer when nothing is left to be done."""
        signed_at = _signed_at(self.own, self.row.id)
        if signed_at is None:
            raise LookupError("a repeat of what was never done")
        return Signed(
            ok=True,
            first_e_sign=False,
            observed_at=in_milliseconds(signed_at),
            document=document_record(self.row, self.envelope, self.texts),
            signer=signer_record(self.own, self.envelope, self.texts),
            vault_job_enqueued=self.told,
        )

    def after(self, outcome: Outcome) -> Signed:
        """The answer from what was recorded, or was there when it came to that."""
        state = outcome.state(SigningState, self.own.id)
        first = any(isinstance(it.fact, DocumentSigned) for it in outcome.recorded)
        signed = self.row.signed + first
        observed_at = in_milliseconds(state.signed[self.row.id])
        document = document_record(self.row, self.envelope, self.texts)
        signer = signer_record(self.own, self.envelope, self.texts)
        changed = {"updated_at": observed_at}
        return Signed(
            ok=True,
            first_e_sign=first,
            observed_at=observed_at,
            document=document.model_copy(
                update={"status": "signed" if signed == self.row.assigned else "partially_signed", **changed}
            ),
            signer=signer.model_copy(
                update={
                    "status": "started" if state.unsigned else "completed",
                    "e_sign_recorded_at": signer.e_sign_recorded_at or observed_at,
                    **changed,
                }
            ),
            vault_job_enqueued=self.told,
        )

    async def again(self, caller: UserCaller) -> "_Scene":
        """The same with the rows as they are now."""
        await self.deps.gate.wait(_READ_MODELS, self.deps.settings.read_wait_seconds)
        async with self.deps.reads.connection() as conn:
            own = await signers.get(conn, caller.tenant, caller.mode, self.own.id)
            row = await documents.get(conn, caller.tenant, caller.mode, self.envelope.id, self.row.id)
        return _Scene(self.deps, self.envelope, row or self.row, own or self.own, self.texts)


def _signed_at(signer: SignerRow, document: UUID) -> datetime | None:
    return next((it.signed_at for it in signer.documents if it.id == document), None)


async def _document(request: Request, caller: UserCaller, signing_id: str, document_id: str) -> tuple[Assigned, DocumentRow]:
    deps, wanted = deps_of(request), number(document_id, "document")
    found = await assigned(request, caller, signing_id)
    async with deps.reads.connection() as conn:
        row = await documents.get_by_number(conn, caller.tenant, caller.mode, found.envelope.id, wanted)
    if row is None:
        raise Failed(404, NOT_FOUND)
    return found, row


async def _signers(deps: Deps, caller: UserCaller, envelope: EnvelopeRow) -> tuple[SignerRow, ...]:
    async with deps.reads.connection() as conn:
        return await signers.of_envelope(conn, caller.tenant, caller.mode, envelope.id)
