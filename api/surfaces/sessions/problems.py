"""Errors as problem documents (RFC 9457), with the members and codes of the reference page.

Each kind of error is one `Kind`; refusals of the domain become kinds through one table, `REFUSALS`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, assert_never, cast

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from api import troubles
from api.deps import Deps
from api.http import json_answer, request_id
from api.surfaces.sessions.kinds import (
    ANSWER_ERASED,
    BODY_INVALID,
    CONTENT_TYPE,
    CREDITS,
    DOCUMENT_CHANGED,
    HUMAN_REQUIRED,
    INTERNAL,
    KEY_CONFLICT,
    LOCKED,
    METHOD,
    NOT_FOUND,
    RATE_LIMITED,
    SESSION_EXPIRED,
    SESSION_TOKEN,
    TOO_LARGE,
    TRANSITION,
    UNAVAILABLE,
    VALIDATION,
    Kind,
)
from api.troubles import Convention, Trouble
from domain import errors
from domain.errors import Refusal

MEDIA_TYPE: Final = "application/problem+json"

#: Where the documentation of the codes is, below the base URL.
DOCUMENTATION: Final = "/docs/sessions"

#: What a client that was told "not now" should wait before it asks again.
RETRY_AFTER_SECONDS: Final = troubles.RETRY_AFTER_SECONDS


class FieldError(BaseModel):
    field: str = Field(description="Path of the field, dotted; empty for the body as a whole.")
    code: str
    message: str


class AuthorizedBy(BaseModel):
    """A person who signed in, or whoever holds the organization's key."""

    human_principal_id: str | None
    agent_id: str | None


class ProblemDocument(BaseModel):
    """A problem document (RFC 9457). Match on `code`."""

    model_config = ConfigDict(title="Problem")

    type: str = Field(description="URI of the kind of problem; it ends in the code.")
    title: str
    status: int
    detail: str
    instance: str = Field(description="`/requests/` and the request's id.")
    code: str
    param: str | None = Field(description="The field, parameter or header at fault, where there is one.")
    doc_url: str
    request_id: str
    retry_after: int | None = Field(description="Seconds, where a repeat may succeed.")
    authorized_by: AuthorizedBy | None = Field(description="Who the credential names, where one was recognised.")
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
    content |= {
        "param": problem.param,
        "doc_url": documentation,
        "request_id": identity,
        "retry_after": problem.retry_after,
        "authorized_by": getattr(request.state, "authorized_by", None),
    }
    headers = dict(problem.headers)
    if problem.retry_after is not None:
        headers["Retry-After"] = str(problem.retry_after)
    if kind.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    answer = json_answer(kind.status, content | dict(problem.more), MEDIA_TYPE)
    return Response(answer.body, answer.status, headers, answer.media_type)


@dataclass(frozen=True, slots=True)
class Machine:
    """What may become of a kind of resource: transitions by state; states without any are final.

    `words` are the states that the domain names otherwise.
    """

    noun: str
    transitions: Mapping[str, Sequence[str]]
    words: Mapping[str, str] = field(default_factory=dict)


SESSION: Final = Machine("Signing session", {"pending": ("completed", "declined", "cancelled", "expired")})
ENVELOPE: Final = Machine(
    "Signing envelope",
    {
        "draft": ("sent", "voided", "expired"),
        "sent": ("partially_signed", "completed", "declined", "voided", "expired"),
        "partially_signed": ("completed", "declined", "voided", "expired"),
    },
    {"cancelled": "voided"},
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a request tried: the resource it named, and the state it was to lead to."""

    machine: Machine
    id: str
    transition: str


def attempt(request: Request, id: str, transition: str, machine: Machine = SESSION) -> None:
    """Notes what the request tries, for the answer if the state does not allow it."""
    request.state.attempt = Attempt(machine, id, transition)


def transition_refused(state: str, tried: Attempt | None, *, allowed: Sequence[str] | None = None) -> Problem:
    """The 409 for a resource in `state`; `allowed` replaces what the state would allow otherwise."""
    machine, id, transition = (SESSION, "", "") if tried is None else (tried.machine, f" {tried.id}", tried.transition)
    word = machine.words.get(state, state)
    again = " again" if word == transition else ""
    return Problem(
        TRANSITION,
        f"{machine.noun}{id} is in state `{word}` and cannot be {transition or 'changed'}{again}.",
        more={
            "current_state": word,
            "attempted_transition": transition,
            "allowed_transitions": list(machine.transitions.get(word, ()) if allowed is None else allowed),
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
    if tried is not None and tried.machine is ENVELOPE:
        return transition_refused("draft", tried)
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
    errors.ErasureHeld: _field("subject"),
    errors.HoldNotFound: _GONE,
    errors.HoldEndsInPast: _field("until"),
    errors.TooManyHolds: _field("hold"),
    errors.DirectoryEntryNotFound: _GONE,
    errors.LastOwner: _field("member"),
    errors.OwnerRoleFixed: _field("role"),
    errors.TooManyLocations: _field("locations"),
    errors.DocumentChanged: Refused(DOCUMENT_CHANGED),
    errors.Conflict: Refused(LOCKED, _locked),
    errors.SealingContradicted: Refused(TRANSITION),
    errors.SealingKeyUnusable: Refused(TRANSITION),
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
    errors.FieldLeavesPage: _field("fields"),
    errors.AnchorNotFound: _field("fields"),
    errors.FieldUnknown: _field("fields"),
    errors.FieldRequired: _field("fields"),
    errors.FieldAlreadyFilled: _field("fields"),
    errors.FieldValueUnfit: _field("fields"),
    errors.FileNotTheLast: Refused(TRANSITION),
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


def _http(request: Request, err: HTTPException) -> Response:
    kind = _BY_STATUS.get(err.status_code, BODY_INVALID if err.status_code < 500 else INTERNAL)
    # Starlette's own exceptions say no more than the status does.
    detail = None if err.detail == HTTPStatus(err.status_code).phrase else err.detail
    return problem_response(request, Problem(kind, detail))


def _trouble(request: Request, trouble: Trouble) -> Response:
    match trouble:
        case Trouble.INCOMPLETE:
            return problem_response(request, Problem(BODY_INVALID, "The body did not arrive as a whole."))
        case Trouble.TOO_LARGE:
            return problem_response(request, Problem(TOO_LARGE, "All fields together are more than can be recorded."))
        case Trouble.UNAVAILABLE:
            return problem_response(request, Problem(UNAVAILABLE, retry_after=RETRY_AFTER_SECONDS))
        case Trouble.DAMAGED | Trouble.BROKEN:
            return problem_response(request, Problem(INTERNAL))
        case _ as unreachable:
            assert_never(unreachable)


def _refused(request: Request, err: Refusal) -> Response:
    return problem_response(request, REFUSALS[type(err)].problem(err, getattr(request.state, "attempt", None)))


def install(app: FastAPI) -> None:
    """Makes every failure of `app` a problem document."""
    troubles.install(app, Convention(_refused, _http, _trouble))

    @app.exception_handler(Problem)
    async def problem(request: Request, err: Problem) -> Response:
        return problem_response(request, err)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, err: RequestValidationError) -> Response:
        return problem_response(request, Problem(VALIDATION))


def too_many(request: Request, wait_seconds: int) -> Response:
    """The answer to whoever sends more than the rate allows."""
    return problem_response(request, Problem(RATE_LIMITED, retry_after=wait_seconds))


def _deps(request: Request) -> Deps:
    return cast(Deps, request.app.state.deps)
