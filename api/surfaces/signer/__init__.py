"""The signer's page: what an invited person needs to read, sign or decline, with nothing but a browser.

The page is the same for everybody and opening it does nothing, so a mail scanner that follows the link
leaves no trace of a signer. The session token is in the link's fragment, which browsers do not send; the
page's script sends it in `X-Signing-Session-Token`, so it is in no URL and in no log. Signing itself is
`POST /v1/signing_sessions/{id}/complete`; what is here is the rest.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from fastapi import FastAPI, Request
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.deps import Answer, Deps, Key, Outcome, Reference, token_hash
from api.http import RECEIPTS_DESCRIBED, RequestLimits, idempotency_key, json_answer, pdf_response, provenance, read_json
from api.participants import signing_with_person, title_references
from api.problems import REFUSALS, Problem, answer_problems, problem
from api.static_page import ASSET_HEADERS, page_headers
from api.surfaces.signer.models import MAX_REASON_CHARACTERS, Decline, Declined, Head, Package, package_of
from domain.actor import Actor, ActorKind, IdentityMethod
from domain.coordination import Participate
from domain.entry import decode
from domain.envelope import Envelope, refuse_late
from domain.errors import (
    DocumentNotFound,
    EnvelopeNotFound,
    IdempotentAnswerErased,
    SessionExpired,
    SessionTokenInvalid,
    SigningClosed,
)
from domain.ids import IdError, ProcessId, parse_typed_id, parse_uuid
from domain.personal import Subject
from domain.signing import DeclineSigning, SessionToken, Signing, SigningStatus, ViewDocument, check_token

__all__ = ["REFUSALS", "build"]

_FOLDER: Final = Path(__file__).parent
_PAGE: Final = (_FOLDER / "page.html").read_bytes()
_SCRIPT: Final = (_FOLDER / "page.js").read_bytes()

#: A document is shown in a frame.
_PAGE_HEADERS: Final = page_headers(_PAGE, "frame-src blob:", "object-src blob:")

_ERRORS: Final = {
    403: "The token is missing, belongs to another session, or a newer invitation has replaced it.",
    410: "The token's lifetime is over.",
    503: "The database is out of reach.",
}
_TOKEN: Final[dict[str, Any]] = {
    "parameters": [
        {
            "name": "X-Signing-Session-Token",
            "in": "header",
            "required": True,
            "description": "The token from the invitation's link.",
            "schema": {"type": "string"},
        }
    ]
}
_DECLINE_BODY: Final = {"requestBody": {"content": {"application/json": {"schema": Decline.model_json_schema()}}}}


@dataclass(frozen=True, slots=True)
class _Access:
    """What the bearer of a session's token has access to; `actor` is how the log names the bearer."""

    participant: UUID
    signing: Signing
    envelope: Envelope
    person: Subject
    token: SessionToken
    actor: Actor


async def _access(deps: Deps, request: Request, session: str) -> _Access:
    """Raises SessionTokenInvalid, also where there is no such session, so that nobody can ask which exist; SessionExpired."""
    shown = request.headers.get("x-signing-session-token")
    try:
        participant = parse_typed_id("sgs", session)
    except IdError as err:
        raise SessionTokenInvalid from err
    found = await signing_with_person(deps, participant)
    if not shown or found is None:
        raise SessionTokenInvalid
    (signing, person), token = found, SessionToken(token_hash(shown))
    until = check_token(signing, token)
    if deps.clock.now() > until:
        raise SessionExpired(until)
    envelope = await deps.ledger.state(Envelope, signing.envelope)
    if envelope is None:
        raise EnvelopeNotFound(signing.envelope)
    return _Access(participant, signing, envelope, person, token, Actor(ActorKind.SIGNER, session))


async def _package(deps: Deps, access: _Access) -> Package:
    envelope, stream = access.envelope, access.signing.envelope
    known = await title_references(deps, stream)
    titles = {str(document): known.get(document) for document in access.signing.documents}
    words = await deps.reveal(
        {
            **titles,
            "participant": Reference(access.participant, 1, "/name"),
            "subject": Reference(stream, 1, "/subject"),
            "message": Reference(stream, 1, "/message"),
        }
    )
    last = (await deps.recorder.read_stream(access.participant))[-1]
    return package_of(
        process=ProcessId(stream, access.participant),
        sender=await deps.identity.tenant_name(access.signing.tenant),
        signing=access.signing,
        envelope=envelope,
        words={name: value if isinstance(value, str) else None for name, value in words.items()},
        head=Head.of(last.version, last.leaf, decode(last.raw).at),
        now=deps.clock.now(),
    )


async def _record_view(deps: Deps, request: Request, access: _Access, document: UUID) -> None:
    """Records that the document was shown, once in each hour of the clock.

    Coming back to it later is evidence, every reload is not, and the bearer of a token must not be able
    to make the log grow without end. The key makes it once even for requests at the same moment.
    """
    seen = provenance(request, deps, access.person, IdentityMethod.TOKEN)
    command = ViewDocument(access.participant, document, access.signing.documents[document], seen, access.token)
    hour = f"{document} {deps.clock.now():%Y-%m-%dT%H}"
    key = Key(f"signer-view:{access.participant}:{access.token.sha256}", hour, b"")
    try:
        await deps.ledger.handle(
            Participate(access.signing.envelope, command), access.actor, lambda _: Answer(204, "text/plain", b""), key=key
        )
    except IdempotentAnswerErased:
        return  # recorded before the person was erased


def _json(answer: Answer) -> Response:
    return Response(answer.body, answer.status, ASSET_HEADERS, answer.media_type)


def build(deps: Deps) -> FastAPI:
    """The application at `/sign/...`."""
    app = FastAPI(
        title="Signer's page",
        summary="The page behind an invitation's link",
        description=(__doc__ or "") + RECEIPTS_DESCRIBED,
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.add_middleware(RequestLimits, deps=deps)
    answer_problems(app)
    _add_page(app)
    _add_reading(app, deps)
    _add_declining(app, deps)
    return app


def _documented(errors: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": Problem, "description": text} for status, text in (*_ERRORS.items(), *errors.items())}


def _add_page(app: FastAPI) -> None:
    @app.api_route("/sign/{session}", methods=["GET", "HEAD"], include_in_schema=False)
    async def page(session: str) -> Response:
        return Response(_PAGE, 200, _PAGE_HEADERS, "text/html; charset=utf-8")

    @app.get("/sign/assets/page.js", include_in_schema=False)
    async def script() -> Response:
        return Response(_SCRIPT, 200, ASSET_HEADERS, "text/javascript; charset=utf-8")


def _add_reading(app: FastAPI, deps: Deps) -> None:
    @app.get("/sign/{session}/package", response_model=Package, responses=_documented({}), openapi_extra=_TOKEN)
    async def package(session: str, request: Request) -> Response:
        """What is to be signed, by whom, for whom, and how it stands; also after it has ended."""
        found = await _package(deps, await _access(deps, request, session))
        return _json(json_answer(200, found.model_dump(by_alias=True)))

    @app.get(
        "/sign/{session}/documents/{document}",
        response_class=Response,
        responses={
            200: {"content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}}}},
            **_documented({404: "The participant has no such document.", 409: "It has ended otherwise than by signing."}),
        },
        openapi_extra=_TOKEN,
    )
    async def pdf(session: str, document: str, request: Request) -> Response:
        """A document as it was uploaded. That it was shown is recorded first, once in each hour.

        After signing it can still be had, for the signer's own copy; that is not recorded, for the process has ended.
        """
        access = await _access(deps, request, session)
        signing = access.signing
        wanted = _document(document, signing)
        if signing.status.final and signing.status is not SigningStatus.COMPLETED:
            raise SigningClosed(signing.status)
        content = await deps.blobs.get(signing.documents[wanted])
        if content is None:
            return problem(request, 500, "file-missing", "The document is missing from the store; please tell the sender.")
        if not signing.status.final:
            refuse_late(access.envelope, deps.clock.now())
            await _record_view(deps, request, access, wanted)
        response = pdf_response(content, signing.documents[wanted], "document.pdf")
        response.headers.update(ASSET_HEADERS)
        return response


def _document(text: str, signing: Signing) -> UUID:
    """Raises DocumentNotFound, or HTTPException 404 for what is no id."""
    try:
        document = parse_uuid(text)
    except IdError as err:
        raise HTTPException(404) from err
    if document not in signing.documents:
        raise DocumentNotFound(document)
    return document


def _add_declining(app: FastAPI, deps: Deps) -> None:
    @app.post(
        "/sign/{session}/decline",
        response_model=Declined,
        responses=_documented({409: "It has ended before.", 422: "The body is not as described."}),
        openapi_extra={**_TOKEN, **_DECLINE_BODY},
    )
    async def decline(session: str, request: Request) -> Response:
        """Declines to sign, with or without a reason, which is kept as personal data. `Idempotency-Key` is honoured."""
        access = await _access(deps, request, session)
        try:
            reason = Decline.model_validate(await read_json(request)).reason
        except ValidationError:
            text = f"The body is an object with one member, reason: null or a text of at most {MAX_REASON_CHARACTERS} characters."
            raise HTTPException(422, text) from None  # what was sent is in no message: it is personal
        given = None if reason is None or not reason.strip() else deps.vault.conceal(reason, access.person)
        seen = provenance(request, deps, access.person, IdentityMethod.TOKEN)
        command = DeclineSigning(access.participant, given, seen, access.token)

        def render(outcome: Outcome) -> Answer:
            last = [recorded.receipt for recorded in outcome.recorded if recorded.receipt.stream == access.participant][-1]
            return json_answer(200, Declined(head=Head.of(last.version, last.leaf, last.at)).model_dump(by_alias=True))

        # The scope holds the token: whoever knows a key but not the token does not get the answer kept under it.
        key = await idempotency_key(request, f"signer:{access.participant}:{access.token.sha256}")
        return _json(await deps.ledger.handle(Participate(access.signing.envelope, command), access.actor, render, key=key))
