"""Errors as problem documents (RFC 9457), with the members and codes of the reference page.

Each kind of error is one `Kind`; refusals of the domain become kinds through one table, `REFUSALS`.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, cast

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from api.deps import DatabaseUnavailable, Deps, ReadsUnavailable, RecorderUnavailable
from api.http import json_answer, request_id
from domain import errors
from domain.errors import Refusal

log = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"

#: Where the documentation of the codes is, below the base URL.
DOCUMENTATION: Final = "/docs/sessions"

#: What a client that was told "not now" should wait before it asks again.
RETRY_AFTER_SECONDS: Final = 1


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of error, as documented. Clients match on `code` alone."""

    status: int
    code: str
    title: str
    meaning: str


HEADER_INVALID: Final = Kind(400, "validation_header_invalid", "Invalid header", "A header is missing or malformed.")
BODY_INVALID: Final = Kind(400, "validation_body_invalid", "Invalid body", "The body is not JSON.")
MISSING_CREDENTIALS: Final = Kind(
    401, "auth_missing_credentials", "Missing credentials", "Neither an organization key nor a session token was sent."
)
TOKEN_INVALID: Final = Kind(401, "auth_token_invalid", "Invalid token", "The bearer is not an active organization key.")
CREDITS: Final = Kind(402, "credits_insufficient", "Insufficient credits", "The organization has no credits left.")
SESSION_TOKEN: Final = Kind(
    403,
    "invalid_session_token",
    "Invalid session token",
    "The session token is missing, or is neither the one of the latest invitation nor of the open session.",
)
NOT_FOUND: Final = Kind(404, "not_found_resource", "Not found", "There is no such resource, or it belongs to somebody else.")
NOT_IN_MODE: Final = Kind(404, "not_found_in_mode", "Not found in this mode", "The resource is of the other mode, live or test.")
METHOD: Final = Kind(405, "method_not_allowed", "Method not allowed", "The resource does not offer this method.")
TRANSITION: Final = Kind(
    409,
    "invalid_state_transition",
    "Invalid state transition",
    "The session is not in a state that allows this; `current_state` says which it is in.",
)
DOCUMENT_CHANGED: Final = Kind(
    409, "state_document_changed", "Document changed", "The document shown is not the one in the envelope."
)
KEY_CONFLICT: Final = Kind(
    409,
    "validation_idempotency_key_conflict",
    "Idempotency key reused",
    "The idempotency key was used before with another request.",
)
ANSWER_ERASED: Final = Kind(
    409,
    "idempotent_answer_erased",
    "Answer erased",
    "The request was done before; its answer held personal data that has since been erased.",
)
HUMAN_REQUIRED: Final = Kind(
    403, "human_signature_required", "Human signature required", "The signer has to sign in person; an agent may not."
)
LOCKED: Final = Kind(
    409,
    "state_optimistic_lock_conflict",
    "Concurrent change",
    "Others kept changing the same envelope; nothing was done, so try again.",
)
SESSION_EXPIRED: Final = Kind(
    410, "session_expired", "Session expired", "The session's lifetime is over; ask for the invitation to be sent again."
)
TOO_LARGE: Final = Kind(413, "validation_body_too_large", "Body too large", "The body is larger than is accepted.")
CONTENT_TYPE: Final = Kind(
    415, "validation_content_type_invalid", "Unsupported content type", "The body is not sent as application/json."
)
VALIDATION: Final = Kind(
    422,
    "validation_failed",
    "Validation failed",
    "Some fields are missing, unknown or have unusable values; `errors` lists them.",
)
RATE_LIMITED: Final = Kind(429, "rate_limited", "Too many requests", "Wait for `retry_after` seconds.")
INTERNAL: Final = Kind(
    500, "internal_error", "Internal error", "Something unforeseen happened; it has been noted under `request_id`."
)
UNAVAILABLE: Final = Kind(
    503, "upstream_unavailable", "Unavailable", "The database cannot be reached; a repeat with the same idempotency key is safe."
)

KINDS: Final[tuple[Kind, ...]] = (
    HEADER_INVALID, BODY_INVALID, MISSING_CREDENTIALS, TOKEN_INVALID, CREDITS, SESSION_TOKEN, NOT_FOUND, NOT_IN_MODE, METHOD,
    TRANSITION, DOCUMENT_CHANGED, KEY_CONFLICT, ANSWER_ERASED, HUMAN_REQUIRED, LOCKED, SESSION_EXPIRED, TOO_LARGE, CONTENT_TYPE, VALIDATION,
    RATE_LIMITED, INTERNAL, UNAVAILABLE,
)  # fmt: skip


class FieldError(BaseModel):
    field: str = Field(description="Path of the field, dotted; empty for the body as a whole.")
    code: str
    message: str


class ProblemDocument(BaseModel):
    """A problem document (RFC 9457). Match on `code`."""

    model_config = ConfigDict(title="Problem")

    type: str = Field(description="URI of the kind of problem; it ends in the code.")
    title: str
    status: int
    detail: str
    instance: str = Field(description="`/requests/` and the request's id.")
    code: str
    doc_url: str
    request_id: str
    param: str | None = Field(default=None, description="The field or header at fault, where there is one.")
    retry_after: int | None = Field(default=None, description="Seconds, where a repeat may succeed.")
    authorized_by: dict[str, str] | None = Field(default=None, description="Who authorized the request, where it was an agent.")
    errors: list[FieldError] | None = Field(default=None, description="With `validation_failed`.")
    current_state: str | None = Field(default=None, description="With `invalid_state_transition`.")
    attempted_transition: str | None = None
    allowed_transitions: list[str] | None = None


class Problem(Exception):
    """Raised where a request cannot go on. `more` are further members of the document."""

    def __init__(
        self,
        kind: Kind,
        detail: str | None = None,
        *,
        param: str | None = None,
        retry_after: int | None = None,
        more: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(kind.code)
        self.kind = kind
        self.detail = detail or kind.meaning
        self.param = param
        self.retry_after = retry_after
        self.more = more or {}
        self.headers = headers or {}


def problem_response(request: Request, problem: Problem) -> Response:
    """The answer to a request that failed."""
    kind = problem.kind
    identity = request_id(request)
    documentation = f"{_deps(request).settings.base_url}{DOCUMENTATION}#{kind.code}"
    content: dict[str, Any] = {
        "type": documentation,
        "title": kind.title,
        "status": kind.status,
        "detail": problem.detail,
        "instance": f"/requests/{identity}",
        "code": kind.code,
    }
    if problem.param is not None:
        content["param"] = problem.param
    content |= {"doc_url": documentation, "request_id": identity}
    headers = dict(problem.headers)
    if problem.retry_after is not None:
        content["retry_after"] = problem.retry_after
        headers["Retry-After"] = str(problem.retry_after)
    if kind.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    answer = json_answer(kind.status, content | dict(problem.more), MEDIA_TYPE)
    return Response(answer.body, answer.status, headers, answer.media_type)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a request tried: the session it named, and the state it was to lead to."""

    session: str
    transition: str


def attempt(request: Request, session: str, transition: str) -> None:
    """Notes what the request tries, for the answer if the state does not allow it."""
    request.state.attempt = Attempt(session, transition)


#: What a session may become, by the state it is in; the other states are final.
TRANSITIONS: Final[Mapping[str, Sequence[str]]] = {"pending": ("completed", "declined", "cancelled", "expired")}


def transition_refused(state: str, tried: Attempt | None, *, allowed: Sequence[str] | None = None) -> Problem:
    """The 409 for a session in `state`; `allowed` replaces what the state would allow otherwise."""
    session, transition = ("", "") if tried is None else (f" {tried.session}", tried.transition)
    again = " again" if state == transition else ""
    return Problem(
        TRANSITION,
        f"Signing session{session} is in state `{state}` and cannot be {transition or 'changed'}{again}.",
        more={
            "current_state": state,
            "attempted_transition": transition,
            "allowed_transitions": list(TRANSITIONS.get(state, ()) if allowed is None else allowed),
        },
    )


# Refusals

MakeProblem = Callable[[Any, Attempt | None], Problem]


@dataclass(frozen=True, slots=True)
class Refused:
    """How this surface answers a refusal: the kind of problem, and how to tell it if not by its sentence alone."""

    kind: Kind
    tell: MakeProblem | None = None

    def problem(self, refusal: Refusal, tried: Attempt | None) -> Problem:
        return Problem(self.kind, str(refusal)) if self.tell is None else self.tell(refusal, tried)


def _closed(refusal: errors.SigningClosed | errors.EnvelopeClosed, tried: Attempt | None) -> Problem:
    return transition_refused(str(refusal.status), tried)


def _too_late(refusal: errors.DeadlinePassed, tried: Attempt | None) -> Problem:
    # The same answer as after the expiry was recorded: what a client sees does not depend on a follower's pace.
    return transition_refused("expired", tried)


def _not_yet(refusal: errors.NotInvited | errors.EnvelopeNotSent, tried: Attempt | None) -> Problem:
    return transition_refused("pending", tried, allowed=("cancelled", "expired"))


def _sent(refusal: errors.EnvelopeNotDraft, tried: Attempt | None) -> Problem:
    return transition_refused("sent", tried, allowed=("completed", "declined", "voided", "expired"))


def _field(name: str) -> Refused:
    def tell(refusal: Refusal, tried: Attempt | None) -> Problem:
        fault = {"field": name, "code": refusal.code.replace("-", "_"), "message": str(refusal)}
        return Problem(VALIDATION, str(refusal), param=name, more={"errors": [fault]})

    return Refused(VALIDATION, tell)


def _cooldown(refusal: errors.CooldownActive, tried: Attempt | None) -> Problem:
    return Problem(RATE_LIMITED, str(refusal), retry_after=RETRY_AFTER_SECONDS)


def _locked(refusal: errors.Conflict, tried: Attempt | None) -> Problem:
    return Problem(LOCKED, str(refusal), retry_after=RETRY_AFTER_SECONDS)


_CLOSED: Final = Refused(TRANSITION, _closed)
_NOT_YET: Final = Refused(TRANSITION, _not_yet)
_GONE: Final = Refused(NOT_FOUND)

REFUSALS: Final[Mapping[type[Refusal], Refused]] = {
    errors.SessionTokenInvalid: Refused(SESSION_TOKEN),
    errors.SessionExpired: Refused(SESSION_EXPIRED),
    errors.SigningClosed: _CLOSED,
    errors.EnvelopeClosed: _CLOSED,
    errors.DeadlinePassed: Refused(TRANSITION, _too_late),
    errors.NotInvited: _NOT_YET,
    errors.EnvelopeNotSent: _NOT_YET,
    errors.NotYetDue: _NOT_YET,
    errors.EnvelopeNotFound: _GONE,
    errors.ParticipantNotFound: _GONE,
    errors.DocumentNotFound: _GONE,
    errors.TemplateNotFound: _GONE,
    errors.TemplateVersionNotFound: _GONE,
    errors.SubjectNotFound: _GONE,
    errors.DirectoryEntryNotFound: _GONE,
    errors.LastOwner: _field("member"),
    errors.OwnerRoleFixed: _field("role"),
    errors.TooManyLocations: _field("locations"),
    errors.DocumentChanged: Refused(DOCUMENT_CHANGED),
    errors.Conflict: Refused(LOCKED, _locked),
    errors.IdempotencyKeyReused: Refused(KEY_CONFLICT),
    errors.IdempotentAnswerErased: Refused(ANSWER_ERASED),
    errors.CreditsInsufficient: Refused(CREDITS),
    errors.CooldownActive: Refused(RATE_LIMITED, _cooldown),
    errors.OtpNotSent: _field("code"),
    errors.OtpExpired: _field("code"),
    errors.NoParticipants: _field("signers"),
    errors.TooManyParticipants: _field("signers"),
    errors.DuplicateParticipant: _field("signers"),
    errors.TooManyAssignments: _field("signers"),
    errors.PolicyOutOfRange: _field("signers"),
    errors.NoDocuments: _field("document_ids"),
    errors.TooManyDocuments: _field("document_ids"),
    errors.DeadlineInPast: _field("expires_at"),
    errors.DeadlineNotLater: _field("expires_at"),
    errors.DeadlineMissing: _field("expires_at"),
    errors.TemplateFileMissing: _field("document_ids"),
    errors.TemplateFileAlreadyStored: _field("document_ids"),
    errors.LastTemplateVersion: _field("document_ids"),
    errors.TemplateInactive: _field("document_ids"),
    errors.LibraryDocumentNotFound: _GONE,
    errors.ConsentNotFound: _GONE,
    errors.DocumentFileAlreadyStored: _field("document_id"),
    errors.DocumentFileMissing: _field("document_id"),
    errors.DocumentNotFinal: _field("document_ids"),
    errors.TooManyComments: _field("text"),
    errors.DuplicateField: _field("fields"),
    errors.FieldOutsideDocument: _field("fields"),
    errors.TooManyFields: _field("fields"),
    errors.FieldMisplaced: _field("fields"),
    errors.TooManyCopies: _field("copies"),
    errors.EnvelopeTooLarge: _field("document_ids"),
    errors.EnvelopeNotDraft: Refused(TRANSITION, _sent),
    errors.HumanSignatureRequired: Refused(HUMAN_REQUIRED),
}

_BY_STATUS: Final[Mapping[int, Kind]] = {
    400: BODY_INVALID,
    404: NOT_FOUND,
    405: METHOD,
    413: TOO_LARGE,
    415: CONTENT_TYPE,
    429: RATE_LIMITED,
}


def install(app: FastAPI) -> None:
    """Makes every failure of `app` a problem document."""

    @app.exception_handler(Problem)
    async def problem(request: Request, err: Problem) -> Response:
        return problem_response(request, err)

    @app.exception_handler(Refusal)
    async def refused(request: Request, err: Refusal) -> Response:
        return problem_response(request, REFUSALS[type(err)].problem(err, getattr(request.state, "attempt", None)))

    @app.exception_handler(HTTPException)
    async def failed(request: Request, err: HTTPException) -> Response:
        kind = _BY_STATUS.get(err.status_code, BODY_INVALID if err.status_code < 500 else INTERNAL)
        # Starlette's own exceptions say no more than the status does.
        detail = None if err.detail == HTTPStatus(err.status_code).phrase else err.detail
        return problem_response(request, Problem(kind, detail, headers=err.headers))

    @app.exception_handler(ClientDisconnect)
    async def gone(request: Request, err: ClientDisconnect) -> Response:
        # Nobody reads it; it is not a fault of ours that would belong into the log.
        return problem_response(request, Problem(BODY_INVALID, "The body did not arrive as a whole."))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, err: RequestValidationError) -> Response:
        return problem_response(request, Problem(VALIDATION))

    async def unavailable(request: Request, err: Exception) -> Response:
        log.warning("request %s could not be answered: %s", request_id(request), err)
        return problem_response(request, Problem(UNAVAILABLE, retry_after=RETRY_AFTER_SECONDS))

    for cause in (RecorderUnavailable, DatabaseUnavailable, ReadsUnavailable):
        app.add_exception_handler(cause, unavailable)

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, err: Exception) -> Response:
        # Headers and body stay out of the log: they hold the session token and what the signer wrote.
        log.error("request %s failed", request_id(request), exc_info=err)
        return problem_response(request, Problem(INTERNAL))


def _deps(request: Request) -> Deps:
    return cast(Deps, request.app.state.deps)
