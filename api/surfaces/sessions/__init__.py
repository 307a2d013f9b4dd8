"""The sessions surface: Mattermode's conventions, the part of them that a signature needs.

A session is the right to complete one signing; its id is the participant's (docs/adr). What is read
comes from the log itself, so it is never stale.
"""

from typing import Any, Final

from fastapi import APIRouter, FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from api.deps import Answer, Deps, Key, Outcome, token_hash
from api.http import MAX_KEY_CHARACTERS, RequestLimits, idempotency_key, json_answer, provenance, read_json, send_answer
from api.participants import signing_with_person
from api.surfaces.sessions.access import (
    TOKEN_HEADER,
    VERSION_HEADER,
    credentials,
    deps_of,
    known,
    session_id,
    visible,
)
from api.surfaces.sessions.completion import completed, session_of
from api.surfaces.sessions.models import Completed, Completion, Session, parse, schemas
from api.surfaces.sessions.problems import (
    HEADER_INVALID,
    KINDS,
    MEDIA_TYPE,
    NOT_FOUND,
    REFUSALS,
    SESSION_TOKEN,
    Problem,
    ProblemDocument,
    attempt,
    install,
)
from domain.actor import Actor, ActorKind, IdentityMethod
from domain.coordination import Participate
from domain.envelope import Envelope
from domain.signing import SessionToken, SignatureMethod, SignDocuments, Signing, check_token

__all__ = ["REFUSALS", "build"]

router = APIRouter(tags=["Signing sessions"])


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The documentation of the errors with these statuses."""
    found: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        kinds = [kind for kind in KINDS if kind.status == status]
        found[status] = {
            "description": " ".join(f"`{kind.code}`: {kind.meaning}" for kind in kinds),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
    return found


def _header(name: str, description: str, *, required: bool = False, **schema: Any) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": required,
        "description": description,
        "schema": {"type": "string", **schema},
    }


_AUTHORIZATION: Final = _header(
    "Authorization", "`Bearer sk_live_...` or `Bearer sk_test_...`: a key of the session's organization."
)
_VERSION: Final = _header(VERSION_HEADER, "The version of the API that the client was written for.", format="date")


@router.post(
    "/v1/signing_sessions/{id}/complete",
    summary="Complete a signing session",
    response_model=Completed,
    responses=_errors(400, 401, 403, 404, 409, 410, 413, 415, 422, 500, 503),
    openapi_extra={
        "parameters": [
            _header(TOKEN_HEADER, "The single-use session token from the invitation. It is never logged.", required=True),
            _AUTHORIZATION,
            _VERSION,
            _header(
                "Idempotency-Key",
                "A repeat under the same key gives the first answer; the same key with another body is refused.",
                minLength=1,
                maxLength=MAX_KEY_CHARACTERS,
            ),
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Completion"}}},
        },
    },
)
async def complete(request: Request, id: str) -> Response:
    """Records the signer's signature on everything the session covers, with its evidence.

    The session token is the credential: an organization's key alone does not let one complete another's slot.
    The last signer completes the envelope.
    """
    deps = deps_of(request)
    shown = await credentials(request)
    participant = session_id(id)
    attempt(request, id, "completed")
    found = await signing_with_person(deps, participant)
    if found is None:
        raise Problem(NOT_FOUND, "There is no such signing session.")
    signing, subject = visible(found[0], shown.organization), found[1]
    # The token must be in its own header here: a bearer is for the organization.
    token = request.headers.get(TOKEN_HEADER)
    if not token:
        raise Problem(SESSION_TOKEN, f"Send the session token from the invitation in {TOKEN_HEADER}.", param=TOKEN_HEADER)
    digest = token_hash(token)
    body = parse(await read_json(request))
    command = SignDocuments(
        participant=participant,
        documents=None,
        method=SignatureMethod.TYPED if body.signature_blob is None else SignatureMethod.DRAWN,
        attestation=deps.vault.conceal(body.electronic_signature_text, subject),
        image=None if body.signature_blob is None else deps.vault.conceal(body.signature_blob, subject),
        provenance=provenance(request, deps, subject, IdentityMethod.TOKEN, body.client_metadata),
        token=SessionToken(digest),
    )

    def render(outcome: Outcome) -> Answer:
        return json_answer(200, completed(participant, outcome).model_dump())

    # The scope holds the token: whoever knows a key but not the token does not get the answer kept under it.
    key = await _key(request, f"sessions:{participant}:{digest}")
    answer = await deps.ledger.handle(Participate(signing.envelope, command), Actor(ActorKind.SIGNER, id), render, key=key)
    return send_answer(answer)


@router.get(
    "/v1/signing_sessions/{id}",
    summary="Fetch a signing session",
    response_model=Session,
    responses=_errors(400, 401, 403, 404, 500, 503),
    openapi_extra={
        "parameters": [_AUTHORIZATION, _header(TOKEN_HEADER, "The session's own token, instead of a key."), _VERSION],
    },
)
async def fetch(request: Request, id: str) -> Response:
    """The session as it is now, read from the log. Needs an organization's key or the session's own token."""
    deps = deps_of(request)
    shown = await credentials(request)
    known(shown)
    participant = session_id(id)
    signing = visible(await deps.ledger.state(Signing, participant), shown.organization)
    if shown.organization is None:
        check_token(signing, SessionToken(token_hash(shown.token or "")))
    envelope = await deps.ledger.state(Envelope, signing.envelope)
    if envelope is None:
        raise Problem(NOT_FOUND, "There is no such signing session.")
    return send_answer(json_answer(200, session_of(participant, signing, envelope, deps.clock.now()).model_dump()))


async def _key(request: Request, scope: str) -> Key | None:
    try:
        return await idempotency_key(request, scope)
    except HTTPException as err:
        if err.status_code != HEADER_INVALID.status:
            raise
        raise Problem(HEADER_INVALID, err.detail, param="Idempotency-Key") from err


class _Application(FastAPI):
    """An application whose OpenAPI document holds the schemas that its routes only refer to."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            document = super().openapi()
            known_schemas = document.setdefault("components", {}).setdefault("schemas", {})
            known_schemas.update(schemas(Completion, ProblemDocument))
            for unused in ("HTTPValidationError", "ValidationError"):
                known_schemas.pop(unused, None)
            for operation in (each for item in document["paths"].values() for each in item.values()):
                # The framework's own 422 for path parameters: an id that is none is not found here.
                if "application/json" in operation["responses"].get("422", {}).get("content", {}):
                    del operation["responses"]["422"]
        return self.openapi_schema or document


_DESCRIPTION: Final = (
    "Signing sessions as Matter's API documents them: completing one, and looking at one. Errors are problem documents "
    "(RFC 9457); match on `code`.\n\n" + "\n\n".join(f"{kind.status} {kind.code}: {kind.meaning}" for kind in KINDS)
)


def build(deps: Deps) -> FastAPI:
    """The surface as an application of its own."""
    app = _Application(
        title="Signing sessions",
        summary="Completing signing sessions, in Matter's conventions.",
        description=_DESCRIPTION,
        version="2026-06-10",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.deps = deps
    app.add_middleware(RequestLimits, deps=deps)
    app.include_router(router)
    install(app)
    return app
