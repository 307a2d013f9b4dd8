"""Errors of our own surfaces as problem documents (RFC 9457), and what each refusal of the domain is answered with.

The surfaces that speak like a published API have that API's errors instead.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.http import json_answer, request_id, send_answer
from api.troubles import Convention, Trouble, install
from domain import errors
from domain.entry import format_time
from domain.errors import ErasureHeld, Refusal

MEDIA_TYPE: Final = "application/problem+json"

#: Status by refusal. Most of them no surface of ours can meet; they stand here so that none is without an answer.
REFUSALS: Final[Mapping[type[Refusal], int]] = {
    errors.TemplateNotFound: 404,
    errors.TemplateVersionNotFound: 404,
    errors.TemplateFileAlreadyStored: 409,
    errors.FieldOutsideDocument: 422,
    errors.Conflict: 409,
    errors.IdempotencyKeyReused: 422,
    errors.IdempotentAnswerErased: 409,
    errors.TemplateFileMissing: 409,
    errors.LastTemplateVersion: 409,
    errors.TemplateInactive: 409,
    errors.LibraryDocumentNotFound: 404,
    errors.ConsentNotFound: 404,
    errors.DocumentFileAlreadyStored: 409,
    errors.DocumentFileMissing: 409,
    errors.DocumentNotFinal: 409,
    errors.TooManyComments: 409,
    errors.DuplicateField: 422,
    errors.FieldLeavesPage: 422,
    errors.AnchorNotFound: 422,
    errors.FieldUnknown: 422,
    errors.FieldRequired: 422,
    errors.FieldAlreadyFilled: 422,
    errors.FieldValueUnfit: 422,
    errors.FileNotTheLast: 409,
    errors.TooManyFields: 422,
    errors.FieldMisplaced: 422,
    errors.TooManyCopies: 422,
    errors.EnvelopeTooLarge: 422,
    errors.EnvelopeNotFound: 404,
    errors.ParticipantNotFound: 404,
    errors.DocumentNotFound: 404,
    errors.NoParticipants: 422,
    errors.NoDocuments: 422,
    errors.TooManyParticipants: 422,
    errors.TooManyDocuments: 422,
    errors.TooManyAssignments: 422,
    errors.PolicyOutOfRange: 422,
    errors.DuplicateParticipant: 422,
    errors.EnvelopeClosed: 409,
    errors.EnvelopeNotSent: 409,
    errors.EnvelopeNotDraft: 409,
    errors.HumanSignatureRequired: 403,
    errors.DeadlinePassed: 409,
    errors.DeadlineInPast: 422,
    errors.DeadlineNotLater: 422,
    errors.DeadlineMissing: 409,
    errors.NotYetDue: 409,
    errors.NotInvited: 409,
    errors.SigningClosed: 409,
    errors.SessionTokenInvalid: 403,
    errors.SessionExpired: 410,
    errors.DocumentChanged: 409,
    errors.OtpNotSent: 409,
    errors.OtpExpired: 410,
    errors.CooldownActive: 429,
    errors.DirectoryEntryNotFound: 404,
    errors.LastOwner: 409,
    errors.OwnerRoleFixed: 409,
    errors.TooManyLocations: 422,
    errors.CreditsInsufficient: 402,
    errors.SubjectNotFound: 404,
    errors.ErasureHeld: 409,
    errors.HoldNotFound: 404,
    errors.HoldEndsInPast: 422,
    errors.TooManyHolds: 409,
    errors.SealingContradicted: 409,
    errors.SealingKeyUnusable: 409,
}

#: Codes of what is refused before the request is understood.
_CODES: Final = {
    400: "bad-request",
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    413: "too-large",
    415: "unsupported-media-type",
    422: "validation-failed",
}

#: What the router says itself is only the status again.
_DETAILS: Final = {404: "There is nothing at this path.", 405: "This path does not take this method; Allow names those it takes."}

#: RFC 9110 has other words for these than some versions of Python.
_TITLES: Final = {413: "Content Too Large", 422: "Unprocessable Content"}


class Fault(BaseModel):
    """One thing that is wrong with a body."""

    field: str = Field(description="Path of the field, dotted; empty for the body as a whole.")
    message: str


class ForbiddingHold(BaseModel):
    """A hold that forbids an erasure; of several, the one that lasts longest."""

    id: str
    reason: str = Field(description="The code that it was placed with.")
    until: str | None = Field(description="RFC 3339 in UTC; null: until it is lifted.")


class Problem(BaseModel):
    """An error. Clients match on `code`; `detail` says what to do."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "about:blank",
                "title": "Not Found",
                "status": 404,
                "detail": "There is nothing at this path.",
                "code": "not-found",
                "requestId": "req_01J8XQ7M8VW2A6G2B0N7J5AZ7Q",
            }
        }
    )

    type: str = Field(description="Always `about:blank`: the title says what the status says (RFC 9457 section 4.2.1).")
    title: str
    status: int
    detail: str
    code: str
    request_id: str = Field(alias="requestId")
    errors: list[Fault] | None = Field(default=None, description="With `validation-failed`: each fault of the body.")
    retry_after: int | None = Field(default=None, alias="retryAfter", description="With `rate-limited`: seconds.")
    hold: ForbiddingHold | None = Field(default=None, description="With `erasure-held`: what forbids it.")


class Failed(Exception):
    """Raised where a request cannot go on; `faults` are shown as `errors`."""

    def __init__(
        self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None, faults: Sequence[Fault] = ()
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers
        self.faults = faults


def problem(
    request: Request,
    status: int,
    code: str,
    detail: str,
    headers: Mapping[str, str] | None = None,
    more: Mapping[str, Any] | None = None,
) -> Response:
    """An error as an answer; `more` are further members of it."""
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": _TITLES.get(status) or HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "requestId": request_id(request),
        **(more or {}),
    }
    response = send_answer(json_answer(status, content, MEDIA_TYPE))
    response.headers["cache-control"] = "no-store"
    response.headers.update(headers or {})
    return response


def too_many(request: Request, retry_after_seconds: int) -> Response:
    """The answer to who sends too many requests."""
    detail = f"Too many requests; wait {retry_after_seconds} s."
    return problem(request, 429, "rate-limited", detail, more={"retryAfter": retry_after_seconds})


def answer_problems(app: FastAPI) -> None:
    """Gives `app` an answer to everything that is raised in it, but for what only that surface raises."""
    install(app, Convention(_refused, _http, _trouble))
    app.exception_handler(Failed)(_failed)


async def _failed(request: Request, err: Failed) -> Response:
    faults = [fault.model_dump() for fault in err.faults]
    return problem(request, err.status, err.code, err.detail, err.headers, {"errors": faults} if faults else None)


def _refused(request: Request, refusal: Refusal) -> Response:
    more = {"hold": _forbidding(refusal)} if isinstance(refusal, ErasureHeld) else None
    return problem(request, REFUSALS[type(refusal)], refusal.code, str(refusal), more=more)


def _forbidding(refusal: ErasureHeld) -> dict[str, Any]:
    until = None if refusal.until is None else format_time(refusal.until)
    return ForbiddingHold(id=str(refusal.hold), reason=refusal.reason, until=until).model_dump(mode="json")


def _http(request: Request, err: HTTPException) -> Response:
    detail = _DETAILS.get(err.status_code) or str(err.detail)
    return problem(request, err.status_code, _CODES.get(err.status_code, "refused"), detail)


#: Status, code and sentence for what keeps a request from its answer.
_TROUBLES: Final[Mapping[Trouble, tuple[int, str, str]]] = {
    Trouble.INCOMPLETE: (400, "incomplete", "The connection ended before everything had arrived."),
    Trouble.TOO_LARGE: (422, "too-much", "All of it together is too large to be recorded."),
    Trouble.UNAVAILABLE: (
        503,
        "unavailable",
        "The database is out of reach, or what is read from it is behind; try again. Sending the same again does no harm.",
    ),
    Trouble.DAMAGED: (500, "file-damaged", "The stored file is not the one that was uploaded any more; it is not shown."),
    Trouble.BROKEN: (500, "internal-error", "Something went wrong here; the log has more under the request's id."),
}


def _trouble(request: Request, trouble: Trouble) -> Response:
    return problem(request, *_TROUBLES[trouble])
